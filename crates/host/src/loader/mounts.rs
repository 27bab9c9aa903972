//! What is mounted where. Source: `proc_pid_mountinfo(5)`.

use std::path::Path;

use crate::Host;

const MOUNTS: &str = "/proc/self/mountinfo";

/// What the kernel says; nothing where it says nothing.
pub(crate) struct Mounts(String);

/// What is mounted at one place.
pub(crate) struct Mount<'a> {
    /// `MAJOR:MINOR` of its device.
    pub number: &'a str,
    /// The directory of the file system that is seen there; `/` unless it is a bind mount.
    pub root: &'a str,
    /// Its kind, such as `vfat`.
    pub file_system: &'a str,
    /// What was mounted, such as `/dev/vda1`.
    pub source: &'a str,
    /// Whether it can only be read, here or anywhere.
    pub is_read_only: bool,
}

impl Mount<'_> {
    /// Whether firmware can read it.
    pub fn is_fat(&self) -> bool {
        matches!(self.file_system, "vfat" | "msdos")
    }

    /// Whether it is a place where something is mounted once somebody looks.
    pub fn is_idle(&self) -> bool {
        self.file_system == "autofs"
    }
}

impl Mounts {
    pub fn read(host: &dyn Host) -> Self {
        let bytes = host.read(Path::new(MOUNTS)).unwrap_or_default();
        Self(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether the kernel says anything: it does not below another root.
    pub fn are_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// What is mounted at exactly this path; the last one, where one hides another.
    pub fn at(&self, path: &Path) -> Option<Mount<'_>> {
        self.all().rev().find_map(|(place, mount)| (place == path).then_some(mount))
    }

    /// Where the file system is mounted that a path is on; `None` where that is the root's, or the kernel says nothing.
    pub fn holder_of(&self, path: &Path) -> Option<&Path> {
        let places = self.all().map(|(place, _)| place).filter(|place| path.starts_with(place));
        places.max_by_key(|place| place.as_os_str().len()).filter(|place| *place != Path::new("/"))
    }

    /// `36 35 98:0 /root /mount/point options … - type source options`.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = (&Path, Mount<'_>)> {
        let lines = self.0.lines().filter_map(|line| line.split_once(" - "));
        lines.filter_map(|(left, right)| {
            let (mut left, mut right) = (left.split(' ').skip(2), right.split(' '));
            let (number, root, place, here) = (left.next()?, left.next()?, left.next()?, left.next()?);
            let (file_system, source) = (right.next()?, right.next().unwrap_or_default());
            let everywhere = right.next().unwrap_or_default();
            let is_read_only =
                [here, everywhere].iter().any(|options| options.split(',').any(|one| one == "ro"));
            Some((Path::new(place), Mount { number, root, file_system, source, is_read_only }))
        })
    }
}
