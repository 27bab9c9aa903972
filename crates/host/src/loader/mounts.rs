//! What is mounted where. Source: `proc_pid_mountinfo(5)`.

use std::path::Path;

use crate::Host;

const MOUNTS: &str = "/proc/self/mountinfo";

/// What the kernel says; nothing where it says nothing.
pub(super) struct Mounts(String);

/// What is mounted at one place.
pub(super) struct Mount<'a> {
    /// Its kind, such as `vfat`.
    pub file_system: &'a str,
    /// Whether it can only be read, here or anywhere.
    pub is_read_only: bool,
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
        // `36 35 98:0 /root /mount/point options … - type source options`.
        let lines = self.0.lines().rev().filter_map(|line| line.split_once(" - "));
        let mut mounts = lines.filter_map(|(left, right)| {
            let (mut left, mut right) = (left.split(' ').skip(4), right.split(' '));
            let (place, here) = (left.next()?, left.next()?);
            let (file_system, everywhere) = (right.next()?, right.nth(1).unwrap_or_default());
            let is_read_only =
                [here, everywhere].iter().any(|options| options.split(',').any(|one| one == "ro"));
            (Path::new(place) == path).then_some(Mount { file_system, is_read_only })
        });
        mounts.next()
    }
}
