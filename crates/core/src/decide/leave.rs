//! This boot is closed as failed, and still runs.
//!
//! Closing a boot and leaving it are one promise. The reboot was counted when the boot was closed, so leaving it counts none.

use super::ladder;
use super::rollback;
use super::{First, commit_and_arm, is_known_good, landing, reboot};
use crate::{
    Event, Kept, Landing, Ledger, OneShot, Plan, Policy, RebootCause, Rollback, SafeMode, SafeModeReason,
    Seen, Step, Toplevel, Trial,
};

/// By the next attempt, the landing, or the next rung of the ladder that can be booted; else as the loader stands.
pub(super) fn leave(ledger: &Ledger, seen: &Seen, policy: &Policy) -> Plan {
    if ledger.safe_mode.is_some() || seen.loader.is_none() {
        return as_it_is(ledger, seen);
    }
    let of_this_boot = |trial: &&Trial| {
        trial.attempts.last().is_some_and(|attempt| attempt.boot.as_ref() == Some(&seen.boot))
    };
    match (&ledger.rollback, ledger.trial.as_ref().filter(of_this_boot)) {
        (Some(rollback), _) => land(ledger, seen, policy, rollback),
        (None, Some(trial)) => retry(ledger, seen, policy, trial),
        (None, None) => as_it_is(ledger, seen),
    }
}

/// Nothing more can be told to the loader. The machine is rebooted if a system that is known to be good boots next; else it
/// goes to safe mode. Without the loader the machine is rebooted: the default was secured when the attempt began.
pub(super) fn as_it_is(ledger: &Ledger, seen: &Seen) -> Plan {
    if ledger.safe_mode.is_some() {
        return Plan::nothing().then(Step::EnterSafeMode);
    }
    let Some((cause, toplevel)) = next(ledger) else { return Plan::nothing() };
    let Some(loader) = &seen.loader else {
        return reboot(Plan::nothing(), ledger, cause, toplevel);
    };
    let armed = match &loader.one_shot {
        OneShot::Armed(armed) => Some(armed),
        OneShot::Clear | OneShot::Foreign => None,
    };
    let must_be_disarmed = armed.is_some_and(|armed| seen.damage_of(armed).is_some());
    let boots = armed.filter(|armed| *armed == toplevel && !must_be_disarmed).or(loader.default.as_ref());
    let works = |boots: &&Toplevel| {
        *boots == toplevel && armed == Some(*boots)
            || is_known_good(ledger, seen, boots)
                && seen.is_bootable(boots)
                && !ledger.is_quarantined(boots)
                && !ledger.is_failed_landing(boots)
    };
    if !boots.as_ref().is_some_and(works) {
        return enter_safe_mode(ledger.clone(), SafeModeReason::NoLanding);
    }
    reboot(Plan::nothing().then_if(must_be_disarmed, || Step::Disarm), ledger, cause, toplevel)
}

/// The reboot for which the boot was closed, and the system that it goes to.
fn next(ledger: &Ledger) -> Option<(RebootCause, &Toplevel)> {
    Some(match ledger {
        Ledger { rollback: Some(rollback), .. } => (RebootCause::RollBack, &rollback.to),
        Ledger { trial: Some(trial), .. } => (RebootCause::Retry, &trial.toplevel),
        Ledger { drill: Some(drill), .. } => (RebootCause::Drill, drill.next()),
        Ledger { landing: Some(landing), .. } => (RebootCause::LandAgain, &landing.toplevel),
        _ => return None,
    })
}

fn enter_safe_mode(ledger: Ledger, reason: SafeModeReason) -> Plan {
    ladder::safe_mode(ledger, reason, Vec::new()).then(Step::EnterSafeMode)
}

/// A trial whose next attempt cannot be started is not armed: the default boots, and its boot check decides.
fn retry(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Trial) -> Plan {
    let arm = !trial.has_failed(policy) && seen.is_bootable(&trial.toplevel);
    let plan = commit_and_arm(First::Ledger, ledger, seen, policy, arm, Vec::new());
    if arm {
        return reboot(plan, ledger, RebootCause::Retry, &trial.toplevel);
    }
    let after = plan.ledger().unwrap_or(ledger).clone();
    // As the loader stands after that.
    let mut then = seen.clone();
    if let Some(loader) = &mut then.loader {
        loader.one_shot = OneShot::Clear;
        let set = plan.steps.iter().find_map(|step| match step {
            Step::SetDefault(to) => Some(to.clone()),
            _ => None,
        });
        loader.default = set.or(loader.default.take());
    }
    as_it_is(&after, &then).steps.into_iter().fold(plan, Plan::then)
}

fn land(ledger: &Ledger, seen: &Seen, policy: &Policy, rollback: &Rollback) -> Plan {
    let to = &rollback.to;
    if rollback::is_no_landing(ledger, seen, rollback) {
        return land_elsewhere(ledger, seen, policy, rollback);
    }
    if !seen.runs(to) {
        let plan = ladder::stay_aimed(ledger, seen, policy, rollback);
        return reboot(plan, ledger, RebootCause::RollBack, to);
    }
    if seen.damage_of(to).is_some() {
        return enter_safe_mode(ledger.clone(), SafeModeReason::LadderEnded);
    }
    let plan = Plan::nothing().then_if(!seen.is_default(to), || Step::SetDefault(to.clone()));
    reboot(plan, ledger, RebootCause::LandAgain, to)
}

/// The landing cannot be booted: the next one is tried. If the next one is the running system, the ladder has ended.
fn land_elsewhere(ledger: &Ledger, seen: &Seen, policy: &Policy, rollback: &Rollback) -> Plan {
    let Rollback { from, to: lost, .. } = rollback;
    let Some(to) = landing(ledger, seen, policy, from) else {
        return enter_safe_mode(ledger.clone(), SafeModeReason::NoLanding);
    };
    let is_last = ledger.is_failed_landing(&to);
    let landing = (!is_last).then(|| Landing::new(from, &to));
    let rollback = Some(Rollback { to: to.clone(), ..rollback.clone() });
    let mut after = Ledger { rollback, landing, ..ledger.clone() };
    if seen.runs(&to) {
        return enter_safe_mode(after, SafeModeReason::LadderEnded);
    }
    let mut events = vec![Event::RollbackBegan { from: from.clone(), to: to.clone() }];
    if is_last {
        let reason = SafeModeReason::LadderEnded;
        after.safe_mode = Some(SafeMode { reason: reason.clone(), unknown: Kept::new() });
        events.push(Event::SafeMode { reason });
    }
    let plan = ladder::send(&after, seen, policy, from, events);
    let is_armed_in_vain = seen.is_armed(lost) && !plan.steps.contains(&Step::Arm(to.clone()));
    let plan = plan.then_if(is_armed_in_vain, || Step::Disarm);
    reboot(plan, &after, RebootCause::RollBack, &to)
}
