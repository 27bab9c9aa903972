//! A switch has made a toplevel the default.

use super::quarantine::put_back;
use super::{First, commit_and_arm, drill, is_known_good, landing, stand_in, stand_in_of, with_trial};
use crate::quarantine::{Verdict, verdict};
use crate::{
    Baseline, Event, Kept, Ledger, Live, LivePhase, Plan, Policy, Refusal, Seen, Step, Toplevel, Trial,
};

pub(super) fn mark(ledger: &Ledger, seen: &Seen, policy: &Policy, toplevel: &Toplevel) -> Plan {
    let is_another_try = match verdict(ledger, seen, policy, toplevel) {
        Verdict::Refused(refusal) => return refuse(ledger, seen, policy, toplevel, refusal),
        Verdict::SecondChance => true,
        Verdict::Free => false,
    };
    if is_known_good(ledger, seen, toplevel) {
        return end_trial(ledger, seen, toplevel, Vec::new());
    }
    let Some(landing) = landing(ledger, seen, policy, toplevel) else {
        return unprotected(ledger, seen, policy, toplevel);
    };
    match &ledger.trial {
        Some(trial) if trial.toplevel == *toplevel => mark_again(ledger, seen, policy, trial),
        other => {
            let mut events: Vec<Event> = other.iter().map(superseded).chain(ended(ledger)).collect();
            events.extend(is_another_try.then(|| Event::SecondChance { toplevel: toplevel.clone() }));
            events.push(Event::Marked { toplevel: toplevel.clone(), landing });
            let baseline = baseline(ledger, seen);
            let mut ledger = without_earlier_switch(ledger, seen);
            if is_another_try {
                ledger = ledger.with_second_chance(toplevel);
            }
            ledger.trial = Some(begin_trial(&mut ledger, seen, toplevel, baseline));
            let arm = !proves(&ledger, seen, toplevel);
            let plan = commit_and_arm(First::Default, &ledger, seen, policy, arm, events);
            keep_default(&ledger, seen, policy, plan)
        }
    }
}

fn begin_trial(ledger: &mut Ledger, seen: &Seen, toplevel: &Toplevel, baseline: Option<Baseline>) -> Trial {
    let revision = seen.source_of(toplevel).cloned();
    Trial { baseline, revision, ..ledger.begin_trial(toplevel) }
}

/// What is wrong before anything of the switch runs. On top of what has yet to prove itself that is what was wrong before that:
/// a network that it has cut would excuse every successor that cuts it too.
fn baseline(ledger: &Ledger, seen: &Seen) -> Option<Baseline> {
    let is_live = ledger.live.as_ref().is_some_and(|live| live.boot == seen.boot);
    let is_tried = ledger.trial.as_ref().is_some_and(|trial| trial.attempts.is_open_in(&seen.boot));
    let of_unproven = (is_live || is_tried).then(|| ledger.baseline_of(&seen.boot).cloned());
    of_unproven.unwrap_or_else(|| seen.baseline.clone())
}

/// The running system changes too. What is tried is armed only once that went well: until then, whatever takes the machine down
/// brings back what was confirmed last.
pub(super) fn mark_live(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    from: &Toplevel,
    to: &Toplevel,
) -> Plan {
    // What has yet to prove itself is no place to go back to, and neither is what is being left and switched to once more.
    let here = ledger.live.as_ref().filter(|live| live.boot == seen.boot);
    let unproven = here.filter(|live| live.to != *to || live.phase == LivePhase::GoingBack);
    let from = unproven.map_or(from, |live| &live.from);
    let verdict = verdict(ledger, seen, policy, to);
    let is_tried = !matches!(verdict, Verdict::Refused(_))
        && !is_known_good(ledger, seen, to)
        && landing(ledger, seen, policy, to).is_some();
    if !is_tried || from == to {
        return mark(ledger, seen, policy, to);
    }
    let other = |trial: &&Trial| trial.toplevel != *to;
    let mut replaced = match here {
        Some(live) if live.phase == LivePhase::Proving => live.replaced.clone(),
        // It has its place back already.
        _ => ledger.trial.as_ref().filter(other).cloned().map(Box::new),
    };
    // Its boot is not confirmed any more, and must not run into its deadline: it gets another one.
    if let Some(trial) = &mut replaced {
        trial.attempts.forget_open(&seen.boot);
    }
    let disarmed = disarm_trial(ledger, seen);
    let baseline = baseline(ledger, seen);
    let same = ledger.trial.clone().filter(|trial| trial.toplevel == *to);
    // It waited for its boot since it was marked, and what has gone wrong meanwhile is not its doing.
    let same = same.map(|trial| Trial { baseline: baseline.clone().or(trial.baseline.clone()), ..trial });
    let mut events: Vec<Event> = ended(ledger).into_iter().collect();
    let mut ledger = without_earlier_switch(ledger, seen);
    if verdict == Verdict::SecondChance {
        ledger = ledger.with_second_chance(to);
        events.push(Event::SecondChance { toplevel: to.clone() });
    }
    events.push(Event::LiveBegan { from: from.clone(), to: to.clone() });
    ledger.trial = Some(same.unwrap_or_else(|| begin_trial(&mut ledger, seen, to, baseline.clone())));
    ledger.live = Some(Live {
        from: from.clone(),
        to: to.clone(),
        boot: seen.boot.clone(),
        phase: LivePhase::Proving,
        confirmed: false,
        baseline,
        replaced,
        unknown: Kept::new(),
    });
    let plan = commit_and_arm(First::Default, &ledger, seen, policy, false, events);
    let plan = keep_default(&ledger, seen, policy, plan).then(Step::WatchLive);
    plan.steps.into_iter().fold(disarmed, Plan::then)
}

/// Nothing of an earlier switch boots in the middle of this one. What the loader is about to be told is in the ledger first, or
/// it would look as if it had booted.
fn disarm_trial(ledger: &Ledger, seen: &Seen) -> Plan {
    match ledger.trial.clone().filter(|trial| seen.is_armed(&trial.toplevel)) {
        Some(trial) => Plan::nothing().commit(&with_trial(ledger, &trial.disarmed())).then(Step::Disarm),
        None => Plan::nothing(),
    }
}

/// The default of a trial need not be held by a profile, and a collection of garbage in the trial's boot would take it away: it is
/// kept before the trial can boot.
fn keep_default(ledger: &Ledger, seen: &Seen, policy: &Policy, plan: Plan) -> Plan {
    let default = ledger.trial.as_ref().and_then(|trial| stand_in_of(ledger, seen, policy, trial));
    let keep = default.into_iter().fold(Plan::nothing(), |plan, default| plan.then(Step::Keep(default)));
    plan.steps.into_iter().fold(keep, Plan::then)
}

/// The default stays as the installer left it, and nothing is counted.
pub(super) fn unprotected(ledger: &Ledger, seen: &Seen, policy: &Policy, toplevel: &Toplevel) -> Plan {
    match verdict(ledger, seen, policy, toplevel) {
        Verdict::Free => {}
        Verdict::Refused(refusal) => return refuse(ledger, seen, policy, toplevel, refusal),
        // A second chance is a trial's.
        Verdict::SecondChance => {
            let refusal = Refusal::Quarantined(toplevel.clone());
            return refuse(ledger, seen, policy, toplevel, refusal);
        }
    }
    end_trial(ledger, seen, toplevel, vec![Event::Unprotected { toplevel: toplevel.clone() }])
}

/// The installer ran again for the trial (`boot`, then `switch`): the attempts stay, the loader is put right.
fn mark_again(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Trial) -> Plan {
    let runs = trial.attempts.is_open_in(&seen.boot);
    let another_follows = trial.attempts.failures() + u32::from(runs) < policy.max_failures.get();
    let is_safe = !runs || seen.loader.as_ref().is_some_and(|loader| loader.consumes_one_shot);
    let arm = another_follows && is_safe && !proves(ledger, seen, &trial.toplevel);
    keep_default(ledger, seen, policy, commit_and_arm(First::Default, ledger, seen, policy, arm, Vec::new()))
}

/// Property 4: a quarantined toplevel is never made the default by any deployer. What runs stays it, if that is
/// known to be good: also where it was deployed again itself, after a person had refused its source. What is tried already goes on
/// to be. The deployer has moved the system profile as well: a boot that is not refused must not find it there.
fn refuse(ledger: &Ledger, seen: &Seen, policy: &Policy, toplevel: &Toplevel, refusal: Refusal) -> Plan {
    let listed =
        |toplevel: &&Toplevel| seen.loader.as_ref().is_some_and(|loader| loader.listed.contains(toplevel));
    let runs = seen.booted.as_ref().filter(|booted| is_known_good(ledger, seen, booted)).filter(listed);
    let stays = runs.cloned().or_else(|| stand_in(ledger, seen, policy, toplevel));
    let is_tried = ledger.trial.as_ref().is_some_and(|trial| trial.toplevel == *toplevel);
    let back = put_back(ledger, seen, policy, toplevel, stays.as_ref());
    let plan = stays
        .filter(|stays| !seen.is_default(stays))
        .into_iter()
        .fold(Plan::refuse(refusal), |plan, stays| plan.then(Step::SetDefault(stays)));
    let plan = plan.then_if(!is_tried && seen.is_armed(toplevel), || Step::Disarm);
    // On a full disk nothing of it boots all the same.
    let counted = ledger.counting(seen, toplevel);
    let plan = counted.iter().fold(plan, Plan::commit).tell([Event::Refused { toplevel: toplevel.clone() }]);
    back.into_iter().fold(plan, |plan, to| plan.then(Step::PutProfileBack(to)))
}

/// The default is right as the installer left it. What an earlier switch began is over.
fn end_trial(ledger: &Ledger, seen: &Seen, toplevel: &Toplevel, mut events: Vec<Event>) -> Plan {
    let mut after = without_earlier_switch(ledger, seen);
    // Phase two of a rollback installs golden's loader and so marks golden: that is no later switch.
    if ledger.rollback.as_ref().is_some_and(|rollback| rollback.to == *toplevel) {
        after.rollback.clone_from(&ledger.rollback);
        after.landing.clone_from(&ledger.landing);
    }
    events.splice(0..0, ledger.trial.iter().map(superseded).chain(ended(ledger)));
    let drilled = ledger.drill.iter().flat_map(|drill| [&drill.trial].into_iter().chain(&drill.landing));
    let tried = ledger.trial.iter().chain(drilled).map(|trial| &trial.toplevel);
    let landing = ledger.landing.iter().map(|landing| &landing.toplevel);
    // One that is to boot this system once is taken back by the installer that made it the default.
    let is_armed = tried.chain(landing).any(|other| other != toplevel && seen.is_armed(other));
    let plan = if after == *ledger { Plan::nothing() } else { Plan::nothing().commit(&after) };
    plan.tell(events).then_if(is_armed, || Step::Disarm)
}

fn without_earlier_switch(ledger: &Ledger, seen: &Seen) -> Ledger {
    Ledger {
        live: still_live(ledger, seen),
        trial: None,
        rollback: None,
        landing: None,
        drill: None,
        rolled_back: None,
        owed_default: None,
        ..ledger.clone()
    }
}

/// What runs goes on to be judged, or goes. A profile that was still to be put back belongs to the later switch.
fn still_live(ledger: &Ledger, seen: &Seen) -> Option<Live> {
    let live = ledger.live.clone().filter(|live| live.boot == seen.boot)?;
    Some(Live { replaced: None, ..live })
}

/// Whether this system runs and has yet to show that it works: its boot is armed after that.
fn proves(ledger: &Ledger, seen: &Seen, toplevel: &Toplevel) -> bool {
    ledger.live.as_ref().is_some_and(|live| live.to == *toplevel && live.boot == seen.boot)
}

/// A switch in the middle of a rehearsal ends it, and nobody can say whether it would have passed.
fn ended(ledger: &Ledger) -> Option<Event> {
    ledger.drill.as_ref().map(|it| drill::ended(it, false))
}

fn superseded(trial: &Trial) -> Event {
    Event::Superseded { toplevel: trial.toplevel.clone() }
}
