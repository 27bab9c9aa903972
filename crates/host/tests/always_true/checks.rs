//! What must be true of every step.

use std::path::Path;
use std::sync::Arc;

use golden_core::{Ledger, Named, Origin, Toplevel};
use golden_host::simulated::{Effect, Foreseen, Program, Snapshot, World};

use crate::Property;
use crate::asked;
use crate::explore::{Explorer, HISTORY, Up, golden, is_known_good};
use crate::ghost::{Counted, attempt_of, failures};
use crate::refusals::{self, has_waited, is_refused};
use crate::step::{After, Before};

/// Whatever happened, and wherever the power went.
pub fn always(explorer: &mut Explorer, before: &Before, program: &Program, after: &After) {
    golden_is_pinned_and_whole(explorer, before, program, after);
    if let Some(ledger) = after.ledger.as_deref() {
        confirmed_stays(explorer, before, program, ledger);
    } else if before.ledger.is_some() {
        explorer.violate(Property::LedgerStays, before.id, &format!("{} leaves no ledger", program.name()));
    }
    default_is_known_good(explorer, before, program, after);
    default_ran_last(explorer, before, program, after);
    rehearsals_change_no_default(explorer, before, program, after);
    live_is_not_armed(explorer, before, program, after);
    refusals::hold(explorer, before, program, after);
}

pub fn is_switch(program: &Program) -> bool {
    matches!(program, Program::Switch(_) | Program::SwitchLive(_) | Program::SwitchChecked(_))
}

/// Whether its installer runs for certain: who asks first may be told no.
fn installs(program: &Program) -> bool {
    matches!(program, Program::Switch(_) | Program::SwitchLive(_))
}

fn switched_to(program: &Program) -> Option<&Toplevel> {
    match program {
        Program::Switch(to) | Program::SwitchLive(to) | Program::SwitchChecked(to) => Some(to),
        _ => None,
    }
}

/// As long as a switch of the running system has to prove itself or is taken back, nothing of it is what boots next. An
/// installer that is cut off before its mark is another story.
fn live_is_not_armed(explorer: &mut Explorer, before: &Before, program: &Program, after: &After) {
    let Some(live) = after.ledger.as_deref().and_then(|ledger| ledger.live.as_ref()) else { return };
    if is_switch(program) && after.crashed {
        return;
    }
    let mut boots = |world: &World| {
        let foreseen = explorer.views.foresee(world);
        foreseen.once.as_ref() == Some(&live.to) || foreseen.default.as_ref() == Some(&live.to)
    };
    let was_live = before.ledger.as_deref().is_some_and(|ledger| ledger.live.is_some());
    // What an installer that was cut off has left is found by the next boot check.
    let held = installs(program) || !was_live || !boots(&before.state.world);
    if held && boots(&after.world) {
        let text = format!("{} has {} boot before it has proved itself", program.name(), live.to.short());
        explorer.violate(Property::LiveIsNotArmed, before.id, &text);
    }
}

fn golden_is_pinned_and_whole(explorer: &mut Explorer, before: &Before, program: &Program, after: &After) {
    let was = golden(&before.state.world, before.ledger.as_deref());
    let is = golden(&after.world, after.ledger.as_deref());
    let pins = matches!(program, Program::Pin { .. });
    let booted = before.state.up.as_ref().map(|up| &up.toplevel);
    if was != is && !(pins && is.as_ref() == booted) {
        explorer.violate(Property::Golden, before.id, &format!("{} moves golden to {is:?}", program.name()));
    }
    let untouched = Arc::ptr_eq(&before.state.world.esp, &after.world.esp) && was == is;
    if let Some(golden) = is.filter(|_| !untouched)
        && !explorer.views.bootable(&after.world).contains(&golden)
    {
        explorer.violate(
            Property::Golden,
            before.id,
            &format!("{} leaves a golden that cannot boot", program.name()),
        );
    }
}

/// Nobody takes back what somebody else wants to have started once, and nothing follows from its being gone afterwards.
pub fn goes_elsewhere(explorer: &mut Explorer, before: &Before, after: &After) {
    let was_sent = before.state.world.is_sent_elsewhere();
    let is_recorded =
        after.world.is_sent_elsewhere() && !after.ledger.as_deref().is_some_and(Ledger::waits_armed);
    if was_sent && !is_recorded {
        let text = "somebody sends the machine elsewhere, and it does not go there or that is not known";
        explorer.violate(Property::OthersMaySendIt, before.id, text);
    }
}

fn confirmed_stays(explorer: &mut Explorer, before: &Before, program: &Program, ledger: &Ledger) {
    let confirmed = before.ledger.iter().flat_map(|ledger| &ledger.confirmed).map(|one| &one.toplevel);
    let running = before.state.world.volatile.read_link(Path::new("/run/current-system"));
    let is_asked_for = |toplevel: &Toplevel| match program {
        Program::Quarantine(named) => *named == Named::Toplevel(toplevel.clone()),
        Program::RollBackNow | Program::FailLate { goes_back: true, .. } => {
            running == Some(Path::new(toplevel.as_str()))
        }
        _ => false,
    };
    let tried = ledger.trial.as_ref().map(|trial| &trial.toplevel);
    let left = ledger.rollback.as_ref().map(|rollback| &rollback.from);
    for toplevel in confirmed.filter(|toplevel| !is_asked_for(toplevel)) {
        let undone = ledger.is_quarantined(toplevel) || tried == Some(toplevel) || left == Some(toplevel);
        if undone || !ledger.is_confirmed(toplevel) {
            let text = format!("{} undoes the confirmation of {}", program.name(), toplevel.short());
            explorer.violate(Property::ConfirmedStays, before.id, &text);
        }
    }
}

/// While a trial runs that was marked, what boots by itself is known to be good: nothing that goes wrong with
/// the trial, and no crash, can keep the machine from coming back.
fn default_is_known_good(explorer: &mut Explorer, before: &Before, program: &Program, after: &After) {
    let has_one_shot = explorer.configuration.has_one_shot();
    let mut is_good = |world: &World, ledger: Option<&Ledger>| {
        explorer.views.foresee(world).default.is_some_and(|default| is_known_good(world, ledger, &default))
    };
    if !has_one_shot || is_switch(program) || !is_good(&before.state.world, before.ledger.as_deref()) {
        return;
    }
    // What a person leaves, or its late failure, was good a moment ago: its boot check goes on from there.
    let leaves = matches!(program, Program::RollBackNow | Program::FailLate { .. });
    let was_good = leaves && is_good(&after.world, before.ledger.as_deref());
    if !is_good(&after.world, after.ledger.as_deref()) && !was_good {
        let text = format!("{} makes an unknown system the default", program.name());
        explorer.violate(Property::DefaultIsKnownGood, before.id, &text);
    }
}

/// As long as a trial that was marked, or golden after it, has yet to prove itself, what boots by itself is what was confirmed
/// last: golden may be older, and die before its boot check. A switch that is cut off before its mark is its installer's, and whoever switches to
/// something that is known to be good gets it.
fn default_ran_last(explorer: &mut Explorer, before: &Before, program: &Program, after: &After) {
    let is_switch = is_switch(program);
    let is_asked_for = |toplevel: &Toplevel| is_known_good(&after.world, after.ledger.as_deref(), toplevel);
    // The loader lets go of what is put into quarantine before the ledger says so.
    let is_back = switched_to(program).is_some_and(is_asked_for) || matches!(program, Program::Quarantine(_));
    if !explorer.configuration.has_one_shot() || is_back || is_switch && after.crashed {
        return;
    }
    let holds = |explorer: &mut Explorer, world: &World, ledger: Option<&Ledger>| {
        let Some((ledger, trial)) = ledger.and_then(|ledger| Some((ledger, unproven(ledger)?))) else {
            return true;
        };
        let bootable = explorer.views.bootable(world);
        let usable = |rung: &&Toplevel| {
            bootable.contains(rung)
                && *rung != trial
                && !ledger.is_quarantined(rung)
                && !ledger.is_failed_landing(rung)
        };
        let last = ledger.confirmed.iter().rev().map(|one| &one.toplevel).find(usable);
        let default = explorer.views.foresee(world).default;
        // What runs, or failed as a landing, has shown that it gets as far as its boot check.
        let runs = before.state.up.as_ref().map(|up| &up.toplevel);
        let has_shown = default.as_ref().is_some_and(|it| ledger.is_failed_landing(it) || runs == Some(it));
        last.is_none_or(|last| has_shown || default.as_ref() == Some(last))
    };
    let (world, ledger) = (&before.state.world, before.ledger.as_deref());
    let default = explorer.views.foresee(world).default;
    let was_good = default.is_some_and(|default| is_known_good(world, ledger, &default));
    // What nobody marked stands on its landing.
    let was_marked = ledger.and_then(unproven).is_some();
    let installs = installs(program) && !before.state.world.lacks_boot_partition;
    let held = installs || was_good && was_marked && holds(explorer, world, ledger);
    if held && !holds(explorer, &after.world, after.ledger.as_deref()) {
        let text = format!("{} makes something the default that did not run last", program.name());
        explorer.violate(Property::DefaultIsKnownGood, before.id, &text);
    }
}

/// The trial that is under way or that failed, as long as nothing has proved itself since.
fn unproven(ledger: &Ledger) -> Option<&Toplevel> {
    let landing = ledger.landing.as_ref().filter(|landing| landing.attempts.is_empty());
    match &ledger.trial {
        Some(trial) => (trial.origin == Origin::Marked).then_some(&trial.toplevel),
        None => landing.map(|landing| &landing.from),
    }
}

/// What boots by itself is the same from the beginning of a rehearsal to its end. A switch in the middle is another story.
fn rehearsals_change_no_default(explorer: &mut Explorer, before: &Before, program: &Program, after: &After) {
    let has_one_shot = explorer.configuration.has_one_shot();
    let drilled = before.ledger.iter().chain(&after.ledger).find_map(|ledger| ledger.drill.as_ref());
    let Some(drill) = drilled.filter(|_| has_one_shot && !is_switch(program)) else {
        return;
    };
    let mut is_same = |world: &World| explorer.views.foresee(world).default.as_ref() == Some(&drill.default);
    if is_same(&before.state.world) && !is_same(&after.world) {
        let text = format!("{} changes the default", program.name());
        explorer.violate(Property::RehearsalsChangeNoDefault, before.id, &text);
    }
}

/// The trial is quarantined: after as many failed attempts as the owner allowed.
pub fn quarantined_in_time(
    explorer: &mut Explorer,
    before: &Before,
    after: &Ledger,
    ghost: Option<&Counted>,
) {
    let Some(counted) = ghost else { return };
    let newly = after.quarantine.iter().find(|one| {
        one.toplevel == counted.toplevel
            && !one.second_chance
            && before.ledger.as_deref().is_none_or(|ledger| !ledger.is_quarantined(&one.toplevel))
    });
    let Some(quarantined) = newly else { return };
    let (found, max) = (failures(&quarantined.attempts), explorer.configuration.max_failures);
    if found > counted.most {
        let text = format!("{} is quarantined for what it was not started for", counted.toplevel.short());
        explorer.violate(Property::NeverStartedNeverFails, before.id, &text);
    }
    if found < max || found < counted.least || found > counted.most {
        let text = format!(
            "{} is quarantined after {found} failures; really: {counted:?}",
            counted.toplevel.short()
        );
        explorer.violate(Property::EnoughFailures, before.id, &text);
    }
}

/// The ledger counts what really happened.
pub fn counted(explorer: &mut Explorer, before: &Before, after: &After, ghost: Option<&Counted>) {
    let trial = after.ledger.as_deref().and_then(|ledger| ledger.trial.as_ref());
    let (Some(counted), Some(trial)) = (ghost.filter(|counted| counted.unseen == 0), trial) else { return };
    let found = trial.attempts.failures();
    if trial.attempts.open().is_some() && found >= explorer.configuration.max_failures {
        explorer.violate(Property::EnoughFailures, before.id, "an attempt begins after the last one");
    }
    if found < counted.least || found > counted.most {
        let text = format!("the ledger has {found} failures; really: {counted:?}");
        explorer.violate(Property::CountsWhatHappened, before.id, &text);
    }
}

/// A quarantined system booted by itself, because a switch was cut off before its mark: that is put right.
pub fn repaired(explorer: &mut Explorer, before: &Before, up: &Up, after: &After) {
    let Some(ledger) = after.ledger.as_deref().filter(|_| !after.world.lacks_boot_partition) else { return };
    let golden = golden(&after.world, Some(ledger));
    let bad = ledger.is_quarantined(&up.toplevel) && golden.as_ref() != Some(&up.toplevel);
    let bootable = explorer.views.bootable(&after.world);
    let other = |other: &Toplevel| *other != up.toplevel && is_known_good(&after.world, Some(ledger), other);
    let landing = bootable.iter().any(other);
    if bad && landing && explorer.views.foresee(&after.world).default.as_ref() == Some(&up.toplevel) {
        let text = format!("{} is quarantined and stays the default", up.toplevel.short());
        explorer.violate(Property::QuarantinedIsNoDefault, before.id, &text);
    }
}

/// Without a trial, and without a rollback that is not done, a known system boots as if nobody were there.
pub fn nothing_to_do(explorer: &mut Explorer, before: &Before, up: &Up, snapshots: &[Snapshot]) {
    let Some(ledger) = before.ledger.as_deref() else { return };
    let known = is_known_good(&before.state.world, Some(ledger), &up.toplevel);
    let idle = ledger.trial.is_none()
        && ledger.drill.is_none()
        && ledger.live.is_none()
        && ledger.rollback.is_none()
        && ledger.landing.is_none();
    if known && idle && ledger.safe_mode.is_none() && !snapshots.is_empty() {
        let text = format!("{} boots, and {:?} is done", up.toplevel.short(), snapshots[0].effect);
        explorer.violate(Property::NothingToDo, before.id, &text);
    }
}

/// Each automatic reboot is in durable history before it happens, whatever a crash leaves of it; and so is one that a person asks
/// for with a rollback.
pub fn reboots(explorer: &mut Explorer, before: &Before, program: &Program, snapshots: &[Snapshot]) {
    let reasons = ["\"rebooting\"", "\"rollback-asked\""];
    for snapshot in snapshots.iter().filter(|snapshot| snapshot.effect == Effect::Reboot) {
        let told = |image: &World| {
            let bytes = image.var.read(Path::new(HISTORY)).map(|bytes| bytes.to_vec()).unwrap_or_default();
            String::from_utf8_lossy(&bytes)
                .lines()
                .any(|line| reasons.iter().any(|reason| line.contains(reason)) && line.ends_with('}'))
        };
        if !snapshot.world.after_crash().iter().all(told) {
            explorer.violate(Property::RebootsAreInHistory, before.id, "a reboot that history does not know");
        }
        let is_over = |ledger: &&Ledger| ledger.safe_mode.is_some() && ledger.trial.is_none();
        let by_person = *program == Program::RollBackNow;
        if !by_person && before.ledger.as_deref().as_ref().is_some_and(is_over) {
            explorer.violate(Property::SafeModeIsTheEnd, before.id, "a reboot after the end of the ladder");
        }
    }
}

/// What a program that ran to its end has achieved.
pub fn after(
    explorer: &mut Explorer,
    before: &Before,
    up: &Up,
    program: &Program,
    after: &After,
    content: bool,
) {
    match program {
        Program::Switch(toplevel) | Program::SwitchLive(toplevel) | Program::SwitchChecked(toplevel)
            if is_refused(explorer.configuration, before, toplevel)
                && !(content && has_waited(explorer.configuration, before, toplevel)) =>
        {
            refusals::refused(explorer, before, program, toplevel, after, content);
        }
        Program::Switch(toplevel) | Program::SwitchLive(toplevel) | Program::SwitchChecked(toplevel) => {
            switched(explorer, before, toplevel, after, content);
        }
        Program::Confirm => confirmed(explorer, before, up, after),
        Program::Pin { .. }
            if content && golden(&after.world, after.ledger.as_deref()).as_ref() != Some(&up.toplevel) =>
        {
            explorer.violate(Property::Golden, before.id, "a pin that pinned nothing");
        }
        Program::PutBack if !content => {
            explorer.violate(Property::Golden, before.id, "golden's profile or its entry does not come back");
        }
        Program::Quarantine(_) | Program::Release(_) => {
            refusals::asked(explorer, before, program, after, content);
        }
        _ => asked::after(explorer, before, up, program, after, content),
    }
}

fn switched(explorer: &mut Explorer, before: &Before, toplevel: &Toplevel, after: &After, content: bool) {
    let Some(ledger) = after.ledger.as_deref() else { return };
    let Foreseen { once, default, .. } = explorer.views.foresee(&after.world);
    let name = toplevel.short();
    if after.world.lacks_boot_partition {
        // Nothing can be written there, which whoever switches is told.
        let was = explorer.views.foresee(&before.state.world);
        if content || (once, default) != (was.once, was.default) {
            let text =
                format!("a switch to {name} without a boot partition is content or changes what boots");
            explorer.violate(Property::SwitchesWork, before.id, &text);
        }
    } else if is_known_good(&after.world, before.ledger.as_deref(), toplevel) {
        if default.as_ref() != Some(toplevel) || !content {
            explorer.violate(
                Property::SwitchesWork,
                before.id,
                &format!("{name} is known and not the default"),
            );
        }
    } else if let Some(trial) = ledger.trial.as_ref().filter(|trial| trial.toplevel == *toplevel) {
        let is_good = |default: &Toplevel| is_known_good(&after.world, Some(ledger), default);
        let good = default.as_ref().is_some_and(is_good);
        let exhausted = trial.attempts.failures() + 1 >= explorer.configuration.max_failures
            && trial.attempts.open().is_some()
            || trial.attempts.failures() >= explorer.configuration.max_failures;
        let waits = trial.attempts.open().is_some() && !explorer.configuration.has_one_shot();
        let proves = ledger.live.as_ref().is_some_and(|live| live.to == *toplevel);
        let exhausted = exhausted || waits || proves;
        let (good, armed) =
            if explorer.configuration.has_one_shot() { (good, once) } else { (true, default) };
        if !good || (armed.as_ref() != Some(toplevel) && !exhausted) {
            explorer.violate(Property::SwitchesWork, before.id, &format!("the trial of {name} is not armed"));
        }
    } else {
        explorer.violate(Property::SwitchesWork, before.id, &format!("{name} is no trial"));
    }
}

fn confirmed(explorer: &mut Explorer, before: &Before, up: &Up, after: &After) {
    let Some(was) = before.ledger.as_deref() else { return };
    let running = attempt_of(was, &up.boot).is_some_and(|attempt| attempt.end.is_none());
    let Some(ledger) = after.ledger.as_deref().filter(|_| running) else { return };
    let foreseen = explorer.views.foresee(&after.world);
    let done = ledger.is_confirmed(&up.toplevel) && ledger.trial.is_none();
    let is_default = foreseen.once.is_none() && foreseen.default.as_ref() == Some(&up.toplevel);
    let is_owed = after.world.lacks_boot_partition && ledger.owed_default.as_ref() == Some(&up.toplevel);
    if !done || !(is_default || is_owed) {
        let text = format!("{} is healthy and not confirmed: {foreseen:?}", up.toplevel.short());
        explorer.violate(Property::ConfirmedStays, before.id, &text);
    }
}
