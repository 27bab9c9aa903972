//! Whether a file system is there, and can be written to.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::Answer;

/// Made and removed where a file needs a name (vfat); one that is left by a run that was killed is used again.
const NAME: &str = ".golden-generation-check";

pub(super) fn look(path: &Path, writable: bool) -> Answer {
    let table = match fs::read("/proc/self/mountinfo") {
        Ok(table) => table,
        Err(error) => return Answer::failed(format!("cannot read the table of mounts: {error}")),
    };
    let shown = path.display();
    let Some(kind) = kind(&table, path) else {
        return Answer::failed(format!("nothing is mounted at {shown}"));
    };
    // Whoever looks makes it be mounted, and hears why it cannot be.
    if let Err(error) = fs::read_dir(path) {
        return Answer::failed(format!("{shown} is mounted ({kind}), and cannot be looked into: {error}"));
    }
    if !writable {
        return Answer::passed(format!("{shown} is mounted ({kind})"));
    }
    match write(path) {
        Ok(()) => Answer::passed(format!("{shown} is mounted ({kind}), and can be written to")),
        Err(error) => {
            Answer::failed(format!("{shown} is mounted ({kind}), and cannot be written to: {error}"))
        }
    }
}

/// Write as far as the disk.
fn write(path: &Path) -> io::Result<()> {
    let sync = |mut file: File| {
        file.write_all(b"golden-generation\n")?;
        file.sync_all()
    };
    match openat(CWD, path, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR) {
        Ok(file) => sync(file.into()),
        // The file system cannot do without a name, or the kernel takes it for a wish to write to a directory.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {
            let name = path.join(NAME);
            // Nobody else's file is written to, and no link is followed.
            let _ = unlinkat(CWD, &name, AtFlags::empty());
            let written = OpenOptions::new().write(true).create_new(true).open(&name).and_then(sync);
            // Another run may be at the same, and have done it already.
            let removed = match fs::remove_file(&name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            };
            written.and(removed)
        }
        Err(error) => Err(error.into()),
    }
}

/// The kind of what is mounted there, on top. Source: `proc_pid_mountinfo(5)`.
fn kind(table: &[u8], path: &Path) -> Option<String> {
    let mut found = None;
    for line in table.split(|byte| *byte == b'\n') {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let separator = words.iter().position(|word| *word == b"-");
        if let (Some(point), Some(separator)) = (words.get(4), separator)
            && OsString::from_vec(unescape(point)) == path
        {
            let kind = words.get(separator + 1).copied().unwrap_or_default();
            found = Some(String::from_utf8_lossy(kind).into_owned());
        }
    }
    found
}

/// `\040` for a space, and so on.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut at = 0;
    while let Some(&byte) = word.get(at) {
        let digits = word.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = digits.filter(|_| byte == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(byte));
        at += if octal.is_some() { 4 } else { 1 };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
        23 22 0:21 / /mnt/a\\040b rw - nfs4 server:/x rw\n\
        24 22 0:30 / /data rw - autofs systemd-1 rw\n25 24 0:31 / /data rw shared:7 master:3 - xfs /dev/vdb rw\n\n-\n1 2 3 4 /cut\n";

    #[test]
    fn what_is_mounted_on_top_is_what_is_there() {
        for (path, expected) in [
            ("/", Some("ext4")),
            ("/mnt/a b", Some("nfs4")),
            ("/data", Some("xfs")),
            ("/data/below", None),
            ("/cut", None),
            ("/mnt/a\\040b", None),
        ] {
            assert_eq!(kind(TABLE, Path::new(path)).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn writing_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(write(Path::new("/proc")).is_err());
        assert!(!look(Path::new("/proc"), true).passed);
        assert!(look(Path::new("/proc"), false).passed);
        assert!(!look(directory.path(), false).passed);
    }
}
