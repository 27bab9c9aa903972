//! The end of a trial that failed.

use super::boot::{land, watch};
use super::ladder::Whither;
use super::{is_budget_spent, is_known_good, ladder, landing, reboot, with_trial};
use crate::{
    Arming, Event, Kept, Landing, Ledger, Plan, Policy, RebootCause, Rollback, RolledBack, SafeMode,
    SafeModeReason, Seen, Step, Toplevel, Trial, Waited,
};

/// Phase one: record the intent, have the landing booted, and get there. Without the loader only the failed attempt is recorded.
pub(super) fn begin(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    trial: Trial,
    events: Vec<Event>,
    whither: Whither,
) -> Plan {
    if seen.loader.is_none() {
        // The next boot check that sees the loader goes on from here.
        let after = with_trial(ledger, &trial);
        return if after == *ledger { Plan::nothing() } else { Plan::nothing().commit(&after).tell(events) };
    }
    let from = trial.toplevel.clone();
    let mut after = Ledger { trial: None, owed_default: None, rolled_back: None, ..ledger.clone() };
    after.quarantine(trial, false, Waited::begin(seen, policy));
    to_landing(after, seen, policy, &from, events, whither)
}

/// `from` is in quarantine: have the landing booted, and get there.
pub(super) fn to_landing(
    mut after: Ledger,
    seen: &Seen,
    policy: &Policy,
    from: &Toplevel,
    mut events: Vec<Event>,
    whither: Whither,
) -> Plan {
    let from = from.clone();
    let Some(to) = landing(&after, seen, policy, &from) else {
        return ladder::safe_mode(after, SafeModeReason::NoLanding, events);
    };
    after.rollback = Some(Rollback::new(&from, &to));
    after.landing = (!after.is_failed_landing(&to)).then(|| Landing::new(&from, &to));
    // Who picked something else is left where he is.
    let by_itself = seen.booted.as_ref() == Some(&from) || booted_another_by_default(seen, &to);
    let reboots = by_itself && whither == Whither::Reboots;
    if reboots && is_budget_spent(&after, policy) {
        let is_well = seen.booted.as_ref().is_some_and(|booted| is_known_good(&after, seen, booted));
        return if is_well {
            ladder::send(&after, seen, policy, &from, events)
        } else {
            stop(after, seen, policy, &from, events)
        };
    }
    if after.landing.is_none() {
        // It did not work the last time: there the machine stays in safe mode.
        let reason = SafeModeReason::LadderEnded;
        after.safe_mode = Some(SafeMode { reason: reason.clone(), unknown: Kept::new() });
        events.push(Event::SafeMode { reason });
    }
    after.automatic_reboots += u32::from(reboots);
    events.push(Event::RollbackBegan { from: from.clone(), to: to.clone() });
    if seen.booted.as_ref() == Some(&to) {
        return arrive(after, seen, &from, &to, events);
    }
    let plan = ladder::send(&after, seen, policy, &from, events);
    if reboots { reboot(plan, &after, RebootCause::RollBack, &to) } else { plan }
}

/// What is to be left runs on in safe mode. Whoever reboots it gets to the landing as if we had: if that dies before its boot
/// check, the loader goes on by itself.
fn stop(ledger: Ledger, seen: &Seen, policy: &Policy, from: &Toplevel, events: Vec<Event>) -> Plan {
    let plan = ladder::safe_mode(ledger, SafeModeReason::BudgetSpent, events);
    let Some(safe) = plan.ledger().cloned() else { return plan };
    ladder::send(&safe, seen, policy, from, Vec::new()).steps.into_iter().fold(plan, Plan::then)
}

/// The loader booted by itself something else than where the machine is to go.
fn booted_another_by_default(seen: &Seen, to: &Toplevel) -> bool {
    seen.booted_by_default() && seen.booted.as_ref() != Some(to)
}

/// The landing runs already: it has to prove itself from now on.
pub(super) fn arrive(
    mut after: Ledger,
    seen: &Seen,
    from: &Toplevel,
    to: &Toplevel,
    events: Vec<Event>,
) -> Plan {
    if let Some(landing) = after.landing.as_mut() {
        landing.attempts.begin(&seen.boot);
    }
    let watched = after.landing.is_some();
    let plan = land(Plan::nothing().commit(&after).tell(events), seen, from, to);
    if watched { watch(plan) } else { plan }
}

/// The loader booted by itself what nobody knows to be good.
fn is_stranded(ledger: &Ledger, seen: &Seen) -> bool {
    seen.booted_by_default()
        && seen.booted.as_ref().is_some_and(|booted| !is_known_good(ledger, seen, booted))
}

/// What failed here runs again, and no person picked it: a switch was cut off before its mark, or its installer
/// does not know us.
pub(super) fn leave_quarantined(ledger: &Ledger, seen: &Seen, policy: &Policy, from: &Toplevel) -> Plan {
    let Some(to) = landing(ledger, seen, policy, from) else { return Plan::nothing() };
    if !is_stranded(ledger, seen) {
        // A person may have picked it, so it is left alone; what boots next is known to be good all the same.
        return Plan::nothing().then_if(seen.has_no_clear_default(), || Step::SetDefault(to));
    }
    let rollback = Rollback::new(from, &to);
    let after = Ledger {
        rollback: Some(rollback.clone()),
        landing: (!ledger.is_failed_landing(&to)).then(|| Landing::new(from, &to)),
        rolled_back: None,
        owed_default: None,
        ..ledger.clone()
    };
    resume(&after, seen, policy, &rollback)
}

/// A rollback has begun and phase two is not done. Whatever runs, its landing must be the default.
pub(super) fn resume(ledger: &Ledger, seen: &Seen, policy: &Policy, rollback: &Rollback) -> Plan {
    if is_no_landing(ledger, seen, rollback) {
        return land_elsewhere(ledger, seen, policy, rollback);
    }
    let Rollback { from, to, .. } = rollback;
    // What phase one had told the loader did not stick, or it was cut off before it could.
    let (stranded, cut_off) = (is_stranded(ledger, seen), was_cut_off(ledger, seen, to));
    if !stranded && !cut_off || ledger.safe_mode.is_some() {
        return ladder::stay_aimed(ledger, seen, policy, rollback);
    }
    if is_budget_spent(ledger, policy) {
        return if stranded {
            stop(ledger.clone(), seen, policy, from, Vec::new())
        } else {
            ladder::stay_aimed(ledger, seen, policy, rollback)
        };
    }
    let after = Ledger { automatic_reboots: ledger.automatic_reboots + 1, ..ledger.clone() };
    let plan = ladder::send(&after, seen, policy, from, Vec::new());
    reboot(plan, &after, RebootCause::RollBack, to)
}

/// Whether the power went between the intent to boot the landing and telling the loader: what was to be left boots again.
fn was_cut_off(ledger: &Ledger, seen: &Seen, to: &Toplevel) -> bool {
    let intended = ledger.landing.as_ref().is_some_and(|landing| landing.arming == Arming::Intended);
    let failed = seen.booted.as_ref().is_some_and(|booted| ledger.is_failed_landing(booted));
    (intended || failed) && booted_another_by_default(seen, to)
}

/// Whether there is no way to boot the landing any more, or it must not be one. Phase two makes an entry where the landing
/// runs.
pub(super) fn is_no_landing(ledger: &Ledger, seen: &Seen, rollback: &Rollback) -> bool {
    let runs = seen.booted.as_ref() == Some(&rollback.to);
    let is_lost = !runs && !seen.is_bootable(&rollback.to);
    seen.loader.is_some() && (is_lost || ledger.is_quarantined(&rollback.to))
}

/// The same rollback to what is the landing now.
fn land_elsewhere(ledger: &Ledger, seen: &Seen, policy: &Policy, rollback: &Rollback) -> Plan {
    let Some(to) = landing(ledger, seen, policy, &rollback.from) else {
        return match ledger.safe_mode {
            Some(_) => Plan::nothing(),
            None => ladder::safe_mode(ledger.clone(), SafeModeReason::NoLanding, Vec::new()),
        };
    };
    let landing = (!ledger.is_failed_landing(&to)).then(|| Landing::new(&rollback.from, &to));
    let rollback = Rollback { to, ..rollback.clone() };
    let after = Ledger { rollback: Some(rollback.clone()), landing, ..ledger.clone() };
    let mut plan = Plan::nothing().commit(&after);
    plan.steps.extend(resume(&after, seen, policy, &rollback).steps);
    plan
}

/// Phase two, first half: what needs no ledger and can be repeated. A profile that names something else by now belongs
/// to a later deployment.
pub(super) fn effects(ledger: &Ledger, seen: &Seen) -> Plan {
    let Some(Rollback { from, to, called_off, .. }) = &ledger.rollback else { return Plan::nothing() };
    if seen.booted.as_ref() != Some(to) || ledger.is_quarantined(to) {
        return Plan::nothing();
    }
    let is_known = |profile: &Toplevel| is_known_good(ledger, seen, profile);
    let failed = |profile: &Toplevel| {
        profile == from
            || seen.specialisations.contains(from) && !is_known(profile)
            || called_off.as_ref() == Some(profile)
            || ledger.is_quarantined(profile)
            || ledger.is_failed_landing(profile)
    };
    Plan::nothing()
        .then_if(seen.profile.as_ref().is_none_or(failed), || Step::SetProfile(to.clone()))
        .then(Step::InstallLoader(to.clone()))
}

/// Phase two, second half: the loader was installed anew, so its default is made sure of once more.
pub(super) fn done(ledger: &Ledger, seen: &Seen) -> Plan {
    let is_here = |to: &Toplevel| seen.booted.as_ref() == Some(to) && !ledger.is_quarantined(to);
    let Some(rollback) = ledger.rollback.clone().filter(|rollback| is_here(&rollback.to)) else {
        return Plan::nothing();
    };
    let Rollback { from, to, unknown, .. } = rollback;
    let rolled_back = Some(RolledBack { from: from.clone(), to: to.clone(), unknown });
    // Its boot may have been its only one: the loader's default can be another one until somebody can tell the loader.
    let owed_default = seen.loader.is_none().then(|| to.clone());
    let after = Ledger { rollback: None, rolled_back, owed_default, ..ledger.clone() };
    Plan::nothing()
        .then_if(seen.loader.is_some() && !seen.is_default(&to), || Step::SetDefault(to.clone()))
        .commit(&after)
        .tell([Event::RolledBack { from, to }])
}
