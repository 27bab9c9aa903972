//! An owner's rehearsal: the running system is booted as if it were a trial, fails on purpose, and golden takes over.
//!
//! What is rehearsed is known to be good and stays so; nothing is quarantined, and no profile moves. The loader's default stays
//! what it is: golden is booted once and has to prove itself, so that one that does not even start is left by any reset.

use super::boot::watch;
use super::ladder::Whither;
use super::shutdown::end_of;
use super::{is_budget_spent, is_known_good, ladder, reboot, was_consumed};
use crate::{
    Arming, Attempt, Cause, Drill, End, Event, Evidence, Injection, Kept, Landing, Ledger, Origin, Plan,
    Policy, RebootCause, Refusal, SafeModeReason, Seen, ShutdownSeen, Step, Toplevel, Trial,
};

/// Arm the first attempt and reboot.
pub(super) fn begin(ledger: &Ledger, seen: &Seen, policy: &Policy, injection: Injection) -> Plan {
    let refuse = |why| Plan::refuse(Refusal::NoDrill(why));
    let Some(booted) = &seen.booted else { return Plan::refuse(Refusal::NothingBooted) };
    let Some(golden) = golden(seen) else {
        return refuse("no golden is pinned that can be booted");
    };
    let Some(default) = seen.loader.as_ref().and_then(|loader| loader.default.clone()) else {
        return refuse("the boot loader does not say what it boots by itself");
    };
    if ledger.trial.is_some()
        || ledger.rollback.is_some()
        || ledger.landing.is_some()
        || ledger.drill.is_some()
    {
        return refuse("a trial, a rollback or another rehearsal is under way");
    }
    if ledger.is_failed_landing(&golden) {
        return refuse("golden did not work the last time that the machine came back to it");
    }
    // One after each attempt, and one if golden fails.
    let reboots = ledger.automatic_reboots.saturating_add(policy.max_failures.get()).saturating_add(1);
    if reboots > policy.max_automatic_reboots {
        return refuse("the budget of automatic reboots does not allow as many as it takes");
    }
    if ledger.safe_mode.is_some() {
        return refuse("the machine is in safe mode");
    }
    if !ledger.is_confirmed(booted) || !is_known_good(ledger, seen, &default) {
        return refuse("what runs, or the loader's default, was never confirmed on this host");
    }
    let trial = Trial::new(booted.clone(), Origin::Marked);
    let drill = Drill { injection, default, trial, landing: None, unknown: Kept::new() };
    let begun = Event::DrillBegan { injection, toplevel: booted.clone() };
    let plan = arm(Plan::nothing(), ledger, seen, &drill, vec![begun]);
    let plan = reboot(plan, ledger, RebootCause::Drill, booted).or_undone(seen, booted, ledger);
    // It ends there.
    let check_golden = Plan::nothing().then(Step::Check(golden));
    Plan { undo: plan.undo, ..plan.steps.into_iter().fold(check_golden, Plan::then) }
}

fn golden(seen: &Seen) -> Option<Toplevel> {
    seen.golden.clone().filter(|golden| seen.is_bootable(golden))
}

/// Have its next boot booted once: intent, effect, result; as for a trial.
fn arm(plan: Plan, ledger: &Ledger, seen: &Seen, drill: &Drill, events: Vec<Event>) -> Plan {
    let armed_at = seen.loader.as_ref().and_then(|loader| loader.firmware_boots);
    let with = |arming| {
        let mut drill = drill.clone();
        let next = drill.landing.as_mut().unwrap_or(&mut drill.trial);
        (next.arming, next.armed_at, next.armed_by) = (arming, armed_at, seen.started_by());
        Ledger { drill: Some(drill), ..ledger.clone() }
    };
    let next = drill.landing.as_ref().unwrap_or(&drill.trial).toplevel.clone();
    let plan = secure(plan.commit(&with(Arming::Intended)).tell(events), ledger, seen, &drill.default);
    plan.then(Step::Arm(next)).commit(&with(Arming::Armed))
}

fn disarm(ledger: &Ledger, seen: &Seen, drill: &Drill, events: Vec<Event>) -> Plan {
    let mut drill = drill.clone();
    drill.landing.as_mut().unwrap_or(&mut drill.trial).arming = Arming::Idle;
    let is_armed = is_armed(seen, &drill);
    let after = Ledger { drill: Some(drill), ..ledger.clone() };
    Plan::nothing().commit(&after).tell(events).then_if(is_armed, || Step::Disarm)
}

/// Whether the loader is still to boot something of it once.
fn is_armed(seen: &Seen, drill: &Drill) -> bool {
    [&drill.trial].into_iter().chain(&drill.landing).any(|next| seen.is_armed(&next.toplevel))
}

/// The default is what it was: an older build makes golden the default for as long as it takes, and a switch that was cut off
/// leaves what it was to.
fn secure(plan: Plan, ledger: &Ledger, seen: &Seen, default: &Toplevel) -> Plan {
    plan.then_if(is_displaced(ledger, seen, default), || Step::SetDefault(default.clone()))
}

fn is_displaced(ledger: &Ledger, seen: &Seen, default: &Toplevel) -> bool {
    seen.is_bootable(default) && !seen.is_default(default) && !is_deployed(ledger, seen)
}

/// The loader's default is something that nobody knows: it was deployed in the middle of it, and nobody marked it.
fn is_deployed(ledger: &Ledger, seen: &Seen) -> bool {
    let Some(loader) = &seen.loader else { return false };
    let is_unknown = |default: &Toplevel| {
        loader.listed.contains(default)
            && !is_known_good(ledger, seen, default)
            && !ledger.is_quarantined(default)
    };
    loader.default.as_ref().is_some_and(is_unknown)
}

/// Early in a boot: another attempt, golden's turn, or the end.
pub(super) fn check(ledger: &Ledger, seen: &Seen, policy: &Policy, drill: &Drill) -> Plan {
    if drill.trial.attempts.is_open_in(&seen.boot) {
        return Plan::nothing().then(Step::Watch).then(Step::Inject(drill.injection));
    }
    let mut drill = drill.clone();
    if let Some(landing) = drill.landing.take() {
        return check_landing(ledger, seen, drill, landing);
    }
    let is_cut_off = drill.trial.arming != Arming::Armed && drill.trial.attempts.is_empty();
    if is_cut_off || is_deployed(ledger, seen) {
        // It was cut off before it was armed, and whoever began it may be gone.
        return end(ledger, seen, drill, false);
    }
    let trial = &mut drill.trial;
    let was_open = trial.attempts.open().is_some();
    trial.attempts.close(End::Failed { cause: Cause::Vanished }, &seen.evidence);
    let runs = seen.booted.as_ref() == Some(&trial.toplevel);
    let unseen = !runs && seen.booted_by_default() && was_consumed(seen, &*trial);
    if unseen {
        trial.attempts.add_unseen(Cause::NeverReachedBootCheck, &seen.evidence);
    }
    if trial.has_failed(policy) {
        return take_over(ledger, seen, policy, drill);
    }
    if seen.loader.is_none() {
        return end(ledger, seen, drill, false);
    }
    if !runs {
        // The default has to arm it again, or a person has picked something else: then it is over.
        let died = was_open || unseen;
        return if died && !is_budget_spent(ledger, policy) {
            let after = Ledger { automatic_reboots: ledger.automatic_reboots + 1, ..ledger.clone() };
            let plan = arm(Plan::nothing(), &after, seen, &drill, Vec::new());
            reboot(plan, &after, RebootCause::Drill, &drill.trial.toplevel)
        } else {
            end(ledger, seen, drill, false)
        };
    }
    begin_attempt(ledger, seen, policy, drill)
}

fn begin_attempt(ledger: &Ledger, seen: &Seen, policy: &Policy, mut drill: Drill) -> Plan {
    drill.trial.attempts.begin(&seen.boot);
    let attempt = u32::try_from(drill.trial.attempts.len()).unwrap_or(u32::MAX);
    let toplevel = drill.trial.toplevel.clone();
    let begun = vec![Event::AttemptBegan { toplevel, attempt, boot: seen.boot.clone() }];
    let another_follows = drill.trial.attempts.failures() + 1 < policy.max_failures.get();
    let is_safe = seen.loader.as_ref().is_some_and(|loader| loader.consumes_one_shot);
    let plan = if another_follows && is_safe {
        arm(Plan::nothing(), ledger, seen, &drill, begun)
    } else {
        disarm(ledger, seen, &drill, begun)
    };
    watch(plan.then(Step::Inject(drill.injection)))
}

/// The attempts have failed, as they should: now it is golden's turn.
fn take_over(ledger: &Ledger, seen: &Seen, policy: &Policy, mut drill: Drill) -> Plan {
    let Some(golden) = seen.golden.clone() else { return end(ledger, seen, drill, false) };
    let landing = Trial::new(golden.clone(), Origin::Marked);
    if seen.booted.as_ref() == Some(&golden) {
        return begin_landing(ledger, seen, drill, landing);
    }
    if !seen.is_bootable(&golden) || is_budget_spent(ledger, policy) {
        return end(ledger, seen, drill, false);
    }
    drill.landing = Some(landing);
    let after = Ledger { automatic_reboots: ledger.automatic_reboots + 1, ..ledger.clone() };
    let plan = arm(Plan::nothing(), &after, seen, &drill, Vec::new());
    reboot(plan, &after, RebootCause::Drill, &golden)
}

/// Golden was to be booted. If it was and is gone again, or something else runs, it is over.
fn check_landing(ledger: &Ledger, seen: &Seen, mut drill: Drill, mut landing: Trial) -> Plan {
    if landing.attempts.is_open_in(&seen.boot) {
        return Plan::nothing().then(Step::Watch);
    }
    landing.attempts.close(End::Failed { cause: Cause::Vanished }, &seen.evidence);
    let runs = seen.booted.as_ref() == Some(&landing.toplevel);
    if !runs && seen.booted_by_default() && was_consumed(seen, &landing) {
        landing.attempts.add_unseen(Cause::NeverReachedBootCheck, &seen.evidence);
    }
    if runs && landing.attempts.failures() == 0 {
        return begin_landing(ledger, seen, drill, landing);
    }
    drill.landing = Some(landing);
    end(ledger, seen, drill, false)
}

fn begin_landing(ledger: &Ledger, seen: &Seen, mut drill: Drill, mut landing: Trial) -> Plan {
    landing.attempts.begin(&seen.boot);
    drill.landing = Some(landing);
    let plan = watch(disarm(ledger, seen, &drill, Vec::new()));
    secure(plan, ledger, seen, &drill.default)
}

/// The attempt failed, as it should, and that is known before it ends.
pub(super) fn fail(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    drill: &Drill,
    cause: &Cause,
    whither: Whither,
) -> Plan {
    let mut drill = drill.clone();
    drill.trial.attempts.close(End::Failed { cause: cause.clone() }, &Evidence::default());
    let reboots = whither == Whither::Reboots;
    if reboots && is_budget_spent(ledger, policy) {
        return end(ledger, seen, drill, false);
    }
    let after = Ledger { automatic_reboots: ledger.automatic_reboots + u32::from(reboots), ..ledger.clone() };
    let has_failed = drill.trial.has_failed(policy);
    drill.landing = golden(seen).filter(|_| has_failed).map(|golden| Trial::new(golden, Origin::Marked));
    // What cannot be armed now is for the next boot check.
    let plan = if seen.loader.is_none() || has_failed && drill.landing.is_none() {
        disarm(&after, seen, &drill, Vec::new())
    } else {
        arm(Plan::nothing(), &after, seen, &drill, Vec::new())
    };
    if reboots { reboot(plan, &after, RebootCause::Drill, drill.next()) } else { plan }
}

/// Golden does not work. The boot check of what was the default, which is next, ends the rehearsal and tells it.
pub(super) fn fail_landing(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    drill: &Drill,
    cause: &Cause,
    whither: Whither,
) -> Plan {
    let mut drill = drill.clone();
    let failed = End::Failed { cause: cause.clone() };
    drill.landing.iter_mut().for_each(|it| it.attempts.close(failed.clone(), &Evidence::default()));
    let reboots = whither == Whither::Reboots;
    if reboots && is_budget_spent(ledger, policy) {
        let plan = end(ledger, seen, drill, false);
        let after = plan.ledger().unwrap_or(ledger).clone();
        let safe = ladder::safe_mode(after, SafeModeReason::BudgetSpent, Vec::new());
        return safe.steps.into_iter().fold(plan, Plan::then);
    }
    let after = Ledger { automatic_reboots: ledger.automatic_reboots + u32::from(reboots), ..ledger.clone() };
    let plan = disarm(&after, seen, &drill, Vec::new());
    if reboots { reboot(plan, &after, RebootCause::Drill, drill.next()) } else { plan }
}

/// Somebody who reboots during an attempt ends the rehearsal. Golden that is rebooted before it is confirmed is booted again.
pub(super) fn record(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    drill: &Drill,
    shutdown: &ShutdownSeen,
) -> Plan {
    let Some(landing) = drill.landing.as_ref().filter(|it| it.attempts.is_open_in(&seen.boot)) else {
        if shutdown.failed_units.is_empty() {
            return end(ledger, seen, drill.clone(), false);
        }
        let cause = Cause::UnitFailed { units: shutdown.failed_units.clone() };
        return fail(ledger, seen, policy, drill, &cause, Whither::GoesDown);
    };
    let end = end_of(&landing.attempts, policy, shutdown);
    if let End::Failed { cause } = &end {
        return fail_landing(ledger, seen, policy, drill, cause, Whither::GoesDown);
    }
    let mut landing = landing.clone();
    landing.attempts.close(end, &Evidence::default());
    let can_be_armed = seen.is_bootable(&landing.toplevel);
    let drill = Drill { landing: Some(landing), ..drill.clone() };
    if can_be_armed {
        arm(Plan::nothing(), ledger, seen, &drill, Vec::new())
    } else {
        disarm(ledger, seen, &drill, Vec::new())
    }
}

/// It is over: what was the default is it again, and history says how it went. `passed` if golden is confirmed.
pub(super) fn end(ledger: &Ledger, seen: &Seen, drill: Drill, passed: bool) -> Plan {
    let ended = ended(&drill, passed);
    let is_armed = is_armed(seen, &drill);
    let Drill { default, trial, landing, .. } = drill;
    let owes = seen.loader.is_none() || is_displaced(ledger, seen, &default);
    let mut after = Ledger { drill: None, owed_default: owes.then(|| default.clone()), ..ledger.clone() };
    let mut events = Vec::new();
    if let Some(landing) = landing
        && let Some((boot, cause)) = landing.attempts.iter().find_map(failure)
    {
        // Until it is confirmed again, a rollback goes elsewhere first.
        let (boot, toplevel) = (boot.cloned(), landing.toplevel.clone());
        events.push(Event::LandingFailed { toplevel, boot, cause: cause.clone() });
        let failed = Landing::new(&trial.toplevel, &landing.toplevel);
        after.fail_landing(Landing { attempts: landing.attempts, ..failed });
    }
    events.push(ended);
    let plan = Plan::nothing().commit(&after).tell(events).then_if(is_armed, || Step::Disarm);
    if owes && seen.loader.is_some() {
        plan.then(Step::SetDefault(default)).commit(&Ledger { owed_default: None, ..after })
    } else {
        plan
    }
}

/// How it went.
pub(super) fn ended(drill: &Drill, passed: bool) -> Event {
    Event::DrillEnded {
        injection: drill.injection,
        toplevel: drill.trial.toplevel.clone(),
        passed,
        causes: causes(&drill.trial).collect(),
        golden_failed: drill.landing.as_ref().and_then(|landing| causes(landing).next()),
    }
}

fn causes(trial: &Trial) -> impl Iterator<Item = Cause> {
    trial.attempts.iter().filter_map(failure).map(|(_, cause)| cause.clone())
}

fn failure(attempt: &Attempt) -> Option<(Option<&crate::BootId>, &Cause)> {
    match &attempt.end {
        Some(End::Failed { cause }) => Some((attempt.boot.as_ref(), cause)),
        _ => None,
    }
}
