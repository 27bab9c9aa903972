//! A generation that is tried.

use serde::{Deserialize, Serialize};

use crate::{Attempts, Baseline, Kept, NotStartedBecause, Policy, Revision, StartedBy, Toplevel};

/// Boots in a row in which an armed trial was not started; more are not counted. The owner is told of this number.
pub const MAX_NOT_STARTED: u32 = 2;

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
    /// Which loader ran when that was armed.
    #[serde(default, skip_serializing_if = "StartedBy::is_unknown")]
    pub armed_by: StartedBy,
    /// Boots in a row that show that it was armed and not started, before the next one that starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started: Option<NotStarted>,
    /// Attempts so far, the oldest first; only the last can be open.
    #[serde(default)]
    pub attempts: Attempts,
    /// What was wrong already when it was marked; `None` where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// What it was built from, as far as anybody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

/// That something was armed and not started. No attempt, for it never ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotStarted {
    /// How often in a row, up to [`MAX_NOT_STARTED`].
    pub times: u32,
    /// Why, the last time.
    pub because: NotStartedBecause,
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

impl Trial {
    pub(crate) fn new(toplevel: Toplevel, origin: Origin) -> Self {
        Self {
            toplevel,
            origin,
            arming: Arming::Idle,
            armed_at: None,
            armed_by: StartedBy::default(),
            not_started: None,
            attempts: Attempts::default(),
            baseline: None,
            revision: None,
            unknown: Kept::new(),
        }
    }

    /// The same, and its next attempt is not armed.
    pub(crate) fn disarmed(self) -> Self {
        Self { arming: Arming::Idle, armed_at: None, armed_by: StartedBy::default(), ..self }
    }

    /// Count a boot that shows that it was armed and not started. Returns how often that was in a row, if it is news.
    pub(crate) fn miss(&mut self, because: NotStartedBecause) -> Option<u32> {
        let before = self.not_started.take();
        let times = before.as_ref().map_or(0, |missed| missed.times);
        let counted = (times + 1).min(MAX_NOT_STARTED);
        let unknown = before.map(|missed| missed.unknown).unwrap_or_default();
        self.not_started = Some(NotStarted { times: counted, because, unknown });
        (counted > times).then_some(counted)
    }

    pub(crate) fn has_failed(&self, policy: &Policy) -> bool {
        self.attempts.failures() >= policy.max_failures.get()
    }
}
