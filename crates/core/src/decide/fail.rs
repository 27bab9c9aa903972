//! This boot will not be confirmed, and nobody waits for that.

use super::boot::failed;
use super::ladder::{self, Whither};
use super::{
    First, another_try, commit_and_arm, drill, is_budget_spent, leave, reboot, rollback, with_trial,
};
use crate::{
    Cause, End, Event, Evidence, Ledger, Plan, Policy, RebootCause, SafeModeReason, Seen, Step, Trial,
};

/// Where no reboot follows, because there is no budget for it or nothing to come back to, the machine goes to safe mode. A boot
/// that is closed already is left.
pub(super) fn fail(ledger: &Ledger, seen: &Seen, policy: &Policy, cause: &Cause) -> Plan {
    if seen.booted.as_ref().is_some_and(|booted| ledger.is_closed(&seen.boot, booted)) {
        return leave::leave(ledger, seen, policy);
    }
    let plan = close(ledger, seen, policy, cause);
    let is_safe = plan.ledger().is_some_and(|after| after.safe_mode.is_some());
    let goes_on = plan.steps.last() != Some(&Step::Reboot);
    plan.then_if(is_safe && goes_on, || Step::EnterSafeMode)
}

fn close(ledger: &Ledger, seen: &Seen, policy: &Policy, cause: &Cause) -> Plan {
    if let Some(drill) = ledger.drill.as_ref().filter(|it| it.is_open_in(&seen.boot)) {
        let is_attempt = drill.trial.attempts.is_open_in(&seen.boot);
        let fail = if is_attempt { drill::fail } else { drill::fail_landing };
        return fail(ledger, seen, policy, drill, cause, Whither::Reboots);
    }
    if let Some(trial) = ledger.trial.as_ref().filter(|trial| trial.attempts.is_open_in(&seen.boot)) {
        return fail_trial(ledger, seen, policy, trial.clone(), cause);
    }
    match ledger.landing.as_ref().filter(|landing| landing.attempts.is_open_in(&seen.boot)) {
        Some(landing) => ladder::fail(ledger, seen, policy, landing, cause, Whither::Reboots),
        None => another_try::fail(ledger, seen, cause),
    }
}

/// The attempt is closed and nothing else: who is there reboots the machine, and the next boot check goes on.
pub(super) fn stay(ledger: &Ledger, seen: &Seen, policy: &Policy, cause: &Cause) -> Plan {
    let end = || End::Failed { cause: cause.clone() };
    let mut after = ledger.clone();
    let mut events = Vec::new();
    let drill =
        after.drill.iter_mut().flat_map(|drill| [&mut drill.trial].into_iter().chain(&mut drill.landing));
    let landings = after.landing.iter_mut().chain(&mut after.failed_landings);
    let attempts = drill.map(|trial| &mut trial.attempts).chain(landings.map(|it| &mut it.attempts));
    for attempts in attempts {
        if attempts.is_open_in(&seen.boot) {
            attempts.close(end(), &Evidence::default());
        }
    }
    if let Some(trial) = after.trial.as_mut().filter(|trial| trial.attempts.is_open_in(&seen.boot)) {
        trial.attempts.close(end(), &Evidence::default());
        events.push(failed(trial, policy, Some(seen.boot.clone()), cause.clone()));
    }
    if after == *ledger { Plan::nothing() } else { Plan::nothing().commit(&after).tell(events) }
}

fn fail_trial(ledger: &Ledger, seen: &Seen, policy: &Policy, mut trial: Trial, cause: &Cause) -> Plan {
    trial.attempts.close(End::Failed { cause: cause.clone() }, &Evidence::default());
    let events = vec![failed(&trial, policy, Some(seen.boot.clone()), cause.clone())];
    // Without the loader the next boot, which is the default's, does what there is to do.
    if trial.has_failed(policy) && seen.loader.is_some() {
        return rollback::begin(ledger, seen, policy, trial, events, Whither::Reboots);
    }
    again(ledger, seen, policy, &trial, events)
}

fn again(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Trial, events: Vec<Event>) -> Plan {
    let (toplevel, arm) = (trial.toplevel.clone(), !trial.has_failed(policy));
    let after = with_trial(ledger, trial);
    if is_budget_spent(ledger, policy) {
        let plan = commit_and_arm(First::Ledger, &after, seen, policy, arm, Vec::new());
        let last = plan.ledger().unwrap_or(&after).clone();
        let safe = ladder::safe_mode(last, SafeModeReason::BudgetSpent, events);
        return safe.steps.into_iter().fold(plan, Plan::then);
    }
    let after = Ledger { automatic_reboots: ledger.automatic_reboots + 1, ..after };
    let plan = commit_and_arm(First::Ledger, &after, seen, policy, arm, events);
    reboot(plan, &after, RebootCause::Retry, &toplevel)
}
