//! Replacing a file so that a power cut leaves the old bytes or the new ones.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, Host};

/// Replace a file: temporary file, sync, rename, sync of the directory, and the file once more.
///
/// The last sync is for vfat, the file system of every ESP: there the file came back empty after a power cut
/// although it was synced before the rename and its directory after it.
///
/// # Errors
/// It cannot be written, synced or renamed: the file is as it was.
pub fn replace(host: &dyn Host, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = beside(path);
    let written = host.write(&temporary, bytes).map_err(Error::io("write", &temporary));
    written
        .and_then(|()| put_in_place(host, &temporary, path))
        .or_else(|error| give_back(host, &temporary, error))
}

/// What could not be put in place must not take the space that somebody else needs.
fn give_back(host: &dyn Host, temporary: &Path, error: Error) -> Result<(), Error> {
    // It may never have been made.
    let _ = host.remove(temporary);
    Err(error)
}

/// Unit in which a disk writes all or nothing, in bytes.
const SECTOR_BYTES: usize = 512;

/// Replace a small text file on vfat, where a rename has a moment in which the power leaves neither the old nor the
/// new bytes: it is made one sector long with empty lines at its end, and then overwritten where it is.
///
/// What is missing or longer than a sector is replaced as any other file.
pub(crate) fn replace_text_in_place(host: &dyn Host, path: &Path, text: &[u8]) -> Result<(), Error> {
    let size = match host.read(path) {
        Ok(bytes) => bytes.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    if size == 0 || size > SECTOR_BYTES || text.len() > SECTOR_BYTES {
        return replace(host, path, text);
    }
    let sync = || host.sync_file(path).map_err(Error::io("sync", path));
    let empty_lines = |count: usize| vec![b'\n'; count];
    if size < SECTOR_BYTES {
        let padding = empty_lines(SECTOR_BYTES - size);
        host.append(path, &padding).map_err(Error::io("write", path))?;
        sync()?;
    }
    let padded = [text, &empty_lines(SECTOR_BYTES - text.len())].concat();
    host.overwrite(path, &padded).map_err(Error::io("write", path))?;
    sync()
}

/// The same with the bytes of another file.
pub(crate) fn replace_with_copy(host: &dyn Host, from: &Path, path: &Path) -> Result<(), Error> {
    let temporary = beside(path);
    // Which of the two is not there tells a person what to repair.
    let is_lost = || host.size(from).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let copied = host.copy(from, &temporary).map_err(|error| {
        let (action, path) = if is_lost() { ("copy", from) } else { ("copy to", temporary.as_path()) };
        Error::io(action, path)(error)
    });
    copied
        .and_then(|()| put_in_place(host, &temporary, path))
        .or_else(|error| give_back(host, &temporary, error))
}

/// Rename durably.
pub(crate) fn rename(host: &dyn Host, from: &Path, to: &Path) -> Result<(), Error> {
    rename_unread(host, from, to)?;
    host.sync_file(to).map_err(Error::io("sync", to))
}

/// Rename what may be no file at all.
///
/// # Errors
/// It cannot be renamed, or that not be synced.
pub fn rename_unread(host: &dyn Host, from: &Path, to: &Path) -> Result<(), Error> {
    host.rename(from, to).map_err(Error::io("rename into place", to))?;
    let directory = to.parent().unwrap_or(Path::new("/"));
    host.sync_directory(directory).map_err(Error::io("sync", directory))
}

/// Remove durably. No error if it is not there.
///
/// # Errors
/// It cannot be removed, or that not be synced.
pub fn remove(host: &dyn Host, path: &Path) -> Result<(), Error> {
    match host.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", path)(error)),
        Ok(()) => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            host.sync_directory(directory).map_err(Error::io("sync", directory))
        }
    }
}

fn put_in_place(host: &dyn Host, temporary: &Path, path: &Path) -> Result<(), Error> {
    host.sync_file(temporary).map_err(Error::io("sync", temporary))?;
    rename(host, temporary, path)
}

/// One fixed name, so that what a crash leaves is overwritten by the next try instead of piling up.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}
