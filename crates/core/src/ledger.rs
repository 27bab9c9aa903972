//! The ledger: what must survive a crash. Fields of a newer build are kept at every level.

use serde::{Deserialize, Serialize};

use crate::{BootId, Kept, Policy, Toplevel};

/// Format this build writes.
pub const FORMAT: u32 = 1;
/// Newest `min_reader` this build may act on.
pub const READER: u32 = 1;
/// Confirmed toplevels that are remembered; the oldest is forgotten first.
pub const MAX_CONFIRMED: usize = 64;
/// Quarantined toplevels that are remembered; the oldest is forgotten first.
pub const MAX_QUARANTINED: usize = 256;

/// The two fields that every format has, read before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Header {
    /// Format the writer wrote.
    pub format: u32,
    /// Oldest reader that may still act on it.
    pub min_reader: u32,
}

/// The state file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Format of the newest build that wrote it.
    pub format: u32,
    /// Oldest reader that may still act on it.
    pub min_reader: u32,
    /// Write counter.
    pub revision: u64,
    /// Toplevels that passed on this host, the most recently running one last. At most [`MAX_CONFIRMED`].
    #[serde(default)]
    pub confirmed: Vec<Confirmed>,
    /// What was pinned. The golden profile is the truth; this is a reference, so a lost ledger loses no golden.
    #[serde(default)]
    pub golden: Option<Golden>,
    /// The trial under way.
    #[serde(default)]
    pub trial: Option<Trial>,
    /// A rollback whose phase two is not done yet.
    #[serde(default)]
    pub rollback: Option<Rollback>,
    /// The last finished rollback, until a later generation is marked or confirmed.
    #[serde(default)]
    pub rolled_back: Option<RolledBack>,
    /// A confirmed toplevel that is still to be made the loader's default.
    #[serde(default)]
    pub owed_default: Option<Toplevel>,
    /// Toplevels that failed. At most [`MAX_QUARANTINED`], the newest last.
    #[serde(default)]
    pub quarantine: Vec<Quarantined>,
    /// Reboots that the suite caused since the last healthy boot. At most `max_automatic_reboots`.
    #[serde(default)]
    pub automatic_reboots: u32,
    /// Set at the end of the ladder: the suite causes no further reboot.
    #[serde(default)]
    pub safe_mode: Option<SafeMode>,
    /// Fields of a newer build.
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A toplevel that was confirmed on this host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Confirmed {
    pub toplevel: Toplevel,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// The pinned toplevel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Golden {
    pub toplevel: Toplevel,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A generation that is, or is to be, booted and is not yet confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What is tried.
    pub toplevel: Toplevel,
    /// How it became a trial.
    pub origin: Origin,
    /// Whether its next attempt is armed.
    pub arming: Arming,
    /// What the firmware had counted when that was armed; `None` where it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed_at: Option<u32>,
    /// Attempts so far, the oldest first; only the last can be open.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

/// How a trial began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `golden-mark-pending` said so.
    Marked,
    /// Nobody marked it; the boot check found it running.
    Inferred,
}

/// The one-shot of a trial. Intent is committed before the effect, the result after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arming {
    /// The next boot is not the trial's.
    Idle,
    /// About to be armed: it may be, or not.
    Intended,
    /// Armed; if it is gone later, the loader consumed it.
    Armed,
}

/// One boot of the trial. A newer build adds evidence as fields of its own here, never inside `end`: the fields
/// of a known kind of end are exactly those below.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which boot; `None` for one that died before the boot check could see it.
    pub boot: Option<BootId>,
    /// How it ended; `None` while it runs.
    pub end: Option<End>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

/// The end of an attempt that was not confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum End {
    /// Asked for, in an orderly way. Does not count.
    Innocent {
        /// What was asked for.
        shutdown: Shutdown,
    },
    /// Counts.
    Failed {
        /// Why.
        cause: Cause,
    },
    /// An end that only a newer build knows. Neither counts nor interrupts.
    #[serde(untagged)]
    Unknown(Kept),
}

/// How the machine was asked to go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Shutdown {
    Reboot,
    Poweroff,
    Halt,
    Kexec,
    SoftReboot,
    /// One that only a newer build knows.
    #[serde(other)]
    Other,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Cause {
    /// The loader started it, and it died before the boot check: kernel, initrd or early userspace.
    NeverReachedBootCheck,
    /// It was running and stopped without a word: panic, hang and reset, or power loss.
    Vanished,
    /// Units failed whose failure takes the machine down.
    UnitFailed {
        /// Their names.
        units: Vec<String>,
    },
    /// The last of too many innocent ends in a row.
    Interrupted {
        /// How many.
        times: u32,
    },
    /// A cause that only a newer build knows.
    #[serde(untagged)]
    Unknown(Kept),
}

/// A rollback that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Rollback {
    pub from: Toplevel,
    pub to: Toplevel,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A rollback that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RolledBack {
    pub from: Toplevel,
    pub to: Toplevel,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A toplevel that failed, with its evidence. Never made the default until released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Quarantined {
    pub toplevel: Toplevel,
    pub attempts: Vec<Attempt>,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// The end of the ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SafeMode {
    pub reason: SafeModeReason,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// Why there is nothing left to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SafeModeReason {
    /// The budget of automatic reboots is spent.
    BudgetSpent,
    /// There is no known-good generation with a boot entry.
    NoLanding,
    /// A reason that only a newer build knows.
    #[serde(untagged)]
    Unknown(Kept),
}

impl Default for Ledger {
    /// The ledger of a machine on which nothing has happened yet.
    fn default() -> Self {
        Self {
            format: FORMAT,
            min_reader: FORMAT,
            revision: 0,
            confirmed: Vec::new(),
            golden: None,
            trial: None,
            rollback: None,
            rolled_back: None,
            owed_default: None,
            quarantine: Vec::new(),
            automatic_reboots: 0,
            safe_mode: None,
            unknown: Kept::new(),
        }
    }
}

impl Ledger {
    /// Whether this toplevel passed on this host.
    #[must_use]
    pub fn is_confirmed(&self, toplevel: &Toplevel) -> bool {
        self.confirmed.iter().any(|confirmed| confirmed.toplevel == *toplevel)
    }

    /// Whether this toplevel failed and was not released.
    #[must_use]
    pub fn is_quarantined(&self, toplevel: &Toplevel) -> bool {
        self.quarantine.iter().any(|quarantined| quarantined.toplevel == *toplevel)
    }

    /// Remember that this toplevel passed, as the most recent one.
    pub(crate) fn confirm(&mut self, toplevel: &Toplevel) {
        let known = self.confirmed.iter().position(|confirmed| confirmed.toplevel == *toplevel);
        let entry = match known {
            Some(index) => self.confirmed.remove(index),
            None => Confirmed { toplevel: toplevel.clone(), unknown: Kept::new() },
        };
        self.confirmed.push(entry);
        let surplus = self.confirmed.len().saturating_sub(MAX_CONFIRMED);
        self.confirmed.drain(..surplus);
    }

    /// Remember that the trial failed. The evidence stays with it.
    pub(crate) fn quarantine(&mut self, trial: Trial) {
        self.quarantine.retain(|quarantined| quarantined.toplevel != trial.toplevel);
        self.quarantine.push(Quarantined {
            toplevel: trial.toplevel,
            attempts: trial.attempts,
            unknown: trial.unknown,
        });
        let surplus = self.quarantine.len().saturating_sub(MAX_QUARANTINED);
        self.quarantine.drain(..surplus);
    }
}

impl Trial {
    pub(crate) fn new(toplevel: Toplevel, origin: Origin) -> Self {
        Self {
            toplevel,
            origin,
            arming: Arming::Idle,
            armed_at: None,
            attempts: Vec::new(),
            unknown: Kept::new(),
        }
    }

    /// Attempts that failed. At most `max_failures`, plus those of one boot that never reached the boot check.
    #[must_use]
    pub fn failures(&self) -> u32 {
        let failed = |attempt: &&Attempt| matches!(attempt.end, Some(End::Failed { .. }));
        u32::try_from(self.attempts.iter().filter(failed).count()).unwrap_or(u32::MAX)
    }

    /// The attempt that has no end yet.
    #[must_use]
    pub fn open(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.end.is_none())
    }

    pub(crate) fn has_failed(&self, policy: &Policy) -> bool {
        self.failures() >= policy.max_failures.get()
    }

    /// Innocent ends in a row, if the open attempt ends innocently too.
    pub(crate) fn interruptions_with_this(&self) -> u32 {
        let innocent = |attempt: &&Attempt| matches!(attempt.end, Some(End::Innocent { .. }));
        let ended = self.attempts.iter().rev().skip(usize::from(self.open().is_some()));
        u32::try_from(ended.take_while(innocent).count() + 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn begin_attempt(&mut self, boot: &BootId) {
        self.attempts.push(Attempt { boot: Some(boot.clone()), end: None, unknown: Kept::new() });
    }

    /// Add an attempt that nobody saw begin.
    pub(crate) fn add_unseen(&mut self, cause: Cause) {
        let end = Some(End::Failed { cause });
        self.attempts.push(Attempt { boot: None, end, unknown: Kept::new() });
    }

    /// Give the open attempt its end; nothing happens if there is none.
    pub(crate) fn close(&mut self, end: End) {
        if let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.end.is_none()) {
            attempt.end = Some(end);
        }
    }
}
