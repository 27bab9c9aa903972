//! A switch that changes the running system has to prove itself in its window.

use super::boot::failed;
use super::{First, commit_and_arm, is_budget_spent, is_known_good, landing, reboot, stand_in};
use crate::{
    Cause, Event, Evidence, Ledger, Live, LivePhase, Plan, Policy, RebootCause, RolledBack, SafeModeReason,
    Seen, Step, Toplevel, Waited,
};

/// What waits for its proof in this boot.
fn proving<'a>(ledger: &'a Ledger, seen: &Seen) -> Option<&'a Live> {
    ledger.live.as_ref().filter(|live| live.boot == seen.boot && live.phase == LivePhase::Proving)
}

/// It works: the next boot tries it.
pub(super) fn pass(ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
    let Some(live) = proving(ledger, seen) else { return Plan::nothing() };
    let passed = Event::LivePassed { toplevel: live.to.clone() };
    become_trial(ledger, seen, policy, live, passed)
}

/// A person, or a program, reboots into it before it is through, nobody can watch it, or it does not run: its boot proves more
/// than its window would have. What was switched away from is no news.
pub(super) fn leave(ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
    let Some(live) = proving(ledger, seen) else { return Plan::nothing() };
    if ledger.trial.as_ref().is_none_or(|trial| trial.toplevel != live.to) {
        return Plan::nothing().commit(&Ledger { live: None, ..ledger.clone() });
    }
    let left = Event::LiveLeft { toplevel: live.to.clone() };
    become_trial(ledger, seen, policy, live, left)
}

fn become_trial(ledger: &Ledger, seen: &Seen, policy: &Policy, live: &Live, event: Event) -> Plan {
    let after = Ledger { live: None, ..ledger.clone() };
    let superseded = |trial: &crate::Trial| Event::Superseded { toplevel: trial.toplevel.clone() };
    let events = vec![event].into_iter().chain(live.replaced.as_deref().map(superseded)).collect();
    match &after.trial {
        Some(trial) if trial.toplevel == live.to => {
            commit_and_arm(First::Ledger, &after, seen, policy, true, events)
        }
        _ => Plan::nothing().commit(&after).tell(events),
    }
}

/// A person has seen that it works.
pub(super) fn confirm(ledger: &Ledger, seen: &Seen) -> Plan {
    match proving(ledger, seen) {
        Some(live) if !live.confirmed => {
            let live = Live { confirmed: true, ..live.clone() };
            Plan::nothing().commit(&Ledger { live: Some(live), ..ledger.clone() })
        }
        _ => Plan::nothing(),
    }
}

/// It does not work: nothing of it is what boots next, and then what ran before is activated again.
pub(super) fn fail(ledger: &Ledger, seen: &Seen, policy: &Policy, cause: &Cause) -> Plan {
    // A person has said that it works, in the last moment: he was told that it stays.
    let is_proved = |live: &&Live| live.confirmed && matches!(cause, Cause::Unproven { .. });
    let live = proving(ledger, seen).filter(|live| !is_proved(live));
    let Some(live) = live else { return Plan::nothing() };
    let mut after = ledger.clone();
    let event = take_back(&mut after, seen, policy, live, cause, &Evidence::default());
    let default = stand_in(&after, seen, policy, &live.to).filter(|_| seen.is_default(&live.to));
    default
        .into_iter()
        .fold(Plan::nothing().commit(&after).tell([event]), |plan, default| {
            plan.then(Step::SetDefault(default))
        })
        .then_if(seen.is_armed(&live.to), || Step::Disarm)
}

/// Its trial is over. A failure that may be nobody's fault counts, and does not condemn.
fn take_back(
    after: &mut Ledger,
    seen: &Seen,
    policy: &Policy,
    live: &Live,
    cause: &Cause,
    evidence: &Evidence,
) -> Event {
    if let Some(mut trial) = after.trial.take_if(|trial| trial.toplevel == live.to) {
        trial.attempts.add_failed(&live.boot, cause.clone(), evidence);
        let is_verdict = matches!(cause, Cause::ChecksFailed { .. });
        if is_verdict || trial.has_failed(policy) {
            after.quarantine(trial, false, Waited::begin(seen, policy));
        } else {
            after.leave_undecided(trial);
        }
        after.trial = live.replaced.as_deref().cloned().map(crate::Trial::disarmed);
    }
    after.live = Some(Live { phase: LivePhase::GoingBack, replaced: None, ..live.clone() });
    Event::LiveFailed { from: live.to.clone(), to: live.from.clone(), cause: cause.clone() }
}

/// What needs no ledger and can be repeated. After a reboot, what was confirmed last runs already. A profile that names
/// something else by now belongs to a later deployment.
pub(super) fn effects(ledger: &Ledger, seen: &Seen, live: &Live) -> Plan {
    if live.phase == LivePhase::Proving {
        return Plan::nothing();
    }
    // What waits for its boot was what the profile named.
    let before = ledger.trial.as_ref().map_or(&live.from, |trial| &trial.toplevel);
    let is_known = |profile: &Toplevel| profile != &live.to && is_known_good(ledger, seen, profile);
    let is_moved = seen.profile_was_moved_for(&live.to) && !seen.profile.as_ref().is_some_and(is_known);
    // A profile that cannot be set, on a full disk, must not keep the network cut.
    Plan::nothing()
        .then_if(live.boot == seen.boot, || Step::Activate(live.from.clone()))
        .then_if(is_moved, || Step::SetProfile(before.clone()))
}

/// What ran before runs again; if it cannot be made to, a reboot brings back what boots by itself.
pub(super) fn done(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    live: &Live,
    running: Option<&Toplevel>,
) -> Plan {
    if live.phase == LivePhase::Proving {
        return Plan::nothing();
    }
    let was_rebooted = live.boot != seen.boot;
    // Somebody has switched to something else meanwhile: that runs.
    if !was_rebooted && running.is_some_and(|running| *running != live.from && *running != live.to) {
        return Plan::nothing().commit(&Ledger { live: None, ..ledger.clone() });
    }
    if !was_rebooted && running != Some(&live.from) {
        return give_up(ledger, seen, policy, live);
    }
    let to = if was_rebooted { seen.booted.clone().unwrap_or(live.from.clone()) } else { live.from.clone() };
    let rolled_back = RolledBack { from: live.to.clone(), to: to.clone(), unknown: crate::Kept::new() };
    let after = Ledger { live: None, rolled_back: Some(rolled_back), ..ledger.clone() };
    let events = vec![Event::WentBack { from: live.to.clone(), to }];
    // What the switch replaced waits for its boot again.
    let runs = after.trial.as_ref().is_some_and(|trial| trial.attempts.is_open_in(&seen.boot));
    if after.trial.is_some() && !runs {
        commit_and_arm(First::Ledger, &after, seen, policy, true, events)
    } else {
        Plan::nothing().commit(&after).tell(events)
    }
}

fn give_up(ledger: &Ledger, seen: &Seen, policy: &Policy, live: &Live) -> Plan {
    let to = seen.loader.as_ref().and_then(|loader| loader.default.clone());
    match to.or_else(|| landing(ledger, seen, policy, &live.to)) {
        Some(to) if is_known_good(ledger, seen, &to) && !is_budget_spent(ledger, policy) => {
            let after = Ledger { automatic_reboots: ledger.automatic_reboots + 1, ..ledger.clone() };
            reboot(Plan::nothing().commit(&after), &after, RebootCause::LiveSwitch, &to)
        }
        // A person finds what runs, and why.
        _ => super::ladder::safe_mode(ledger.clone(), SafeModeReason::BudgetSpent, Vec::new()),
    }
}

/// The machine went down in the middle, and nobody asked for that. What ran before is what boots by itself; the rest is
/// phase two's.
pub(super) fn was_cut_off(ledger: &Ledger, seen: &Seen, policy: &Policy, live: &Live) -> Plan {
    let trial = ledger.trial.as_ref().filter(|trial| trial.toplevel == live.to);
    let runs = seen.runs(&live.to);
    let mut after = Ledger { live: None, ..ledger.clone() };
    match (live.phase, trial) {
        // It was deployed once more, and is that switch's.
        (LivePhase::GoingBack, Some(_)) => return Plan::nothing().commit(&after),
        (_, None) if runs => return Plan::nothing().commit(&after),
        // Somebody picked it, or it was armed before: this boot tries it.
        (LivePhase::Proving, Some(trial)) if runs => {
            let mut trial = trial.clone();
            trial.attempts.add_failed(&live.boot, Cause::Vanished, &seen.evidence);
            let event = failed(&trial, policy, Some(live.boot.clone()), Cause::Vanished);
            after.trial = Some(trial);
            return Plan::nothing().commit(&after).tell([event]);
        }
        (LivePhase::GoingBack, None) => return Plan::nothing().then(Step::RequestRollback),
        (LivePhase::Proving, _) => {}
    }
    let event = take_back(&mut after, seen, policy, live, &Cause::Vanished, &seen.evidence);
    Plan::nothing().commit(&after).tell([event]).then(Step::RequestRollback)
}
