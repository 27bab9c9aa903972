//! Hibernation goes through the loader, and is no boot.

use super::{First, commit_and_arm, ladder, with_trial};
use crate::{Arming, Landing, Ledger, Plan, Policy, Seen, Step, Trial};

/// While a trial waits, or what a rollback comes back to, the loader would start another kernel than the one that is to read its memory back: so it is told
/// to start this one once.
pub(super) fn hibernate(ledger: &Ledger, seen: &Seen) -> Plan {
    let (Some(booted), Some(_)) = (&seen.booted, &seen.loader) else { return Plan::nothing() };
    let idle = match (&ledger.trial, waiting(ledger, seen)) {
        (Some(trial), _) => with_trial(ledger, &Trial { arming: Arming::Idle, ..trial.clone() }),
        (None, Some(landing)) => {
            let landing = Landing { arming: Arming::Idle, ..landing.clone() };
            Ledger { landing: Some(landing), ..ledger.clone() }
        }
        (None, None) => return Plan::nothing(),
    };
    let plan = if idle == *ledger { Plan::nothing() } else { Plan::nothing().commit(&idle) };
    plan.then(Step::Arm(booted.clone()))
}

/// Where the machine is to come back to, as long as something else runs.
fn waiting<'a>(ledger: &'a Ledger, seen: &Seen) -> Option<&'a Landing> {
    ledger.landing.as_ref().filter(|landing| seen.booted.as_ref() != Some(&landing.toplevel))
}

/// What waits is armed as it was before.
pub(super) fn resume(ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
    if let (None, Some(_), Some(rollback), Some(_)) =
        (&ledger.trial, waiting(ledger, seen), &ledger.rollback, &seen.loader)
    {
        let plan = ladder::stay_aimed(ledger, seen, policy, rollback);
        let is_stale = !plan.steps.contains(&Step::Arm(rollback.to.clone()))
            && seen.booted.as_ref().is_some_and(|booted| seen.is_armed(booted));
        return plan.then_if(is_stale, || Step::Disarm);
    }
    let (Some(trial), Some(loader)) = (&ledger.trial, &seen.loader) else { return Plan::nothing() };
    let runs = trial.attempts.is_open_in(&seen.boot);
    let another_follows = trial.attempts.failures() + u32::from(runs) < policy.max_failures.get();
    let arm = another_follows && (loader.consumes_one_shot || !runs);
    let plan = commit_and_arm(First::Ledger, ledger, seen, policy, arm, Vec::new());
    // A hibernation that did not come to pass leaves what it armed.
    let stale =
        seen.booted.as_ref().filter(|booted| !arm && **booted != trial.toplevel && seen.is_armed(booted));
    plan.then_if(stale.is_some(), || Step::Disarm)
}
