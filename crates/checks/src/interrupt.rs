//! Ctrl-C while checks run: they are in process groups of their own, so nobody else tells them.

use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const SIGNALS: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// Signals that would end us, held back until what was started is gone.
pub(crate) struct Interrupt {
    held: Option<(SigSet, SignalFd)>,
}

impl Interrupt {
    /// Without it, what was started is for the unit's cgroup to end.
    pub(crate) fn begin() -> Self {
        let ignored = ignored();
        // What is ignored (nohup) arrives too as long as it is held back.
        let signals: SigSet =
            SIGNALS.into_iter().filter(|&signal| ignored & 1 << (signal as u64 - 1) == 0).collect();
        let handle = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).ok();
        let held =
            handle.and_then(|handle| Some((signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?, handle)));
        Self { held }
    }

    pub(crate) fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.held.as_ref().map(|(_, handle)| handle.as_fd())
    }

    /// Start something with the signals as they were: what is held back from us would be held back from a check, too. One that
    /// comes in just this moment ends us at once.
    pub(crate) fn released<Started>(&self, start: impl FnOnce() -> Started) -> Started {
        let held =
            self.held.as_ref().and_then(|(before, _)| before.thread_swap_mask(SigmaskHow::SIG_SETMASK).ok());
        let started = start();
        if let Some(held) = held {
            let _ = held.thread_set_mask();
        }
        started
    }

    /// The signal that came.
    pub(crate) fn came(&self) -> Option<Signal> {
        let (_, handle) = self.held.as_ref()?;
        let came = handle.read_signal().ok()??;
        i32::try_from(came.ssi_signo).ok()?.try_into().ok()
    }

    /// Let signals through again, and do what the one that came is for.
    pub(crate) fn end(self, came: Option<Signal>) {
        if let Some((before, _)) = self.held {
            let _ = before.thread_set_mask();
        }
        if let Some(signal) = came {
            let _ = raise(signal);
        }
    }
}

/// Signals that we ignore, one bit each. Source: `proc_pid_status(5)`, "`SigIgn`".
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
