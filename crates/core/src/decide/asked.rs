//! A person wants to be back on what is known to be good, now.

use super::ladder::Whither;
use super::rollback::to_landing;
use super::{boot, landing};
use crate::{
    Cause, End, Event, Evidence, Ledger, Origin, Plan, Policy, Refusal, Seen, Step, Toplevel, Trial,
};

/// Leave `from`, which runs. It goes into quarantine, known to be good or not: a deployer that has it on its list would
/// bring it back within the minute. The reboot is the person's and counts against no budget.
pub(super) fn roll_back(ledger: &Ledger, seen: &Seen, policy: &Policy, from: &Toplevel) -> Plan {
    let refuse = |why| Plan::refuse(Refusal::NoRollback(why));
    if seen.golden.as_ref() == Some(from) {
        return refuse("golden runs already");
    }
    if ledger.drill.is_some() {
        return refuse("a rehearsal is under way");
    }
    if ledger.rollback.is_some() || ledger.landing.is_some() {
        return refuse("a rollback is under way already");
    }
    if ledger.live.is_some() {
        return refuse(
            "a switch of the running system is watched, and goes back by itself if it does not work",
        );
    }
    if seen.loader.is_none() {
        return refuse("the boot loader cannot be asked");
    }
    let works = |to: &Toplevel| !ledger.is_failed_landing(to);
    let Some(to) = landing(ledger, seen, policy, from).filter(works) else {
        return refuse("there is nothing to come back to that is known to work");
    };
    let mut after = Ledger { owed_default: None, rolled_back: None, ..ledger.clone() };
    after.confirmed.retain(|confirmed| confirmed.toplevel != *from);
    let mut events = Vec::new();
    let mut trial = match after.trial.take() {
        Some(trial) if trial.toplevel == *from => trial,
        other => {
            events.extend(other.map(|other| Event::Superseded { toplevel: other.toplevel }));
            Trial::new(from.clone(), Origin::Marked)
        }
    };
    events.push(Event::RollbackAsked { from: from.clone(), to: to.clone() });
    if trial.attempts.is_open_in(&seen.boot) {
        let cause = Cause::AskedByPerson;
        trial.attempts.close(End::Failed { cause: cause.clone() }, &Evidence::default());
        events.push(boot::failed(&trial, policy, Some(seen.boot.clone()), cause));
    }
    trial.revision = trial.revision.or_else(|| seen.source_of(from).cloned());
    after.quarantine(trial, true, None);
    // Another trial that waits is not what the next boot boots.
    let waiting = ledger.trial.clone().filter(|trial| trial.toplevel != *from);
    let called_off = waiting.as_ref().map(|trial| trial.toplevel.clone());
    let armed = waiting.filter(|trial| seen.is_armed(&trial.toplevel)).map(Trial::disarmed);
    let disarmed = armed.map(|trial| Ledger { trial: Some(trial), ..ledger.clone() });
    let disarm =
        |plan: Plan, disarmed| plan.then(Step::Check(to.clone())).commit(disarmed).then(Step::Disarm);
    let plan = disarmed.iter().fold(Plan::nothing(), disarm);
    let rolled_back = to_landing(after, seen, policy, from, events, Whither::GoesDown);
    let rolled_back = rolled_back.or_undone(seen, &to, disarmed.as_ref().unwrap_or(ledger));
    let plan = Plan { undo: rolled_back.undo, ..plan };
    let mut steps = rolled_back.steps;
    for step in &mut steps {
        if let Step::Commit(after) = step
            && let Some(rollback) = &mut after.rollback
        {
            rollback.called_off.clone_from(&called_off);
        }
    }
    steps.into_iter().fold(plan, Plan::then).then(Step::Reboot)
}
