//! Hibernation goes through the loader, and is no boot.

use super::{First, commit_and_arm, with_trial};
use crate::{Arming, Ledger, Plan, Policy, Seen, Step, Trial};

/// While a trial waits, the loader would start another kernel than the one that is to read its memory back: so it is told
/// to start this one once.
pub(super) fn hibernate(ledger: &Ledger, seen: &Seen) -> Plan {
    let (Some(trial), Some(booted), Some(_)) = (&ledger.trial, &seen.booted, &seen.loader) else {
        return Plan::nothing();
    };
    let idle = with_trial(ledger, &Trial { arming: Arming::Idle, ..trial.clone() });
    let plan = if idle == *ledger { Plan::nothing() } else { Plan::nothing().commit(&idle) };
    plan.then(Step::Arm(booted.clone()))
}

/// The trial is armed as it was before.
pub(super) fn resume(ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
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
