//! The sentences of the design that must always be true, over every state that a machine can get into.
//!
//! The real store, loader and operation code runs on a simulated machine. From a machine that was installed, with and
//! without a pinned golden generation, everything is tried that can happen: each boot goes well, panics, vanishes or fails a unit
//! or a check; a person reboots, picks an entry in the menu, switches to any system, asks for a rollback, puts systems into quarantine and
//! releases them; what was confirmed fails later; the power goes between any two effects, and comes back with
//! every state of the disks that may be left. Nothing is sampled.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod asked;
mod checks;
mod configurations;
mod damage;
mod explore;
mod ghost;
mod key;
mod liveness;
mod refusals;
mod step;
mod views;

use std::io::Write as _;
use std::sync::OnceLock;
use std::thread;

use configurations::{CONFIGURATIONS, WIDE};
use explore::{Configuration, Explored, Explorer, Forced};

/// A sentence that must always be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Property {
    Arrives,
    Golden,
    ConfirmedStays,
    CountsWhatHappened,
    QuarantinedIsNoDefault,
    EnoughFailures,
    NothingToDo,
    RebootsAreInHistory,
    SafeModeIsTheEnd,
    RehearsalsChangeNoDefault,
    LiveIsNotArmed,
    DefaultIsKnownGood,
    LedgerStays,
    SwitchesWork,
    QuarantineHolds,
    RefusalsChangeNothing,
    ReleaseFrees,
    AskedRollbacks,
    ExcusedChecks,
    LateFailures,
    ClosedIsLeft,
    OthersMaySendIt,
    NeverStartedNeverFails,
}

impl Property {
    /// Whether it is about what boots: a loader that does not do what it is told is found out and said, and cannot be helped.
    fn needs_the_loader(self) -> bool {
        matches!(
            self,
            Self::Arrives
                | Self::LiveIsNotArmed
                | Self::DefaultIsKnownGood
                | Self::QuarantinedIsNoDefault
                | Self::SwitchesWork
        )
    }
}

/// What is asked of where a machine gets to by itself.
#[derive(Debug)]
struct Question {
    /// Whether what is tried may reboot itself in an orderly way.
    reboots_itself: bool,
    /// Whether what the machine comes back to fails as well.
    all_fails: bool,
    /// Whether golden does not get as far as its boot check, although something else was confirmed after it.
    golden_dies: bool,
}

const QUESTIONS: [Question; 4] = [
    Question { reboots_itself: false, all_fails: false, golden_dies: false },
    Question { reboots_itself: true, all_fails: false, golden_dies: false },
    Question { reboots_itself: false, all_fails: true, golden_dies: false },
    Question { reboots_itself: false, all_fails: true, golden_dies: true },
];

/// Steps from golden to safe mode, and the boot of what was confirmed last on the way to golden. Source: the design, "The end of
/// the ladder".
const LADDER: u32 = 5;

static EXPLORED: OnceLock<Vec<(Configuration, Explored)>> = OnceLock::new();

/// All of them; for whoever looks for a mistake, one, by its number in `GOLDEN_WALK`.
fn chosen() -> Vec<Configuration> {
    match std::env::var("GOLDEN_WALK") {
        Ok(wide) if wide == "wide" => WIDE.into(),
        Ok(number) => vec![CONFIGURATIONS[number.parse::<usize>().unwrap()]],
        Err(_) => CONFIGURATIONS.into(),
    }
}

fn explored() -> &'static [(Configuration, Explored)] {
    EXPLORED.get_or_init(|| {
        let next = std::sync::Mutex::new(chosen().into_iter());
        let worker = || {
            let take = || next.lock().unwrap().next();
            std::iter::from_fn(take)
                .map(|configuration| (configuration, explore(configuration)))
                .collect::<Vec<_>>()
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        })
    })
}

fn explore(configuration: Configuration) -> Explored {
    let mut explorer = Explorer::explore(configuration);
    let Configuration {
        loader,
        lie,
        max_failures,
        pinned,
        firmware_counts,
        rollback_target,
        systems,
        third,
        habits,
    } = configuration;
    // What was not explored to its end says nothing about arriving.
    let is_good = explorer.explored.is_good();
    for question in QUESTIONS.iter().filter(|_| is_good) {
        // A system that reboots itself may do so as often as a person may.
        let each = if question.reboots_itself { Configuration::MAX_INTERRUPTIONS } else { 1 };
        // The last rung has as many attempts as a trial, and as many tries again before it is safe mode for good.
        let rungs = if question.all_fails { 2 * max_failures } else { 0 };
        // What dies early is left by way of what does not.
        let passes = if question.golden_dies { max_failures } else { 0 };
        let bound = (max_failures + rungs) * each + passes + LADDER;
        let arrived = if question.all_fails { explorer.settled.clone() } else { explorer.arrived.clone() };
        let follow = |edge: &Forced| {
            (question.reboots_itself || !edge.reboots_itself)
                && (question.all_fails || !edge.all_fails)
                && (question.golden_dies || !edge.dies_early)
        };
        match liveness::longest(&explorer, &arrived, follow) {
            Ok((boots, _)) if boots <= bound => {}
            Ok((boots, at)) => {
                let text =
                    format!("the machine needs {boots} boots to arrive, more than {bound}: {question:?}");
                explorer.violate(Property::Arrives, at, &text);
            }
            Err(at) => {
                explorer.violate(Property::Arrives, at, &format!("the machine never arrives: {question:?}"));
            }
        }
    }
    let Explored { states, transitions, programs, crash_points, images, .. } = &explorer.explored;
    let golden = if pinned { "golden" } else { "no golden" };
    let newer = if third { ", the second confirmed" } else { "" };
    let counter = if firmware_counts { "firmware counts" } else { "firmware does not count" };
    // Not printed, so that the test runner does not swallow it.
    let _ = writeln!(
        std::io::stderr(),
        "{loader:?}, lie {lie:?}, max_failures {max_failures}, {golden}, {counter}, {habits:?}, back to {rollback_target:?}, {systems} systems{newer}: {states} states, {transitions} transitions, \
         {programs} programs run, {crash_points} crash points with {images} images of the disks"
    );
    explorer.explored
}

fn holds(property: Property) {
    let violations: Vec<String> = explored()
        .iter()
        .filter_map(|(configuration, explored)| {
            let found = explored.violations.get(&property)?;
            Some(format!("{configuration:?}\n{}", found.join("\n")))
        })
        .collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn from_any_reachable_state_the_machine_reaches_a_confirmed_generation_or_safe_mode_in_a_bounded_number_of_boots()
 {
    holds(Property::Arrives);
}

#[test]
fn golden_is_never_the_result_of_anything_but_a_pin_and_can_always_be_booted() {
    holds(Property::Golden);
}

#[test]
fn a_confirmed_generation_is_never_rolled_back_by_counting() {
    holds(Property::ConfirmedStays);
}

#[test]
fn an_innocent_reboot_never_counts_and_every_failed_attempt_does() {
    holds(Property::CountsWhatHappened);
}

#[test]
fn a_quarantined_toplevel_is_never_made_the_default_by_any_deployer() {
    holds(Property::QuarantinedIsNoDefault);
}

#[test]
fn max_failures_failed_attempts_are_needed_and_they_are_enough() {
    holds(Property::EnoughFailures);
}

#[test]
fn a_boot_check_with_nothing_to_do_changes_nothing() {
    holds(Property::NothingToDo);
}

#[test]
fn every_automatic_reboot_is_in_history_before_it_happens() {
    holds(Property::RebootsAreInHistory);
}

#[test]
fn nothing_of_ours_reboots_a_machine_in_safe_mode_unless_a_new_trial_waits() {
    holds(Property::SafeModeIsTheEnd);
}

#[test]
fn a_rehearsal_leaves_the_default_what_it_is() {
    holds(Property::RehearsalsChangeNoDefault);
}

#[test]
fn nothing_of_a_live_switch_boots_before_it_has_proved_itself() {
    holds(Property::LiveIsNotArmed);
}

#[test]
fn while_a_trial_runs_the_default_is_known_to_be_good() {
    holds(Property::DefaultIsKnownGood);
}

#[test]
fn no_crash_loses_the_ledger() {
    holds(Property::LedgerStays);
}

#[test]
fn a_switch_to_a_new_system_is_a_trial_and_one_to_a_known_system_is_not() {
    holds(Property::SwitchesWork);
}

#[test]
fn what_is_quarantined_boots_only_after_a_release_or_a_second_chance_that_the_owner_asked_for() {
    holds(Property::QuarantineHolds);
}

#[test]
fn a_refused_switch_leaves_what_boots_and_the_profile_as_they_were() {
    holds(Property::RefusalsChangeNothing);
}

#[test]
fn a_release_frees() {
    holds(Property::ReleaseFrees);
}

#[test]
fn a_rollback_that_is_asked_for_arrives_and_counts_against_nobody() {
    holds(Property::AskedRollbacks);
}

#[test]
fn an_excused_check_ends_no_boot() {
    holds(Property::ExcusedChecks);
}

#[test]
fn a_boot_that_is_closed_as_failed_does_not_go_on_running_outside_of_safe_mode() {
    holds(Property::ClosedIsLeft);
}

#[test]
fn a_late_failure_reboots_only_where_the_owner_asked_for_that() {
    holds(Property::LateFailures);
}

#[test]
fn a_healthy_system_that_was_never_started_is_never_quarantined() {
    holds(Property::NeverStartedNeverFails);
}

#[test]
fn a_one_shot_of_somebody_else_is_obeyed_and_never_counts() {
    holds(Property::OthersMaySendIt);
    holds(Property::CountsWhatHappened);
}
