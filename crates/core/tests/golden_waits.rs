//! What is armed for golden, and what else happens meanwhile.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod machine;

use golden_core::{Ledger, Moment, OneShot, Seen, Shutdown, ShutdownSeen, Step, decide};
use machine::{after, does, known, policy, toplevel};

fn seen(number: u32, booted: &str) -> Seen {
    let mut seen = machine::seen(number, booted);
    let loader = seen.loader.as_mut().unwrap();
    loader.default = Some(toplevel("other"));
    loader.firmware_boots = Some(number);
    seen
}

fn play(ledger: Ledger, moments: &[(u32, &str, Moment)]) -> Ledger {
    moments.iter().fold(ledger, |ledger, (number, booted, moment)| {
        after(&decide(&ledger, &seen(*number, booted), &policy(2), moment), ledger)
    })
}

fn unit_fails(kind: Shutdown) -> Moment {
    Moment::Shutdown(ShutdownSeen {
        kind,
        failed_units: vec!["web.service".to_owned()],
        goes_elsewhere: false,
    })
}

fn sent(kind: Shutdown) -> Ledger {
    play(
        known(),
        &[
            (0, "other", Moment::Confirm),
            (0, "other", Moment::Mark(toplevel("trial"))),
            (1, "trial", Moment::BootCheck),
            (1, "trial", unit_fails(Shutdown::Reboot)),
            (2, "trial", Moment::BootCheck),
            (2, "trial", unit_fails(kind)),
        ],
    )
}

/// `other` runs, and golden waits to be booted once.
fn golden_waits() -> Seen {
    let mut seen = seen(3, "other");
    seen.loader.as_mut().unwrap().one_shot = OneShot::Armed(toplevel("golden"));
    seen
}

#[test]
fn a_switch_to_what_is_known_takes_back_golden_that_was_to_be_booted_once() {
    for moment in [Moment::Mark(toplevel("other")), Moment::MarkUnprotected(toplevel("other"))] {
        let plan = decide(&sent(Shutdown::Reboot), &golden_waits(), &policy(2), &moment);
        assert!(after(&plan, sent(Shutdown::Reboot)).landing.is_none());
        assert!(does(&plan, &Step::Disarm), "{plan:?}");
    }
}

#[test]
fn who_pins_what_runs_is_not_sent_to_what_was_golden_before() {
    let plan = decide(&sent(Shutdown::Reboot), &golden_waits(), &policy(2), &Moment::Pin { force: false });
    assert!(plan.refusal.is_none());
    let ledger = after(&plan, sent(Shutdown::Reboot));
    let mut next = seen(4, "golden");
    next.golden = Some(toplevel("other"));
    next.older_goldens = vec![toplevel("golden")];
    let plan2 = decide(&ledger, &next, &policy(2), &Moment::BootCheck);
    assert!(
        does(&plan, &Step::Disarm) && !does(&plan2, &Step::SetDefault(toplevel("golden"))),
        "{plan:?} {plan2:?}"
    );
}

#[test]
fn a_trial_that_failed_and_goes_past_the_loader_is_left_all_the_same() {
    for kind in [Shutdown::Kexec, Shutdown::SoftReboot] {
        let ledger = sent(kind);
        let mut again = seen(3, "trial");
        let loader = again.loader.as_mut().unwrap();
        loader.firmware_boots = Some(2);
        if ledger.landing.is_some() {
            loader.one_shot = OneShot::Armed(toplevel("golden"));
        }
        let plan = decide(&ledger, &again, &policy(2), &Moment::BootCheck);
        assert!(does(&plan, &Step::Reboot), "{kind:?} {plan:?}");
    }
}

#[test]
fn hibernation_with_golden_armed_wakes_up_with_the_kernel_that_slept() {
    let plan = decide(&sent(Shutdown::Reboot), &golden_waits(), &policy(2), &Moment::Hibernate);
    assert!(does(&plan, &Step::Arm(toplevel("other"))), "{plan:?}");
}

#[test]
fn a_rollback_that_is_done_without_the_loader_leaves_golden_as_the_default_all_the_same() {
    let mut blind = seen(3, "golden");
    blind.loader = None;
    let mut ledger = sent(Shutdown::Reboot);
    for moment in [Moment::BootCheck, Moment::RolledBack { running: None }, Moment::Confirm] {
        ledger = after(&decide(&ledger, &blind, &policy(2), &moment), ledger);
    }
    let plans: Vec<_> = [Moment::BootCheck, Moment::Confirm]
        .iter()
        .map(|moment| decide(&ledger, &seen(4, "other"), &policy(2), moment))
        .collect();
    assert!(
        plans.iter().any(|plan| does(plan, &Step::SetDefault(toplevel("golden")))),
        "{plans:?} {ledger:?}"
    );
}

#[test]
fn what_was_armed_to_wake_up_is_taken_back_where_golden_is_the_default() {
    let mut extlinux = golden_waits();
    let loader = extlinux.loader.as_mut().unwrap();
    (loader.consumes_one_shot, loader.default) = (false, Some(toplevel("golden")));
    loader.one_shot = OneShot::Armed(toplevel("other"));
    let plan = decide(&sent(Shutdown::Reboot), &extlinux, &policy(2), &Moment::Resume);
    assert!(does(&plan, &Step::Disarm), "{plan:?}");
}
