//! A file system that can lose what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The bytes of a file; shared between snapshots.
pub type Bytes = Arc<[u8]>;

/// What a file system promises about what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Names change in order, in each directory; the bytes behind a name need a sync of their own. ext4, xfs, btrfs.
    Journalled,
    /// Every name changes by itself, and the size and the first cluster of a file are part of its name: **a rename
    /// undoes an earlier sync of the file.** The ESP; measured by replaying the writes of a real kernel.
    Fat,
}

/// One file system, with what programs see now and what a crash may leave of it.
#[derive(Debug, Clone)]
pub struct Disk {
    rules: Rules,
    /// By path as text, and names as text: comparing paths is what would take most of the time.
    directories: BTreeMap<String, Directory>,
    files: BTreeMap<FileId, File>,
    next: FileId,
}

type FileId = u32;
type Names = BTreeMap<Name, FileId>;
type Name = Arc<str>;
/// Names that change together or not at all.
type Change = Vec<(Name, Option<FileId>)>;

#[derive(Debug, Clone, Default)]
struct Directory {
    live: Names,
    durable: Names,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
struct File {
    live: Bytes,
    /// What a crash may leave, the last synced bytes first. Never empty; only `live` once it is synced.
    possible: Vec<Bytes>,
}

/// What clusters hold that nobody has written yet. Not UTF-8, so nothing takes it for a file of its own.
const STALE: &[u8] = b"\xff\xfe\x00stale";

impl Disk {
    /// An empty file system with nothing but the directory `mount_point`.
    #[must_use]
    pub fn new(rules: Rules, mount_point: &Path) -> Self {
        let directories = BTreeMap::from([(text(mount_point).to_owned(), Directory::default())]);
        Self { rules, directories, files: BTreeMap::new(), next: 0 }
    }

    /// The bytes that programs see.
    pub fn read(&self, path: &Path) -> io::Result<Bytes> {
        Ok(self.file(path)?.live.clone())
    }

    /// The names that programs see, directories included.
    pub fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let directory = text(directory);
        let files =
            self.directories.get(directory).ok_or(io::ErrorKind::NotFound)?.live.keys().map(|name| &**name);
        let below = |other: &'_ String| -> Option<usize> {
            let name = other.strip_prefix(directory)?.strip_prefix('/')?;
            (!name.contains('/')).then_some(other.len() - name.len())
        };
        let directories = self.directories.keys().filter_map(|other| Some(&other[below(other)?..]));
        Ok(files.chain(directories).map(OsString::from).collect())
    }

    /// Every file that programs see.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, &Bytes)> {
        self.directories.iter().flat_map(move |(path, directory)| {
            let bytes = |id| Some(&self.files.get(id)?.live);
            let file = move |(name, id): (&Name, _)| Some((Path::new(path).join(&**name), bytes(id)?));
            directory.live.iter().filter_map(file)
        })
    }

    /// Replace the bytes of a file.
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.file_or_new(path)?;
        // It is truncated before it is written.
        file.change(bytes, &[&[], half(bytes)]);
        Ok(())
    }

    /// Add bytes at the end of a file. On FAT, the file may be as long as it should be and hold something else there.
    pub fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let rules = self.rules;
        let file = self.file_or_new(path)?;
        let before = file.live.clone();
        let mut torn = vec![[&before, half(bytes)].concat()];
        if rules == Rules::Fat {
            torn.push([&before, STALE].concat());
        }
        let torn: Vec<&[u8]> = torn.iter().map(Vec::as_slice).collect();
        file.change(&[&before, bytes].concat(), &torn);
        Ok(())
    }

    /// Replace the bytes of a file by as many others. A sector is written whole or not at all; a size that was not
    /// synced may still be lost.
    pub fn overwrite(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        const SECTOR_BYTES: usize = 512;
        let id = self.id(path).ok_or(io::ErrorKind::NotFound)?;
        let file = self.files.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        if file.live.len() != bytes.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let cut: Vec<&[u8]> = file.possible.iter().filter_map(|known| bytes.get(..known.len())).collect();
        // Of several sectors, some may be written.
        let middle = (bytes.len() / 2).next_multiple_of(SECTOR_BYTES).min(bytes.len());
        let live = file.live.clone();
        let torn =
            [[&bytes[..middle], &live[middle..]].concat(), [&live[..middle], &bytes[middle..]].concat()];
        let torn = torn.iter().map(Vec::as_slice).filter(|torn| *torn != &*live && *torn != bytes);
        let lost: Vec<&[u8]> = cut.into_iter().chain(torn).collect();
        file.change(bytes, &lost);
        Ok(())
    }

    /// Rename a file within its directory, over what is there.
    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if from.parent() != to.parent() {
            return Err(io::Error::other("the simulated file system renames only within one directory"));
        }
        let id = self.id(from).ok_or(io::ErrorKind::NotFound)?;
        if self.rules == Rules::Fat {
            let replaced = self.file(to).ok().map(|file| file.live.clone());
            let file = self.files.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
            let live = file.live.clone();
            let lost: Vec<&[u8]> =
                [&[], STALE].into_iter().chain(replaced.iter().map(|bytes| &**bytes)).collect();
            file.change(&live, &lost);
        }
        let (from, to) = (name_of(from)?, name_of(to)?);
        let rules = self.rules;
        self.directory_of(from.0)?.change(rules, vec![(from.1, None), (to.1, Some(id))]);
        Ok(())
    }

    /// Remove a file.
    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.id(path).ok_or(io::ErrorKind::NotFound)?;
        let (directory, name) = name_of(path)?;
        let rules = self.rules;
        self.directory_of(directory)?.change(rules, vec![(name, None)]);
        Ok(())
    }

    /// Create a directory with its parents. A lost empty directory is like one that was never asked for, so this
    /// is durable at once.
    pub fn create_directory(&mut self, path: &Path) {
        for ancestor in path.ancestors() {
            let inside = self.directories.keys().next().is_some_and(|root| ancestor.starts_with(root));
            if inside {
                self.directories.entry(text(ancestor).to_owned()).or_default();
            }
        }
    }

    /// Make the bytes of a file durable; on FAT, its size and first cluster too.
    pub fn sync_file(&mut self, path: &Path) -> io::Result<()> {
        let id = self.id(path).ok_or(io::ErrorKind::NotFound)?;
        let file = self.files.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        file.possible = vec![file.live.clone()];
        Ok(())
    }

    /// Make the names in a directory durable.
    pub fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        let directory = self.directories.get_mut(text(path)).ok_or(io::ErrorKind::NotFound)?;
        directory.durable.clone_from(&directory.live);
        directory.unsynced.clear();
        self.forget_unnamed();
        Ok(())
    }

    /// Make everything durable, as an orderly shutdown does.
    pub fn sync(&mut self) {
        for file in self.files.values_mut() {
            file.possible = vec![file.live.clone()];
        }
        for directory in self.directories.values_mut() {
            directory.durable.clone_from(&directory.live);
            directory.unsynced.clear();
        }
        self.forget_unnamed();
    }

    /// Whether a crash would lose nothing.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.directories.values().all(|directory| directory.unsynced.is_empty())
            && self.files.values().all(|file| file.possible.len() == 1)
    }

    /// Every state in which a crash may leave this file system, each once.
    #[must_use]
    pub fn after_crash(&self) -> Vec<Disk> {
        if self.is_settled() {
            return vec![self.clone()];
        }
        let mut seen = BTreeSet::new();
        let directories: Vec<(&String, Vec<Names>)> = self
            .directories
            .iter()
            .map(|(path, directory)| (path, directory.after_crash(self.rules)))
            .collect();
        let mut images = Vec::new();
        for choice in combinations(&directories.iter().map(|(_, names)| names.len()).collect::<Vec<_>>()) {
            let names = directories.iter().zip(&choice).map(|((path, names), &one)| (*path, &names[one]));
            for image in self.contents_after_crash(&names.collect()) {
                if seen.insert(image.identity()) {
                    images.push(image);
                }
            }
        }
        images
    }

    /// Every choice of bytes for the files that still have a name.
    fn contents_after_crash(&self, directories: &BTreeMap<&String, &Names>) -> Vec<Disk> {
        let named: BTreeSet<FileId> =
            directories.values().flat_map(|names| names.values().copied()).collect();
        let files: Vec<(FileId, &File)> =
            named.iter().filter_map(|id| Some((*id, self.files.get(id)?))).collect();
        let possible = files.iter().map(|(_, file)| file.possible.len()).collect::<Vec<_>>();
        let image = |choice: Vec<usize>| Disk {
            rules: self.rules,
            next: self.next,
            directories: directories
                .iter()
                .map(|(path, names)| ((*path).clone(), Directory::settled((*names).clone())))
                .collect(),
            files: files
                .iter()
                .zip(choice)
                .map(|((id, file), one)| (*id, File::settled(file.possible[one].clone())))
                .collect(),
        };
        combinations(&possible).map(image).collect()
    }

    /// What tells two settled images apart.
    fn identity(&self) -> Vec<(PathBuf, Bytes)> {
        self.files().map(|(path, bytes)| (path, bytes.clone())).collect()
    }

    fn id(&self, path: &Path) -> Option<FileId> {
        let (directory, name) = text(path).rsplit_once('/')?;
        self.directories.get(directory)?.live.get(name).copied()
    }

    fn file(&self, path: &Path) -> io::Result<&File> {
        let id = self.id(path).ok_or(io::ErrorKind::NotFound)?;
        self.files.get(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file_or_new(&mut self, path: &Path) -> io::Result<&mut File> {
        let id = match self.id(path) {
            Some(id) => id,
            None => self.create(path)?,
        };
        self.files.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&mut self, path: &Path) -> io::Result<FileId> {
        let (directory, name) = name_of(path)?;
        let (id, rules) = (self.next, self.rules);
        self.directory_of(directory)?.change(rules, vec![(name, Some(id))]);
        self.files.insert(id, File::settled(Bytes::from([])));
        self.next += 1;
        Ok(id)
    }

    fn directory_of(&mut self, path: &str) -> io::Result<&mut Directory> {
        self.directories.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn forget_unnamed(&mut self) {
        let named: BTreeSet<FileId> = self.directories.values().flat_map(Directory::ids).collect();
        self.files.retain(|id, _| named.contains(id));
    }
}

impl Directory {
    fn settled(names: Names) -> Self {
        Self { live: names.clone(), durable: names, unsynced: Vec::new() }
    }

    fn ids(&self) -> impl Iterator<Item = FileId> {
        let unsynced = self.unsynced.iter().flatten().filter_map(|(_, id)| *id);
        self.live.values().chain(self.durable.values()).copied().chain(unsynced)
    }

    fn change(&mut self, rules: Rules, change: Change) {
        apply(&mut self.live, &change);
        match rules {
            Rules::Journalled => self.unsynced.push(change),
            Rules::Fat => self.unsynced.extend(change.into_iter().map(|one| vec![one])),
        }
    }

    fn after_crash(&self, rules: Rules) -> Vec<Names> {
        match rules {
            Rules::Journalled => self.prefixes(),
            Rules::Fat => self.name_by_name(),
        }
    }

    /// The changes up to any of them.
    fn prefixes(&self) -> Vec<Names> {
        let mut names = self.durable.clone();
        let mut all = vec![names.clone()];
        for change in &self.unsynced {
            apply(&mut names, change);
            all.push(names.clone());
        }
        all
    }

    /// Each name as it was, or as any of its changes left it.
    fn name_by_name(&self) -> Vec<Names> {
        let mut candidates: BTreeMap<&Name, Vec<Option<FileId>>> = BTreeMap::new();
        for (name, id) in self.unsynced.iter().flatten() {
            candidates.entry(name).or_insert_with(|| vec![self.durable.get(name).copied()]).push(*id);
        }
        let counts: Vec<usize> = candidates.values().map(Vec::len).collect();
        let names = |choice: Vec<usize>| {
            let mut names = self.durable.clone();
            let chosen = candidates.iter().zip(choice).map(|((name, ids), one)| ((*name).clone(), ids[one]));
            apply(&mut names, &chosen.collect());
            names
        };
        combinations(&counts).map(names).collect()
    }
}

impl File {
    fn settled(bytes: Bytes) -> Self {
        Self { possible: vec![bytes.clone()], live: bytes }
    }

    /// Programs see `live`; a crash may leave that, or anything possible before, or what is `lost` halfway.
    fn change(&mut self, live: &[u8], lost: &[&[u8]]) {
        for &bytes in lost.iter().chain([&live]) {
            if !self.possible.iter().any(|known| **known == *bytes) {
                self.possible.push(bytes.into());
            }
        }
        self.live = live.into();
    }
}

/// Every way to choose one of `counts[i]` at each place `i`.
pub(super) fn combinations(counts: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let total: usize = counts.iter().product();
    let counts = counts.to_vec();
    (0..total).map(move |mut number| {
        let digit = |count: &usize| {
            let digit = number % count;
            number /= count;
            digit
        };
        counts.iter().map(digit).collect()
    })
}

fn apply(names: &mut Names, change: &Change) {
    for (name, id) in change {
        match id {
            Some(id) => names.insert(name.clone(), *id),
            None => names.remove(name),
        };
    }
}

fn half(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / 2]
}

fn name_of(path: &Path) -> io::Result<(&str, Name)> {
    let (directory, name) = text(path).rsplit_once('/').ok_or(io::ErrorKind::InvalidInput)?;
    Ok((directory, name.into()))
}

/// Paths of the simulated machine are UTF-8; another one is nowhere.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: &str = "/state";
    const OLD: &[u8] = b"old bytes";
    const NEW: &[u8] = b"new bytes";

    fn disk(rules: Rules) -> Disk {
        let mut disk = Disk::new(rules, Path::new(DIRECTORY));
        disk.write(&path("file"), OLD).unwrap();
        disk.sync();
        disk
    }

    fn path(name: &str) -> PathBuf {
        Path::new(DIRECTORY).join(name)
    }

    /// What the file may hold after a crash; `None` where it may be gone.
    fn outcomes(disk: &Disk) -> BTreeSet<Option<Vec<u8>>> {
        let content = |image: &Disk| image.read(&path("file")).ok().map(|bytes| bytes.to_vec());
        disk.after_crash().iter().map(content).collect()
    }

    fn replaced(rules: Rules, syncs: &[&str]) -> Disk {
        let mut disk = disk(rules);
        disk.write(&path("temp"), NEW).unwrap();
        if syncs.contains(&"temp") {
            disk.sync_file(&path("temp")).unwrap();
        }
        disk.rename(&path("temp"), &path("file")).unwrap();
        if syncs.contains(&"directory") {
            disk.sync_directory(Path::new(DIRECTORY)).unwrap();
        }
        if syncs.contains(&"file") {
            disk.sync_file(&path("file")).unwrap();
        }
        disk
    }

    fn set(outcomes: &[&[u8]]) -> BTreeSet<Option<Vec<u8>>> {
        outcomes.iter().map(|bytes| Some(bytes.to_vec())).collect()
    }

    #[test]
    fn a_write_in_place_may_be_old_empty_torn_or_new() {
        let mut disk = disk(Rules::Journalled);
        disk.write(&path("file"), NEW).unwrap();
        assert_eq!(outcomes(&disk), set(&[OLD, b"", b"new ", NEW]));
        disk.sync_file(&path("file")).unwrap();
        assert_eq!(outcomes(&disk), set(&[NEW]));
    }

    #[test]
    fn on_a_journalled_file_system_a_rename_needs_the_file_synced_before_and_the_directory_after() {
        let after = |syncs: &[&str]| outcomes(&replaced(Rules::Journalled, syncs));
        assert_eq!(after(&["temp", "directory"]), set(&[NEW]));
        assert_eq!(after(&["temp"]), set(&[OLD, NEW]));
        assert_eq!(after(&["directory"]), set(&[b"", b"new ", NEW]));
    }

    #[test]
    fn on_fat_a_rename_undoes_the_sync_of_the_file() {
        let after = |syncs: &[&str]| outcomes(&replaced(Rules::Fat, syncs));
        assert_eq!(after(&["temp", "directory"]), set(&[OLD, b"", STALE, NEW]));
        assert_eq!(after(&["temp", "directory", "file"]), set(&[NEW]));
        assert_eq!(after(&["temp", "file"]), set(&[OLD, NEW]));
    }

    #[test]
    fn a_torn_append_keeps_what_was_synced() {
        let mut disk = disk(Rules::Journalled);
        disk.append(&path("file"), b" more").unwrap();
        assert_eq!(outcomes(&disk), set(&[OLD, b"old bytes m", b"old bytes more"]));
    }

    #[test]
    fn overwriting_a_sector_leaves_the_old_bytes_or_the_new_ones_if_its_size_was_synced() {
        let mut disk = disk(Rules::Fat);
        disk.overwrite(&path("file"), NEW).unwrap();
        assert_eq!(outcomes(&disk), set(&[OLD, NEW]));
        disk.append(&path("file"), b"\n").unwrap();
        disk.overwrite(&path("file"), b"0123456789").unwrap();
        assert!(outcomes(&disk).contains(&Some(b"012345678".to_vec())));
        disk.sync_file(&path("file")).unwrap();
        assert_eq!(outcomes(&disk), set(&[b"0123456789"]));
        assert!(disk.overwrite(&path("file"), b"shorter").is_err());
    }

    #[test]
    fn overwriting_several_sectors_may_leave_some_of_them() {
        let mut disk = disk(Rules::Journalled);
        let (old, new) = (vec![b'o'; 1024], vec![b'n'; 1024]);
        disk.write(&path("file"), &old).unwrap();
        disk.sync();
        disk.overwrite(&path("file"), &new).unwrap();
        let torn = [[&new[..512], &old[512..]].concat(), [&old[..512], &new[512..]].concat()];
        assert_eq!(outcomes(&disk), set(&[&old, &torn[0], &torn[1], &new]));
    }

    #[test]
    fn a_removal_that_was_not_synced_may_be_lost() {
        let mut disk = disk(Rules::Journalled);
        disk.remove(&path("file")).unwrap();
        assert!(disk.read(&path("file")).is_err());
        assert!(outcomes(&disk).contains(&Some(OLD.to_vec())));
        disk.sync_directory(Path::new(DIRECTORY)).unwrap();
        assert_eq!(outcomes(&disk), BTreeSet::from([None]));
    }
}
