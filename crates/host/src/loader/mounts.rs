//! What is mounted where. Source: `proc_pid_mountinfo(5)`.

use std::path::{Path, PathBuf};

use crate::Host;

const MOUNTS: &str = "/proc/self/mountinfo";

/// What the kernel says; nothing where it says nothing.
pub(crate) struct Mounts(Vec<(PathBuf, Mount)>);

/// What is mounted at one place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// `MAJOR:MINOR` of its device.
    pub number: String,
    /// The directory of the file system that is seen there; `/` unless it is a bind mount.
    pub root: String,
    /// Such as `vfat`.
    pub file_system: String,
    /// What was mounted, such as `/dev/vda1`.
    pub source: String,
    /// Whether it can only be read, here or anywhere.
    pub is_read_only: bool,
}

impl Mount {
    /// Whether firmware can read it.
    pub fn is_fat(&self) -> bool {
        matches!(self.file_system.as_str(), "vfat" | "msdos")
    }

    /// Whether it is a place where something is mounted once somebody looks.
    pub fn is_idle(&self) -> bool {
        self.file_system == "autofs"
    }
}

impl Mounts {
    pub fn read(host: &dyn Host) -> Self {
        let bytes = host.read(Path::new(MOUNTS)).unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    /// `36 35 98:0 /root /mount/point options … - type source options`.
    pub fn parse(text: &str) -> Self {
        let mount = |line: &str| {
            let (left, right) = line.split_once(" - ")?;
            let (mut left, mut right) = (left.split(' ').skip(2), right.split(' '));
            let mut place = || Some(plain(left.next()?));
            let (number, root, place, here) = (place()?, place()?, place()?, place()?);
            let (file_system, source) = (plain(right.next()?), plain(right.next().unwrap_or_default()));
            let everywhere = right.next().unwrap_or_default();
            let is_read_only =
                [here.as_str(), everywhere].iter().any(|options| options.split(',').any(|one| one == "ro"));
            Some((PathBuf::from(place), Mount { number, root, file_system, source, is_read_only }))
        };
        Self(text.lines().filter_map(mount).collect())
    }

    /// Whether the kernel says anything: it does not below another root.
    pub fn are_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// What is mounted at exactly this path; the last one, where one hides another.
    pub fn at(&self, path: &Path) -> Option<&Mount> {
        self.all().rev().find_map(|(place, mount)| (place == path).then_some(mount))
    }

    /// Where the file system is mounted that a path is on; `None` where that is the root's, or the kernel says nothing.
    pub fn holder_of(&self, path: &Path) -> Option<&Path> {
        let places = self.all().map(|(place, _)| place).filter(|place| path.starts_with(place));
        places.max_by_key(|place| place.as_os_str().len()).filter(|place| *place != Path::new("/"))
    }

    /// The mount that a file is in; of several at one place, the last one.
    pub fn holding(&self, path: &Path) -> Option<&Mount> {
        let above = self.all().filter(|(place, mount)| path.starts_with(place) && !mount.is_idle());
        above.max_by_key(|(place, _)| place.as_os_str().len()).map(|(_, mount)| mount)
    }

    pub fn all(&self) -> impl DoubleEndedIterator<Item = (&Path, &Mount)> {
        self.0.iter().map(|(place, mount)| (place.as_path(), mount))
    }
}

/// A field without the kernel's escapes: a backslash and three octal digits.
fn plain(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        if let Some(code) = code {
            plain.push(char::from(code));
            plain.push_str(&part[3..]);
        } else {
            plain.push('\\');
            plain.push_str(part);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "22 1 8:2 / / rw,relatime shared:1 - btrfs /dev/sda2 rw\n\
                        23 22 0:21 / /boot rw shared:2 - autofs systemd-1 rw\n\
                        24 23 8:1 / /boot rw shared:3 - ext4 /dev/sda1 rw\n\
                        25 22 0:5 / /bootstrap rw - tmpfs tmpfs rw\nnonsense\n - \n1 2 - \n";

    #[test]
    fn a_file_is_in_the_nearest_mount_above_it() {
        let mounts = Mounts::parse(TEXT);
        let number = |path: &str| mounts.holding(Path::new(path)).map(|mount| mount.number.as_str());
        assert_eq!(number("/boot/grub/grubenv"), Some("8:1"));
        assert_eq!(number("/bootstrap/x"), Some("0:5"));
        assert_eq!(number("/bootx/grub/grubenv"), Some("8:2"));
        assert_eq!(Mounts::parse("").holding(Path::new("/boot")), None);
    }

    #[test]
    fn names_are_read_as_they_were_before_the_kernel_escaped_them() {
        for (field, expected) in [
            ("/boot\\0402", "/boot 2"),
            ("/a\\011b\\012c\\134d\\043", "/a\tb\nc\\d#"),
            ("/a\\134040", "/a\\040"),
            ("/a\\", "/a\\"),
            ("/a\\9é", "/a\\9é"),
            ("/caf\u{e9}", "/caf\u{e9}"),
        ] {
            let mounts = Mounts::parse(&format!("41 30 8:1 {field} {field} rw - vfat {field} rw\n"));
            let mount =
                mounts.at(Path::new(expected)).map(|mount| (mount.root.as_str(), mount.source.as_str()));
            assert_eq!(mount, Some((expected, expected)), "{field}");
        }
    }
}
