//! One run of a check, which is a process of its own whatever it does.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, PipeReader, Read};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use golden_core::{BootId, Toplevel};
use golden_host::{Host, LinuxHost};
use nix::fcntl::OFlag;
use nix::unistd::close;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::check::{Check, Work};
use crate::drop_in::{is_for_bash, outside};
use crate::family::MARK;
use crate::probe;
use crate::tail::Tail;

/// What of its output is kept, in bytes.
const OUTPUT_BYTES: usize = 4096;
/// What of a probe's answer is kept: it may name hundreds of units.
const ANSWER_BYTES: usize = 1 << 16;
/// What is read at once.
pub(crate) const BUFFER_BYTES: usize = 1 << 16;
/// What is read at most once a check has ended: more than a pipe holds, or who left the check and goes on writing would
/// never come to an end.
const REST_BYTES: usize = 1 << 21;
/// Time for a process that was killed to be gone.
const DYING: Duration = Duration::from_secs(1);
/// Pause between two looks at it.
const PAUSE: Duration = Duration::from_millis(1);
/// Where programs are when a unit's `PATH` does not name them, as on NixOS.
const PROGRAMS: [&str; 4] =
    ["/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin", "/usr/bin", "/bin"];
/// What a check gets of our environment; besides, all that greenboot's scripts can be told by.
const KEPT: [&str; 14] = [
    "HOME",
    "LANG",
    "LOCALE_ARCHIVE",
    "NIX_SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
    "TZDIR",
    "USER",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// What the checks are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The system that runs.
    pub toplevel: Option<Toplevel>,
    /// In which boot.
    pub boot: BootId,
}

/// A run that has begun.
pub(crate) struct Child {
    process: Process,
    pub(crate) handle: OwnedFd,
    /// Where its output comes from, until its end.
    pub(crate) pipe: Option<PipeReader>,
    pub(crate) tail: Tail,
    /// When it is killed.
    pub(crate) kill_at: Instant,
}

/// Why a run did not begin.
pub(crate) struct NotBegun {
    pub(crate) why: String,
    /// Whether it can be another time.
    pub(crate) may_pass: bool,
}

impl Child {
    pub(crate) fn begin(
        host: &LinuxHost,
        about: &Subject,
        check: &Check,
        probe: &[String],
    ) -> Result<Self, NotBegun> {
        let command = match &check.work {
            Work::Probe(asked) => probe::command(asked, check).map(|mut command| {
                command.args(probe);
                command
            }),
            Work::Command(words) => Ok(of_words(words)),
            Work::Script(script) => Ok(of_script(&outside(host, script))),
            Work::Broken(why) => return Err(NotBegun { why: why.clone(), may_pass: false }),
        };
        let begun = command.and_then(|command| begin(command, about, check));
        begun.map_err(|error| explain(host, check, &error))
    }

    pub(crate) fn id(&self) -> i32 {
        self.process.id().try_into().unwrap_or_default()
    }

    /// Kill its first process.
    pub(crate) fn kill(&mut self) {
        // It may have ended meanwhile.
        let _ = self.process.kill();
    }

    /// Read what there is, once.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some(pipe) = &mut self.pipe else { return 0 };
        match pipe.read(buffer) {
            Ok(0) => self.pipe = None,
            Ok(read) => {
                self.tail.push(&buffer[..read]);
                return read;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.pipe = None,
        }
        0
    }

    /// How it ended, with everything that it said until then. Nobody waits for others who hold its pipe; `None` if the kernel
    /// does not let it go.
    pub(crate) fn end(&mut self, buffer: &mut [u8]) -> Option<ExitStatus> {
        let deadline = Instant::now() + DYING;
        let status = loop {
            match self.process.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                _ => break None,
            }
        };
        let mut rest = 0;
        while rest < REST_BYTES {
            match self.read(buffer) {
                0 => break,
                read => rest += read,
            }
        }
        status
    }
}

fn begin(mut command: Command, about: &Subject, check: &Check) -> io::Result<Child> {
    let (reader, writer) = io::pipe()?;
    ioctl_fionbio(&reader, true)?;
    command.env(MARK, &check.name).env("GOLDEN_BOOT_ID", about.boot.as_str());
    if let Some(toplevel) = &about.toplevel {
        command.env("GOLDEN_TOPLEVEL", toplevel.as_str());
    }
    command.current_dir("/").process_group(0).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut process = command.spawn()?;
    // golden-live is to be the last one when memory runs out; a check that eats it is not. It may be gone already.
    let _ = fs::write(format!("/proc/{}/oom_score_adj", process.id()), "0");
    let id = i32::try_from(process.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let handle = pidfd_open(id, PidfdFlags::empty()).inspect_err(|_| {
        let _ = process.kill();
        let _ = process.wait();
    })?;
    let limit = if matches!(check.work, Work::Probe(_)) { ANSWER_BYTES } else { OUTPUT_BYTES };
    let kill_at = Instant::now() + check.timing.timeout;
    Ok(Child { process, handle, pipe: Some(reader), tail: Tail::new(limit), kill_at })
}

/// Close what whoever started us left open: checks would have it too. What we open ourselves is closed on exec.
/// Source: `proc_pid_fdinfo(5)`.
pub(crate) fn close_inherited() {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok());
    let numbers: Vec<RawFd> = numbers.filter(|&number| number > 2).collect();
    for number in numbers {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        if flags.is_some_and(|flags| flags & OFlag::O_CLOEXEC.bits() == 0) {
            let _ = close(number);
        }
    }
}

/// A program in the environment that every check has.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    let kept = std::env::vars_os().filter(|(name, _)| is_kept(&name.to_string_lossy()));
    command.env_clear().envs(kept).env("PATH", search_path());
    command
}

fn is_kept(name: &str) -> bool {
    KEPT.iter().any(|kept| kept.eq_ignore_ascii_case(name)) || name.starts_with("GREENBOOT_")
}

fn search_path() -> OsString {
    let own = std::env::var_os("PATH").filter(|own| !own.is_empty());
    let path: Vec<OsString> = own.into_iter().chain(PROGRAMS.map(OsString::from)).collect();
    path.join(OsStr::new(":"))
}

fn of_words(words: &[String]) -> Command {
    let mut command = program(words.first().map(String::as_str).unwrap_or_default());
    command.args(words.iter().skip(1));
    command
}

/// Greenboot gives every `*.sh` to bash, whatever its mode and its first line.
fn of_script(script: &Path) -> Command {
    if is_for_bash(script) {
        let mut command = program("bash");
        command.arg(script);
        command
    } else {
        program(script)
    }
}

/// Why it could not be run, so that an owner can do something about it.
fn explain(host: &LinuxHost, check: &Check, error: &io::Error) -> NotBegun {
    let script = match &check.work {
        Work::Script(path) if !is_for_bash(path) => Some(path.as_path()),
        _ => None,
    };
    let what = match &check.work {
        Work::Command(words) => words.first().cloned().unwrap_or_default(),
        Work::Script(path) if script.is_none() => format!("bash, which {} is for,", path.display()),
        Work::Script(path) => path.display().to_string(),
        Work::Probe(_) | Work::Broken(_) => "the program that looks".to_owned(),
    };
    let (why, may_pass) = match (error.kind(), script) {
        (io::ErrorKind::NotFound, Some(path)) => {
            (format!("{what} cannot be run: {}", interpreter(host, path)), false)
        }
        (io::ErrorKind::NotFound, None) => (format!("{what} is not installed"), false),
        (io::ErrorKind::PermissionDenied, _) => (
            format!("{what} is not executable (chmod +x), or is where nothing may be executed (noexec)"),
            false,
        ),
        _ if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
            (format!("{what} is no program: its first line names no interpreter (such as #!/bin/sh)"), false)
        }
        _ => (format!("{what} cannot be run: {error}"), true),
    };
    NotBegun { why, may_pass }
}

/// What is missing where the file itself is there.
fn interpreter(host: &LinuxHost, path: &Path) -> String {
    const LONGEST: usize = 255;
    let Ok(start) = host.read_part(path, 0, LONGEST) else { return "it is not there".to_owned() };
    let Some(line) = start.strip_prefix(b"#!") else { return "what loads it is not there".to_owned() };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line: String = String::from_utf8_lossy(line).chars().filter(|letter| !letter.is_control()).collect();
    format!("its interpreter {} is not there", line.split_whitespace().next().unwrap_or("(none)"))
}
