//! Files for others to read.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::LinuxHost;

impl LinuxHost {
    /// Replace a file that others read, with this mode whatever the umask: they see the old bytes or the new ones. It gets the
    /// group of its directory where that says so (`setgid`). Call it with a lock held: the name beside it is fixed, so that what
    /// a crash leaves does not pile up.
    ///
    /// # Errors
    /// It cannot be written; what was there stays.
    pub fn publish(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let path = self.resolve_parent(path)?;
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".new");
        let beside = path.with_file_name(name);
        let _ = fs::remove_file(&beside);
        // Whoever may write to the directory must not choose another file for us.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
        let written = file.and_then(|mut file| {
            file.write_all(bytes)?;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        });
        written.inspect_err(|_| {
            // What could not be put in place must not take the space that somebody else needs.
            let _ = fs::remove_file(&beside);
        })
    }
}
