//! An owner's rehearsal: the running system is booted as if it were a trial, fails on purpose, and golden takes over.
//!
//! What is rehearsed is known to be good and stays so; nothing is quarantined, and no profile moves.

use super::boot::watch;
use super::ladder::Whither;
use super::{is_budget_spent, is_known_good, reboot, was_consumed};
use crate::{
    Arming, Cause, Drill, End, Event, Evidence, Injection, Kept, Ledger, Origin, Plan, Policy, RebootCause,
    Refusal, Seen, Step, Trial,
};

/// Arm the first attempt and reboot.
pub(super) fn begin(ledger: &Ledger, seen: &Seen, policy: &Policy, injection: Injection) -> Plan {
    let refuse = |why| Plan::refuse(Refusal::NoDrill(why));
    let Some(booted) = &seen.booted else { return Plan::refuse(Refusal::NothingBooted) };
    let Some(golden) = seen.golden.as_ref().filter(|golden| seen.is_bootable(golden)) else {
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
    if ledger.is_failed_landing(golden) {
        return refuse("golden did not work the last time that the machine came back to it");
    }
    let reboots = ledger.automatic_reboots.saturating_add(policy.max_failures.get());
    if reboots > policy.max_automatic_reboots {
        return refuse("the budget of automatic reboots does not allow as many as it takes");
    }
    if ledger.safe_mode.is_some() {
        return refuse("the machine is in safe mode");
    }
    if !ledger.is_confirmed(booted) || !is_known_good(ledger, seen, &default) {
        return refuse("what runs, or the loader's default, was never confirmed on this host");
    }
    let drill =
        Drill { injection, default, trial: Trial::new(booted.clone(), Origin::Marked), unknown: Kept::new() };
    let begun = Event::DrillBegan { injection, toplevel: booted.clone() };
    // What the default was is durable before it is another one: who else would put it back?
    let intended = Ledger { drill: Some(drill.clone()), ..ledger.clone() };
    let plan = Plan::nothing().commit(&intended).tell([begun]);
    let plan = plan.then_if(!seen.is_default(golden), || Step::SetDefault(golden.clone()));
    let plan = arm(plan, ledger, seen, &drill, Vec::new());
    let now = Ledger { drill: Some(drill), ..ledger.clone() };
    reboot(plan, &now, RebootCause::Drill, booted)
}

/// Intent, effect, result; as for a trial.
fn arm(plan: Plan, ledger: &Ledger, seen: &Seen, drill: &Drill, events: Vec<Event>) -> Plan {
    let armed_at = seen.loader.as_ref().and_then(|loader| loader.firmware_boots);
    let with = |arming| {
        let trial = Trial { arming, armed_at, ..drill.trial.clone() };
        Ledger { drill: Some(Drill { trial, ..drill.clone() }), ..ledger.clone() }
    };
    let plan = plan.commit(&with(Arming::Intended)).tell(events);
    plan.then(Step::Arm(drill.trial.toplevel.clone())).commit(&with(Arming::Armed))
}

fn disarm(ledger: &Ledger, seen: &Seen, drill: &Drill, events: Vec<Event>) -> Plan {
    let trial = Trial { arming: Arming::Idle, ..drill.trial.clone() };
    let after = Ledger { drill: Some(Drill { trial, ..drill.clone() }), ..ledger.clone() };
    Plan::nothing().commit(&after).tell(events).then_if(seen.is_armed(&drill.trial.toplevel), || Step::Disarm)
}

/// Early in a boot: another attempt, or the end.
pub(super) fn check(ledger: &Ledger, seen: &Seen, policy: &Policy, drill: &Drill) -> Plan {
    if drill.trial.attempts.is_open_in(&seen.boot) {
        return Plan::nothing().then(Step::Watch).then(Step::Inject(drill.injection));
    }
    let mut drill = drill.clone();
    if drill.trial.arming == Arming::Idle && drill.trial.attempts.is_empty() {
        // It was cut off before anything was armed.
        return end(ledger, seen, policy, drill);
    }
    let trial = &mut drill.trial;
    let was_open = trial.attempts.open().is_some();
    trial.attempts.close(End::Failed { cause: Cause::Vanished }, &seen.evidence);
    let runs = seen.booted.as_ref() == Some(&trial.toplevel);
    let unseen = !runs
        && seen.booted_by_default()
        && was_consumed(seen, trial.arming, trial.armed_at, &trial.toplevel);
    if unseen {
        trial.attempts.add_unseen(Cause::NeverReachedBootCheck, &seen.evidence);
    }
    if trial.has_failed(policy) || seen.loader.is_none() {
        return end(ledger, seen, policy, drill);
    }
    if !runs {
        // Golden has to arm it again, or a person has picked something else: then it is over.
        let died = was_open || unseen;
        return if died && !is_budget_spent(ledger, policy) {
            let after = Ledger { automatic_reboots: ledger.automatic_reboots + 1, ..ledger.clone() };
            let plan = arm(Plan::nothing(), &after, seen, &drill, Vec::new());
            reboot(plan, &after, RebootCause::Drill, &drill.trial.toplevel)
        } else {
            end(ledger, seen, policy, drill)
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
        return end(ledger, seen, policy, drill);
    }
    let after = Ledger { automatic_reboots: ledger.automatic_reboots + u32::from(reboots), ..ledger.clone() };
    let plan = if drill.trial.has_failed(policy) || seen.loader.is_none() {
        disarm(&after, seen, &drill, Vec::new())
    } else {
        arm(Plan::nothing(), &after, seen, &drill, Vec::new())
    };
    if reboots { reboot(plan, &after, RebootCause::Drill, &drill.trial.toplevel) } else { plan }
}

/// It is over: what was the default is it again, and history says how it went.
pub(super) fn end(ledger: &Ledger, seen: &Seen, policy: &Policy, drill: Drill) -> Plan {
    let Drill { injection, default, trial, .. } = drill;
    let passed = trial.has_failed(policy) && seen.booted.is_some() && seen.booted == seen.golden;
    let cause = |attempt: &crate::Attempt| match &attempt.end {
        Some(End::Failed { cause }) => Some(cause.clone()),
        _ => None,
    };
    let causes = trial.attempts.iter().filter_map(cause).collect();
    let ended = Event::DrillEnded { injection, toplevel: trial.toplevel.clone(), passed, causes };
    let owes = seen.loader.is_none() || seen.is_bootable(&default) && !seen.is_default(&default);
    let after = Ledger { drill: None, owed_default: owes.then(|| default.clone()), ..ledger.clone() };
    let plan = Plan::nothing().commit(&after).tell([ended]);
    let plan = plan.then_if(seen.is_armed(&trial.toplevel), || Step::Disarm);
    if owes && seen.loader.is_some() {
        plan.then(Step::SetDefault(default)).commit(&Ledger { owed_default: None, ..after })
    } else {
        plan
    }
}
