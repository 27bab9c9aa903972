//! The files of a simulated machine, whichever of its file systems they are on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Disk;
use super::disk::{Bytes, text};
use super::tree::{Tree, resolve};
use super::world::{ESP, VAR, World};

/// Whether `path` is `directory`, or below it.
pub(super) fn is_below(path: impl AsRef<Path>, directory: &str) -> bool {
    text(path.as_ref()).strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl World {
    /// The bytes of a file; symbolic links are followed.
    pub(super) fn bytes(&self, path: &Path) -> io::Result<Bytes> {
        let path = self.resolve(path, true)?;
        if is_below(&path, VAR) {
            self.var.read(&path)
        } else if is_below(&path, ESP) {
            self.boot_partition()?.read(&path)
        } else {
            self.tree_of(&path).read(&path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    /// The boot partition, where it is mounted.
    pub(super) fn boot_partition(&self) -> io::Result<&Disk> {
        if self.lacks_boot_partition { Err(io::ErrorKind::NotFound.into()) } else { Ok(&self.esp) }
    }

    pub(super) fn tree_of(&self, path: &Path) -> &Tree {
        if is_below(path, "/nix") || is_below(path, "/etc") { &self.nix } else { &self.volatile }
    }

    /// Only the store and what a boot makes has symbolic links.
    pub(super) fn resolve(&self, path: &Path, follow_last: bool) -> io::Result<PathBuf> {
        if is_below(path, VAR) || is_below(path, ESP) {
            return Ok(path.to_owned());
        }
        resolve(path, |path| self.tree_of(path).read_link(path), follow_last)
    }

    /// Change the one of the two real file systems that `path` is on.
    pub(super) fn with_disk<T>(
        &mut self,
        path: &Path,
        change: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        if is_below(path, VAR) {
            change(Arc::make_mut(&mut self.var))
        } else if is_below(path, ESP) {
            self.boot_partition()?;
            change(Arc::make_mut(&mut self.esp))
        } else {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }
    }
}
