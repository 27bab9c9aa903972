//! The end of a trial that failed.

use super::boot::land;
use super::{is_known_good, landing, reboot};
use crate::{
    Event, Kept, Ledger, Plan, Policy, RebootCause, Rollback, RolledBack, SafeMode, SafeModeReason, Seen,
    Step, Toplevel, Trial,
};

/// Phase one: record the intent, make the landing the default, and get there.
pub(super) fn begin(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    trial: Trial,
    mut events: Vec<Event>,
) -> Plan {
    if seen.loader.is_none() {
        return Plan::nothing();
    }
    let from = trial.toplevel.clone();
    let Some(to) = landing(ledger, seen, policy, &from) else {
        return safe_mode(ledger, SafeModeReason::NoLanding, trial, events);
    };
    let runs = seen.booted.as_ref() == Some(&from) || is_stranded(ledger, seen);
    if runs && ledger.automatic_reboots >= policy.max_automatic_reboots {
        let rollback = Some(Rollback { from: from.clone(), to: to.clone(), unknown: Kept::new() });
        let ledger = Ledger { rollback, ..ledger.clone() };
        return land(safe_mode(&ledger, SafeModeReason::BudgetSpent, trial, events), seen, &from, &to);
    }
    let mut after = Ledger { trial: None, owed_default: None, rolled_back: None, ..ledger.clone() };
    after.quarantine(trial);
    after.automatic_reboots += u32::from(runs);
    after.rollback = Some(Rollback { from: from.clone(), to: to.clone(), unknown: Kept::new() });
    events.push(Event::RollbackBegan { from: from.clone(), to: to.clone() });
    let plan = land(Plan::nothing().commit(&after).tell(events), seen, &from, &to);
    if runs { reboot(plan, &after, RebootCause::RollBack, &to) } else { plan }
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
    let rollback = Rollback { from: from.clone(), to: to.clone(), unknown: Kept::new() };
    let after =
        Ledger { rollback: Some(rollback.clone()), rolled_back: None, owed_default: None, ..ledger.clone() };
    resume(&after, seen, policy, &rollback)
}

/// A rollback has begun and phase two is not done. Whatever runs, its landing must be the default.
pub(super) fn resume(ledger: &Ledger, seen: &Seen, policy: &Policy, rollback: &Rollback) -> Plan {
    if has_lost_its_entry(seen, rollback) {
        return land_elsewhere(ledger, seen, policy, rollback);
    }
    let lost = is_stranded(ledger, seen);
    let plan = Plan::nothing();
    if !lost || ledger.safe_mode.is_some() {
        return land(plan, seen, &rollback.from, &rollback.to);
    }
    // The default that phase one set did not stick.
    if ledger.automatic_reboots >= policy.max_automatic_reboots {
        let reason = SafeModeReason::BudgetSpent;
        let mode = SafeMode { reason: reason.clone(), unknown: Kept::new() };
        let after = Ledger { safe_mode: Some(mode), ..ledger.clone() };
        return land(
            plan.commit(&after).tell([Event::SafeMode { reason }]),
            seen,
            &rollback.from,
            &rollback.to,
        );
    }
    let after = Ledger { automatic_reboots: ledger.automatic_reboots + 1, ..ledger.clone() };
    let plan = land(plan.commit(&after), seen, &rollback.from, &rollback.to);
    reboot(plan, &after, RebootCause::RollBack, &rollback.to)
}

/// Whether there is no way to boot the landing any more. Phase two makes one where the landing runs.
fn has_lost_its_entry(seen: &Seen, rollback: &Rollback) -> bool {
    let runs = seen.booted.as_ref() == Some(&rollback.to);
    seen.loader.as_ref().is_some_and(|loader| !runs && !loader.listed.contains(&rollback.to))
}

/// The same rollback to what is the landing now.
fn land_elsewhere(ledger: &Ledger, seen: &Seen, policy: &Policy, rollback: &Rollback) -> Plan {
    let Some(to) = landing(ledger, seen, policy, &rollback.from) else {
        let reason = SafeModeReason::NoLanding;
        let mode = SafeMode { reason: reason.clone(), unknown: Kept::new() };
        return match ledger.safe_mode {
            Some(_) => Plan::nothing(),
            None => Plan::nothing()
                .commit(&Ledger { safe_mode: Some(mode), ..ledger.clone() })
                .tell([Event::SafeMode { reason }]),
        };
    };
    let rollback = Rollback { to, ..rollback.clone() };
    let after = Ledger { rollback: Some(rollback.clone()), ..ledger.clone() };
    let mut plan = Plan::nothing().commit(&after);
    plan.steps.extend(resume(&after, seen, policy, &rollback).steps);
    plan
}

/// Phase two, first half: what needs no ledger and can be repeated. A profile that names something else by now belongs
/// to a later deployment.
pub(super) fn effects(ledger: &Ledger, seen: &Seen) -> Plan {
    let Some(Rollback { from, to, .. }) = &ledger.rollback else { return Plan::nothing() };
    if seen.booted.as_ref() != Some(to) {
        return Plan::nothing();
    }
    let failed = |profile: &Toplevel| profile == from || ledger.is_quarantined(profile);
    Plan::nothing()
        .then_if(seen.profile.as_ref().is_none_or(failed), || Step::SetProfile(to.clone()))
        .then(Step::InstallLoader(to.clone()))
}

/// Phase two, second half: the loader was installed anew, so its default is made sure of once more.
pub(super) fn done(ledger: &Ledger, seen: &Seen) -> Plan {
    let Some(rollback) =
        ledger.rollback.clone().filter(|rollback| seen.booted.as_ref() == Some(&rollback.to))
    else {
        return Plan::nothing();
    };
    let Rollback { from, to, unknown } = rollback;
    let rolled_back = Some(RolledBack { from: from.clone(), to: to.clone(), unknown });
    let after = Ledger { rollback: None, rolled_back, ..ledger.clone() };
    Plan::nothing()
        .then_if(seen.loader.is_some() && !seen.is_default(&to), || Step::SetDefault(to.clone()))
        .commit(&after)
        .tell([Event::RolledBack { from, to }])
}

/// The suite causes no further reboot. What failed stays quarantined.
fn safe_mode(ledger: &Ledger, reason: SafeModeReason, trial: Trial, mut events: Vec<Event>) -> Plan {
    let mode = SafeMode { reason: reason.clone(), unknown: Kept::new() };
    let mut after = Ledger { trial: None, safe_mode: Some(mode), ..ledger.clone() };
    after.quarantine(trial);
    events.push(Event::SafeMode { reason });
    Plan::nothing().commit(&after).tell(events)
}
