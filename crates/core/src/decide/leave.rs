//! This boot is closed as failed, and what was to end it was cut off.

use super::reboot;
use crate::{Ledger, Plan, RebootCause, Step};

/// The reboot was counted when the boot was closed. What could not be armed or made the default is decided anew by the next
/// boot, but there has to be one: nobody comes back to a boot that is closed.
pub(super) fn leave(ledger: &Ledger) -> Plan {
    let (cause, toplevel) = match ledger {
        Ledger { safe_mode: Some(_), .. } => return Plan::nothing().then(Step::EnterSafeMode),
        Ledger { rollback: Some(rollback), .. } => (RebootCause::RollBack, &rollback.to),
        Ledger { trial: Some(trial), .. } => (RebootCause::Retry, &trial.toplevel),
        Ledger { drill: Some(drill), .. } => (RebootCause::Drill, drill.next()),
        Ledger { landing: Some(landing), .. } => (RebootCause::LandAgain, &landing.toplevel),
        _ => return Plan::nothing(),
    };
    reboot(Plan::nothing(), ledger, cause, toplevel)
}
