//! What was confirmed fails a required check soon after.

use super::ladder::Whither;
use super::{landing, rollback};
use crate::{Cause, Event, Evidence, Ledger, Origin, Plan, Policy, Seen, Toplevel, Trial, Waited};

/// It is told. If the owner wants it, the machine goes back too, unless something else is under way or there is nothing better.
pub(super) fn fail(ledger: &Ledger, seen: &Seen, policy: &Policy, cause: &Cause, goes_back: bool) -> Plan {
    let Some(booted) = seen.booted.as_ref().filter(|booted| ledger.is_confirmed(booted)) else {
        return Plan::nothing();
    };
    let event = Event::FailedLate { toplevel: booted.clone(), boot: seen.boot.clone(), cause: cause.clone() };
    let is_busy = ledger.trial.is_some()
        || ledger.rollback.is_some()
        || ledger.landing.is_some()
        || ledger.drill.is_some()
        || ledger.live.is_some();
    let works = |to: &Toplevel| !ledger.is_failed_landing(to);
    let better = landing(ledger, seen, policy, booted).filter(works);
    let is_golden = seen.golden.as_ref() == Some(booted);
    let Some(to) = better.filter(|_| goes_back && !is_busy && !is_golden && seen.loader.is_some()) else {
        return Plan::nothing().tell([event]);
    };
    let mut after = Ledger { owed_default: None, rolled_back: None, ..ledger.clone() };
    after.confirmed.retain(|confirmed| confirmed.toplevel != *booted);
    let mut trial = Trial::new(booted.clone(), Origin::Marked);
    trial.revision = seen.source_of(booted).cloned();
    trial.attempts.add_failed(&seen.boot, cause.clone(), &Evidence::default());
    after.quarantine(trial, false, Waited::begin(seen, policy));
    rollback::to_landing(after, seen, policy, booted, vec![event], Whither::Reboots)
        .or_undone(seen, &to, ledger)
}
