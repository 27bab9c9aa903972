//! Whether GRUB can write where its environment block is.
//!
//! It knows the blocks of a file and overwrites them, below the file system: "only available when installed on a plain disk
//! (no LVM or RAID), using a non-checksumming filesystem (no ZFS)". Source: GRUB manual, "The GRUB environment block".

use std::path::{Component, Path, PathBuf};

use crate::Host;
use crate::loader::mounts::Mounts;

/// File systems that leave a file where it is when it is overwritten, and have no checksums of what is in it.
const PLAIN: [&str; 6] = ["ext2", "ext3", "ext4", "xfs", "vfat", "msdos"];

/// Whether GRUB can overwrite the blocks of this file. Where the kernel does not say what it is on, it is believed to.
///
/// # Errors
/// Why it cannot, as a part of a sentence.
pub(super) fn is_writable(host: &dyn Host, path: &Path) -> Result<(), String> {
    let mounts = Mounts::read(host);
    let Some(mount) = mounts.holding(path) else { return Ok(()) };
    if !PLAIN.contains(&mount.file_system.as_str()) {
        return Err(format!("GRUB cannot write to {} ({})", mount.file_system, path.display()));
    }
    let device = PathBuf::from("/sys/dev/block").join(&mount.number);
    let device = host.read_link(&device).unwrap_or_else(|_| PathBuf::from(&mount.source));
    match mapped(&device) {
        Some(what) => Err(format!("GRUB cannot write to {what} ({})", path.display())),
        None => Ok(()),
    }
}

/// What lies between this device and the disk, if anything.
fn mapped(device: &Path) -> Option<&'static str> {
    let names: Vec<&str> = device
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let is_numbered = |name: &str, kind: &str| {
        name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let any = |kind: &str| names.iter().any(|name| is_numbered(name, kind));
    if any("dm-") || names.contains(&"mapper") {
        return Some("a mapped device (LVM or encryption)");
    }
    if any("md") || names.contains(&"md") {
        return Some("software RAID");
    }
    // Of `/dev/vg/volume`, as LVM names it too, the kernel's own name would have said so.
    names.windows(2).any(|pair| pair == ["virtual", "block"]).then_some("a device that is no disk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_told_from_what_lies_on_disks() {
        for disk in [
            "../../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1",
            "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1",
            "/dev/vda1",
            "/dev/mdisk1",
        ] {
            assert_eq!(mapped(Path::new(disk)), None, "{disk}");
        }
        for other in [
            "../../devices/virtual/block/dm-0",
            "../../devices/virtual/block/md127/md127p1",
            "../../devices/virtual/block/loop0",
            "/dev/mapper/vg-boot",
            "/dev/md0",
            "/dev/md/boot",
        ] {
            assert!(mapped(Path::new(other)).is_some(), "{other}");
        }
    }
}
