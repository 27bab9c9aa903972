//! A generation that is tried.

use serde::{Deserialize, Serialize};

use crate::{Attempts, Baseline, Kept, NotStartedBecause, Policy, Revision, StartedBy, Toplevel};

/// Boots in a row in which an armed trial was not started; more are not counted. The owner is told of this number.
pub const MAX_NOT_STARTED: u32 = 2;

/// A generation that is, or is to be, booted and is not yet confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The system on trial.
    pub toplevel: Toplevel,
    /// How it became a trial.
    pub origin: Origin,
    /// Whether its next attempt is armed.
    pub arming: Arming,
    /// The number of starts that the firmware had counted when it was armed; `None` where the firmware does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed_at: Option<u32>,
    /// Which loader ran when it was armed.
    #[serde(default, skip_serializing_if = "StartedBy::is_unknown")]
    pub armed_by: StartedBy,
    /// Boots in a row that show that it was armed and not started; `None` after an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started: Option<NotStarted>,
    /// Attempts so far, the oldest first; only the last can be open.
    #[serde(default)]
    pub attempts: Attempts,
    /// The faults of the machine when it was marked; `None` where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// The source revision that it was built from; `None` if nobody named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

/// An armed trial was not started. That is no attempt, for the trial never ran.
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

    /// Count a boot that shows that it was armed and not started. Returns the number of such boots in a row, if it has changed.
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
