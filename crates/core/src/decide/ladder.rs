//! Where a rollback comes back to, and what follows if that does not work either.

use super::boot::{land, watch};
use super::{is_budget_spent, is_known_good, landing, reboot, rollback, stand_in, was_consumed};
use crate::{
    Arming, Cause, End, Event, Evidence, Kept, Landing, Ledger, Plan, Policy, RebootCause, Rollback,
    RollbackTarget, SafeMode, SafeModeReason, Seen, Step, Toplevel,
};

/// Golden, what was confirmed last, and what was golden before; those of them that can be booted and are not `trial`.
/// Safe mode comes after the last one.
pub(super) fn rungs(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Toplevel) -> Vec<Toplevel> {
    let usable = |toplevel: &&Toplevel| is_usable(ledger, seen, trial, toplevel);
    let golden = seen.golden.iter().find(usable);
    let last = all_confirmed(ledger).find(usable);
    let other = all_confirmed(ledger).find(|toplevel| usable(toplevel) && Some(*toplevel) != golden);
    let first = match policy.rollback_target {
        RollbackTarget::Golden => [golden, other, None],
        RollbackTarget::LastConfirmed => [last, golden, other],
    };
    let mut rungs: Vec<Toplevel> = Vec::new();
    for rung in first.into_iter().flatten().chain(seen.older_goldens.iter().filter(usable)) {
        if !rungs.contains(rung) {
            rungs.push(rung.clone());
        }
    }
    rungs
}

fn is_usable(ledger: &Ledger, seen: &Seen, trial: &Toplevel, rung: &Toplevel) -> bool {
    seen.is_bootable(rung) && rung != trial && !ledger.is_quarantined(rung)
}

/// The newest first.
fn all_confirmed(ledger: &Ledger) -> impl Iterator<Item = &Toplevel> {
    ledger.confirmed.iter().rev().map(|confirmed| &confirmed.toplevel)
}

/// What was confirmed last, golden or not, and can be booted.
pub(super) fn last_confirmed(ledger: &Ledger, seen: &Seen, trial: &Toplevel) -> Option<Toplevel> {
    all_confirmed(ledger).find(|confirmed| is_usable(ledger, seen, trial, confirmed)).cloned()
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
    landing.arming = Arming::Idle;
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
        // It is the end where this one runs, and not where the machine was sent in vain.
        let here = seen.booted.as_ref().filter(|booted| after.is_failed_landing(booted)).cloned();
        after.rollback.iter_mut().zip(here).for_each(|(rollback, here)| rollback.to = here);
        let plan = safe_mode(after.clone(), SafeModeReason::LadderEnded, events);
        return leave_unknown_default(plan, &after, seen, policy, &from);
    };
    after.landing = Some(Landing::new(&from, &to));
    let called_off = ledger.rollback.as_ref().and_then(|rollback| rollback.called_off.clone());
    after.rollback = Some(Rollback { called_off, ..Rollback::new(&from, &to) });
    if seen.booted.as_ref() == Some(&to) {
        return rollback::arrive(after, seen, &failed, &to, events);
    }
    if reboots && is_budget_spent(ledger, policy) {
        let plan = safe_mode(after, SafeModeReason::BudgetSpent, events);
        return land(plan, seen, &failed, &to);
    }
    events.push(Event::RollbackBegan { from: failed.clone(), to: to.clone() });
    after.automatic_reboots += u32::from(reboots);
    let plan = send(&after, seen, policy, &failed, events);
    if reboots { reboot(plan, &after, RebootCause::RollBack, &to) } else { plan }
}

/// A switch that was cut off before its mark may have left anything as the default.
fn leave_unknown_default(plan: Plan, ledger: &Ledger, seen: &Seen, policy: &Policy, from: &Toplevel) -> Plan {
    let default = seen.loader.as_ref().and_then(|loader| loader.default.as_ref());
    let is_unknown = default.is_some_and(|default| !is_known_good(ledger, seen, default));
    let stays = landing(ledger, seen, policy, from).filter(|_| is_unknown);
    stays.into_iter().fold(plan, |plan, stays| plan.then(Step::SetDefault(stays)))
}

/// Have the landing booted. Where it is not what boots by itself until it has proved itself, it is booted once: if it dies
/// before its boot check, the loader goes on by itself.
pub(super) fn send(
    after: &Ledger,
    seen: &Seen,
    policy: &Policy,
    failed: &Toplevel,
    events: Vec<Event>,
) -> Plan {
    let Some(rollback) = &after.rollback else { return Plan::nothing() };
    let is_other = |default: &Toplevel| *default != rollback.to;
    let default = stand_in(after, seen, policy, &rollback.from).filter(is_other);
    let default = default.or_else(|| last_started(after, seen, rollback));
    let (Some(landing), Some(default)) = (&after.landing, default) else {
        let to = &rollback.to;
        // Boot files are checked before a system is armed, and so are those of a landing that is the default already.
        let is_unchecked = seen.is_default(to) && seen.is_bootable(to) && !seen.runs(to);
        let plan = Plan::nothing().commit(after).tell(events);
        return land(plan.then_if(is_unchecked, || Step::Check(to.clone())), seen, failed, to);
    };
    let armed_at = seen.loader.as_ref().and_then(|loader| loader.firmware_boots);
    let with = |arming| {
        let armed_by = seen.started_by();
        let landing = Landing { arming, armed_at, armed_by, ..landing.clone() };
        Ledger { landing: Some(landing), ..after.clone() }
    };
    Plan::nothing()
        .commit(&with(Arming::Intended))
        .tell(events)
        .then_if(!seen.is_default(&default), || Step::SetDefault(default))
        .then(Step::Arm(rollback.to.clone()))
        .commit(&with(Arming::Armed))
}

/// What this rollback came back to last and got as far as its boot check: if the next one does not, safe mode is reached there.
fn last_started(ledger: &Ledger, seen: &Seen, rollback: &Rollback) -> Option<Toplevel> {
    let has_one_shot = seen.loader.as_ref().is_some_and(|loader| loader.consumes_one_shot);
    let started = |landing: &&Landing| {
        has_one_shot
            && landing.from == rollback.from
            && landing.toplevel != rollback.to
            && landing.attempts.iter().any(|attempt| attempt.boot.is_some())
            && is_usable(ledger, seen, &rollback.from, &landing.toplevel)
    };
    ledger.failed_landings.iter().rev().find(started).map(|landing| landing.toplevel.clone())
}

/// Something else than the landing runs, and is left alone: the next boot goes there.
pub(super) fn stay_aimed(ledger: &Ledger, seen: &Seen, policy: &Policy, rollback: &Rollback) -> Plan {
    let Rollback { from, to, .. } = rollback;
    let armed = ledger.landing.as_ref().is_some_and(|landing| landing.arming == Arming::Armed);
    if seen.booted.as_ref() == Some(to) {
        land(Plan::nothing(), seen, from, to)
    } else if armed && seen.is_armed(to) {
        Plan::nothing()
    } else {
        send(ledger, seen, policy, from, Vec::new())
    }
}

/// Whether the landing was booted once and died before its boot check: what boots by itself runs.
pub(super) fn was_missed(seen: &Seen, landing: &Landing) -> bool {
    seen.booted.as_ref() != Some(&landing.toplevel) && seen.booted_by_default() && was_consumed(seen, landing)
}

/// It has failed, and something better runs already, or at least something that starts.
pub(super) fn miss(ledger: &Ledger, seen: &Seen, policy: &Policy, landing: &Landing) -> Plan {
    let mut landing = landing.clone();
    let (cause, toplevel) = (Cause::NeverReachedBootCheck, landing.toplevel.clone());
    landing.attempts.add_unseen(cause.clone(), &seen.evidence);
    let events = vec![Event::LandingFailed { toplevel: toplevel.clone(), boot: None, cause }];
    let again = ledger.rollback.is_some() && !is_budget_spent(ledger, policy);
    if again && !has_failed(ledger, seen, policy, &landing) {
        let from = landing.from.clone();
        let automatic_reboots = ledger.automatic_reboots + 1;
        let after = Ledger { landing: Some(landing), automatic_reboots, ..ledger.clone() };
        let plan = send(&after, seen, policy, &from, events);
        return reboot(plan, &after, RebootCause::LandAgain, &toplevel);
    }
    go_on(ledger, seen, policy, landing, events, Whither::Reboots)
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
