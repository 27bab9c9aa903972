//! The boot is healthy: what that means for the trial, and for golden.

use super::{drill, is_known_good};
use crate::{End, Event, Golden, Kept, Ledger, Plan, Refusal, Seen, Step, Toplevel};

pub(super) fn confirm(ledger: &Ledger, seen: &Seen) -> Plan {
    let Some(booted) = &seen.booted else { return Plan::nothing() };
    if let Some(drill) = ledger.drill.as_ref().filter(|it| it.is_open_in(&seen.boot)) {
        // If this is none of golden's boots, nothing failed that should have.
        let golden_is_up = drill.landing.as_ref().is_some_and(|it| it.attempts.is_open_in(&seen.boot));
        let plan = drill::end(ledger, seen, drill.clone(), golden_is_up);
        let after = plan.ledger().unwrap_or(ledger).clone();
        return healthy(&after, seen, booted).steps.into_iter().fold(plan, Plan::then);
    }
    match &ledger.trial {
        Some(trial) if trial.toplevel == *booted => {
            let this_boot = |attempt: &&crate::Attempt| attempt.boot.as_ref() == Some(&seen.boot);
            let last_of_this_boot = trial.attempts.last().filter(this_boot);
            match last_of_this_boot.and_then(|attempt| attempt.end.as_ref()) {
                // It was closed as failed while it ran; a late success does not take that back.
                Some(End::Failed { .. }) => Plan::nothing(),
                _ => pass(ledger, seen, booted),
            }
        }
        _ if ledger.is_quarantined(booted) => Plan::nothing(),
        _ => healthy(ledger, seen, booted),
    }
}

/// The trial passed. It is confirmed in the ledger first: a crash on the way to the loader leaves a debt, which the
/// next healthy boot pays, and not a failed attempt. Who pins by force vouches while another trial may wait; that one stays.
fn pass(ledger: &Ledger, seen: &Seen, booted: &Toplevel) -> Plan {
    let mut after = Ledger {
        trial: ledger.trial.clone().filter(|trial| trial.toplevel != *booted),
        rollback: None,
        rolled_back: None,
        landing: None,
        owed_default: Some(booted.clone()),
        ..ledger.clone()
    };
    after.confirm(booted);
    let ended = begin_anew(&mut after, booted);
    let event = Event::Confirmed { toplevel: booted.clone(), boot: seen.boot.clone() };
    let plan = Plan::nothing().commit(&after).tell([event]).tell(ended).then(Step::BeginProbation);
    pay(plan, &after, seen, booted)
}

/// The budget, and safe mode, which may be its end, last until nothing waits any more: a trial that dies again and again in
/// between healthy boots would have no end otherwise.
fn begin_anew(after: &mut Ledger, booted: &Toplevel) -> Option<Event> {
    if after.trial.is_some() {
        return None;
    }
    after.automatic_reboots = 0;
    after.safe_mode.take().map(|_| Event::SafeModeEnded { toplevel: booted.clone() })
}

/// Make the confirmed toplevel the persistent default, and only then. It is kept from then on: the next system may come without
/// a mark, and the system profile leaves this one then.
fn pay(plan: Plan, ledger: &Ledger, seen: &Seen, owed: &Toplevel) -> Plan {
    plan.then(Step::Keep(owed.clone()))
        .then_if(!seen.is_default(owed), || Step::SetDefault(owed.clone()))
        .then_if(seen.is_armed(owed), || Step::Disarm)
        .then(Step::Bless(owed.clone()))
        .commit(&Ledger { owed_default: None, ..ledger.clone() })
}

/// No trial of its own runs, and the system is up. On nearly every boot there is nothing to write. While a trial waits, or what
/// a rollback comes back to, what was confirmed last is what boots by itself, and stays it.
fn healthy(ledger: &Ledger, seen: &Seen, booted: &Toplevel) -> Plan {
    let mut after = ledger.clone();
    let landing_waits = ledger.landing.as_ref().is_some_and(|landing| landing.toplevel != *booted);
    let nothing_waits = ledger.trial.is_none() && !landing_waits;
    let adopted = nothing_waits && !ledger.is_confirmed(booted);
    if nothing_waits {
        after.confirm(booted);
        // It was released meanwhile, and works: nobody has to leave it any more.
        after.rollback.take_if(|rollback| rollback.from == *booted);
    }
    // A system that is tried again and comes up while another landing waits is not confirmed, and its boot is watched no more.
    after.failed_landings.iter_mut().for_each(|failed| failed.attempts.forget_open(&seen.boot));
    let ended = begin_anew(&mut after, booted);
    let plan = if after == *ledger { Plan::nothing() } else { Plan::nothing().commit(&after) };
    let is_last = |ledger: &Ledger| ledger.confirmed.last().is_some_and(|last| last.toplevel == *booted);
    let is_newly_last = is_last(&after) && !is_last(ledger);
    let plan = plan
        .then_if(is_newly_last && seen.is_default(booted), || Step::Keep(booted.clone()))
        .tell(adopted.then(|| Event::Adopted { toplevel: booted.clone() }))
        .tell(ended);
    let listed = |owed: &Toplevel| seen.loader.as_ref().is_none_or(|loader| loader.listed.contains(owed));
    match &ledger.owed_default {
        Some(owed) if !listed(owed) => plan.commit(&Ledger { owed_default: None, ..after }),
        Some(owed) if seen.loader.is_some() && is_known_good(ledger, seen, owed) => {
            pay(plan, &after, seen, owed)
        }
        _ => plan,
    }
}

/// Golden is never the result of anything but this.
pub(super) fn pin(ledger: &Ledger, seen: &Seen, force: bool) -> Plan {
    let Some(booted) = &seen.booted else { return Plan::refuse(Refusal::NothingBooted) };
    if ledger.is_quarantined(booted) {
        return Plan::refuse(Refusal::Quarantined(booted.clone()));
    }
    let confirmed = ledger.is_confirmed(booted);
    let trial_runs = ledger.trial.as_ref().is_some_and(|trial| trial.toplevel == *booted);
    if !force && (!confirmed || trial_runs) {
        return Plan::refuse(Refusal::NeverConfirmed(booted.clone()));
    }
    let mut after = ledger.clone();
    // Who forces vouches for it: it is confirmed by that, once it is known that it can be landed on.
    let confirm = if confirmed && !trial_runs { Plan::nothing() } else { pass(ledger, seen, booted) };
    let mut plan = Plan::nothing().then(Step::PinProfile(booted.clone()));
    plan.steps.extend(confirm.steps);
    if let Some(Step::Commit(last)) = plan.steps.last() {
        after.clone_from(last);
    }
    // Golden already: the profile is made sure of, and nothing has happened that history should know.
    let is_pinned = |golden: &Golden| golden.toplevel == *booted && seen.golden.as_ref() == Some(booted);
    let is_new = trial_runs || !confirmed || !ledger.golden.as_ref().is_some_and(is_pinned);
    let event = is_new.then(|| Event::Pinned { toplevel: booted.clone(), forced: force && !confirmed });
    if is_new {
        after.golden = Some(Golden { toplevel: booted.clone(), unknown: Kept::new() });
    }
    // A rollback that was to go elsewhere has its golden now, and that runs.
    let elsewhere = ledger.landing.as_ref().filter(|landing| landing.toplevel != *booted);
    after.landing.take_if(|landing| landing.toplevel != *booted);
    let turned = after.rollback.as_mut().filter(|rollback| rollback.to != *booted);
    let must_be_default = turned.is_some() && seen.loader.is_some() && !seen.is_default(booted);
    if let Some(rollback) = turned {
        rollback.to.clone_from(booted);
    }
    let plan = if after == *ledger { plan } else { plan.commit(&after) };
    plan.tell(event)
        .then_if(must_be_default, || Step::SetDefault(booted.clone()))
        .then_if(elsewhere.is_some_and(|landing| seen.is_armed(&landing.toplevel)), || Step::Disarm)
}
