//! A machine as decisions see it: `golden` is pinned, `trial` is tried, `other` was confirmed earlier.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::num::NonZeroU32;

use golden_core::{
    BootId, Evidence, Ledger, Loader, Moment, OneShot, Plan, Policy, Seen, StartedBy, Step, Toplevel, decide,
};

pub fn toplevel(name: &str) -> Toplevel {
    format!("/nix/store/aaaa-{name}").parse().expect("a store path")
}

pub fn boot(number: u32) -> BootId {
    format!("{number:032x}").parse().expect("32 digits")
}

pub fn policy(max_failures: u32) -> Policy {
    Policy { max_failures: NonZeroU32::new(max_failures).expect("not zero"), ..Policy::default() }
}

/// A machine that booted `booted` because the loader's default or its one-shot said so.
pub fn seen(number: u32, booted: &str) -> Seen {
    let listed = ["golden", "trial", "other"].map(toplevel).to_vec();
    Seen {
        booted: Some(toplevel(booted)),
        boot: boot(number),
        golden: Some(toplevel("golden")),
        kept: None,
        older_goldens: Vec::new(),
        specialisations: Vec::new(),
        profile: Some(toplevel("trial")),
        loader: Some(Loader {
            listed,
            default: Some(toplevel("golden")),
            one_shot: OneShot::Clear,
            selected: Some(toplevel(booted)),
            started_by: StartedBy::default(),
            firmware_boots: None,
            incomplete: Vec::new(),
            is_bypassed: false,
            consumes_one_shot: true,
        }),
        baseline: None,
        evidence: Evidence::default(),
        damaged: Vec::new(),
        sources: Vec::new(),
        uptime_secs: 0,
    }
}

/// A person chose what runs in the menu.
pub fn picked(number: u32, booted: &str) -> Seen {
    let mut seen = seen(number, booted);
    seen.golden = None;
    if let Some(loader) = &mut seen.loader {
        loader.default = Some(toplevel("other"));
    }
    seen
}

pub fn known() -> Ledger {
    let mut ledger = Ledger::default();
    for name in ["other", "golden"] {
        ledger = after(&decide(&ledger, &seen(0, name), &policy(2), &Moment::Confirm), ledger);
    }
    ledger
}

/// The ledger that a whole plan leaves.
pub fn after(plan: &Plan, before: Ledger) -> Ledger {
    plan.steps.iter().fold(before, |ledger, step| match step {
        Step::Commit(ledger) => (**ledger).clone(),
        _ => ledger,
    })
}

pub fn marked() -> Ledger {
    let ledger = known();
    after(&decide(&ledger, &seen(0, "golden"), &policy(2), &Moment::Mark(toplevel("trial"))), ledger)
}

pub fn does(plan: &Plan, step: &Step) -> bool {
    plan.steps.contains(step)
}
