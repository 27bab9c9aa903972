//! What is listed in the menu, and whose it is.

use std::io;
use std::path::{Path, PathBuf};

use golden_core::Toplevel;

use super::SystemdBoot;
use crate::loader::boot_files::{LACKS_FILES, Standing, first_whole, say_unused};
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
        let is_managed = is_installers_payload(&entry);
        let is_there = is_managed && self.are_files_there(&entry, partition);
        let standing = Standing::of(self.host, &entry.toplevel, &entry.options, is_managed, is_there);
        Listed { entry, partition, standing }
    }

    /// An entry by which a toplevel is booted, with its files whole. Where secure boot asks for images, an old text beside one
    /// boots nothing.
    pub(super) fn entry(&self, toplevel: &Toplevel) -> Result<Listed, Error> {
        let mut entries = self.entries()?;
        entries.retain(|listed| listed.entry.toplevel == *toplevel);
        let standings: Vec<Standing> = entries.iter().map(|listed| listed.standing).collect();
        let (mut used, others): (Vec<Listed>, Vec<Listed>) =
            entries.into_iter().partition(|listed| listed.standing.is_used_among(standings.iter().copied()));
        if used.iter().any(Listed::is_image) {
            used.retain(Listed::is_image);
        }
        let name = |listed: &Listed| listed.entry.file.clone();
        let whole = first_whole(self.host, toplevel, used, name, |listed| self.check_files(listed))?;
        for listed in others.iter().filter(|listed| listed.standing.lacks_files()) {
            say_unused(self.host, &listed.entry.file, LACKS_FILES);
        }
        Ok(whole)
    }
}

impl Listed {
    pub fn toplevel(&self) -> Toplevel {
        self.entry.toplevel.clone()
    }

    fn is_image(&self) -> bool {
        matches!(self.entry.payload, Payload::Image(_))
    }

    /// Where its own file is.
    pub fn directory(&self) -> PathBuf {
        match self.entry.payload {
            Payload::Files(_) => conf_entries_of(self.partition),
            Payload::Image(_) => images_of(self.partition),
        }
    }

    /// A path of the loader's, which may have backslashes.
    pub fn on_partition(&self, path: &str) -> PathBuf {
        on_partition(self.partition, path)
    }

    pub fn damaged(&self, why: &str) -> Error {
        Error::BootFiles { toplevel: self.toplevel(), why: why.to_owned() }
    }
}

/// A path of the loader's, which may have backslashes, on this partition.
pub(super) fn on_partition(partition: &Path, path: &str) -> PathBuf {
    partition.join(path.replace('\\', "/").trim_start_matches('/'))
}

/// Whether an installer of NixOS's put there what this entry boots: systemd-boot's copies kernels, lanzaboote makes images
/// of this name and copies the kernels that they name.
fn is_installers_payload(entry: &Entry) -> bool {
    match &entry.payload {
        Payload::Files(files) => files.linux.as_deref().is_some_and(is_managed),
        Payload::Image(image) => {
            entry.file.to_ascii_lowercase().starts_with("nixos-") && image.files().all(is_managed)
        }
    }
}

/// Whether this is an entry by which its toplevel is booted: none of the owner's, and none that is better.
pub(super) fn is_used(entries: &[Listed], listed: &Listed) -> bool {
    let of_it = entries.iter().filter(|other| other.entry.toplevel == listed.entry.toplevel);
    listed.standing.is_used_among(of_it.map(|other| other.standing))
}

/// What a pattern names: of every entry that it matches the same toplevel, by an entry that is used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// No entry.
    Nothing,
    /// This toplevel and no other.
    Only(Toplevel),
    /// Several, or an entry that is not ours to use.
    Unclear,
}

/// How the loader spells the identifiers of entries that it counts. Source: systemd, pull request 38897, which is in 259 and
/// was taken into some builds of older versions, such as Debian's 257.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// With the counters.
    Counted,
    /// Without them.
    Plain,
    /// One or the other, and both must say the same.
    OneOfBoth,
    /// The loader does not say who it is, so either is believed.
    Unknown,
}

impl Spelling {
    /// From `LoaderInfo`, such as `systemd-boot 257.9-1`.
    pub fn of(info: Option<&str>) -> Self {
        let version = info.and_then(|info| info.strip_prefix("systemd-boot "));
        let digits =
            version.map(|version| version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
        match digits.and_then(|digits| digits.parse().ok()) {
            None => Self::Unknown,
            Some(..=254_u32) => Self::Counted,
            Some(255..=258) => Self::OneOfBoth,
            Some(259..) => Self::Plain,
        }
    }

    /// Whether the loader finds this entry by this pattern; `None` if that cannot be told.
    fn finds(self, entry: &Entry, pattern: &str) -> Option<bool> {
        let suffix = entry.file.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        let has_suffix = pattern.to_ascii_lowercase().ends_with(&format!(".{}", suffix.to_ascii_lowercase()));
        let with_suffix = format!("{pattern}.{suffix}");
        let is_found = |name: &str| {
            loader_conf::matches(pattern, name) || !has_suffix && loader_conf::matches(&with_suffix, name)
        };
        let (counted, plain) = (is_found(&entry.file), is_found(&entry.id()));
        match self {
            Self::Counted => Some(counted),
            Self::Plain => Some(plain),
            Self::Unknown => Some(counted || plain || entry.is_called(pattern)),
            Self::OneOfBoth => (counted == plain).then_some(counted),
        }
    }
}

/// What boots by this pattern.
pub(super) fn named(entries: &[Listed], spelling: Spelling, key: Key, pattern: &str) -> Named {
    // What is preferred and has no tries left is passed over.
    let boots = |listed: &&Listed| key == Key::Default || !listed.entry.is_exhausted();
    let bootable = entries.iter().filter(boots);
    let found = bootable.map(|listed| (listed, spelling.finds(&listed.entry, pattern)));
    let found: Vec<(&Listed, Option<bool>)> = found.filter(|(_, found)| *found != Some(false)).collect();
    let Some((first, _)) = found.first().copied() else { return Named::Nothing };
    // A pattern that matches entries of several toplevels says nothing certain.
    let is_certain = |(other, is_found): &(&Listed, Option<bool>)| {
        *is_found == Some(true) && other.entry.toplevel == first.entry.toplevel && is_used(entries, other)
    };
    if found.iter().all(is_certain) { Named::Only(first.toplevel()) } else { Named::Unclear }
}

/// Whether a partition has a place for entries. One that is there and cannot be read is one: what reads it says why.
pub(super) fn has_entries(host: &dyn Host, partition: &Path) -> bool {
    let is_missing =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let mut directories = [conf_entries_of(partition), images_of(partition)].into_iter();
    directories.any(|directory| !host.list(&directory).is_err_and(|error| is_missing(&error)))
}

fn conf_entries_of(partition: &Path) -> PathBuf {
    partition.join("loader/entries")
}

fn images_of(partition: &Path) -> PathBuf {
    partition.join("EFI/Linux")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_an_entry_is_spelled_depends_on_the_loaders_version() {
        for (info, plain, counted) in [
            (Some("systemd-boot 252.39-1~deb12u1"), Some(false), Some(true)),
            (Some("systemd-boot 257.9-1~deb13u1"), None, None),
            (Some("systemd-boot 260"), Some(true), Some(false)),
            (Some("another loader"), Some(true), Some(true)),
            (None, Some(true), Some(true)),
        ] {
            let entry = Entry::parse("x+2-1.conf", b"options init=/nix/store/aaa-a/init\n").unwrap();
            let finds = |pattern: &str| Spelling::of(info).finds(&entry, pattern);
            assert_eq!((finds("x.conf"), finds("x+2-1.conf")), (plain, counted), "{info:?}");
            assert_eq!(finds(&entry.name_for_loader()), Some(true), "{info:?}");
            assert_eq!(finds("x*"), Some(true), "{info:?}");
            assert_eq!(finds("y*"), Some(false), "{info:?}");
            let entry = Entry::parse("x.conf", b"options init=/nix/store/aaa-a/init\n").unwrap();
            assert_eq!(Spelling::of(info).finds(&entry, "x.conf"), Some(true), "{info:?}");
            assert_eq!(Spelling::of(info).finds(&entry, "X"), Some(true), "{info:?}");
        }
    }
}
