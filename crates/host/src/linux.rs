//! The real machine.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt as _, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use fs2::FileExt;
use golden_core::Event;
use rustix::fs::{IFlags, OFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::command::say;
use crate::journal::{describe, message_id, priority};
use crate::{Comparison, Delivery, Ended, Host, Limits, LockGuard, Output, Trouble};

mod log;
mod publish;
mod within;

pub use within::run as run_within;

/// Longest wait for the lock. Must stay below `TimeoutStartSec=` of every unit.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Pause between two tries for the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Links that are followed before giving up. Source: `path_resolution(7)`.
const MAX_LINKS: u32 = 40;
/// Vendor of the boot loader interface. Source: systemd.io, "The Boot Loader Interface".
const LOADER_VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Where firmware keeps its monotonic counter. Source: EDK II, `MonotonicCounterRuntimeDxe`.
const MONOTONIC_COUNTER: (&str, &str) = ("MTC", "eb704011-1402-11d3-8e77-00a0c969723b");
/// Non-volatile, for the boot and the running system. Source: UEFI specification, "`GetVariable()`".
const EFI_ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
/// Most that is read of one file, in bytes; what the suite reads is a few kilobytes.
const MAX_BYTES: u64 = 1 << 24;
/// Mode of the suite's own files.
const PRIVATE: u32 = 0o600;
/// Where programs are when a unit's `PATH` does not name them, as on NixOS.
const PROGRAMS: [&str; 4] =
    ["/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin", "/usr/bin", "/bin"];

/// The machine whose files are below a directory; `/` for this one.
#[derive(Debug, Clone)]
pub struct LinuxHost {
    root: PathBuf,
}

impl LinuxHost {
    /// Work on the system below `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Whether it is the machine that this program runs on.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a path of the machine is for us, with its links followed inside the machine. The last component need
    /// not exist.
    ///
    /// # Errors
    /// There are too many links on the way.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        if self.is_this_machine() {
            return Ok(path.to_owned());
        }
        let mut links = 0;
        let mut todo: Vec<OsString> = components(path);
        let mut at = PathBuf::from("/");
        while let Some(name) = todo.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            match fs::read_link(self.below(&at.join(&name))) {
                Ok(_) if links == MAX_LINKS => return Err(too_many_links()),
                Ok(target) => {
                    links += 1;
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    todo.extend(components(&target));
                }
                Err(_) => at.push(name),
            }
        }
        Ok(self.below(&at))
    }

    /// The path as it is, without following its last link.
    fn resolve_parent(&self, path: &Path) -> io::Result<PathBuf> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(self.resolve(parent)?.join(name)),
            _ => self.resolve(path),
        }
    }

    fn below(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A program of the machine, to be run with nothing on its standard input.
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let own = std::env::var("PATH").unwrap_or_default();
        let path = std::iter::once(own.as_str()).filter(|own| !own.is_empty()).chain(PROGRAMS);
        let path = path.collect::<Vec<_>>().join(":");
        let mut command = if self.is_this_machine() {
            Command::new(program)
        } else {
            let mut command = Command::new("chroot");
            command.arg(&self.root).arg(program);
            command
        };
        command.args(arguments).env("PATH", path).stdin(std::process::Stdio::null());
        command
    }

    fn efi_path(&self, name: &str, vendor: &str) -> io::Result<PathBuf> {
        let directory = self.below(Path::new("/sys/firmware/efi/efivars"));
        if fs::read_dir(&directory).is_ok_and(|mut variables| variables.next().is_some()) {
            Ok(directory.join(format!("{name}-{vendor}")))
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn efi_value(&self, name: &str, vendor: &str) -> io::Result<Option<Vec<u8>>> {
        match read_file(&self.efi_path(name, vendor)?) {
            Ok(bytes) => Ok(Some(bytes.get(EFI_ATTRIBUTES.len()..).unwrap_or_default().to_vec())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// In reverse, so that the next one is at the end.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

/// The kernel protects variables against `rm -rf`; whoever means it clears the flag first.
fn unprotect(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => match ioctl_getflags(&file) {
            Ok(flags) if flags.contains(IFlags::IMMUTABLE) => {
                Ok(ioctl_setflags(&file, flags.difference(IFlags::IMMUTABLE))?)
            }
            // Not an efivarfs, or nothing to clear.
            _ => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn too_many_links() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "too many links")
}

/// Open a regular file and nothing else: whoever opens a FIFO waits for its other end, for ever.
fn open(options: &mut OpenOptions, flags: OFlags, path: &Path) -> io::Result<File> {
    let flags = (flags | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = options.custom_flags(flags).open(path).map_err(|error| {
        let is_loop = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        if is_loop { too_many_links() } else { error }
    })?;
    let kind = file.metadata()?.file_type();
    match kind.is_file() {
        true => Ok(file),
        false if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

fn open_to_read(path: &Path) -> io::Result<File> {
    open(OpenOptions::new().read(true), OFlags::empty(), path)
}

/// Everything in a file, up to [`MAX_BYTES`].
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Fill as much of the buffer as there is.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

struct FileLock(#[allow(dead_code, reason = "held, not read")] File);

impl LockGuard for FileLock {}

impl Host for LinuxHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read_file(&self.resolve(path)?)
    }

    fn read_part(&self, path: &Path, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut file = open_to_read(&self.resolve(path)?)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut part = Vec::new();
        file.take(MAX_BYTES.min(bytes as u64)).read_to_end(&mut part)?;
        Ok(part)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(open_to_read(&self.resolve(path)?)?.metadata()?.len())
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(self.resolve_parent(path)?)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(self.resolve(directory)?)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn compare(&self, left: &Path, right: &Path) -> io::Result<Comparison> {
        const CHUNK_BYTES: usize = 1 << 18;
        let (mut left, mut right) =
            (open_to_read(&self.resolve(left)?)?, open_to_read(&self.resolve(right)?)?);
        let (mut ours, mut theirs) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
        loop {
            let (read, other) = (fill(&mut left, &mut ours)?, fill(&mut right, &mut theirs)?);
            if other < read || ours[..read] != theirs[..read] {
                return Ok(Comparison::Different);
            }
            if read < CHUNK_BYTES {
                return Ok(if other > read { Comparison::Longer } else { Comparison::Same });
            }
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let path = self.resolve_parent(path)?;
        let create = || {
            let mut options = OpenOptions::new();
            open(options.write(true).create(true).truncate(true).mode(PRIVATE), OFlags::NOFOLLOW, &path)
        };
        let in_the_way = |_: &io::Error| fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file());
        let mut file = match create() {
            Err(error) if in_the_way(&error) => {
                fs::remove_file(&path).or_else(|_| fs::remove_dir(&path))?;
                create()?
            }
            created => created?,
        };
        file.write_all(bytes)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(PRIVATE);
        open(&mut options, OFlags::empty(), &self.resolve(path)?)?.write_all(bytes)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = open(OpenOptions::new().write(true), OFlags::empty(), &self.resolve(path)?)?;
        if file.metadata()?.len() != bytes.len() as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.write_all_at(bytes, 0)
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut from = open_to_read(&self.resolve(from)?)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(PRIVATE);
        // The bytes alone: an ESP has no modes, and may belong to somebody else.
        io::copy(&mut from, &mut open(&mut options, OFlags::empty(), &self.resolve(to)?)?).map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.resolve_parent(from)?, self.resolve_parent(to)?)
    }

    fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        let path = self.resolve_parent(path)?;
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".new");
        // One fixed name: the next call replaces a link that a crash leaves behind.
        let temporary = path.with_file_name(name);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink(target, &temporary)?,
        }
        fs::rename(temporary, path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.resolve_parent(path)?)
    }

    fn create_directory(&self, path: &Path, mode: u32) -> io::Result<()> {
        let path = self.resolve(path)?;
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(mode).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // The mode whatever the umask, for units test for files in it.
            Ok(()) => fs::set_permissions(&path, fs::Permissions::from_mode(mode)),
            created => created,
        }
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        open_to_read(&self.resolve(path)?)?.sync_all()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(self.resolve(path)?)?.sync_all()
    }

    fn sync_file_system(&self, path: &Path) -> io::Result<()> {
        let file = open_to_read(&self.resolve(path)?)?;
        rustix::fs::syncfs(&file)?;
        // On vfat that leaves it in the disk's own cache, which only an fsync empties.
        Ok(rustix::fs::fsync(&file)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard + '_>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(PRIVATE);
        let file = open(&mut options, OFlags::empty(), &self.resolve(path)?)?;
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match FileExt::try_lock_exclusive(&file) {
                Ok(()) => return Ok(Box::new(FileLock(file))),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => std::thread::sleep(LOCK_PAUSE),
            }
        }
    }

    fn efi_read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.efi_value(name, LOADER_VENDOR)
    }

    fn efi_write(&self, name: &str, value: &[u8]) -> io::Result<()> {
        let path = self.efi_path(name, LOADER_VENDOR)?;
        unprotect(&path)?;
        let bytes = [&EFI_ATTRIBUTES, value].concat();
        // One write is one call of the firmware.
        OpenOptions::new().write(true).create(true).truncate(false).open(path)?.write_all(&bytes)
    }

    fn efi_remove(&self, name: &str) -> io::Result<()> {
        let path = self.efi_path(name, LOADER_VENDOR)?;
        unprotect(&path)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn firmware_boots(&self) -> io::Result<Option<u32>> {
        let (name, vendor) = MONOTONIC_COUNTER;
        let value = self.efi_value(name, vendor)?;
        Ok(value.and_then(|value| value.as_slice().try_into().ok()).map(u32::from_le_bytes))
    }

    fn run_within(&self, limits: Limits, program: &Path, arguments: &[&str]) -> io::Result<Ended> {
        within::run(self.command(program, arguments), limits)
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> io::Result<Output> {
        let output = self.command(program, arguments).output()?;
        Ok(Output {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn reboot(&self) -> io::Result<()> {
        if !self.is_this_machine() {
            return Err(io::Error::other("the machine below another root is not running"));
        }
        let systemctl = Path::new("systemctl");
        // Since systemd 257 a lock against a shutdown stops root, too, and the next way of rebooting kills the running programs. A
        // reboot that can wait has waited. Source: `systemctl(1)`, "--check-inhibitors=".
        if self.run(systemctl, &["--no-block", "-i", "reboot"])?.success {
            return Ok(());
        }
        // Emergency mode that a failed mount asked for cannot be stopped, and so a reboot cannot stop the services in
        // order: they are killed, and file systems unmounted.
        let output = self.run(systemctl, &["--no-block", "--force", "reboot"])?;
        if output.success { Ok(()) } else { Err(io::Error::other(output.stderr)) }
    }

    fn tell(&self, event: &Event) {
        if self.is_this_machine() {
            log::write(priority(event), message_id(event), &describe(event));
        } else {
            say(&describe(event));
        }
    }

    fn complain(&self, trouble: Trouble, text: &str) {
        if self.is_this_machine() {
            log::write(crate::Priority::Error, trouble.message_id(), text);
        } else {
            say(text);
        }
    }

    fn report(&self, delivery: Delivery, text: &str) {
        if self.is_this_machine() {
            log::write(delivery.priority(), delivery.message_id(), text);
        } else {
            say(text);
        }
    }

    fn monotonic(&self) -> Duration {
        let now = clock_gettime(ClockId::Monotonic);
        Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
