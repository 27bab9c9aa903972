//! What is in quarantine stays there, and a switch to it changes nothing.

use golden_core::{Ledger, Named, Toplevel};
use golden_host::simulated::{Foreseen, Program, World, system_profile};

use crate::Property;
use crate::explore::{Configuration, Explorer, Habit, golden, is_known_good, revision_of};
use crate::step::{After, Before};

/// Whether a deployer is told no, unless its time for a second chance has passed.
pub fn is_refused(configuration: Configuration, before: &Before, toplevel: &Toplevel) -> bool {
    let ledger = before.ledger.as_deref();
    ledger.is_some_and(|ledger| is_held(configuration, &before.state.world, ledger, toplevel))
}

fn is_held(configuration: Configuration, world: &World, ledger: &Ledger, toplevel: &Toplevel) -> bool {
    golden(world, Some(ledger)).as_ref() != Some(toplevel)
        && (ledger.is_quarantined(toplevel) || is_held_by_revision(configuration, ledger, toplevel))
}

fn is_held_by_revision(configuration: Configuration, ledger: &Ledger, toplevel: &Toplevel) -> bool {
    let revision = revision_of(toplevel);
    configuration.has(Habit::QuarantineRevisions)
        && ledger.quarantined_revisions.iter().any(|entry| entry.revision == revision)
}

/// Whether its time for a second chance has passed, as the test counts it. If that was in an earlier boot and nobody looked, the
/// machine does not know.
pub fn has_waited(configuration: Configuration, before: &Before, toplevel: &Toplevel) -> bool {
    let Some(ledger) = before.ledger.as_deref() else { return false };
    let by_person = ledger.quarantined(toplevel).is_some_and(|entry| entry.by_person);
    let waited = before.state.memory.waited.contains(toplevel);
    waited && !by_person && !is_held_by_revision(configuration, ledger, toplevel)
}

/// Nothing leaves quarantine by itself, and nothing has what is in there boot.
pub fn hold(explorer: &mut Explorer, before: &Before, program: &Program, after: &After) {
    let (Some(was), Some(is)) = (before.ledger.as_deref(), after.ledger.as_deref()) else { return };
    for entry in &was.quarantine {
        let left = was.is_quarantined(&entry.toplevel) && !is.is_quarantined(&entry.toplevel);
        if left && !may_leave(explorer.configuration, before, program, &entry.toplevel) {
            let text = format!("{} takes {} out of quarantine", program.name(), entry.toplevel.short());
            explorer.violate(Property::QuarantineHolds, before.id, &text);
        }
    }
    for entry in &was.quarantined_revisions {
        let left = !is.quarantined_revisions.iter().any(|other| other.revision == entry.revision);
        let named = Named::Revision(entry.revision.clone());
        if left && *program != Program::Release(named) {
            let text = format!("{} takes {} out of quarantine", program.name(), entry.revision.as_str());
            explorer.violate(Property::QuarantineHolds, before.id, &text);
        }
    }
    is_not_armed(explorer, before, program, after);
}

fn may_leave(configuration: Configuration, before: &Before, program: &Program, toplevel: &Toplevel) -> bool {
    match program {
        Program::Release(Named::Toplevel(named)) => named == toplevel,
        Program::Release(Named::Revision(named)) => *named == revision_of(toplevel),
        Program::Switch(to) | Program::SwitchLive(to) | Program::SwitchChecked(to) => {
            to == toplevel && has_waited(configuration, before, toplevel)
        }
        _ => false,
    }
}

/// Nobody makes a trial of it, a one-shot, or the default. What was tried before its source was refused goes on to be, and
/// what is known to be good stays that; an installer that is cut off before its mark is another story.
fn is_not_armed(explorer: &mut Explorer, before: &Before, program: &Program, after: &After) {
    let (Some(was), Some(is)) = (before.ledger.as_deref(), after.ledger.as_deref()) else { return };
    if crate::checks::is_switch(program) && after.crashed {
        return;
    }
    let foreseen = |explorer: &mut Explorer, world: &World, ledger: &Ledger| {
        let Foreseen { once, default, .. } = explorer.views.foresee(world);
        [once, default, ledger.trial.as_ref().map(|trial| trial.toplevel.clone())]
    };
    for toplevel in explorer.configuration.toplevels() {
        let goes_on = !is.is_quarantined(&toplevel)
            && (was.trial.as_ref().is_some_and(|trial| trial.toplevel == toplevel)
                || was.live.as_ref().is_some_and(|live| live.to == toplevel)
                || is_known_good(&before.state.world, Some(was), &toplevel));
        if goes_on || !is_held(explorer.configuration, &after.world, is, &toplevel) {
            continue;
        }
        let then = foreseen(explorer, &before.state.world, was);
        let now = foreseen(explorer, &after.world, is);
        let boots = |(now, then): (&Option<Toplevel>, &Option<Toplevel>)| {
            now.as_ref() == Some(&toplevel) && then.as_ref() != Some(&toplevel)
        };
        if now.iter().zip(&then).any(boots) {
            let text = format!("{} has {} boot, which is quarantined", program.name(), toplevel.short());
            explorer.violate(Property::QuarantineHolds, before.id, &text);
        }
    }
}

/// A switch to what is refused: its deployer is told, and what boots and what the profile names is as it was.
pub fn refused(
    explorer: &mut Explorer,
    before: &Before,
    program: &Program,
    toplevel: &Toplevel,
    after: &After,
    content: bool,
) {
    let (Some(was), Some(is)) = (before.ledger.as_deref(), after.ledger.as_deref()) else { return };
    let name = toplevel.short();
    let is_long = before.state.up.as_ref().is_some_and(|up| up.long);
    if is_long && has_waited(explorer.configuration, before, toplevel) {
        explorer.violate(Property::ReleaseFrees, before.id, &format!("{name} has waited and is refused"));
    }
    if content || was.trial != is.trial {
        let text = format!("a switch to {name}, which is quarantined, is no refusal");
        explorer.violate(Property::QuarantinedIsNoDefault, before.id, &text);
    }
    if is_in_order(program, was, before, &explorer.views.foresee(&before.state.world)) {
        leaves_what_boots(explorer, before, toplevel, after);
    }
}

/// Whether somebody can tell what it was. Who does not ask before has its installer make it the default: then it is what runs, if
/// that is good, and after a rollback what was confirmed last.
fn is_in_order(program: &Program, was: &Ledger, before: &Before, then: &Foreseen) -> bool {
    let was_asked = matches!(program, Program::SwitchChecked(_));
    let runs = before.state.up.as_ref().map(|up| &up.toplevel);
    let is_good = |it: &Toplevel| is_known_good(&before.state.world, Some(was), it);
    let is_settled = was.rollback.is_none() && was.landing.is_none() && was.safe_mode.is_none();
    is_settled && (was_asked || runs.is_some_and(is_good) && then.default.as_ref() == runs)
}

fn leaves_what_boots(explorer: &mut Explorer, before: &Before, toplevel: &Toplevel, after: &After) {
    let Some(was) = before.ledger.as_deref() else { return };
    let name = toplevel.short();
    let then = explorer.views.foresee(&before.state.world);
    let now = explorer.views.foresee(&after.world);
    let is_good = |it: &Toplevel| it != toplevel && is_known_good(&before.state.world, Some(was), it);
    // What somebody else has spoilt before is put right, and does not come back.
    let was_good = then.default.as_ref().is_some_and(is_good);
    if was_good && now.default != then.default
        || now.once != then.once && then.once.as_ref() != Some(toplevel)
    {
        let text = format!("a refused switch to {name} changes what boots: {then:?} to {now:?}");
        explorer.violate(Property::RefusalsChangeNothing, before.id, &text);
    }
    if after.world.lacks_boot_partition {
        // The installer fails, and nobody puts back what the deployer set before.
        return;
    }
    let profile = |world: &World| world.current(&system_profile()).map(|(_, toplevel)| toplevel);
    let foreseen = then.default;
    let (then, now) = (profile(&before.state.world), profile(&after.world));
    // One that names neither what is tried nor what boots by itself is what a deployer has left that was cut off.
    let tried = was.trial.as_ref().map(|trial| &trial.toplevel);
    let is_whole = then.as_ref() == tried.or(foreseen.as_ref().filter(|default| is_good(default)));
    if then.as_ref() != Some(toplevel) && is_whole && now != then {
        let text = format!("a refused switch to {name} leaves the profile at {now:?}, from {then:?}");
        explorer.violate(Property::RefusalsChangeNothing, before.id, &text);
    }
}

/// What a person has released, or put there.
pub fn asked(explorer: &mut Explorer, before: &Before, program: &Program, after: &After, content: bool) {
    let Some(is) = after.ledger.as_deref() else { return };
    let holds = |named: &Named| match named {
        Named::Toplevel(toplevel) => is.is_quarantined(toplevel),
        Named::Revision(revision) => is.quarantined_revisions.iter().any(|it| it.revision == *revision),
    };
    let (named, wanted) = match program {
        Program::Quarantine(named) if content => (named, true),
        Program::Release(named) => (named, false),
        _ => return,
    };
    if holds(named) != wanted {
        explorer.violate(Property::ReleaseFrees, before.id, &format!("{program:?} does nothing"));
    }
    if let (Named::Toplevel(toplevel), true) = (named, wanted) {
        let Foreseen { once, default, .. } = explorer.views.foresee(&after.world);
        if [once, default].iter().flatten().any(|boots| boots == toplevel) {
            let text = format!("{} is put into quarantine and boots all the same", toplevel.short());
            explorer.violate(Property::QuarantineHolds, before.id, &text);
        }
    }
}
