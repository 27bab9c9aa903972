//! Where a rollback comes back to, and what follows if that does not work either.

use super::boot::{land, watch};
use super::{is_budget_spent, reboot, rollback};
use crate::{
    Cause, End, Event, Evidence, Kept, Landing, Ledger, Plan, Policy, RebootCause, Rollback, RollbackTarget,
    SafeMode, SafeModeReason, Seen, Toplevel,
};

/// Golden, what was confirmed last, and what was golden before; those of them that can be booted and are not `trial`.
/// Safe mode comes after the last one.
pub(super) fn rungs(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Toplevel) -> Vec<Toplevel> {
    let usable = |toplevel: &&Toplevel| {
        seen.is_bootable(toplevel) && *toplevel != trial && !ledger.is_quarantined(toplevel)
    };
    let golden = seen.golden.iter().find(usable);
    let mut confirmed = ledger.confirmed.iter().rev().map(|confirmed| &confirmed.toplevel);
    let confirmed = confirmed.find(|toplevel| usable(toplevel) && Some(*toplevel) != golden);
    let first_two = match policy.rollback_target {
        RollbackTarget::Golden => [golden, confirmed],
        RollbackTarget::LastConfirmed => [confirmed, golden],
    };
    let mut rungs: Vec<Toplevel> = Vec::new();
    for rung in first_two.into_iter().flatten().chain(seen.older_goldens.iter().filter(usable)) {
        if !rungs.contains(rung) {
            rungs.push(rung.clone());
        }
    }
    rungs
}

/// What follows after `landing`.
fn next_rung(ledger: &Ledger, seen: &Seen, policy: &Policy, landing: &Landing) -> Option<Toplevel> {
    let rungs = rungs(ledger, seen, policy, &landing.from);
    rungs.into_iter().find(|rung| *rung != landing.toplevel && !ledger.is_failed_landing(rung))
}

/// One attempt, for the next rung is known to be good as well. The last one has as many as a trial: power loss cannot be
/// told from a failure, and after it there is only safe mode.
fn has_failed(ledger: &Ledger, seen: &Seen, policy: &Policy, landing: &Landing) -> bool {
    let is_last = next_rung(ledger, seen, policy, landing).is_none();
    let allowed = if is_last { policy.max_failures.get() } else { 1 };
    landing.attempts.failures() >= allowed
}

/// A boot of what a rollback came back to.
pub(super) fn check(ledger: &Ledger, seen: &Seen, policy: &Policy, landing: &Landing) -> Plan {
    let goes_on = |plan: Plan, ledger: &Ledger| {
        let resumed = ledger.rollback.iter().flat_map(|it| rollback::resume(ledger, seen, policy, it).steps);
        watch(resumed.fold(plan, Plan::then))
    };
    if landing.attempts.is_open_in(&seen.boot) {
        return goes_on(Plan::nothing(), ledger);
    }
    let mut landing = landing.clone();
    let events = close(&mut landing, Cause::Vanished, &seen.evidence);
    if has_failed(ledger, seen, policy, &landing) {
        return go_on(ledger, seen, policy, landing, events, Whither::Reboots);
    }
    landing.attempts.begin(&seen.boot);
    let after = Ledger { landing: Some(landing), ..ledger.clone() };
    goes_on(Plan::nothing().commit(&after).tell(events), &after)
}

pub(super) fn close(landing: &mut Landing, cause: Cause, evidence: &Evidence) -> Vec<Event> {
    let Some(attempt) = landing.attempts.open() else { return Vec::new() };
    let (boot, toplevel) = (attempt.boot.clone(), landing.toplevel.clone());
    landing.attempts.close(End::Failed { cause: cause.clone() }, evidence);
    vec![Event::LandingFailed { toplevel, boot, cause }]
}

/// Who takes the machine down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whither {
    /// Nobody does yet.
    Reboots,
    /// It is going down already.
    GoesDown,
}

/// What runs is the landing, and it will not be confirmed.
pub(super) fn fail(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    landing: &Landing,
    cause: &Cause,
    whither: Whither,
) -> Plan {
    let mut landing = landing.clone();
    let events = close(&mut landing, cause.clone(), &Evidence::default());
    if has_failed(ledger, seen, policy, &landing) {
        return go_on(ledger, seen, policy, landing, events, whither);
    }
    let toplevel = landing.toplevel.clone();
    let after = Ledger { landing: Some(landing), ..ledger.clone() };
    match whither {
        Whither::GoesDown => Plan::nothing().commit(&after).tell(events),
        Whither::Reboots if is_budget_spent(ledger, policy) => {
            safe_mode(after, SafeModeReason::BudgetSpent, events)
        }
        Whither::Reboots => {
            let after = Ledger { automatic_reboots: ledger.automatic_reboots + 1, ..after };
            let plan = Plan::nothing().commit(&after).tell(events);
            reboot(plan, &after, RebootCause::LandAgain, &toplevel)
        }
    }
}

/// The next rung, or safe mode on this one.
fn go_on(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    landing: Landing,
    mut events: Vec<Event>,
    whither: Whither,
) -> Plan {
    let (next, failed, from) =
        (next_rung(ledger, seen, policy, &landing), landing.toplevel.clone(), landing.from.clone());
    let reboots = whither == Whither::Reboots;
    let mut after = Ledger { landing: None, owed_default: None, ..ledger.clone() };
    after.fail_landing(landing);
    let Some(to) = next else {
        return safe_mode(after, SafeModeReason::LadderEnded, events);
    };
    after.landing = Some(Landing::new(&from, &to));
    after.rollback = Some(Rollback { from, to: to.clone(), unknown: Kept::new() });
    if reboots && is_budget_spent(ledger, policy) {
        let plan = safe_mode(after, SafeModeReason::BudgetSpent, events);
        return land(plan, seen, &failed, &to);
    }
    after.automatic_reboots += u32::from(reboots);
    events.push(Event::RollbackBegan { from: failed.clone(), to: to.clone() });
    let plan = land(Plan::nothing().commit(&after).tell(events), seen, &failed, &to);
    if reboots { reboot(plan, &after, RebootCause::RollBack, &to) } else { plan }
}

/// The suite causes no further reboot.
pub(super) fn safe_mode(ledger: Ledger, reason: SafeModeReason, mut events: Vec<Event>) -> Plan {
    let mode = SafeMode { reason: reason.clone(), unknown: Kept::new() };
    events.push(Event::SafeMode { reason });
    Plan::nothing().commit(&Ledger { safe_mode: Some(mode), ..ledger }).tell(events)
}

/// Whether what runs is known not to work, at the end of the ladder or of the budget.
pub(super) fn must_stay_safe(ledger: &Ledger, seen: &Seen) -> bool {
    let is_broken = |booted: &Toplevel| ledger.is_failed_landing(booted) || ledger.is_quarantined(booted);
    ledger.safe_mode.is_some() && seen.booted.as_ref().is_some_and(is_broken)
}
