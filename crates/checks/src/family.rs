//! What a check has started, and how to be rid of it.
//!
//! A check has a process group of its own. What leaves that (`setsid`) is found as a descendant; what loses its parents comes
//! to us, because we adopt (`PR_SET_CHILD_SUBREAPER`), and is told apart by the environment that it was started with.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::thread;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process_group, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitpid,
};

/// Which check a process belongs to.
pub(crate) const MARK: &str = "GOLDEN_CHECK";
/// Searches until nothing is found any more. Who still runs then waits in the kernel, or starts more of himself than can be
/// killed.
const MAX_SEARCHES: u32 = 100;
/// Pause between two of them, for the kernel to bury who was killed.
const PAUSE: Duration = Duration::from_millis(2);
/// Longest environment that is looked into, in bytes.
const MAX_ENVIRONMENT_BYTES: u64 = 1 << 16;

/// A process as `/proc/PID/stat` shows it. Source: `proc_pid_stat(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    id: i32,
    parent: i32,
    group: i32,
    is_dead: bool,
    /// Since the machine was started, in ticks: a number that is used again has another.
    began: u64,
}

/// Everything that ran when it was looked for.
pub(crate) struct Processes(Vec<Process>);

/// Those who lose their parents come to us for as long as it lives.
pub(crate) struct Adoption {
    us: i32,
    /// Children from before, who are none of our business.
    others: BTreeSet<i32>,
}

impl Adoption {
    pub(crate) fn begin() -> Self {
        let us = getpid();
        // Without it, what daemons a check left is for the unit's cgroup to end.
        let _ = set_child_subreaper(Some(us));
        let us = us.as_raw_nonzero().get();
        let children = Processes::look().0.into_iter().filter(|process| process.parent == us);
        Self { us, others: children.map(|process| process.id).collect() }
    }

    /// Kill all that a check has started. Its first process is left for whoever waits for it; `running` are those of the
    /// other checks. `seen` is what ran after it had ended, or was killed.
    pub(crate) fn end(&self, name: &str, first: i32, running: &BTreeSet<i32>, seen: &Processes) {
        if let Some(group) = Pid::from_raw(first) {
            // It may be empty.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let is_adopted = |process: &Process| {
            process.parent == self.us && process.id != first && !running.contains(&process.id)
        };
        let is_of_it = |process: &Process| {
            // These are dying already; another run is not to meet them.
            let is_near = process.group == first || process.parent == first;
            is_near || is_adopted(process) && mark(process.id).as_deref() == Some(name)
        };
        self.end_all(is_of_it, first, seen);
    }

    /// Kill whoever came to us and is still there.
    fn end_rest(&self) {
        self.end_all(|process| process.parent == self.us, 0, &Processes::look());
    }

    fn end_all(&self, is_ours: impl Fn(&Process) -> bool, first: i32, seen: &Processes) {
        let mut found = self.family(&is_ours, first, seen);
        for _ in 0..MAX_SEARCHES {
            if found.is_empty() {
                return;
            }
            for process in found {
                kill(process);
                bury(process, self.us);
            }
            thread::sleep(PAUSE);
            found = self.family(&is_ours, first, &Processes::look());
        }
    }

    /// Those who are ours, and their children, and theirs; without the first one, and without the dead that others bury.
    fn family(&self, is_ours: &impl Fn(&Process) -> bool, first: i32, seen: &Processes) -> Vec<Process> {
        let is_root = |process: &&Process| !self.others.contains(&process.id) && is_ours(process);
        let mut family: Vec<Process> = seen.0.iter().filter(is_root).copied().collect();
        let mut next = 0;
        while let Some(parent) = family.get(next).map(|process| process.id) {
            let is_new = |process: &&Process| process.parent == parent && !family.contains(process);
            let children: Vec<Process> = seen.0.iter().filter(is_new).copied().collect();
            family.extend(children);
            next += 1;
        }
        family.retain(|process| process.id != first && (!process.is_dead || process.parent == self.us));
        family
    }
}

impl Drop for Adoption {
    fn drop(&mut self) {
        self.end_rest();
        let _ = set_child_subreaper(None);
    }
}

/// Kill the process that was seen, and no other that has its number by now.
fn kill(process: Process) {
    let Some(id) = Pid::from_raw(process.id) else { return };
    let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { return };
    if look(process.id).is_some_and(|now| now.began == process.began) {
        let _ = pidfd_send_signal(&handle, Signal::KILL);
    }
}

/// Whoever we adopted and is dead is buried by us.
fn bury(process: Process, us: i32) {
    if process.parent == us {
        let _ = waitpid(Pid::from_raw(process.id), WaitOptions::NOHANG);
    }
}

impl Processes {
    pub(crate) fn look() -> Self {
        let Ok(entries) = fs::read_dir("/proc") else { return Self(Vec::new()) };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Self(names.filter_map(look).collect())
    }
}

fn look(id: i32) -> Option<Process> {
    parse(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// `12 (name) S PARENT GROUP …`; a name may have anything in it.
fn parse(id: i32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        id,
        parent: words.get(1)?.parse().ok()?,
        group: words.get(2)?.parse().ok()?,
        is_dead: matches!(*words.first()?, "Z" | "X"),
        began: words.get(19)?.parse().ok()?,
    })
}

/// The check that a process was started by, as its environment says.
fn mark(id: i32) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{id}/environ"))
        .ok()?
        .take(MAX_ENVIRONMENT_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    let value = |variable: &[u8]| {
        let value = variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    bytes.split(|byte| *byte == 0).find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pass_for_what_comes_after_it() {
        let rest = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
        let stat = format!("7 (a) Z 1 1 (x) S 5 7 7 {rest} 99 0 0\n");
        let expected = Process { id: 7, parent: 5, group: 7, is_dead: false, began: 99 };
        assert_eq!(parse(7, &stat), Some(expected));
        for broken in ["", "7 (a", "7 (a) S", "7 (a) S x y", ")"] {
            assert_eq!(parse(7, broken), None, "{broken}");
        }
    }

    #[test]
    fn we_are_among_what_runs() {
        let us = getpid().as_raw_nonzero().get();
        assert!(Processes::look().0.iter().any(|process| process.id == us && !process.is_dead));
    }
}
