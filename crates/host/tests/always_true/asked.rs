//! What people ask for and what checks find, once the boot check is done.

use std::path::Path;

use golden_core::{BootId, Cause, End, Ledger, LivePhase, Named, Toplevel};
use golden_host::simulated::Program;

use crate::Property;
use crate::explore::{Explorer, Habit, State, Up, golden, is_known_good, revision_of};
use crate::key::{ASSESSMENT, PROBATION};
use crate::refusals::is_refused;
use crate::step::{After, Before, fails_early, is_open_attempt, is_watched, program, proving};

/// Everything of that which happens on this machine.
pub fn ask(explorer: &mut Explorer, before: &Before, up: &Up, good: bool) {
    let configuration = explorer.configuration;
    if configuration.has(Habit::SwitchLive) {
        live(explorer, before, up);
    }
    if configuration.has(Habit::RollBack) {
        program(explorer, before, up, &Program::RollBackNow);
    }
    if configuration.has(Habit::Quarantine) {
        quarantine(explorer, before, up);
    }
    if configuration.has(Habit::QuarantineRevisions) {
        quarantine_revisions(explorer, before, up);
    }
    if configuration.has(Habit::Wait) {
        wait(explorer, before, up);
    }
    if configuration.has(Habit::Assess) {
        assess(explorer, before, up, good);
    }
    if configuration.has(Habit::FailLate) && is_in_probation(before, up) {
        for goes_back in [false, true] {
            program(explorer, before, up, &Program::FailLate { checks: failed(), goes_back });
        }
    }
}

/// Somebody switches the running system, and it works or does not.
fn live(explorer: &mut Explorer, before: &Before, up: &Up) {
    for toplevel in explorer.configuration.deployed() {
        program(explorer, before, up, &Program::SwitchLive(toplevel));
    }
    match proving(before.ledger.as_deref(), up) {
        Some(LivePhase::Proving) => {
            let checks = Cause::ChecksFailed { checks: vec!["web".to_owned()] };
            let proof = Cause::Unproven { proof: "a person".to_owned() };
            let verdicts = [Program::PassLive, Program::FailLive(checks), Program::FailLive(proof)];
            for verdict in verdicts.into_iter().chain([Program::ConfirmLive]) {
                program(explorer, before, up, &verdict);
            }
        }
        Some(LivePhase::GoingBack) => program(explorer, before, up, &Program::GoBack),
        None => {}
    }
}

/// What the machine cannot do without is asked for as well. What is refused is deployed by whoever asks first, and by whoever
/// does not.
fn quarantine(explorer: &mut Explorer, before: &Before, up: &Up) {
    let Some(ledger) = before.ledger.as_deref() else { return };
    for toplevel in explorer.configuration.toplevels() {
        let entry = ledger.quarantined(&toplevel);
        if entry.is_none_or(|entry| !entry.by_person) {
            program(explorer, before, up, &Program::Quarantine(Named::Toplevel(toplevel.clone())));
        }
        if entry.is_some() {
            program(explorer, before, up, &Program::Release(Named::Toplevel(toplevel.clone())));
        }
        deploy_refused(explorer, before, up, &toplevel);
    }
}

fn quarantine_revisions(explorer: &mut Explorer, before: &Before, up: &Up) {
    let Some(ledger) = before.ledger.as_deref() else { return };
    // What is installed is golden: that is never refused.
    for toplevel in explorer.configuration.toplevels().into_iter().skip(1) {
        let revision = revision_of(&toplevel);
        let is_named = ledger.quarantined_revisions.iter().any(|entry| entry.revision == revision);
        let named = Named::Revision(revision);
        let asked = if is_named { Program::Release(named) } else { Program::Quarantine(named) };
        program(explorer, before, up, &asked);
        deploy_refused(explorer, before, up, &toplevel);
    }
}

fn deploy_refused(explorer: &mut Explorer, before: &Before, up: &Up, toplevel: &Toplevel) {
    if !is_refused(explorer.configuration, before, toplevel) {
        return;
    }
    program(explorer, before, up, &Program::SwitchChecked(toplevel.clone()));
    if !explorer.configuration.deployed().contains(toplevel) {
        program(explorer, before, up, &Program::Switch(toplevel.clone()));
    }
}

/// The machine is up for longer than anything waits.
fn wait(explorer: &mut Explorer, before: &Before, up: &Up) {
    let Some(ledger) = before.ledger.as_deref() else { return };
    let waits = ledger.quarantine.iter().any(|entry| entry.waited.is_some() && !entry.second_chance);
    if up.long || !waits {
        return;
    }
    let mut state = State { up: Some(Up { long: true, ..up.clone() }), ..before.state.clone() };
    let refused =
        ledger.quarantine.iter().map(|entry| &entry.toplevel).filter(|it| ledger.is_quarantined(it));
    state.memory.waited.extend(refused.cloned());
    explorer.reach(state, before.id, || format!("{} is up for long", up.toplevel.short()));
}

fn failed() -> Vec<String> {
    vec!["web".to_owned()]
}

/// The same required check fails, whatever runs.
fn assess(explorer: &mut Explorer, before: &Before, up: &Up, good: bool) {
    let ledger = before.ledger.as_deref();
    let found = Program::Assess(failed());
    if !is_watched(ledger, up) {
        if !before.state.world.volatile.exists(Path::new(ASSESSMENT)) {
            program(explorer, before, up, &found);
        }
    } else if is_excused(ledger, up) {
        program(explorer, before, up, &found);
    } else {
        fails_early(explorer, before, up, good, &found);
    }
}

/// Whether it failed before the switch too, or in the trial that the machine came back from.
fn is_excused(ledger: Option<&Ledger>, up: &Up) -> bool {
    let Some(ledger) = ledger else { return false };
    let failed_before = |ledger: &Ledger| {
        let baseline = ledger.trial.as_ref().and_then(|trial| trial.baseline.as_ref());
        baseline.is_some_and(|before| before.failed_checks == failed())
    };
    if is_open_attempt(Some(ledger), up) {
        return failed_before(ledger);
    }
    // Also where that is tried again while the next one is on its way.
    let mut landings = ledger.landing.iter().chain(&ledger.failed_landings);
    let is_landing = landings.any(|landing| landing.attempts.is_open_in(&up.boot));
    let landed = ledger.landing.as_ref().filter(|_| is_landing);
    let trial = landed.and_then(|landing| ledger.quarantined(&landing.from));
    trial.is_some_and(|trial| {
        let mut ends = trial.attempts.iter().filter_map(|attempt| attempt.end.as_ref());
        ends.any(|end| matches!(end, End::Failed { cause: Cause::ChecksFailed { .. } }))
    })
}

fn is_in_probation(before: &Before, up: &Up) -> bool {
    let volatile = &before.state.world.volatile;
    let link = |path: &str| volatile.read_link(Path::new(path));
    let runs_as_booted = link("/run/booted-system") == link("/run/current-system");
    volatile.exists(Path::new(PROBATION)) && runs_as_booted && !is_watched(before.ledger.as_deref(), up)
}

/// What came of it, where the power stayed on.
pub fn after(
    explorer: &mut Explorer,
    before: &Before,
    up: &Up,
    program: &Program,
    after: &After,
    content: bool,
) {
    match program {
        Program::RollBackNow if content => rolled_back(explorer, before, after),
        Program::RollBackNow => {
            changes_nothing(explorer, before, program, after, Property::AskedRollbacks);
        }
        Program::Assess(_) => changes_nothing(explorer, before, program, after, Property::ExcusedChecks),
        Program::FailLate { goes_back, .. } => {
            let is_golden =
                golden(&before.state.world, before.ledger.as_deref()).as_ref() == Some(&up.toplevel);
            if !goes_back || is_golden || !after.world.reboot_asked {
                changes_nothing(explorer, before, program, after, Property::LateFailures);
            } else if !is_left(after.ledger.as_deref(), &up.toplevel) {
                explorer.violate(Property::LateFailures, before.id, "a reboot that leaves nothing");
            }
        }
        _ => {}
    }
}

fn is_left(ledger: Option<&Ledger>, from: &Toplevel) -> bool {
    let left = |ledger: &Ledger| ledger.rollback.as_ref().is_some_and(|rollback| rollback.from == *from);
    ledger.is_some_and(|ledger| left(ledger) && ledger.is_quarantined(from) && !ledger.is_confirmed(from))
}

/// It is told, and that is all.
fn changes_nothing(
    explorer: &mut Explorer,
    before: &Before,
    program: &Program,
    after: &After,
    property: Property,
) {
    let revision = |ledger: Option<&Ledger>| ledger.map(|ledger| ledger.revision);
    let (was, is) = (&before.state.world, &after.world);
    let wrote = revision(before.ledger.as_deref()) != revision(after.ledger.as_deref());
    if wrote || was.reboot_asked != is.reboot_asked || was.is_safe != is.is_safe {
        let text = format!("{} does more than to tell it", program.name());
        explorer.violate(property, before.id, &text);
    }
}

/// The machine goes to golden, or where a rollback goes instead, and the reboot is nobody's but the person's.
fn rolled_back(explorer: &mut Explorer, before: &Before, after: &After) {
    let current = before.state.world.volatile.read_link(Path::new("/run/current-system"));
    let from: Option<Toplevel> = current.and_then(|path| path.to_str()?.parse().ok());
    let (Some(was), Some(ledger), Some(from)) = (before.ledger.as_deref(), after.ledger.as_deref(), from)
    else {
        return;
    };
    let foreseen = explorer.views.foresee(&after.world);
    let next = foreseen.once.or(foreseen.default);
    let to = ledger.rollback.as_ref().map(|rollback| &rollback.to);
    let is_good = to.is_some_and(|to| {
        *to != from && is_known_good(&after.world, Some(ledger), to) && !was.is_failed_landing(to)
    });
    let is_told = after.world.reboot_asked && ledger.automatic_reboots == was.automatic_reboots;
    let is_by_person = ledger.quarantined(&from).is_some_and(|entry| entry.by_person);
    if !is_left(Some(ledger), &from) || !is_good || next.as_ref() != to || !is_told || !is_by_person {
        let text = format!("a rollback that was asked for: from {}, to {to:?}, next {next:?}", from.short());
        explorer.violate(Property::AskedRollbacks, before.id, &text);
    }
}

/// The way down from there says nothing against where it goes, nor does the boot check that finds the machine there.
pub fn goes_down_or_arrives(explorer: &mut Explorer, before: &Before, arrived: Option<&Up>, after: &After) {
    if !before.state.memory.asked {
        return;
    }
    let Some(ledger) = after.ledger.as_deref() else { return };
    let Some(rollback) = &ledger.rollback else {
        return explorer.violate(Property::AskedRollbacks, before.id, "a rollback that is gone");
    };
    let is_open_elsewhere = |boot: Option<&BootId>| {
        let open = ledger.landing.as_ref().and_then(|landing| landing.attempts.open());
        open.is_some_and(|attempt| attempt.boot.as_ref() != boot)
    };
    let failures = ledger.landing.as_ref().map_or(1, |landing| landing.attempts.failures());
    let is_there = arrived.is_none_or(|up| up.toplevel == rollback.to);
    let open = is_open_elsewhere(arrived.map(|up| &up.boot));
    if failures > 0 || ledger.is_failed_landing(&rollback.to) || open || !is_there {
        let text = format!("{} has to answer for a rollback that was asked for", rollback.to.short());
        explorer.violate(Property::AskedRollbacks, before.id, &text);
    }
}
