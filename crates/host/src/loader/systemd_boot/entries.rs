//! What is listed in the menu, and whose it is.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use golden_core::Toplevel;

use super::SystemdBoot;
use super::order::Order;
use crate::loader::boot_files::{LACKS_FILES, Standing, first_whole, say_unused, settle};
use crate::loader::entry::{Entry, Payload, is_called, is_managed, without_counters};
use crate::loader::loader_conf::{self, Key};
use crate::loader::uki::Image;
use crate::{Comparison, Error, Host, durable};

/// Mode of a directory on a file system that knows none.
const DIRECTORY: u32 = 0o755;

/// An entry, and where it is.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub entry: Entry,
    pub partition: Rc<Path>,
    pub standing: Standing,
}

/// Everything that the loader lists.
#[derive(Debug)]
pub(super) struct Entries {
    /// Those that boot systems of ours, by name.
    pub ours: Vec<Listed>,
    /// The names of all others.
    pub others: Vec<String>,
    /// The best standing that a system has.
    best: HashMap<Toplevel, Standing>,
}

impl Entries {
    fn new(mut ours: Vec<Listed>, others: Vec<String>) -> Self {
        ours.sort_by(|left, right| left.entry.file.cmp(&right.entry.file));
        let mut best: HashMap<Toplevel, Standing> = HashMap::new();
        for listed in &ours {
            let standing = best.entry(listed.toplevel()).or_insert(listed.standing);
            *standing = listed.standing.max(*standing);
        }
        Self { ours, others, best }
    }

    /// Whether this is an entry by which its toplevel is booted: none of the owner's, and none that is better.
    pub fn is_used(&self, listed: &Listed) -> bool {
        listed.standing.is_used_among(self.best.get(&listed.entry.toplevel).copied().into_iter())
    }
}

impl SystemdBoot<'_> {
    /// What is listed, read once. One that cannot be read is none.
    pub(super) fn entries(&self) -> Result<Rc<Entries>, Error> {
        if let Some(known) = self.known.borrow().as_ref() {
            return Ok(Rc::clone(known));
        }
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for partition in &self.partitions {
            let mut add = |file: String, listed: Option<Listed>| match listed {
                Some(listed) => ours.push(listed),
                None => others.push(file),
            };
            for file in self.names(&conf_entries_of(partition), "conf")? {
                let listed = self.conf_entry(partition, &file);
                add(file, listed);
            }
            for file in self.names(&images_of(partition), "efi")? {
                let listed = self.image_entry(partition, &file);
                add(file, listed);
            }
        }
        let read = Rc::new(Entries::new(ours, others));
        *self.known.borrow_mut() = Some(Rc::clone(&read));
        Ok(read)
    }

    /// The names in a directory that end with this suffix; vfat knows no upper and lower case. The loader leaves out what
    /// begins with a dot, which is what is being replaced.
    fn names(&self, directory: &Path, suffix: &str) -> Result<Vec<String>, Error> {
        let names = match self.host.list(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names.map_err(Error::io("list", directory))?,
        };
        let has_suffix = |name: &String| {
            Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(suffix))
        };
        let names = names.into_iter().filter_map(|name| name.into_string().ok()).filter(has_suffix);
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    fn conf_entry(&self, partition: &Rc<Path>, file: &str) -> Option<Listed> {
        let bytes = self.host.read(&conf_entries_of(partition).join(file)).ok()?;
        Some(self.listed(Entry::parse(file, &bytes)?, partition))
    }

    fn image_entry(&self, partition: &Rc<Path>, file: &str) -> Option<Listed> {
        let path = images_of(partition).join(file);
        let image = Image::parse(|offset, bytes| self.host.read_part(&path, offset, bytes)).ok()??;
        Some(self.listed(Entry::of_image(file, image)?, partition))
    }

    fn listed(&self, entry: Entry, partition: &Rc<Path>) -> Listed {
        let is_managed = is_installers_payload(&entry);
        let is_there = is_managed && self.are_files_there(&entry, partition);
        let standing = Standing::of(self.host, &entry.toplevel, &entry.options, is_managed, is_there);
        Listed { entry, partition: Rc::clone(partition), standing }
    }

    /// An entry by which a toplevel is booted, with its files whole. Where secure boot asks for images, an old text beside one
    /// boots nothing.
    pub(super) fn entry(&self, toplevel: &Toplevel) -> Result<Listed, Error> {
        let theirs = self.original.as_ref().map(|original| original.entry(toplevel)).transpose()?;
        if let Some(theirs) = &theirs {
            self.take_over(theirs)?;
        }
        let entries = self.entries()?;
        let of_it = entries.ours.iter().filter(|listed| listed.entry.toplevel == *toplevel).cloned();
        let (mut used, others): (Vec<Listed>, Vec<Listed>) =
            of_it.partition(|listed| entries.is_used(listed));
        if used.iter().any(Listed::is_image) {
            used.retain(Listed::is_image);
        }
        // One variable names the entry for all partitions.
        if let Some(theirs) = &theirs {
            used.retain(|listed| listed.is_called_like(theirs));
        }
        let name = |listed: &Listed| listed.entry.file.clone();
        let whole = first_whole(self.host, toplevel, used, name, |listed| self.check_files(listed))?;
        for listed in others.iter().filter(|listed| listed.standing.lacks_files()) {
            say_unused(self.host, &listed.entry.file, LACKS_FILES);
        }
        Ok(whole)
    }

    /// Have an entry and its files as they are on the boot partition that the installer writes.
    fn take_over(&self, theirs: &Listed) -> Result<(), Error> {
        let entries = self.entries()?;
        // The loader renames what it counts, on the partition that it came from.
        let own = entries.ours.iter().find(|ours| ours.is_called_like(theirs));
        let own = own.map_or(&theirs.entry.file, |ours| &ours.entry.file);
        let files =
            theirs.entry.files().map(|path| (theirs.on_partition(path), on_partition(&self.esp, path)));
        for (from, to) in files {
            match self.host.size(&from) {
                // The store has it, or it is said that nobody has.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => self.copy_over(&from, &to)?,
            }
        }
        let directory =
            if matches!(theirs.entry.payload, Payload::Image(_)) { images_of } else { conf_entries_of };
        self.copy_over(&theirs.directory().join(&theirs.entry.file), &directory(&self.esp).join(own))?;
        self.reread();
        Ok(())
    }

    fn copy_over(&self, from: &Path, to: &Path) -> Result<(), Error> {
        if matches!(self.host.compare(from, to), Ok(Comparison::Same)) {
            return Ok(());
        }
        let directory = to.parent().unwrap_or(&self.esp);
        self.host.create_directory(directory, DIRECTORY).map_err(Error::io("create", directory))?;
        durable::replace_with_copy(self.host, from, to)?;
        settle(self.host, to)
    }
}

impl Listed {
    pub fn toplevel(&self) -> Toplevel {
        self.entry.toplevel.clone()
    }

    fn is_image(&self) -> bool {
        matches!(self.entry.payload, Payload::Image(_))
    }

    /// Whether the loader knows both by one name.
    fn is_called_like(&self, other: &Self) -> bool {
        self.entry.id().eq_ignore_ascii_case(&other.entry.id())
    }

    /// Where its own file is.
    pub fn directory(&self) -> PathBuf {
        match self.entry.payload {
            Payload::Files(_) => conf_entries_of(&self.partition),
            Payload::Image(_) => images_of(&self.partition),
        }
    }

    /// A path of the loader's, which may have backslashes.
    pub fn on_partition(&self, path: &str) -> PathBuf {
        on_partition(&self.partition, path)
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

/// What a pattern names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// No entry.
    Nothing,
    /// This toplevel and no other.
    Only(Toplevel),
    /// Entries of which the loader takes one that cannot be told, or one that is not ours to use.
    Unclear,
}

/// How the loader spells the identifiers of entries that it counts. Source: systemd, pull request 38897, which is in 259 and
/// was taken into some builds of older versions, such as Debian's 257.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// With the counters, and sorted by them alone: before 250.
    Old,
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
            Some(..=249_u32) => Self::Old,
            Some(250..=254) => Self::Counted,
            Some(255..=258) => Self::OneOfBoth,
            Some(259..) => Self::Plain,
        }
    }

    /// Whether the loader finds the entry in this file by this pattern; `None` if that cannot be told.
    fn finds(self, file: &str, pattern: &str) -> Option<bool> {
        let suffix = file.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        let has_suffix = pattern.to_ascii_lowercase().ends_with(&format!(".{}", suffix.to_ascii_lowercase()));
        let with_suffix = format!("{pattern}.{suffix}");
        let is_found = |name: &str| {
            loader_conf::matches(pattern, name) || !has_suffix && loader_conf::matches(&with_suffix, name)
        };
        let (counted, plain) = (is_found(file), is_found(&without_counters(file)));
        match self {
            Self::Old | Self::Counted => Some(counted),
            Self::Plain => Some(plain),
            Self::Unknown => Some(counted || plain || is_called(file, pattern)),
            Self::OneOfBoth => (counted == plain).then_some(counted),
        }
    }

    /// The first of these in the menu; `None` where that cannot be told. Since 250 an entry's own sort key goes first.
    fn first<'a>(self, entries: &[&'a Listed]) -> Option<&'a Listed> {
        let orders: &[Order] = match self {
            Self::Unknown | Self::Old => &[],
            Self::Counted => &[Order::ByFile],
            Self::Plain => &[Order::ByIdentifier],
            Self::OneOfBoth => &[Order::ByFile, Order::ByIdentifier],
        };
        let first = |order: &Order| entries.iter().copied().min_by(|a, b| order.compare(&a.entry, &b.entry));
        let mut firsts = orders.iter().filter_map(first);
        let one = firsts.next()?;
        firsts.all(|other| std::ptr::eq(one, other)).then_some(one)
    }
}

/// What boots by this pattern: of the entries that it matches, the first one in the loader's menu.
pub(super) fn named(entries: &Entries, spelling: Spelling, key: Key, pattern: &str) -> Named {
    // What is preferred and has no tries left is passed over.
    let boots = |listed: &&Listed| key == Key::Default || !listed.entry.is_exhausted();
    let bootable = entries.ours.iter().filter(boots);
    let found = bootable.map(|listed| (listed, spelling.finds(&listed.entry.file, pattern)));
    let found: Vec<(&Listed, Option<bool>)> = found.filter(|(_, found)| *found != Some(false)).collect();
    let finds_other = entries.others.iter().any(|other| spelling.finds(other, pattern) != Some(false));
    let Some((first, _)) = found.first() else {
        return if finds_other { Named::Unclear } else { Named::Nothing };
    };
    if finds_other || found.iter().any(|(_, is_found)| is_found.is_none()) {
        return Named::Unclear;
    }
    let is_same = |(other, _): &(&Listed, _)| other.entry.toplevel == first.entry.toplevel;
    if found.iter().all(|other| is_same(other) && entries.is_used(other.0)) {
        return Named::Only(first.toplevel());
    }
    let found: Vec<&Listed> = found.into_iter().map(|(listed, _)| listed).collect();
    let first = spelling.first(&found);
    match first {
        Some(first) if entries.is_used(first) => Named::Only(first.toplevel()),
        _ => Named::Unclear,
    }
}

/// What boots where nothing else is said: the first entry of the menu.
pub(super) fn first_of_all(entries: &Entries, spelling: Spelling) -> Named {
    if entries.ours.is_empty() && entries.others.is_empty() {
        return Named::Nothing;
    }
    let first =
        spelling.first(&entries.ours.iter().collect::<Vec<_>>()).filter(|_| entries.others.is_empty());
    match first {
        Some(first) if entries.is_used(first) => Named::Only(first.toplevel()),
        _ => Named::Unclear,
    }
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
            let finds = |pattern: &str| Spelling::of(info).finds(&entry.file, pattern);
            assert_eq!((finds("x.conf"), finds("x+2-1.conf")), (plain, counted), "{info:?}");
            assert_eq!(finds(&entry.name_for_loader()), Some(true), "{info:?}");
            assert_eq!(finds("x*"), Some(true), "{info:?}");
            assert_eq!(finds("y*"), Some(false), "{info:?}");
            assert_eq!(Spelling::of(info).finds("x.conf", "x.conf"), Some(true), "{info:?}");
            assert_eq!(Spelling::of(info).finds("x.conf", "X"), Some(true), "{info:?}");
        }
    }
}
