//! The one trait for every effect.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use golden_core::Event;

use crate::{Delivery, Trouble};

/// The machine that is worked on. Paths are absolute in that machine, whatever directory it lives below.
///
/// Writes change what the machine sees now; only the `sync_*` calls promise that it survives a power cut. Every
/// call is one effect: a crash may come after any of them.
pub trait Host {
    /// The bytes of a regular file of a few megabytes at most; symbolic links are followed inside the machine.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Up to `bytes` of a regular file from `offset` on, a few megabytes at most; fewer at its end.
    fn read_part(&self, path: &Path, offset: u64, bytes: usize) -> io::Result<Vec<u8>>;
    /// The size of a regular file, in bytes.
    fn size(&self, path: &Path) -> io::Result<u64>;
    /// The target of a symbolic link, as it is written.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
    /// The names in a directory, in no particular order.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;
    /// How two files compare, without holding either in memory.
    fn compare(&self, left: &Path, right: &Path) -> io::Result<Comparison>;

    /// Create or replace the bytes of a file in place, never through a symbolic link; anything else of that name that
    /// is no regular file is removed. Not durable.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Add bytes at the end of a file, which is created if missing. Not durable.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Replace the bytes of a file by as many others, without touching its size or its place: up to a sector, a
    /// crash leaves the old ones or the new ones. [`io::ErrorKind::InvalidInput`] if there are not as many. Not
    /// durable.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Copy a file over another. Not durable.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Rename within a file system, over what is there. Not durable.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Have a symbolic link at `path` name `target`, over the link or the file that is there. Not durable.
    fn link(&self, target: &Path, path: &Path) -> io::Result<()>;
    /// Remove a file. Not durable.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Create a directory with this mode, with its parents. No error if it is there.
    fn create_directory(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Make the bytes and the size of a file durable.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// Make the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Make everything durable in the file system that a file is in, as who reads no journal sees it.
    fn sync_file_system(&self, path: &Path) -> io::Result<()>;

    /// Hold the lock file, waiting for whoever has it, a bounded time; [`io::ErrorKind::WouldBlock`] after that.
    /// The lock ends with the guard or the process.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard + '_>>;

    /// The value of a variable of the boot loader interface, without its attributes; `None` if it is not set.
    /// [`io::ErrorKind::Unsupported`] where the firmware has no variables.
    fn efi_read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// Set a non-volatile variable of the boot loader interface. Durable when it returns.
    fn efi_write(&self, name: &str, value: &[u8]) -> io::Result<()>;
    /// Remove a variable of the boot loader interface. No error if it is not set.
    fn efi_remove(&self, name: &str) -> io::Result<()>;

    /// How often the firmware has started the machine: the high half of its monotonic counter. `None` where it does
    /// not show it. Source: UEFI specification, "`GetNextHighMonotonicCount()`"; shown by firmware made from EDK II.
    fn firmware_boots(&self) -> io::Result<Option<u32>>;

    /// Run a program of the machine and wait for it. A program that ran is no error, whatever its exit status.
    fn run(&self, program: &Path, arguments: &[&str]) -> io::Result<Output>;
    /// Run a program of the machine and wait for it, within limits: [`io::ErrorKind::TimedOut`] and
    /// [`io::ErrorKind::FileTooLarge`] once it was killed for breaking them.
    fn run_within(&self, limits: Limits, program: &Path, arguments: &[&str]) -> io::Result<Ended>;
    /// Ask for an orderly reboot and return without waiting for it.
    fn reboot(&self) -> io::Result<()>;

    /// Tell the journal what happened. Best effort: nobody waits for a journal.
    fn tell(&self, event: &Event);
    /// Tell the journal about trouble. Best effort.
    fn complain(&self, trouble: Trouble, text: &str);
    /// Tell the journal what became of a message to the owner. Best effort.
    fn report(&self, delivery: Delivery, text: &str);
    /// Time since the machine was started, without that in which it slept. Source: `clock_gettime(2)`,
    /// "`CLOCK_MONOTONIC`".
    fn monotonic(&self) -> Duration;
    /// Wall-clock time, only ever shown.
    fn now(&self) -> SystemTime;
}

/// A lock that is held.
pub trait LockGuard {}

/// What [`Host::compare`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The same bytes.
    Same,
    /// The right one begins with the whole left one and goes on.
    Longer,
    /// Anything else.
    Different,
}

/// What a program may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until it has ended.
    pub time: Duration,
    /// Of its standard output, and as much of its standard error.
    pub output_bytes: usize,
}

/// How a program ended that kept its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; `None` where a signal killed it.
    pub status: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Whether it exited with status 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}
