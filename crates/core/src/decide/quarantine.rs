//! What a person puts into quarantine or releases, and what a deployer is told before it switches.

use super::{is_known_good, landing, stand_in};
use crate::quarantine::{Named, Verdict, is_of, verdict};
use crate::{Event, Ledger, Origin, Plan, Policy, Refusal, Revision, Seen, Step, Toplevel, Trial};

/// Before a switch: may this system be deployed? The deployer has moved the system profile already.
pub(super) fn check(ledger: &Ledger, seen: &Seen, policy: &Policy, toplevel: &Toplevel) -> Plan {
    let Verdict::Refused(refusal) = verdict(ledger, seen, policy, toplevel) else { return Plan::nothing() };
    let default = seen.loader.as_ref().and_then(|loader| loader.default.clone());
    let back = put_back(ledger, seen, policy, toplevel, default.as_ref());
    let counted = ledger.counting(seen, toplevel);
    let plan = counted.iter().fold(Plan::refuse(refusal), Plan::commit);
    // Who only asks has changed nothing, and is no news.
    let told = back.as_ref().map(|_| Event::Refused { toplevel: toplevel.clone() });
    back.into_iter().fold(plan.tell(told), |plan, to| plan.then(Step::PutProfileBack(to)))
}

/// Where the system profile belongs if it names what was refused: the trial that is to be booted next, what boots by itself,
/// what runs, or what the machine would come back to; never what nobody knows to be good. Where that is what was refused, because
/// only its source is in quarantine, it is there already. One that names something else is somebody's.
pub(super) fn put_back(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    refused: &Toplevel,
    default: Option<&Toplevel>,
) -> Option<Toplevel> {
    let is_good =
        |toplevel: &&Toplevel| !ledger.is_quarantined(toplevel) && is_known_good(ledger, seen, toplevel);
    // The parent of a refused specialisation may be known to be good itself: it stays then.
    let is_good_parent = seen.profile.as_ref().is_some_and(|profile| profile != refused && is_good(&profile));
    if !seen.profile_was_moved_for(refused) || is_good_parent {
        return None;
    }
    let trial = ledger.trial.as_ref().map(|trial| &trial.toplevel);
    let known = trial.or(default.filter(is_good)).or(seen.booted.as_ref().filter(is_good)).cloned();
    let to = known.or_else(|| stand_in(ledger, seen, policy, refused));
    to.filter(|to| to != refused && seen.profile.as_ref() != Some(to))
}

/// A person says that something must not be deployed here.
pub(super) fn add(ledger: &Ledger, seen: &Seen, policy: &Policy, named: &Named) -> Plan {
    match named {
        Named::Toplevel(toplevel) => add_toplevel(ledger, seen, policy, toplevel),
        Named::Revision(revision) => add_revision(ledger, seen, policy, revision),
    }
}

fn add_toplevel(ledger: &Ledger, seen: &Seen, policy: &Policy, toplevel: &Toplevel) -> Plan {
    if let Some(why) = is_needed(ledger, seen, policy, toplevel) {
        return Plan::refuse(Refusal::NoQuarantine(why));
    }
    let known = ledger.quarantined(toplevel);
    if known.is_some_and(|entry| entry.by_person && !entry.second_chance) {
        return Plan::nothing();
    }
    let mut after = ledger.clone();
    let waiting = after.trial.take_if(|trial| trial.toplevel == *toplevel);
    let mut trial = waiting.clone().unwrap_or_else(|| Trial::new(toplevel.clone(), Origin::Marked));
    if let (None, Some(known)) = (&waiting, known) {
        trial.attempts.clone_from(&known.attempts);
    }
    let known = known.and_then(|known| known.revision.clone());
    trial.revision = trial.revision.or(known).or_else(|| seen.source_of(toplevel).cloned());
    after.quarantine(trial, true, None);
    // Nobody comes back to it either; once it is released it has to prove itself again.
    after.confirmed.retain(|confirmed| confirmed.toplevel != *toplevel);
    after.owed_default.take_if(|owed| owed == toplevel);
    let event = Event::QuarantineAdded { toplevel: Some(toplevel.clone()), revision: None };
    withdraw(ledger, &after, seen, policy, toplevel, event)
}

fn add_revision(ledger: &Ledger, seen: &Seen, policy: &Policy, revision: &Revision) -> Plan {
    if ledger.quarantined_revisions.iter().any(|entry| entry.revision == *revision) {
        return Plan::nothing();
    }
    let mut after = ledger.clone();
    after.quarantine_revision(revision);
    // What runs goes on: it is looked at as every trial is.
    let is_waiting = |trial: &mut Trial| {
        seen.booted.as_ref() != Some(&trial.toplevel) && is_of(ledger, seen, &trial.toplevel, revision)
    };
    let waiting = after.trial.take_if(is_waiting);
    let toplevel = waiting.as_ref().map(|trial| trial.toplevel.clone());
    let event = Event::QuarantineAdded { toplevel, revision: Some(revision.clone()) };
    match waiting {
        Some(trial) => withdraw(ledger, &after, seen, policy, &trial.toplevel, event),
        None => Plan::nothing().commit(&after).tell([event]),
    }
}

/// Nothing boots it by itself, or once, and the profile does not name it. In quarantine it comes after the loader has let go of
/// it: what is quarantined and booted once all the same would run without a verdict.
fn withdraw(
    ledger: &Ledger,
    after: &Ledger,
    seen: &Seen,
    policy: &Policy,
    toplevel: &Toplevel,
    event: Event,
) -> Plan {
    let good = |booted: &&Toplevel| is_known_good(after, seen, booted) && seen.is_bootable(booted);
    let runs = seen.booted.as_ref().filter(good).cloned();
    let stays = runs.or_else(|| landing(after, seen, policy, toplevel));
    let back = put_back(after, seen, policy, toplevel, stays.as_ref());
    let mut plan = Plan::nothing();
    if seen.is_armed(toplevel) {
        let disarmed = ledger.trial.clone().map(Trial::disarmed);
        plan = plan.commit(&Ledger { trial: disarmed, ..ledger.clone() }).then(Step::Disarm);
    }
    let plan = stays
        .filter(|_| seen.is_default(toplevel))
        .into_iter()
        .fold(plan, |plan, stays| plan.then(Step::SetDefault(stays)));
    let plan = plan.commit(after).tell([event]);
    back.into_iter().fold(plan, |plan, to| plan.then(Step::PutProfileBack(to)))
}

/// Why the machine cannot do without it.
fn is_needed(ledger: &Ledger, seen: &Seen, policy: &Policy, toplevel: &Toplevel) -> Option<&'static str> {
    let is_here = |other: Option<&Toplevel>| other == Some(toplevel);
    let to = ledger.rollback.as_ref().map(|rollback| &rollback.to);
    let landing = ledger.landing.as_ref().map(|landing| &landing.toplevel);
    let drilled = ledger.drill.as_ref().map(|drill| &drill.trial.toplevel);
    let live = ledger.live.as_ref();
    let default = ledger.drill.as_ref().map(|drill| &drill.default);
    let is_last = seen.loader.is_some()
        && ledger.is_confirmed(toplevel)
        && super::landing(ledger, seen, policy, toplevel).is_none();
    if is_here(seen.golden.as_ref()) {
        Some("it is golden, and the last resort of every rollback: pin another system first (pin-golden)")
    } else if is_here(seen.booted.as_ref()) {
        Some("it runs: `golden rollback` leaves it, and puts it into quarantine")
    } else if is_here(to) || is_here(landing) {
        Some("the machine is about to come back to it: wait until that is over")
    } else if is_here(live.map(|live| &live.from)) || is_here(live.map(|live| &live.to)) {
        Some("it takes part in a switch of the running system: wait until that is over")
    } else if is_here(drilled) || is_here(default) {
        Some("it takes part in a rehearsal: wait until that is over")
    } else if is_last {
        Some("nothing else is known to work here: pin or confirm another system first")
    } else {
        None
    }
}

/// A person says that something may be deployed again. The evidence against it goes with the entry; history keeps it.
pub(super) fn release(ledger: &Ledger, seen: &Seen, named: &Named) -> Plan {
    let is_meant = |entry: &Toplevel| match named {
        Named::Toplevel(toplevel) => toplevel == entry,
        Named::Revision(revision) => is_of(ledger, seen, entry, revision),
    };
    let is_named = |entry: &Revision| match named {
        Named::Toplevel(_) => false,
        Named::Revision(revision) => revision.names(entry) || entry.names(revision),
    };
    let toplevels = ledger.quarantine.iter().map(|entry| &entry.toplevel).filter(|entry| is_meant(entry));
    let revisions = ledger.quarantined_revisions.iter().map(|entry| &entry.revision);
    let toplevel = |of: &Toplevel| Event::QuarantineReleased { toplevel: Some(of.clone()), revision: None };
    let revision = |of: &Revision| Event::QuarantineReleased { toplevel: None, revision: Some(of.clone()) };
    let events: Vec<Event> =
        toplevels.map(toplevel).chain(revisions.filter(|entry| is_named(entry)).map(revision)).collect();
    if events.is_empty() {
        return Plan::nothing();
    }
    let mut after = ledger.clone();
    after.quarantine.retain(|entry| !is_meant(&entry.toplevel));
    after.quarantined_revisions.retain(|entry| !is_named(&entry.revision));
    Plan::nothing().commit(&after).tell(events)
}
