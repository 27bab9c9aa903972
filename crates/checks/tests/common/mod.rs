//! A machine below a directory, with checks on it.

#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use golden_checks::{Check, Runner, Subject, Timing, Work, list, load_or_fail};
use golden_core::{BootId, Finding, Toplevel, Weight};
use golden_host::LinuxHost;
use tempfile::TempDir;

/// The test that is started again to be a probe: every program that runs checks does that first of all.
pub const PROBE: [&str; 3] = ["answers_as_a_probe", "--exact", "--nocapture"];
/// Longer than any test takes that passes.
pub const LONG: Duration = Duration::from_secs(120);
pub const REQUIRED: &str = "/etc/golden-generation/checks/required.d";
pub const WANTED: &str = "/etc/golden-generation/checks/wanted.d";

/// To be called by the test of that name.
pub fn answer_as_a_probe() {
    if golden_checks::answer().is_some() {
        std::process::exit(0);
    }
}

pub struct Machine {
    root: TempDir,
    pub host: LinuxHost,
}

impl Machine {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let host = LinuxHost::new(root.path());
        Self { root, host }
    }

    /// Where a path of the machine is for the test.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn put(&self, path: &str, text: &str, mode: u32) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// A required check that is a shell script.
    pub fn script(&self, name: &str, lines: &str) {
        self.put(&format!("{REQUIRED}/{name}"), &format!("#!/bin/sh\n{lines}\n"), 0o755);
    }

    pub fn settings(&self, text: &str) {
        self.put(golden_checks::PATH, text, 0o644);
    }

    pub fn checks(&self) -> Vec<Check> {
        list(&self.host, &load_or_fail(&self.host))
    }

    pub fn run(&self) -> Vec<Finding> {
        self.run_within(LONG, &self.checks())
    }

    /// Run checks that have that much time.
    pub fn run_within(&self, time: Duration, checks: &[Check]) -> Vec<Finding> {
        let _alone = alone();
        let deadline = Instant::now() + time;
        Runner::new(&self.host, subject()).with_probe_arguments(&PROBE).run(checks, deadline)
    }

    /// The result of the only check.
    pub fn finding(&self) -> Finding {
        let findings = self.run();
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.into_iter().next().unwrap()
    }
}

/// Runs wait for each other, and time is to begin after that.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn subject() -> Subject {
    let toplevel: Toplevel = "/nix/store/0c5z-nixos-system-host-25.11".parse().unwrap();
    let boot: BootId = "0123456789abcdef0123456789abcdef".parse().unwrap();
    Subject { toplevel: Some(toplevel), boot }
}

/// One run, of that many seconds.
pub fn once(secs: u64) -> Timing {
    Timing { timeout: Duration::from_secs(secs), retries: 0, interval: Duration::ZERO }
}

/// A required check that runs shell commands, once.
pub fn shell(name: &str, commands: &str) -> Check {
    let words = ["sh", "-c", commands].map(str::to_owned).to_vec();
    let (name, weight) = (name.to_owned(), Weight::Required);
    Check { name, weight, timing: once(30), needs_network: false, work: Work::Command(words) }
}

/// Whether a process with these words on its command line is there, and no zombie.
pub fn is_running(words: &str) -> bool {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).replace('\0', " ").contains(words))
}

pub fn path(path: &str) -> &Path {
    Path::new(path)
}

/// Without a process: a run in another test would take that for one that a check has left.
pub fn make_fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
}
