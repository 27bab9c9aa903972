//! What happened, for history and the journal.

use serde::{Deserialize, Serialize};

use crate::{BootId, Cause, Injection, NotStartedBecause, Revision, SafeModeReason, Shutdown, Toplevel};

/// One thing that happened. Each has a `MESSAGE_ID` of its own in the journal and is one line of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Event {
    /// A toplevel became a trial because a switch said so.
    Marked { toplevel: Toplevel, landing: Toplevel },
    /// A toplevel became a trial because it runs and nobody had marked it.
    Inferred { toplevel: Toplevel },
    /// A later switch replaced the trial before it was over.
    Superseded { toplevel: Toplevel },
    /// The trial can never be booted again: it was collected, or lost its boot entry.
    Gone { toplevel: Toplevel },
    /// A switch could not be made a trial: there is nothing to come back to.
    Unprotected { toplevel: Toplevel },
    /// A switch to a quarantined toplevel was refused.
    Refused { toplevel: Toplevel },
    /// A person put a toplevel, or every toplevel of a source revision, into quarantine. With both, the toplevel is of that
    /// revision, and its trial was called off.
    QuarantineAdded {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        toplevel: Option<Toplevel>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
    },
    /// A person released one of the two.
    QuarantineReleased {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        toplevel: Option<Toplevel>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
    },
    /// A quarantined toplevel has waited for as long as the owner said, and is tried once more.
    SecondChance { toplevel: Toplevel },
    /// A person asked for a rollback, and for the reboot that it takes.
    RollbackAsked { from: Toplevel, to: Toplevel },
    /// An attempt began.
    AttemptBegan { toplevel: Toplevel, attempt: u32, boot: BootId },
    /// An attempt failed; `failures` counts it.
    AttemptFailed { toplevel: Toplevel, failures: u32, max_failures: u32, boot: Option<BootId>, cause: Cause },
    /// The loader booted the trial and did not take the one-shot back.
    OneShotStayed { toplevel: Toplevel },
    /// The trial was armed and not started, for the `times`th time in a row.
    NotStarted { toplevel: Toplevel, times: u32, because: NotStartedBecause },
    /// The loader could not be told to boot this system once, as the next attempt. Each boot check tries again.
    NotArmed { toplevel: Toplevel, why: String },
    /// An attempt ended innocently.
    AttemptInterrupted { toplevel: Toplevel, boot: BootId, shutdown: Shutdown },
    /// The trial passed.
    Confirmed { toplevel: Toplevel, boot: BootId },
    /// A running system that was no trial proved healthy and is now known.
    Adopted { toplevel: Toplevel },
    /// The suite is about to reboot the machine.
    Rebooting { cause: RebootCause, toplevel: Toplevel, automatic_reboots: u32 },
    /// The trial is over; phase one of the rollback is decided.
    RollbackBegan { from: Toplevel, to: Toplevel },
    /// Phase two is done.
    RolledBack { from: Toplevel, to: Toplevel },
    /// What the machine came back to does not work either.
    LandingFailed { toplevel: Toplevel, boot: Option<BootId>, cause: Cause },
    /// A rehearsal began.
    DrillBegan { injection: Injection, toplevel: Toplevel },
    /// A rehearsal is over; `causes` of the attempts that failed, as they should. It passed if golden was confirmed then.
    DrillEnded {
        injection: Injection,
        toplevel: Toplevel,
        passed: bool,
        causes: Vec<Cause>,
        /// Why golden did not take over, if it was its turn and it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        golden_failed: Option<Cause>,
    },
    /// Checks failed, and the system stays as it is: they are only wanted, or excused, or it is no trial.
    ChecksFailed { toplevel: Toplevel, boot: BootId, required: Vec<String>, wanted: Vec<String> },
    /// What was confirmed failed soon after.
    FailedLate { toplevel: Toplevel, boot: BootId, cause: Cause },
    /// A switch changes the running system, which has to prove itself.
    LiveBegan { from: Toplevel, to: Toplevel },
    /// It has, and what it activated is a trial of the next boot.
    LivePassed { toplevel: Toplevel },
    /// It was rebooted on request before it could.
    LiveLeft { toplevel: Toplevel },
    /// It has failed, and what ran before comes back.
    LiveFailed { from: Toplevel, to: Toplevel, cause: Cause },
    /// What ran before runs again.
    WentBack { from: Toplevel, to: Toplevel },
    /// Golden could not be landed on if it were needed now.
    GoldenDamaged { toplevel: Toplevel, why: String },
    /// Another program had removed the golden profile, or had it name `found`: it names golden again.
    GoldenPutBack {
        toplevel: Toplevel,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<Toplevel>,
    },
    /// Golden was pinned.
    Pinned { toplevel: Toplevel, forced: bool },
    /// The end of the ladder.
    SafeMode { reason: SafeModeReason },
    /// In safe mode, what runs is tried normally again: nothing but a loss of power is known against it.
    TriedAgain { toplevel: Toplevel, boot: BootId },
    /// A boot was confirmed, and safe mode is over.
    SafeModeEnded { toplevel: Toplevel },
}

/// Why the suite reboots the machine by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebootCause {
    /// An attempt failed; the trial gets its next attempt.
    Retry,
    /// The trial failed and is still what runs.
    RollBack,
    /// A landing failed; it gets another attempt, for there is nothing else.
    LandAgain,
    /// A rehearsal.
    Drill,
    /// What ran before a live switch could not be activated again.
    LiveSwitch,
}
