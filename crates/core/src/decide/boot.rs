//! Early in a boot: close what the last boot left open, then say what this one is.

use super::ladder::Whither;
use super::{
    First, another_try, commit_and_arm, drill, is_budget_spent, is_known_good, is_settled, ladder, landing,
    live, not_started, reboot, rollback, starts_since, was_consumed, with_trial,
};
use crate::quarantine::is_refused;
use crate::{
    Arming, Attempt, Cause, End, Event, Evidence, Ledger, MAX_NOT_STARTED, NotStartedBecause, Origin, Plan,
    Policy, RebootCause, Seen, Step, Toplevel, Trial,
};

pub(super) fn check(ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
    let is_settled = is_settled(ledger, seen.booted.as_ref(), seen.golden.as_ref());
    if is_settled || was_ended_by_emergency(ledger, seen) {
        return Plan::nothing();
    }
    let plan = what_this_boot_is(ledger, seen, policy);
    let after = plan.ledger().unwrap_or(ledger).clone();
    let goes_on = plan.steps.last() != Some(&Step::Reboot);
    if goes_on && ladder::must_stay_safe(&after, seen) {
        another_try::or_safe_mode(plan, &after, seen, policy)
    } else {
        plan
    }
}

fn what_this_boot_is(ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
    if let Some(drill) = &ledger.drill {
        let plan = drill::check(ledger, seen, policy, drill);
        let is_over = |after: &&Ledger| after.drill.is_none();
        // Whatever runs then is looked at as on any other boot.
        return match plan.ledger().filter(is_over).cloned() {
            Some(after) => what_this_boot_is(&after, seen, policy).steps.into_iter().fold(plan, Plan::then),
            None => plan,
        };
    }
    if let Some(live) = ledger.live.as_ref().filter(|live| live.boot != seen.boot) {
        let plan = live::was_cut_off(ledger, seen, policy, live);
        // Whatever runs then is looked at as on any other boot.
        let rest = what_else_this_boot_is(plan.ledger().unwrap_or(ledger), seen, policy);
        return rest.steps.into_iter().fold(plan, Plan::then);
    }
    what_else_this_boot_is(ledger, seen, policy)
}

fn what_else_this_boot_is(ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
    if let Some(trial) = &ledger.trial {
        return check_trial(ledger, seen, policy, trial);
    }
    if let Some(landing) = ledger.landing.as_ref().filter(|landing| ladder::was_missed(seen, landing)) {
        return ladder::miss(ledger, seen, policy, landing);
    }
    let is_here = |toplevel: &Toplevel| seen.booted.as_ref() == Some(toplevel);
    // What is quarantined is no place to come back to, whoever wrote that.
    let is_landing = |toplevel: &Toplevel| is_here(toplevel) && !ledger.is_quarantined(toplevel);
    let landed = ledger.landing.as_ref().filter(|landing| is_landing(&landing.toplevel));
    match (landed, &ledger.rollback, &seen.booted) {
        (Some(landing), ..) => ladder::check(ledger, seen, policy, landing),
        (None, Some(rollback), _) => rollback::resume(ledger, seen, policy, rollback),
        (None, None, Some(booted)) if must_be_left(ledger, seen, booted) => {
            rollback::leave_quarantined(ledger, seen, policy, booted)
        }
        (None, None, _) => infer(ledger, seen, policy),
    }
}

/// Whether it failed, or a person refused its source before it could show that it works.
fn must_be_left(ledger: &Ledger, seen: &Seen, booted: &Toplevel) -> bool {
    let is_unknown = !is_known_good(ledger, seen, booted);
    ledger.is_quarantined(booted) || is_unknown && is_refused(ledger, seen, booted)
}

/// Emergency mode can be reached again and again in one boot, by a person who tries to repair it. That is one failed attempt,
/// and whoever stays is not rebooted.
fn was_ended_by_emergency(ledger: &Ledger, seen: &Seen) -> bool {
    let ended = |attempt: &Attempt| {
        attempt.boot.as_ref() == Some(&seen.boot)
            && matches!(attempt.end, Some(End::Failed { cause: Cause::Emergency { .. } }))
    };
    ledger.watched().filter_map(|attempts| attempts.last()).any(ended)
}

fn check_trial(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Trial) -> Plan {
    if trial.attempts.is_open_in(&seen.boot) {
        return watch(finish_arming(ledger, seen, policy, trial));
    }
    if let Some(plan) = later_switch(ledger, seen, policy, trial) {
        return plan;
    }
    let mut trial = trial.clone();
    let runs = seen.booted.as_ref() == Some(&trial.toplevel);
    let missed = if runs { None } else { not_started(seen, (&trial).into()) };
    let events = close_earlier(&mut trial, seen, policy);
    match (trial.has_failed(policy), runs) {
        (true, _) => rollback::begin(ledger, seen, policy, trial, events, Whither::Reboots),
        (false, true) => begin_attempt(First::Ledger, ledger, seen, policy, trial, events),
        // Its own loader may list it: the list of another loader says nothing, and that loader is left alone.
        (false, false) if missed.is_some() && (is_gone(seen, &trial) || is_bypassed(seen)) => {
            let told = missed.and_then(|because| miss(&mut trial, because));
            let plan = Plan::nothing();
            let after = with_trial(ledger, &trial);
            let plan = if after == *ledger { plan } else { plan.commit(&after) };
            plan.tell(events).tell(told)
        }
        (false, false) if is_gone(seen, &trial) => give_up(ledger, trial, events),
        // It cannot be armed now, or has yet to prove itself in this boot. The next boot tries again.
        (false, false) if seen.damage_of(&trial.toplevel).is_some() || is_live(ledger, seen, &trial) => {
            Plan::nothing().commit(&with_trial(ledger, &trial)).tell(events)
        }
        (false, false) => {
            let told = missed.and_then(|because| miss(&mut trial, because));
            next_attempt(ledger, seen, policy, trial, events).tell(told)
        }
    }
}

/// The owner is told when it was not started twice in a row: once may have been a person in the menu.
fn miss(trial: &mut Trial, because: NotStartedBecause) -> Option<Event> {
    let times = trial.miss(because).filter(|times| *times == MAX_NOT_STARTED)?;
    Some(Event::NotStarted { toplevel: trial.toplevel.clone(), times, because })
}

/// Whether another loader started this boot than the one that is configured.
fn is_bypassed(seen: &Seen) -> bool {
    seen.loader.as_ref().is_some_and(|loader| loader.is_bypassed)
}

/// The default is neither the trial nor known to be good: something was deployed after the trial, and nobody marked
/// it. If it runs, it is tried instead. If not, it may be a system without us, which nothing would ever confirm: it stays
/// the default, and its own boot check says what it is.
fn later_switch(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Trial) -> Option<Plan> {
    let loader = seen.loader.as_ref()?;
    let is_later = |toplevel: &&Toplevel| {
        **toplevel != trial.toplevel
            && !is_known_good(ledger, seen, toplevel)
            && !is_refused(ledger, seen, toplevel)
            && loader.listed.contains(toplevel)
    };
    let later = loader.default.as_ref().filter(is_later)?;
    landing(ledger, seen, policy, later)?;
    let superseded = Event::Superseded { toplevel: trial.toplevel.clone() };
    if seen.booted.as_ref() == Some(later) {
        let events = vec![superseded, Event::Inferred { toplevel: later.clone() }];
        let later = inferred(later, seen);
        return Some(begin_attempt(First::Default, ledger, seen, policy, later, events));
    }
    let without = Ledger { trial: None, ..ledger.clone() };
    let plan = Plan::nothing().commit(&without).tell([superseded]);
    Some(plan.then_if(seen.is_armed(&trial.toplevel), || Step::Disarm))
}

fn inferred(toplevel: &Toplevel, seen: &Seen) -> Trial {
    let revision = seen.source_of(toplevel).cloned();
    Trial { revision, ..Trial::new(toplevel.clone(), Origin::Inferred) }
}

/// Emergency mode looks at a boot once more, maybe in the middle of a switch of the running system.
fn is_live(ledger: &Ledger, seen: &Seen, trial: &Trial) -> bool {
    ledger.live.as_ref().is_some_and(|live| live.boot == seen.boot && live.to == trial.toplevel)
}

/// Whether the trial can never be booted again: it was collected, or lost its entry.
fn is_gone(seen: &Seen, trial: &Trial) -> bool {
    seen.loader.as_ref().is_some_and(|loader| !loader.listed.contains(&trial.toplevel))
}

fn give_up(ledger: &Ledger, trial: Trial, mut events: Vec<Event>) -> Plan {
    events.push(Event::Gone { toplevel: trial.toplevel });
    Plan::nothing().commit(&Ledger { trial: None, ..ledger.clone() }).tell(events)
}

/// The same boot again: only an arming that was cut off is left to do.
fn finish_arming(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Trial) -> Plan {
    match trial.arming {
        Arming::Intended => commit_and_arm(First::Ledger, ledger, seen, policy, true, Vec::new()),
        Arming::Idle | Arming::Armed => Plan::nothing(),
    }
}

/// End the attempt that an earlier boot left open, and count one that nobody saw begin: armed, consumed by the
/// loader, and yet the loader's default runs.
fn close_earlier(trial: &mut Trial, seen: &Seen, policy: &Policy) -> Vec<Event> {
    let mut events = Vec::new();
    if let Some(boot) = trial.attempts.open().map(|attempt| attempt.boot.clone()) {
        trial.attempts.close(End::Failed { cause: Cause::Vanished }, &seen.evidence);
        events.push(failed(trial, policy, boot, Cause::Vanished));
    }
    let elsewhere = seen.booted.as_ref() != Some(&trial.toplevel);
    if elsewhere && seen.booted_by_default() && was_consumed(seen, &*trial) {
        let (cause, evidence) = unseen(seen, &trial.toplevel);
        trial.attempts.add_unseen(cause.clone(), &evidence);
        events.push(failed(trial, policy, None, cause));
        trial.arming = Arming::Idle;
    }
    let damage = seen.damage_of(&trial.toplevel).filter(|damage| damage.is_lasting);
    if let (Some(damage), false) = (damage, trial.has_failed(policy)) {
        let cause = Cause::NotBootable { why: damage.why.clone() };
        trial.attempts.add_unseen(cause.clone(), &Evidence::default());
        events.push(failed(trial, policy, None, cause));
        trial.arming = Arming::Idle;
    }
    events
}

/// What became of an attempt that nobody saw begin. What the loader passed over leaves nothing behind.
fn unseen(seen: &Seen, toplevel: &Toplevel) -> (Cause, Evidence) {
    let passed_over = seen.loader.as_ref().is_some_and(|loader| loader.incomplete.contains(toplevel));
    if passed_over {
        let why = "its boot files were not whole on the boot partition".to_owned();
        (Cause::NotBootable { why }, Evidence::default())
    } else {
        (Cause::NeverReachedBootCheck, seen.evidence.clone())
    }
}

pub(super) fn failed(trial: &Trial, policy: &Policy, boot: Option<crate::BootId>, cause: Cause) -> Event {
    let toplevel = trial.toplevel.clone();
    let max_failures = policy.max_failures.get();
    Event::AttemptFailed { toplevel, failures: trial.attempts.failures(), max_failures, boot, cause }
}

/// The next attempt is armed now, while we can: if this one ends in a panic, nobody else will.
fn begin_attempt(
    first: First,
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    mut trial: Trial,
    mut events: Vec<Event>,
) -> Plan {
    if seen.is_armed(&trial.toplevel) && starts_since(seen, trial.armed_at).is_some_and(|starts| starts > 0) {
        events.push(Event::OneShotStayed { toplevel: trial.toplevel.clone() });
    }
    trial.attempts.begin(&seen.boot);
    trial.not_started = None;
    let attempt = u32::try_from(trial.attempts.len()).unwrap_or(u32::MAX);
    let toplevel = trial.toplevel.clone();
    events.push(Event::AttemptBegan { toplevel, attempt, boot: seen.boot.clone() });
    let another_follows = trial.attempts.failures() + 1 < policy.max_failures.get();
    let is_safe = seen.loader.as_ref().is_none_or(|loader| loader.consumes_one_shot);
    let ledger = with_trial(ledger, &trial);
    let plan = commit_and_arm(first, &ledger, seen, policy, another_follows && is_safe, events);
    watch(plan)
}

/// Before everything else: neither a disk that cannot be written nor a loader that cannot be armed takes the deadline away.
pub(super) fn watch(mut plan: Plan) -> Plan {
    plan.steps.insert(0, Step::Watch);
    plan
}

/// Something else than the trial runs. If the loader came here by itself because an attempt died, the trial gets
/// its next attempt at once; if a person chose this, the trial waits for the next boot.
fn next_attempt(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: Trial, events: Vec<Event>) -> Plan {
    let died = !events.is_empty() && seen.booted_by_default();
    let in_place = trial.arming == Arming::Armed && seen.is_armed(&trial.toplevel);
    // Without the loader nothing can be armed, and what was armed is evidence for the next boot check.
    if seen.loader.is_none() || events.is_empty() && in_place {
        let after = with_trial(ledger, &trial);
        return if after == *ledger { Plan::nothing() } else { Plan::nothing().commit(&after).tell(events) };
    }
    if died && !is_budget_spent(ledger, policy) {
        let toplevel = trial.toplevel.clone();
        let automatic_reboots = ledger.automatic_reboots + 1;
        let ledger = Ledger { trial: Some(trial), automatic_reboots, ..ledger.clone() };
        let plan = commit_and_arm(First::Ledger, &ledger, seen, policy, true, events);
        return reboot(plan, &ledger, RebootCause::Retry, &toplevel);
    }
    commit_and_arm(First::Ledger, &with_trial(ledger, &trial), seen, policy, true, events)
}

/// The loader's default runs and the ledger does not know it: a switch was not marked. If the default is unclear, this system may
/// be it. If nothing was ever confirmed, the ledger was lost: only golden and the system that stands in for it are known then, and
/// another system that runs although one of them is the default may have been a trial.
fn infer(ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
    let landing_of = |booted: &Toplevel| landing(ledger, seen, policy, booted);
    let is_unknown = |booted: &Toplevel| !is_known_good(ledger, seen, booted);
    let can_be_tried = |booted: &Toplevel| is_unknown(booted) && landing_of(booted).is_some();
    let Some(booted) = seen.booted.clone().filter(can_be_tried) else { return Plan::nothing() };
    let is_unmarked = if ledger.confirmed.is_empty() {
        !seen.booted_by_default() && seen.stands_in()
    } else {
        seen.booted_by_default() || seen.has_no_clear_default()
    };
    if !is_unmarked {
        return Plan::nothing();
    }
    let trial = inferred(&booted, seen);
    let ledger = Ledger { rolled_back: None, owed_default: None, ..ledger.clone() };
    begin_attempt(First::Default, &ledger, seen, policy, trial, vec![Event::Inferred { toplevel: booted }])
}

/// What a rollback leaves for the boot it lands on.
pub(super) fn land(plan: Plan, seen: &Seen, from: &Toplevel, to: &Toplevel) -> Plan {
    plan.then_if(seen.is_bootable(to) && !seen.is_default(to), || Step::SetDefault(to.clone()))
        .then_if(seen.is_armed(from), || Step::Disarm)
        .then_if(seen.booted.as_ref() == Some(to), || Step::RequestRollback)
}
