//! Before safe mode: what the machine came back to is known to be good, and perhaps it did nothing worse than lose its power.
//!
//! A boot that lost its power looks like one that hung. So a landing against which nothing else is known is booted normally
//! again, and watched; a boot that is confirmed ends safe mode. There are as many tries as a trial has, because what is
//! left without a word each time may be a hang after all, and none after a failure with a cause. Nobody reboots because of them:
//! one that fails early goes to safe mode where it is.

use super::ladder::close;
use super::shutdown::end_of;
use crate::{Attempt, Cause, End, Event, Evidence, Landing, Ledger, Plan, Policy, Seen, ShutdownSeen, Step};

/// At a boot that is to go to safe mode.
pub(super) fn or_safe_mode(plan: Plan, ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
    let booted = seen.booted.as_ref().filter(|booted| !ledger.is_quarantined(booted));
    let failed = ledger.failed_landings.iter().find(|landing| Some(&landing.toplevel) == booted);
    let Some(landing) = failed else { return plan.then(Step::EnterSafeMode) };
    if landing.attempts.is_open_in(&seen.boot) {
        return plan.then(Step::Watch);
    }
    let mut landing = landing.clone();
    let mut events = close(&mut landing, Cause::Vanished, &seen.evidence);
    let again = may_have_lost_its_power(&landing, policy);
    if again {
        landing.attempts.begin(&seen.boot);
        events.push(Event::TriedAgain { toplevel: landing.toplevel.clone(), boot: seen.boot.clone() });
    }
    let after = with(ledger, landing);
    let plan = if after == *ledger { plan } else { plan.commit(&after) };
    if !again {
        return plan.tell(events).then(Step::EnterSafeMode);
    }
    let lands = ledger.rollback.as_ref().is_some_and(|rollback| Some(&rollback.to) == booted);
    let is_due = lands && !plan.steps.contains(&Step::RequestRollback);
    plan.then(Step::Watch).tell(events).then_if(is_due, || Step::RequestRollback)
}

/// Every failure of it was one without a word, and there were not too many.
fn may_have_lost_its_power(landing: &Landing, policy: &Policy) -> bool {
    let without_a_word = |attempt: &Attempt| match &attempt.end {
        Some(End::Failed { cause: Cause::Vanished | Cause::NeverReachedBootCheck }) => {
            attempt.evidence.is_empty()
        }
        Some(End::Failed { .. }) => false,
        Some(End::Innocent { .. } | End::Unknown(_)) | None => true,
    };
    // As a landing it may have had as many attempts as a trial already.
    let most = policy.max_failures.get().saturating_mul(2);
    landing.attempts.iter().all(without_a_word) && landing.attempts.failures() < most
}

/// The try that runs.
fn running(ledger: &Ledger, seen: &Seen) -> Option<Landing> {
    ledger.failed_landings.iter().find(|landing| landing.attempts.is_open_in(&seen.boot)).cloned()
}

fn with(ledger: &Ledger, landing: Landing) -> Ledger {
    let mut after = ledger.clone();
    after.fail_landing(landing);
    after
}

/// It will not be confirmed. There is no other.
pub(super) fn fail(ledger: &Ledger, seen: &Seen, cause: &Cause) -> Plan {
    let Some(mut landing) = running(ledger, seen) else { return Plan::nothing() };
    let events = close(&mut landing, cause.clone(), &Evidence::default());
    Plan::nothing().commit(&with(ledger, landing)).tell(events)
}

/// The machine goes down in the middle of it.
pub(super) fn record(ledger: &Ledger, seen: &Seen, policy: &Policy, shutdown: &ShutdownSeen) -> Plan {
    let Some(mut landing) = running(ledger, seen) else { return Plan::nothing() };
    match end_of(&landing.attempts, policy, shutdown) {
        End::Failed { cause } => fail(ledger, seen, &cause),
        end => {
            landing.attempts.close(end, &Evidence::default());
            Plan::nothing().commit(&with(ledger, landing))
        }
    }
}
