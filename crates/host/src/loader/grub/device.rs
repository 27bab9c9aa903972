//! Whether GRUB can write where its environment block is.
//!
//! It knows the blocks of a file and overwrites them, below the file system: "only available when installed on a plain disk
//! (no LVM or RAID), using a non-checksumming filesystem (no ZFS)". Source: GRUB manual, "The GRUB environment block".

use std::path::{Component, Path, PathBuf};

use crate::Host;

/// File systems that leave a file where it is when it is overwritten, and have no checksums of what is in it.
const PLAIN: [&str; 6] = ["ext2", "ext3", "ext4", "xfs", "vfat", "msdos"];

/// Whether GRUB can overwrite the blocks of this file. Where the kernel does not say what it is on, it is believed to.
///
/// # Errors
/// Why it cannot, as a part of a sentence.
pub(super) fn is_writable(host: &dyn Host, path: &Path) -> Result<(), String> {
    let bytes = host.read(Path::new("/proc/self/mountinfo")).unwrap_or_default();
    let Some(mount) = mount_of(&String::from_utf8_lossy(&bytes), path) else { return Ok(()) };
    if !PLAIN.contains(&mount.kind.as_str()) {
        return Err(format!("GRUB cannot write to {} ({})", mount.kind, path.display()));
    }
    let device = PathBuf::from("/sys/dev/block").join(&mount.number);
    let device = host.read_link(&device).unwrap_or_else(|_| PathBuf::from(&mount.source));
    match mapped(&device) {
        Some(what) => Err(format!("GRUB cannot write to {what} ({})", path.display())),
        None => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// `MAJOR:MINOR` of its device.
    number: String,
    kind: String,
    source: String,
}

/// The mount that a file is in. Source: `proc_pid_mountinfo(5)`.
fn mount_of(mountinfo: &str, path: &Path) -> Option<Mount> {
    let read = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(2);
        let (number, _root, point) = (left.next()?, left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (kind, source) = (right.next()?, right.next()?);
        let is_above = path.starts_with(point) && kind != "autofs";
        let mount = || Mount { number: number.into(), kind: kind.into(), source: source.into() };
        is_above.then(|| (point.len(), mount()))
    };
    // Of mounts on one place, the last one is seen.
    mountinfo.lines().filter_map(read).max_by_key(|(length, _)| *length).map(|(_, mount)| mount)
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

    const MOUNTS: &str = "22 1 8:2 / / rw,relatime shared:1 - btrfs /dev/sda2 rw\n\
                          23 22 0:21 / /boot rw shared:2 - autofs systemd-1 rw\n\
                          24 23 8:1 / /boot rw shared:3 - ext4 /dev/sda1 rw\n\
                          25 22 0:5 / /bootstrap rw - tmpfs tmpfs rw\nnonsense\n - \n1 2 - \n";

    #[test]
    fn a_file_is_in_the_nearest_mount_above_it() {
        let number = |path: &str| mount_of(MOUNTS, Path::new(path)).map(|mount| mount.number);
        assert_eq!(number("/boot/grub/grubenv").as_deref(), Some("8:1"));
        assert_eq!(number("/bootstrap/x").as_deref(), Some("0:5"));
        assert_eq!(number("/bootx/grub/grubenv").as_deref(), Some("8:2"));
        assert_eq!(mount_of("", Path::new("/boot")), None);
    }

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
