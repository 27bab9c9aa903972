//! Everything that can happen next to a machine.

use std::rc::Rc;

use golden_core::{Cause, Injection, Ledger, LivePhase, Toplevel};
use golden_host::simulated::{
    Choice, GoingDown, Program, Start, Why, World, boot_id, collect_store, start, tidy_profiles,
};

use crate::explore::{Configuration, Explorer, Forced, Habit, Memory, State, Up, golden, is_known_good};
use crate::ghost::{Counted, attempt_of, follow};
use crate::{Property, asked, checks, damage};

/// A machine before something happens to it, with what is asked of it often.
pub struct Before<'a> {
    pub id: usize,
    pub state: &'a State,
    pub ledger: Option<Rc<Ledger>>,
}

impl Before<'_> {
    /// The machine is off, and the past is what it was.
    pub fn off(&self, world: World, ghost: Option<Counted>) -> State {
        let memory = Memory { asked: false, ..self.state.memory.clone() };
        State { world, up: None, ghost, memory, boots: self.state.boots }
    }
}

/// What happened to it.
pub struct After {
    pub world: World,
    pub ledger: Option<Rc<Ledger>>,
    /// Whether the power was cut, and did so in the middle of a program.
    pub crashed: bool,
}

pub fn expand(explorer: &mut Explorer, id: usize, state: &State) {
    let before = Before { id, state, ledger: explorer.views.ledger(&state.world) };
    explorer.set_uptime(state.up.as_ref());
    match &state.up {
        None => {
            power_on(explorer, &before, None);
            let foreseen = explorer.views.foresee(&state.world);
            // To pick what would boot anyway is to pick nothing.
            let by_itself = foreseen.once.or(foreseen.default);
            for toplevel in explorer
                .configuration
                .toplevels()
                .iter()
                .filter(|toplevel| by_itself.as_ref() != Some(toplevel))
            {
                power_on(explorer, &before, Some(toplevel));
            }
        }
        Some(up) => go_on(explorer, &before, up),
    }
}

/// From power on to the end of the boot check.
fn power_on(explorer: &mut Explorer, before: &Before, pick: Option<&Toplevel>) {
    let mut world = before.state.world.clone();
    let foreseen = explorer.views.foresee(&world);
    let is_sent_elsewhere = world.is_sent_elsewhere();
    let choice = match start(&mut world, pick) {
        Start::Booted(choice) => choice,
        // Every system has a kernel.
        other => return explorer.violate(Property::Arrives, before.id, &format!("{other:?}")),
    };
    let mut ghost = before.state.ghost.clone();
    let picked = pick.is_some();
    if let Some(counted) = &mut ghost {
        let waits_armed = before.ledger.as_deref().is_some_and(Ledger::waits_armed);
        if is_sent_elsewhere && waits_armed {
            // The power went before that could be recorded: the one-shot is gone as if the trial had been booted.
            counted.may_have_been_booted();
        }
        counted.is_passed_over = pick.is_some_and(|pick| *pick != counted.toplevel)
            && foreseen.once.as_ref() == Some(&counted.toplevel);
        let is_told = explorer.configuration.firmware_counts;
        if counted.is_passed_over && foreseen.default.as_ref() == pick && !is_told {
            counted.may_have_been_booted();
        }
        counted.cap(explorer.configuration.max_failures);
        let exhausted = counted.least >= explorer.configuration.max_failures;
        if exhausted
            && explorer.configuration.has_one_shot()
            && choice.why == Why::OneShot
            && choice.toplevel == counted.toplevel
        {
            explorer.violate(Property::EnoughFailures, before.id, "a trial that has failed is armed");
        }
    }
    panic(explorer, before, &world, &choice, ghost.clone());
    let boots = before.state.boots + 1;
    let up = Up { toplevel: choice.toplevel, boot: boot_id(boots), picked, long: false };
    world.start(&up.toplevel, &up.boot);
    let mut state = State { up: Some(up.clone()), boots, ..before.off(world, ghost) };
    state.memory.asked = before.state.memory.asked && !picked;
    boot_check(explorer, &Before { state: &state, ledger: before.ledger.clone(), ..*before }, &up);
    if explorer.configuration.has(Habit::LoseBootPartition) {
        state.world.lose_boot_partition();
        boot_check(explorer, &Before { state: &state, ledger: before.ledger.clone(), ..*before }, &up);
    }
}

/// The kernel starts and nobody ever hears of it again.
fn panic(
    explorer: &mut Explorer,
    before: &Before,
    world: &World,
    choice: &Choice,
    mut ghost: Option<Counted>,
) {
    let picked = choice.why == Why::Menu;
    if let (Some(counted), Some(ledger)) = (&mut ghost, before.ledger.as_deref()) {
        counted.nobody_saw(explorer.configuration, ledger, &choice.toplevel, picked);
        counted.cap(explorer.configuration.max_failures);
    }
    let known = |toplevel: &Toplevel| is_known_good(&before.state.world, before.ledger.as_deref(), toplevel);
    let landing = explorer.views.foresee(&before.state.world).default.is_some_and(|default| known(&default));
    let bad = !known(&choice.toplevel);
    let state = State { boots: before.state.boots + 1, ..before.off(world.after_shutdown(), ghost) };
    let pick = if picked { "picked " } else { "" };
    let to = explorer.reach(state, before.id, || format!("{pick}{} panics", choice.toplevel.short()));
    let dies_early = choice.why == Why::OneShot;
    if (bad || dies_early) && !picked && landing {
        explorer.forced[before.id].push(Forced { dies_early: !bad, ..Forced::to(to, 1) });
    }
}

fn boot_check(explorer: &mut Explorer, before: &Before, up: &Up) {
    let program = Program::BootCheck;
    let lacks = if before.state.world.lacks_boot_partition { " without its boot partition" } else { "" };
    let name = format!("{}{lacks}", up.toplevel.short());
    let pick = if up.picked { "picked " } else { "" };
    let (snapshots, end, _) = explorer.run(&before.state.world, &program);
    checks::reboots(explorer, before, &program, &snapshots);
    checks::nothing_to_do(explorer, before, up, &snapshots);
    for (effect, image) in explorer.images(&snapshots) {
        let after = After { ledger: explorer.views.ledger(&image), world: image, crashed: true };
        let ghost = counted_by_boot_check(explorer, before, up, &after);
        checks::always(explorer, before, &program, &after);
        let state = before.off(after.world, ghost);
        explorer.reach(state, before.id, || {
            format!("{pick}{name} loses power in boot-check after effect {effect}")
        });
    }
    let after = After { ledger: explorer.views.ledger(&end), world: end, crashed: false };
    let ghost = counted_by_boot_check(explorer, before, up, &after);
    checks::always(explorer, before, &program, &after);
    checks::counted(explorer, before, &after, ghost.as_ref());
    checks::repaired(explorer, before, up, &after);
    asked::goes_down_or_arrives(explorer, before, Some(up), &after);
    let mut state = State { world: after.world, ghost, ..before.state.clone() };
    state.memory.asked = false;
    // A boot partition that never comes again leaves nothing to arrive at.
    let by_itself = !up.picked && !before.state.world.lacks_boot_partition;
    let forced = |to| Forced::to(to, 1);
    if state.world.reboot_asked {
        // With the record of the shutdown, or, so early in the boot, without it.
        let off = State { world: state.world.after_shutdown(), up: None, ..state.clone() };
        let to = explorer.reach(off, before.id, || format!("{pick}{name} boots and is rebooted"));
        if by_itself {
            explorer.forced[before.id].push(forced(to));
        }
        let rebooting = Before { id: before.id, state: &state, ledger: after.ledger };
        shut_down(explorer, &rebooting, up, false);
        return;
    }
    let to = explorer.reach(state, before.id, || format!("{pick}{name} boots"));
    if by_itself {
        explorer.forced[before.id].push(forced(to));
    }
}

/// What the test counts, after a boot check or in the middle of it.
fn counted_by_boot_check(
    explorer: &mut Explorer,
    before: &Before,
    up: &Up,
    after: &After,
) -> Option<Counted> {
    let mut ghost = before.state.ghost.clone();
    let after_ledger = after.ledger.as_deref()?;
    let committed = before.ledger.as_deref().is_none_or(|ledger| ledger.revision != after_ledger.revision);
    if let Some(counted) = &mut ghost {
        if before.state.world.lacks_boot_partition && counted.toplevel != up.toplevel {
            counted.looked_at_nothing();
        } else if committed {
            counted.seen(!up.picked && counted.toplevel != up.toplevel);
        }
    }
    checks::quarantined_in_time(explorer, before, after_ledger, ghost.as_ref());
    let mut ghost = follow(ghost, Some(after_ledger));
    if let (true, Some(counted), Some(before_ledger)) = (after.crashed, &mut ghost, before.ledger.as_deref())
    {
        if attempt_of(after_ledger, &up.boot).is_some() {
            counted.failed();
        } else if !committed {
            counted.nobody_saw(explorer.configuration, before_ledger, &up.toplevel, up.picked);
        }
        counted.cap(explorer.configuration.max_failures);
    }
    ghost
}

/// Everything that can happen once the boot check is done.
fn go_on(explorer: &mut Explorer, before: &Before, up: &Up) {
    let world = &before.state.world;
    let good = is_known_good(world, before.ledger.as_deref(), &up.toplevel);
    let safe = before.ledger.as_deref().is_some_and(|ledger| ledger.safe_mode.is_some());
    explorer.arrived[before.id] = good || safe;
    let watched = is_watched(before.ledger.as_deref(), up);
    explorer.settled[before.id] = world.is_safe || good && !watched;
    vanish(explorer, before, up, good);
    shut_down(explorer, before, up, true);
    shut_down(explorer, before, up, false);
    let is_due = |ledger: &Ledger| ledger.rollback.is_some() || ledger.live.is_some();
    if explorer.configuration.has(Habit::BootElsewhere) {
        boot_elsewhere(explorer, before, up);
    }
    let due = world.phase_two_is_due() && before.ledger.as_deref().is_some_and(is_due);
    if due {
        program(explorer, before, up, &Program::RollBack);
    }
    program(explorer, before, up, &Program::Confirm);
    if is_watched(before.ledger.as_deref(), up) {
        fails_early(explorer, before, up, good, &Program::Deadline);
        fails_early(explorer, before, up, good, &Program::Emergency);
        if explorer.configuration.has(Habit::DamageBootFiles) {
            damage::strike(explorer, before, up);
        }
    }
    for toplevel in explorer.configuration.deployed() {
        program(explorer, before, up, &Program::Switch(toplevel));
    }
    if explorer.configuration.has(Habit::Pin) {
        program(explorer, before, up, &Program::Pin { force: false });
    }
    if explorer.configuration.has(Habit::Tidy) {
        tidy(explorer, before, up);
        program(explorer, before, up, &Program::PutBack);
    }
    if explorer.configuration.has(Habit::Rehearse) {
        program(explorer, before, up, &Program::Drill(Injection::Unit));
    }
    asked::ask(explorer, before, up, good);
}

/// Another program removes golden's profile, and a collection of garbage follows.
fn tidy(explorer: &mut Explorer, before: &Before, up: &Up) {
    let mut world = before.state.world.clone();
    let ledger = before.ledger.as_deref();
    let was = golden(&world, ledger);
    tidy_profiles(&mut world);
    collect_store(&mut world);
    let is = golden(&world, ledger);
    if was != is || !is.as_ref().is_some_and(|golden| world.has_built(golden)) {
        explorer.violate(Property::Golden, before.id, "a program that tidies the profiles takes golden away");
    }
    let state = State { world, ..before.state.clone() };
    explorer.reach(state, before.id, || format!("profiles are tidied on {}", up.toplevel.short()));
}

/// How far a switch of the running system is in this boot.
pub fn proving(ledger: Option<&Ledger>, up: &Up) -> Option<LivePhase> {
    let live = ledger?.live.as_ref()?;
    (live.boot == up.boot).then_some(live.phase)
}

/// The power goes, or the machine hangs and is reset.
fn vanish(explorer: &mut Explorer, before: &Before, up: &Up, good: bool) {
    for image in before.state.world.after_crash() {
        let after_ledger = explorer.views.ledger(&image);
        let ghost = ended_by_power(explorer, before.state.ghost.clone(), after_ledger.as_deref(), up);
        let state = before.off(image, ghost);
        let to = explorer.reach(state, before.id, || format!("{} vanishes", up.toplevel.short()));
        let all_fails = good;
        if !good || is_watched(before.ledger.as_deref(), up) {
            explorer.forced[before.id].push(Forced { all_fails, ..Forced::to(to, 0) });
        }
    }
}

/// Whether this boot has to be confirmed, and is not yet.
pub fn is_watched(ledger: Option<&Ledger>, up: &Up) -> bool {
    ledger.is_some_and(|ledger| ledger.is_watched(&up.boot))
}

/// Whether this boot is an attempt of the trial that has no end yet.
pub fn is_open_attempt(ledger: Option<&Ledger>, up: &Up) -> bool {
    ledger.and_then(|ledger| attempt_of(ledger, &up.boot)).is_some_and(|attempt| attempt.end.is_none())
}

/// The power ended this boot.
fn ended_by_power(
    explorer: &Explorer,
    ghost: Option<Counted>,
    ledger: Option<&Ledger>,
    up: &Up,
) -> Option<Counted> {
    let mut ghost = follow(ghost, ledger);
    let counts = is_open_attempt(ledger, up) || proving(ledger, up) == Some(LivePhase::Proving);
    if let Some(counted) = ghost.as_mut().filter(|_| counts) {
        counted.failed();
        counted.cap(explorer.configuration.max_failures);
    }
    ghost
}

/// An orderly shutdown: a unit failed, or somebody or something asked for it.
fn shut_down(explorer: &mut Explorer, before: &Before, up: &Up, unit_failed: bool) {
    let program = Program::RecordShutdown;
    let failed_units = if unit_failed { vec!["broken.service".to_owned()] } else { Vec::new() };
    let mut world = before.state.world.clone();
    world.going_down = Some(GoingDown { target: "reboot.target", failed_units });
    let name = up.toplevel.short();
    let (snapshots, end, _) = explorer.run(&world, &program);
    let how = if unit_failed { "fails a unit" } else { "reboots" };
    let open = |ledger: Option<&Ledger>| is_open_attempt(ledger, up);
    let was_open = open(before.ledger.as_deref());
    for (effect, image) in explorer.images(&snapshots) {
        let after = After { ledger: explorer.views.ledger(&image), world: image, crashed: true };
        checks::always(explorer, before, &program, &after);
        let recorded = was_open && !open(after.ledger.as_deref());
        let ghost = if recorded {
            ended_in_order(explorer, before, after.ledger.as_deref(), unit_failed)
        } else {
            ended_by_power(explorer, before.state.ghost.clone(), after.ledger.as_deref(), up)
        };
        let state = before.off(after.world, ghost);
        let how = || format!("{name} {how} and loses power in shutdown after effect {effect}");
        explorer.reach(state, before.id, how);
    }
    let after = After { ledger: explorer.views.ledger(&end), world: end.after_shutdown(), crashed: false };
    checks::always(explorer, before, &program, &after);
    checks::goes_elsewhere(explorer, before, &after);
    let ghost = if was_open {
        ended_in_order(explorer, before, after.ledger.as_deref(), unit_failed)
    } else {
        follow(before.state.ghost.clone(), after.ledger.as_deref())
    };
    checks::counted(explorer, before, &after, ghost.as_ref());
    // What nobody asked for ends a live switch as a loss of power does: the next boot counts it.
    let ghost = if was_open { ghost } else { ended_by_power(explorer, ghost, after.ledger.as_deref(), up) };
    asked::goes_down_or_arrives(explorer, before, None, &after);
    let mut state = before.off(after.world, ghost);
    state.memory.asked = before.state.memory.asked;
    let to = explorer.reach(state, before.id, || format!("{name} {how}"));
    let good = is_known_good(&before.state.world, before.ledger.as_deref(), &up.toplevel);
    let all_fails = good;
    let fails = !good || unit_failed && is_watched(before.ledger.as_deref(), up);
    if fails && !before.state.world.reboot_asked {
        explorer.forced[before.id].push(Forced {
            reboots_itself: !unit_failed,
            all_fails,
            ..Forced::to(to, 0)
        });
    }
}

/// A person has another operating system started once. What waits for its boot goes on waiting.
fn boot_elsewhere(explorer: &mut Explorer, before: &Before, up: &Up) {
    let mut state = before.state.clone();
    state.world.send_elsewhere();
    shut_down(explorer, &Before { state: &state, ledger: before.ledger.clone(), ..*before }, up, false);
}

fn ended_in_order(
    explorer: &Explorer,
    before: &Before,
    ledger: Option<&Ledger>,
    unit_failed: bool,
) -> Option<Counted> {
    let mut ghost = follow(before.state.ghost.clone(), ledger)?;
    if unit_failed {
        ghost.failed();
    } else {
        ghost.interrupted(Configuration::MAX_INTERRUPTIONS);
    }
    ghost.cap(explorer.configuration.max_failures);
    Some(ghost)
}

/// The boot does not get to its end, and `program` ends it.
pub fn fails_early(explorer: &mut Explorer, before: &Before, up: &Up, good: bool, program: &Program) {
    let name = format!("{}, in {},", up.toplevel.short(), program.name());
    let (snapshots, end, _) = explorer.run(&before.state.world, program);
    checks::reboots(explorer, before, program, &snapshots);
    let is_open = |ledger: Option<&Ledger>| is_watched(ledger, up);
    // What is tried again in safe mode is no attempt of the trial that waits meanwhile.
    let was_attempt = is_open_attempt(before.ledger.as_deref(), up);
    for (effect, image) in explorer.images(&snapshots) {
        let after = After { ledger: explorer.views.ledger(&image), world: image, crashed: true };
        checks::always(explorer, before, program, &after);
        let ghost = if is_open(after.ledger.as_deref()) || !was_attempt {
            ended_by_power(explorer, before.state.ghost.clone(), after.ledger.as_deref(), up)
        } else {
            ended_in_order(explorer, before, after.ledger.as_deref(), true)
        };
        let state = before.off(after.world, ghost);
        explorer.reach(state, before.id, || format!("{name} loses power after effect {effect}"));
    }
    let after = After { ledger: explorer.views.ledger(&end), world: end, crashed: false };
    checks::always(explorer, before, program, &after);
    let ghost = if was_attempt {
        ended_in_order(explorer, before, after.ledger.as_deref(), true)
    } else {
        follow(before.state.ghost.clone(), after.ledger.as_deref())
    };
    checks::counted(explorer, before, &after, ghost.as_ref());
    if after.ledger.is_some() && is_open(after.ledger.as_deref()) {
        explorer.violate(Property::Arrives, before.id, "an end that closes nothing");
    }
    let reboots = after.world.reboot_asked;
    let world = if reboots { after.world.after_shutdown() } else { after.world };
    let up_after = (!reboots).then(|| up.clone());
    let state = State { up: up_after, ..before.off(world, ghost) };
    let to = explorer.reach(state, before.id, || format!("{name} is ended"));
    if to != before.id {
        explorer.forced[before.id].push(Forced { all_fails: good, ..Forced::to(to, 0) });
    }
}

/// A program that leaves the machine running, or, with a rehearsal, has it rebooted.
pub fn program(explorer: &mut Explorer, before: &Before, up: &Up, program: &Program) {
    let name = match program {
        Program::Switch(toplevel) => format!("switch to {}", toplevel.short()),
        Program::SwitchLive(toplevel) => format!("live switch to {}", toplevel.short()),
        Program::SwitchChecked(toplevel) => format!("checked switch to {}", toplevel.short()),
        Program::Quarantine(named) => format!("quarantine of {named:?}"),
        Program::Release(named) => format!("release of {named:?}"),
        Program::FailLate { goes_back: true, .. } => "late failure".to_owned(),
        Program::FailLive(Cause::Unproven { .. }) => "unproven".to_owned(),
        other => other.name().to_owned(),
    };
    let (snapshots, end, content) = explorer.run(&before.state.world, program);
    checks::reboots(explorer, before, program, &snapshots);
    for (effect, image) in explorer.images(&snapshots) {
        let after = After { ledger: explorer.views.ledger(&image), world: image, crashed: true };
        checks::always(explorer, before, program, &after);
        let ghost = ended_by_power(explorer, before.state.ghost.clone(), after.ledger.as_deref(), up);
        let state = before.off(after.world, ghost);
        explorer.reach(state, before.id, || {
            format!("{} loses power in {name} after effect {effect}", up.toplevel.short())
        });
    }
    let after = After { ledger: explorer.views.ledger(&end), world: end, crashed: false };
    checks::always(explorer, before, program, &after);
    checks::after(explorer, before, up, program, &after, content);
    let ghost = follow(before.state.ghost.clone(), after.ledger.as_deref());
    let reboots = after.world.reboot_asked && !before.state.world.reboot_asked;
    if reboots && matches!(program, Program::RollBackNow | Program::FailLate { .. }) {
        // The record of the shutdown belongs to it.
        let mut state = State { world: after.world, ghost, ..before.state.clone() };
        state.memory.asked = *program == Program::RollBackNow;
        let rebooting = Before { id: before.id, state: &state, ledger: after.ledger };
        return shut_down(explorer, &rebooting, up, false);
    }
    let state = if reboots {
        before.off(after.world.after_shutdown(), ghost)
    } else {
        State { world: after.world, ghost, ..before.state.clone() }
    };
    let to = explorer.reach(state, before.id, || format!("{name} on {}", up.toplevel.short()));
    let good = is_known_good(&before.state.world, before.ledger.as_deref(), &up.toplevel);
    let goes_on_by_itself = matches!(program, Program::RollBack | Program::Confirm | Program::GoBack);
    if good && goes_on_by_itself && to != before.id {
        explorer.forced[before.id].push(Forced::to(to, 0));
    }
}
