//! What is listed in the menu, and whose it is.

use std::io;
use std::path::{Path, PathBuf};

use golden_core::Toplevel;

use super::SystemdBoot;
use crate::loader::entry::{Entry, Payload, is_managed};
use crate::loader::loader_conf::{self, Key};
use crate::loader::uki::Image;
use crate::{Error, Host};

/// An entry, and where it is.
#[derive(Debug)]
pub(super) struct Listed {
    pub entry: Entry,
    pub partition: &'static Path,
    pub standing: Standing,
}

/// Whose entry it is, as far as that can be told. Only the best one of a toplevel is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// The owner's own. Never made the default, never armed, its files never touched.
    Owners,
    /// Its files are the installer's, its command line is not what the system says.
    Changed,
    /// As NixOS's installer writes it.
    Installers,
}

impl SystemdBoot<'_> {
    /// Entries that boot systems of ours, by name. One that cannot be read is none.
    pub(super) fn entries(&self) -> Result<Vec<Listed>, Error> {
        let mut entries = Vec::new();
        for &partition in &self.partitions {
            let files = self.names(&conf_entries_of(partition), "conf")?.into_iter();
            entries.extend(files.filter_map(|file| self.conf_entry(partition, &file)));
            let images = self.names(&images_of(partition), "efi")?.into_iter();
            entries.extend(images.filter_map(|file| self.image_entry(partition, &file)));
        }
        entries.sort_by(|left, right| left.entry.file.cmp(&right.entry.file));
        Ok(entries)
    }

    /// The names in a directory that end with this suffix; vfat knows no upper and lower case.
    fn names(&self, directory: &Path, suffix: &str) -> Result<Vec<String>, Error> {
        let names = match self.host.list(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names.map_err(Error::io("list", directory))?,
        };
        let has_suffix = |name: &String| {
            Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(suffix))
        };
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).filter(has_suffix).collect())
    }

    fn conf_entry(&self, partition: &'static Path, file: &str) -> Option<Listed> {
        let bytes = self.host.read(&conf_entries_of(partition).join(file)).ok()?;
        Some(self.listed(Entry::parse(file, &bytes)?, partition))
    }

    fn image_entry(&self, partition: &'static Path, file: &str) -> Option<Listed> {
        let path = images_of(partition).join(file);
        let image = Image::parse(|offset, bytes| self.host.read_part(&path, offset, bytes)).ok()??;
        Some(self.listed(Entry::of_image(file, image)?, partition))
    }

    fn listed(&self, entry: Entry, partition: &'static Path) -> Listed {
        Listed { standing: self.standing(&entry), entry, partition }
    }

    fn standing(&self, entry: &Entry) -> Standing {
        let parameters = Path::new(entry.toplevel.as_str()).join("kernel-params");
        let parameters = self.host.read(&parameters).ok();
        let is_own = |bytes: Vec<u8>| entry.has_parameters(&String::from_utf8_lossy(&bytes));
        match is_installers_payload(entry) {
            false => Standing::Owners,
            true if parameters.is_none_or(is_own) => Standing::Installers,
            true => Standing::Changed,
        }
    }

    /// The entry by which a toplevel is booted. Where secure boot asks for images, an old text beside one boots nothing.
    pub(super) fn entry(&self, toplevel: &Toplevel) -> Result<Listed, Error> {
        let mut entries = self.entries()?;
        entries.retain(|listed| listed.entry.toplevel == *toplevel);
        let is_image = |listed: &Listed| matches!(listed.entry.payload, Payload::Image(_));
        entries.sort_by_key(|listed| !is_image(listed));
        let index = entries.iter().position(|listed| is_used(&entries, listed));
        index.map(|index| entries.swap_remove(index)).ok_or_else(|| Error::NoEntry(toplevel.clone()))
    }
}

impl Listed {
    pub fn toplevel(&self) -> Toplevel {
        self.entry.toplevel.clone()
    }

    /// Where its own file is.
    pub fn directory(&self) -> PathBuf {
        match self.entry.payload {
            Payload::Files { .. } => conf_entries_of(self.partition),
            Payload::Image(_) => images_of(self.partition),
        }
    }

    /// A path of the loader's, which may have backslashes.
    pub fn on_partition(&self, path: &str) -> PathBuf {
        self.partition.join(path.replace('\\', "/").trim_start_matches('/'))
    }

    pub fn damaged(&self, why: &str) -> Error {
        Error::BootFiles { toplevel: self.toplevel(), why: why.to_owned() }
    }
}

/// Whether an installer of NixOS's put there what this entry boots: systemd-boot's copies kernels, lanzaboote makes images
/// of this name and copies the kernels that they name.
fn is_installers_payload(entry: &Entry) -> bool {
    match &entry.payload {
        Payload::Files { linux, .. } => linux.as_deref().is_some_and(is_managed),
        Payload::Image(image) => {
            entry.file.to_ascii_lowercase().starts_with("nixos-") && image.files().all(is_managed)
        }
    }
}

/// Whether this is an entry by which its toplevel is booted: none of the owner's, and none that is better.
pub(super) fn is_used(entries: &[Listed], listed: &Listed) -> bool {
    let of_it = entries.iter().filter(|other| other.entry.toplevel == listed.entry.toplevel);
    let best = of_it.map(|other| other.standing).max();
    listed.standing != Standing::Owners && best == Some(listed.standing)
}

/// The entries that a pattern names.
pub(super) fn named_by<'a>(entries: &'a [Listed], key: Key, pattern: &str) -> Vec<&'a Listed> {
    // What is preferred and has no tries left is passed over.
    let boots = |listed: &&Listed| key == Key::Default || !listed.entry.is_exhausted();
    let bootable = || entries.iter().filter(boots);
    match bootable().find(|listed| listed.entry.is_called(pattern)) {
        Some(listed) => vec![listed],
        None => bootable().filter(|listed| loader_conf::matches(pattern, &listed.entry.id())).collect(),
    }
}

/// Whether a partition has a place for entries.
pub(super) fn has_entries(host: &dyn Host, partition: &Path) -> bool {
    [conf_entries_of(partition), images_of(partition)].iter().any(|directory| host.list(directory).is_ok())
}

fn conf_entries_of(partition: &Path) -> PathBuf {
    partition.join("loader/entries")
}

fn images_of(partition: &Path) -> PathBuf {
    partition.join("EFI/Linux")
}
