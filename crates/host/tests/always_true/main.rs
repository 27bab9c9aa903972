//! The sentences of the design that must always be true, over every state that a machine can get into.
//!
//! The real store, loader and operation code runs on a simulated machine. From a machine that was installed, with and
//! without a pinned golden generation, everything is tried that can happen: each boot goes well, panics, vanishes or fails a unit; a person
//! reboots, picks an entry in the menu, switches to any system; the power goes between any two effects, and comes back with
//! every state of the disks that may be left. Nothing is sampled.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod checks;
mod explore;
mod ghost;
mod key;
mod liveness;
mod step;
mod views;

use std::sync::OnceLock;

use explore::{Configuration, Explored, Explorer};

/// A sentence that must always be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    Arrives,
    Golden,
    ConfirmedStays,
    CountsWhatHappened,
    QuarantinedIsNoDefault,
    EnoughFailures,
    RebootsAreInHistory,
    DefaultIsKnownGood,
    LedgerStays,
    SwitchesWork,
}

static EXPLORED: OnceLock<Vec<(Configuration, Explored)>> = OnceLock::new();

fn explored() -> &'static [(Configuration, Explored)] {
    EXPLORED.get_or_init(|| {
        if let Ok(text) = std::env::var("ONLY") {
            let n: Vec<u32> = text.split(',').map(|x| x.parse().unwrap()).collect();
            let c = Configuration {
                max_failures: n[0],
                pinned: n[1] == 1,
                systems: n[2] as usize,
                pins: n[3] == 1,
            };
            return vec![(c, explore(c))];
        }
        let configurations = (1..=3).flat_map(|max_failures| {
            [true, false].map(|pinned| Configuration { max_failures, pinned, systems: 2, pins: true })
        });
        configurations.map(|configuration| (configuration, explore(configuration))).collect()
    })
}

fn explore(configuration: Configuration) -> Explored {
    let started = std::time::Instant::now();
    let mut explorer = Explorer::explore(configuration);
    let mut bounds = Vec::new();
    for itself in [false, true] {
        match liveness::longest(&explorer, |edge| itself || !edge.reboots_itself) {
            Ok((boots, _)) => bounds.push(boots),
            Err(at) => explorer.violate(Property::Arrives, at, "the machine never arrives"),
        }
    }
    let found = &explorer.explored;
    println!(
        "{configuration:?}: {} states, {} transitions, {} programs, {} crash points, {} images; bounds {bounds:?}; {:?}",
        found.states,
        found.transitions,
        found.programs,
        found.crash_points,
        found.images,
        started.elapsed()
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
fn from_any_reachable_state_the_machine_arrives_at_a_confirmed_generation_or_in_safe_mode() {
    holds(Property::Arrives);
}

#[test]
fn golden_is_never_the_result_of_anything_but_a_pin_and_can_always_be_booted() {
    holds(Property::Golden);
}

#[test]
fn a_confirmed_boot_is_never_rolled_back_by_counting() {
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
fn every_automatic_reboot_is_in_history_before_it_happens() {
    holds(Property::RebootsAreInHistory);
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
