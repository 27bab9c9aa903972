//! One boot of a system that has to prove itself, and how it ended.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::{BootId, Kept, Value};

/// Boots of one system, the oldest first; only the last can be open.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempts(Vec<Attempt>);

/// One boot of a trial, or of a landing. A newer build adds evidence as fields of its own here, never inside `end`: the fields
/// of a known kind of end are exactly those below.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which boot; `None` for one that died before the boot check could see it.
    pub boot: Option<BootId>,
    /// How it ended; `None` while it runs.
    pub end: Option<End>,
    /// What the next boot found about an end that nobody saw.
    #[serde(default, skip_serializing_if = "Evidence::is_empty")]
    pub evidence: Evidence,
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
    /// Counts, whatever the cause.
    Failed {
        /// Why.
        #[serde(default, skip_serializing_if = "Cause::is_missing")]
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
    /// It was not confirmed in time.
    Deadline {
        /// Time it had, in seconds from the start of userspace.
        secs: u64,
        /// Units that were still starting, or had failed.
        units: Vec<String>,
    },
    /// It ended in `emergency.target` or `rescue.target`.
    Emergency {
        /// Units that had failed, or never came.
        units: Vec<String>,
    },
    /// It could not be started at all: its boot files are damaged beyond repair.
    NotBootable {
        /// What is damaged.
        why: String,
    },
    /// Required checks failed.
    ChecksFailed {
        /// Their names.
        checks: Vec<String>,
    },
    /// Its activation on the running system failed.
    ActivationFailed {
        /// What is known of it.
        why: String,
    },
    /// It was activated, and the proof that the owner asks for did not come in its window.
    Unproven {
        /// What was waited for.
        proof: String,
    },
    /// A person rolled it back.
    AskedByPerson,
    /// A cause that only a newer build knows, as it wrote it.
    #[serde(untagged)]
    Unknown(Value),
}

/// What is found after a boot that ended without a word.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// The last words of the kernel, from pstore: one line. Where there are none, that a crash kernel was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<String>,
    /// Whether the hardware watchdog reset the machine.
    #[serde(default)]
    pub watchdog: bool,
}

impl Default for Cause {
    /// None was written.
    fn default() -> Self {
        Self::Unknown(Value::Null)
    }
}

impl Cause {
    fn is_missing(&self) -> bool {
        *self == Self::default()
    }
}

impl Evidence {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Add later evidence to that of the crash kernel.
    fn add(&mut self, later: &Self) {
        self.panic = later.panic.clone().or(self.panic.take());
        self.watchdog |= later.watchdog;
    }
}

impl Deref for Attempts {
    type Target = [Attempt];

    fn deref(&self) -> &[Attempt] {
        &self.0
    }
}

impl Attempts {
    /// Attempts that failed. At most `max_failures`, plus those of one boot that never reached the boot check.
    #[must_use]
    pub fn failures(&self) -> u32 {
        let failed = |attempt: &&Attempt| matches!(attempt.end, Some(End::Failed { .. }));
        u32::try_from(self.iter().filter(failed).count()).unwrap_or(u32::MAX)
    }

    /// The attempt that has no end yet.
    #[must_use]
    pub fn open(&self) -> Option<&Attempt> {
        self.last().filter(|attempt| attempt.end.is_none())
    }

    /// Whether the attempt that has no end yet is this boot.
    #[must_use]
    pub fn is_open_in(&self, boot: &BootId) -> bool {
        self.open().is_some_and(|attempt| attempt.boot.as_ref() == Some(boot))
    }

    /// Innocent ends in a row, if the open attempt ends innocently too.
    pub(crate) fn interruptions_with_this(&self) -> u32 {
        let innocent = |attempt: &&Attempt| matches!(attempt.end, Some(End::Innocent { .. }));
        let ended = self.iter().rev().skip(usize::from(self.open().is_some()));
        u32::try_from(ended.take_while(innocent).count() + 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn begin(&mut self, boot: &BootId) {
        self.push(Some(boot.clone()), None, Evidence::default());
    }

    /// Add an attempt that failed in `boot`, and is no boot of its own.
    pub(crate) fn add_failed(&mut self, boot: &BootId, cause: Cause, evidence: &Evidence) {
        self.push(Some(boot.clone()), Some(End::Failed { cause }), evidence.clone());
    }

    /// Add an attempt that nobody saw begin.
    pub(crate) fn add_unseen(&mut self, cause: Cause, evidence: &Evidence) {
        self.push(None, Some(End::Failed { cause }), evidence.clone());
    }

    fn push(&mut self, boot: Option<BootId>, end: Option<End>, evidence: Evidence) {
        self.0.push(Attempt { boot, end, evidence, unknown: Kept::new() });
    }

    /// Forget the attempt of this boot if it has no end: something else runs, so nobody will ever see how it ends.
    pub(crate) fn forget_open(&mut self, boot: &BootId) {
        if self.is_open_in(boot) {
            self.0.pop();
        }
    }

    /// Give the open attempt its end; nothing happens if there is none.
    pub(crate) fn close(&mut self, end: End, evidence: &Evidence) {
        if let Some(attempt) = self.0.last_mut().filter(|attempt| attempt.end.is_none()) {
            attempt.end = Some(end);
            attempt.evidence.add(evidence);
        }
    }

    /// The kernel of the open attempt has panicked: `words` say so until the next boot finds better ones.
    pub(crate) fn has_panicked(&mut self, words: &str) {
        if let Some(attempt) = self.0.last_mut().filter(|attempt| attempt.end.is_none()) {
            attempt.evidence.panic = Some(words.to_owned());
        }
    }
}
