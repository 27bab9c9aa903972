//! Everything golden-generation decides, and nothing it does.
//!
//! [`decide`] takes what the ledger says and what the machine shows and answers with the steps to take.
//! There is no I/O here, no clock and no environment: whoever calls supplies all three, so every decision can
//! be enumerated.

mod assessment;
mod attempt;
mod decide;
mod event;
mod golden;
mod kept;
mod ledger;
mod name;
mod plan;
mod policy;
mod quarantine;
mod seen;

pub use assessment::{ASSESSMENT_SCHEMA, Assessment, Baseline, Excuse, Finding, Weight};
pub use attempt::{Attempt, Attempts, Cause, End, Evidence, Shutdown};
pub use decide::{decide, is_settled, landing};
pub use event::{Event, RebootCause};
pub use golden::{golden, relists};
pub use kept::{Kept, VERBATIM, Value};
pub use ledger::{
    Arming, Confirmed, Drill, FORMAT, Golden, Header, Injection, Landing, Ledger, Live, LivePhase,
    MAX_CONFIRMED, MAX_DUMPS, MAX_NOT_STARTED, MAX_QUARANTINED, MAX_UNDECIDED, NotStarted, Origin,
    Quarantined, QuarantinedRevision, READER, Rollback, RolledBack, SafeMode, SafeModeReason, Trial, Waited,
};
pub use name::{BootId, InvalidName, Revision, Toplevel};
pub use plan::{Plan, Refusal, Step, Undo};
pub use policy::{Policy, RollbackTarget};
pub use quarantine::{Named, Verdict, second_chance_in_secs, verdict};
pub use seen::{Damage, Loader, Moment, NotStartedBecause, OneShot, Seen, ShutdownSeen, StartedBy};
