//! Whether what an entry boots is whole. Some loaders hang for ever on a missing initrd or a corrupt kernel, so nothing is
//! armed, made the default or pinned whose files are not.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::SystemdBoot;
use super::entries::{Listed, on_partition};
use crate::Error;
use crate::loader::boot_files::{Copied, are_there, has_secrets};
use crate::loader::bootspec;
use crate::loader::entry::{Entry, Files, Payload, is_managed};
use crate::loader::pe::{HEAD_BYTES, Pe};
use crate::loader::uki::{self, Hash, Image};
use crate::loader::{authenticode, kernel_image};

/// Bytes that are hashed at once.
const CHUNK_BYTES: usize = 1 << 20;

impl SystemdBoot<'_> {
    /// Check, and repair from the store what can be.
    pub(super) fn check_files(&self, listed: &Listed) -> Result<(), Error> {
        match &listed.entry.payload {
            Payload::Files(files) => self.check_named(listed, files),
            Payload::Image(image) => self.check_image(listed, image),
        }
    }

    /// Whether everything that the loader starts is there. What an image names is looked at with the image.
    pub(super) fn are_files_there(&self, entry: &Entry, partition: &Path) -> bool {
        let Payload::Files(files) = &entry.payload else { return true };
        are_there(self.host, files.all().map(|path| on_partition(partition, path)))
    }

    fn check_named(&self, listed: &Listed, files: &Files) -> Result<(), Error> {
        let top = PathBuf::from(listed.entry.toplevel.as_str());
        if let Some(linux) = &files.linux {
            self.check_copy(listed, &top.join("kernel"), linux, false)?;
            self.check_kernel(listed, &listed.on_partition(linux))?;
        }
        let secrets = has_secrets(self.host, &listed.entry.toplevel);
        let (managed, others): (Vec<&String>, Vec<&String>) =
            files.initrds.iter().partition(|path| is_managed(path));
        for other in others {
            self.check_initrd(listed, &listed.on_partition(other))?;
        }
        match managed[..] {
            [] => {}
            [initrd] => {
                self.check_copy(listed, &top.join("initrd"), initrd, secrets)?;
                self.check_initrd(listed, &listed.on_partition(initrd))?;
            }
            _ => return Err(listed.damaged("it has more than one initrd of the installer's")),
        }
        files.device_tree.as_ref().map_or(Ok(()), |name| self.check_device_tree(listed, name))
    }

    /// The installer copies what the system's description names; whatever else the entry names has to be there.
    fn check_device_tree(&self, listed: &Listed, name: &str) -> Result<(), Error> {
        let described = bootspec::device_tree(self.host, &listed.entry.toplevel);
        if let Some(store) = described.filter(|_| is_managed(name)) {
            self.check_copy(listed, &store, name, false)?;
        }
        self.check_there(listed, &listed.on_partition(name), "device tree")
    }

    /// The file is the store's.
    fn check_copy(&self, listed: &Listed, store: &Path, name: &str, has_secrets: bool) -> Result<(), Error> {
        let (toplevel, file) = (&listed.entry.toplevel, listed.on_partition(name));
        Copied { toplevel, store, file: &file, has_secrets }.repair(self.host)
    }

    /// It is a kernel that the firmware can start, wherever it came from.
    fn check_kernel(&self, listed: &Listed, file: &Path) -> Result<(), Error> {
        let head = self.host.read_part(file, 0, HEAD_BYTES).map_err(Error::io("read", file))?;
        let size = self.host.size(file).map_err(Error::io("read", file))?;
        kernel_image::check(&head, size).map_err(|why| listed.damaged(&format!("{why} ({})", file.display())))
    }

    fn check_initrd(&self, listed: &Listed, file: &Path) -> Result<(), Error> {
        self.check_there(listed, file, "initrd")
    }

    /// It is there, and more than nothing.
    fn check_there(&self, listed: &Listed, file: &Path, what: &str) -> Result<(), Error> {
        match self.host.size(file) {
            Ok(0) => Err(listed.damaged(&format!("the {what} is empty ({})", file.display()))),
            Ok(_) => Ok(()),
            Err(error) => Err(listed.damaged(&Error::io("read", file)(error).chain())),
        }
    }

    /// An image is signed: what is damaged in it stays so. What lanzaboote's names is copied from the store.
    fn check_image(&self, listed: &Listed, image: &Image) -> Result<(), Error> {
        let file = listed.directory().join(&listed.entry.file);
        let failed = || Error::io("read", &file);
        let damaged = |why: &str| listed.damaged(&format!("{} {why}", file.display()));
        let size = self.host.size(&file).map_err(failed())?;
        if !image.pe.is_inside(size) {
            return Err(damaged("is cut off"));
        }
        if !self.is_as_signed(&file, &image.pe, size).map_err(failed())? {
            return Err(damaged("is not what was signed"));
        }
        let top = Path::new(listed.entry.toplevel.as_str());
        match &image.kernel {
            uki::Payload::File { path, hash } => {
                self.check_hash(listed, &top.join("kernel"), path, hash)?;
                self.check_kernel(listed, &listed.on_partition(path))?;
            }
            uki::Payload::Inside(bytes) => {
                let head = self.host.read_part(&file, bytes.start, HEAD_BYTES).map_err(failed())?;
                kernel_image::check(&head, bytes.end - bytes.start).map_err(damaged_by(listed, &file))?;
            }
        }
        match &image.initrd {
            Some(uki::Payload::File { path, hash }) => {
                self.check_hash(listed, &top.join("initrd"), path, hash)?;
                self.check_initrd(listed, &listed.on_partition(path))
            }
            Some(uki::Payload::Inside(bytes)) if bytes.is_empty() => Err(damaged("has an empty initrd")),
            _ => Ok(()),
        }
    }

    /// The file hashes to what the signed image says. With an owner's secrets in it, the store has no such file.
    fn check_hash(&self, listed: &Listed, store: &Path, name: &str, wanted: &Hash) -> Result<(), Error> {
        let file = listed.on_partition(name);
        let is_wanted = |path: &Path| match self.hash(path) {
            Ok(hash) => Ok(hash == *wanted),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("read", path)(error)),
        };
        if is_wanted(&file)? {
            return Ok(());
        }
        let copied = Copied { toplevel: &listed.entry.toplevel, store, file: &file, has_secrets: false };
        if !is_wanted(store)? {
            return Err(copied.damaged("is damaged, and the store has no other copy of it"));
        }
        copied.replace(self.host)?;
        if is_wanted(&file)? { Ok(()) } else { Err(copied.damaged("cannot be repaired")) }
    }

    fn hash(&self, path: &Path) -> io::Result<Hash> {
        let mut sum = Sha256::new();
        self.feed(&mut sum, path, 0..self.host.size(path)?)?;
        Ok(sum.finalize().into())
    }

    fn feed(&self, sum: &mut Sha256, path: &Path, mut bytes: Range<u64>) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = (bytes.end - bytes.start).min(CHUNK_BYTES as u64);
            let part =
                self.host.read_part(path, bytes.start, usize::try_from(count).unwrap_or(CHUNK_BYTES))?;
            if part.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            sum.update(&part);
            bytes.start += part.len() as u64;
        }
        Ok(())
    }

    /// Whether the image hashes to what its signature says; so it is if it has none that is understood.
    fn is_as_signed(&self, file: &Path, pe: &Pe, size: u64) -> io::Result<bool> {
        let Some(signature) = authenticode::place(pe) else { return Ok(true) };
        let signature = self.host.read_part(file, signature.start, authenticode::MAX_BYTES)?;
        let Some(signed) = authenticode::signed_hash(&signature) else { return Ok(true) };
        let Some(parts) = authenticode::hashed(pe, size) else { return Ok(false) };
        let mut sum = Sha256::new();
        for range in parts {
            self.feed(&mut sum, file, range)?;
        }
        Ok(Hash::from(sum.finalize()) == signed)
    }
}

fn damaged_by(listed: &Listed, file: &Path) -> impl Fn(&'static str) -> Error {
    move |why| listed.damaged(&format!("{why} ({})", file.display()))
}
