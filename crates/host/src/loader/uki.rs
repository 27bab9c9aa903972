//! Unified kernel images. Sources: UAPI group, "Unified Kernel Image (UKI)", and lanzaboote's stub.
//!
//! lanzaboote's images hold no kernel: the sections have the path of one, and what it hashes to. They are signed, so nothing
//! in them can be repaired.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use super::pe::{HEAD_BYTES, Pe};

/// Longest command line, in bytes; the kernel takes at most 2048 on x86, and 4096 nowhere.
const MAX_COMMAND_LINE_BYTES: u64 = 1 << 16;
/// Longest path of a file on the boot partition, in bytes.
const MAX_PATH_BYTES: u64 = 1 << 12;
/// Longest description of a system, in bytes; some hundred lines.
const MAX_RELEASE_BYTES: u64 = 1 << 16;
/// SHA-256.
pub type Hash = [u8; 32];

/// What of an image concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its headers.
    pub pe: Pe,
    /// The kernel's command line.
    pub command_line: String,
    /// The kernel.
    pub kernel: Payload,
    /// The initrd; `None` if it has none.
    pub initrd: Option<Payload>,
    /// What it says of the system in it. Source: `os-release(5)`.
    pub release: BTreeMap<String, String>,
}

/// Where a part of the system is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// These bytes of the image.
    Inside(Range<u64>),
    /// A file beside it.
    File {
        /// Its path on the boot partition, with backslashes.
        path: String,
        /// What it hashes to. The stub starts nothing else.
        hash: Hash,
    },
}

impl Image {
    /// The image of which `read` gives the bytes from an offset on, at most so many, and fewer only at its end.
    ///
    /// `None` if it is no unified kernel image. Whether it is whole is another question.
    pub fn parse(mut read: impl FnMut(u64, usize) -> io::Result<Vec<u8>>) -> io::Result<Option<Self>> {
        let Ok(pe) = Pe::parse(&read(0, HEAD_BYTES)?) else { return Ok(None) };
        let mut text = |name: &str, most: u64| -> io::Result<Option<Vec<u8>>> {
            let Some(bytes) = pe.section(name).map(|section| section.bytes.clone()) else { return Ok(None) };
            let count = bytes.end - bytes.start;
            // No section of text is as long as memory.
            let Some(count) = usize::try_from(count).ok().filter(|_| count <= most) else { return Ok(None) };
            Ok(Some(read(bytes.start, count)?).filter(|read| read.len() == count))
        };
        let release = text(".osrel", MAX_RELEASE_BYTES)?.unwrap_or_default();
        let Some(command_line) = text(".cmdline", MAX_COMMAND_LINE_BYTES)? else { return Ok(None) };
        let mut payload = |inside: &str, (path, hash): (&str, &str)| -> io::Result<Option<Payload>> {
            let Some(hash) = text(hash, 32)? else {
                return Ok(pe.section(inside).map(|section| Payload::Inside(section.bytes.clone())));
            };
            let path = text(path, MAX_PATH_BYTES)?.and_then(|path| String::from_utf8(path).ok());
            Ok(path.zip(hash.try_into().ok()).map(|(path, hash)| Payload::File { path, hash }))
        };
        // Before 0.4, lanzaboote had sections of its own.
        let old = pe.section(".kernelh").is_some();
        let (kernel, initrd) = if old {
            (payload(".linux", (".kernelp", ".kernelh"))?, payload(".initrd", (".initrdp", ".initrdh"))?)
        } else {
            (payload(".linux", (".linux", ".linuxh"))?, payload(".initrd", (".initrd", ".initrdh"))?)
        };
        let Some(kernel) = kernel else { return Ok(None) };
        let known = command_line.split(|&byte| byte == 0).next().unwrap_or_default();
        let command_line = String::from_utf8_lossy(known).into_owned();
        Ok(Some(Self { pe, command_line, kernel, initrd, release: parsed(&release) }))
    }

    /// The same for an image that is held in memory.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let read = |offset: u64, count: usize| {
            let rest =
                usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
            Ok(rest[..rest.len().min(count)].to_vec())
        };
        Self::parse(read).ok().flatten()
    }

    /// The files beside it that it needs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        [Some(&self.kernel), self.initrd.as_ref()].into_iter().flatten().filter_map(|payload| match payload {
            Payload::File { path, .. } => Some(path.as_str()),
            Payload::Inside(_) => None,
        })
    }
}

/// The assignments of an `os-release` file.
fn parsed(release: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(release.split(|&byte| byte == 0).next().unwrap_or_default());
    let assignments = text.lines().filter_map(|line| line.trim().split_once('='));
    assignments.map(|(key, value)| (key.to_owned(), value.trim_matches(['"', '\'']).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{efi_image, kernel_image};

    const HASH: &[u8] = &[7; 32];

    fn thin<'a>(kernel: &'a str, hash: &'a str, initrd: &'a str) -> Vec<(&'a str, &'a [u8])> {
        vec![
            (".osrel", b"ID=nixos\n"),
            (".cmdline", b"init=/nix/store/aaa-a/init quiet\0\0"),
            (initrd, b"\\EFI\\nixos\\initrd-x.efi"),
            (kernel, b"\\EFI\\nixos\\kernel-x.efi"),
            (".initrdh", HASH),
            (hash, HASH),
        ]
    }

    #[test]
    fn an_image_of_lanzabootes_names_its_kernel_and_its_initrd_in_either_spelling() {
        for (kernel, hash, initrd) in [(".linux", ".linuxh", ".initrd"), (".kernelp", ".kernelh", ".initrdp")]
        {
            let image = Image::of_bytes(&efi_image(&thin(kernel, hash, initrd))).unwrap();
            assert_eq!(image.command_line, "init=/nix/store/aaa-a/init quiet");
            let named = ["\\EFI\\nixos\\kernel-x.efi", "\\EFI\\nixos\\initrd-x.efi"];
            assert!(image.files().eq(named), "{image:?}");
            assert!(matches!(image.kernel, Payload::File { hash, .. } if hash == HASH), "{image:?}");
        }
    }

    #[test]
    fn a_whole_image_has_its_kernel_inside() {
        let kernel = kernel_image("x");
        let bytes = efi_image(&[(".cmdline", b"quiet"), (".linux", &kernel), (".initrd", b"cpio")]);
        let image = Image::of_bytes(&bytes).unwrap();
        let Payload::Inside(range) = &image.kernel else { panic!("{image:?}") };
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert_eq!(bytes[range], kernel);
        assert!(image.pe.is_inside(bytes.len() as u64) && !image.pe.is_inside(bytes.len() as u64 - 1));
        assert_eq!(image.files().count(), 0);
    }

    #[test]
    fn what_lacks_a_part_is_no_image() {
        let all = thin(".linux", ".linuxh", ".initrd");
        for missing in [".cmdline", ".linux"] {
            let sections: Vec<_> = all.iter().filter(|(name, _)| *name != missing).copied().collect();
            assert_eq!(Image::of_bytes(&efi_image(&sections)), None, "{missing}");
        }
        let mut short = all.clone();
        short[5].1 = &HASH[..31];
        assert_eq!(Image::of_bytes(&efi_image(&short)), None, "a hash that is cut off");
        let whole = efi_image(&all);
        for length in 0..whole.len() {
            // It must not panic; and what is cut off before its command line is none.
            let image = Image::of_bytes(&whole[..length]);
            assert!(image.is_none() || length > 300, "{length}");
        }
    }

    #[test]
    fn a_command_line_as_long_as_memory_is_not_read() {
        let mut bytes = efi_image(&thin(".linux", ".linuxh", ".initrd"));
        let at = bytes.windows(8).position(|window| window == b".cmdline").unwrap();
        for field in [8, 16] {
            bytes[at + field..at + field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        }
        assert_eq!(Image::of_bytes(&bytes), None);
    }
}
