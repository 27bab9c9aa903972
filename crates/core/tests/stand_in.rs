//! What boots by itself until golden has shown that it still does: here `other` was confirmed after golden.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod machine;

use golden_core::{
    Arming, Cause, Event, Ledger, Moment, OneShot, Plan, RollbackTarget, Seen, Shutdown, ShutdownSeen, Step,
    decide,
};
use machine::{after, does, known, picked, policy, toplevel};

/// The loader's default is `other`, and the firmware has started the machine `number` times.
fn seen(number: u32, booted: &str) -> Seen {
    let mut seen = machine::seen(number, booted);
    let loader = seen.loader.as_mut().unwrap();
    loader.default = Some(toplevel("other"));
    loader.firmware_boots = Some(number);
    seen
}

fn plan(ledger: &Ledger, number: u32, booted: &str, moment: &Moment) -> Plan {
    decide(ledger, &seen(number, booted), &policy(2), moment)
}

fn play(ledger: Ledger, moments: &[(u32, &str, Moment)]) -> Ledger {
    moments.iter().fold(ledger, |ledger, (number, booted, moment)| {
        after(&plan(&ledger, *number, booted, moment), ledger)
    })
}

/// `other` was confirmed last, and `trial` is armed.
fn marked() -> Ledger {
    play(known(), &[(0, "other", Moment::Confirm), (0, "other", Moment::Mark(toplevel("trial")))])
}

fn unit_fails() -> Moment {
    let failed_units = vec!["web.service".to_owned()];
    Moment::Shutdown(ShutdownSeen { kind: Shutdown::Reboot, failed_units, goes_elsewhere: false })
}

/// The trial failed a unit twice, and the machine goes down to boot golden.
fn sent() -> Ledger {
    let attempt = |number| [(number, "trial", Moment::BootCheck), (number, "trial", unit_fails())];
    play(marked(), &[attempt(1), attempt(2)].concat())
}

#[test]
fn while_a_trial_runs_what_was_confirmed_last_is_the_default_and_is_kept_from_the_garbage_collector() {
    let ledger = play(known(), &[(0, "other", Moment::Confirm)]);
    let mut installed = seen(0, "other");
    installed.loader.as_mut().unwrap().default = Some(toplevel("trial"));
    let plan = decide(&ledger, &installed, &policy(2), &Moment::Mark(toplevel("trial")));
    assert!(
        does(&plan, &Step::SetDefault(toplevel("other"))) && does(&plan, &Step::Keep(toplevel("other"))),
        "{plan:?}"
    );
}

#[test]
fn golden_that_ran_last_is_the_default_itself_and_no_older_system_is_kept_in_its_place() {
    let plan = decide(&known(), &machine::seen(0, "golden"), &policy(2), &Moment::Mark(toplevel("trial")));
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::SetDefault(_))), "{plan:?}");
    assert!(does(&plan, &Step::Keep(toplevel("golden"))), "{plan:?}");
}

#[test]
fn a_confirmed_system_is_kept_from_the_garbage_collector_before_it_becomes_the_default() {
    let confirmed = plan(&play(marked(), &[(1, "trial", Moment::BootCheck)]), 1, "trial", &Moment::Confirm);
    let at = |step: &Step| confirmed.steps.iter().position(|one| one == step).unwrap();
    assert!(at(&Step::Keep(toplevel("trial"))) < at(&Step::SetDefault(toplevel("trial"))), "{confirmed:?}");
}

#[test]
fn a_known_system_that_boots_by_itself_is_kept_once_it_was_confirmed_last() {
    let keep = Step::Keep(toplevel("other"));
    assert!(does(&plan(&known(), 0, "other", &Moment::Confirm), &keep));
    let ledger = play(known(), &[(0, "other", Moment::Confirm)]);
    assert_eq!(plan(&ledger, 0, "other", &Moment::Confirm), Plan::default(), "it is kept already");
    let picked = decide(&known(), &picked(0, "trial"), &policy(2), &Moment::Confirm);
    assert!(!does(&picked, &Step::Keep(toplevel("trial"))), "{picked:?}");
}

#[test]
fn the_last_confirmed_may_be_golden_itself() {
    let to_last = golden_core::Policy { rollback_target: RollbackTarget::LastConfirmed, ..policy(2) };
    let golden_last =
        golden_core::landing(&known(), &machine::seen(0, "trial"), &to_last, &toplevel("trial"));
    assert_eq!(golden_last, Some(toplevel("golden")));
    let other_last = golden_core::landing(&marked(), &seen(0, "trial"), &to_last, &toplevel("trial"));
    assert_eq!(other_last, Some(toplevel("other")));
}

#[test]
fn where_nothing_is_booted_once_golden_is_the_default() {
    let mut extlinux = seen(1, "trial");
    extlinux.loader.as_mut().unwrap().consumes_one_shot = false;
    let plan = decide(&marked(), &extlinux, &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::SetDefault(toplevel("golden"))), "{plan:?}");
}

#[test]
fn golden_is_booted_once_as_soon_as_the_trial_has_failed() {
    let ledger = play(
        marked(),
        &[(1, "trial", Moment::BootCheck), (1, "trial", unit_fails()), (2, "trial", Moment::BootCheck)],
    );
    let plan = plan(&ledger, 2, "trial", &unit_fails());
    assert!(does(&plan, &Step::Arm(toplevel("golden"))) && !does(&plan, &Step::Reboot), "{plan:?}");
    let landing = after(&plan, ledger).landing.unwrap();
    assert_eq!((landing.toplevel, landing.arming), (toplevel("golden"), Arming::Armed));
}

#[test]
fn what_boots_by_itself_after_the_last_attempt_sends_the_machine_to_golden() {
    let ledger = play(marked(), &[(1, "trial", Moment::BootCheck), (2, "trial", Moment::BootCheck)]);
    let plan = plan(&ledger, 3, "other", &Moment::BootCheck);
    assert!(does(&plan, &Step::Arm(toplevel("golden"))) && does(&plan, &Step::Reboot), "{plan:?}");
    assert!(!does(&plan, &Step::SetDefault(toplevel("golden"))), "{plan:?}");
}

#[test]
fn who_picked_something_else_is_not_sent_anywhere() {
    let ledger = play(marked(), &[(1, "trial", Moment::BootCheck), (2, "trial", Moment::BootCheck)]);
    let mut golden_picked = seen(3, "golden");
    golden_picked.loader.as_mut().unwrap().selected = Some(toplevel("golden"));
    for seen in [golden_picked, picked(3, "golden")] {
        let plan = decide(&ledger, &seen, &policy(2), &Moment::BootCheck);
        assert!(!does(&plan, &Step::Reboot), "{plan:?}");
    }
}

#[test]
fn golden_that_gets_as_far_as_its_boot_check_is_the_default_from_then_on() {
    let plan = plan(&sent(), 3, "golden", &Moment::BootCheck);
    assert!(
        does(&plan, &Step::SetDefault(toplevel("golden"))) && does(&plan, &Step::RequestRollback),
        "{plan:?}"
    );
    assert_eq!(after(&plan, sent()).landing.unwrap().arming, Arming::Idle);
}

#[test]
fn golden_that_dies_before_its_boot_check_gives_way_to_what_runs_then() {
    let plan = plan(&sent(), 4, "other", &Moment::BootCheck);
    let failed = |step: &Step| {
        matches!(step, Step::Tell(Event::LandingFailed { toplevel: it, boot: None, cause: Cause::NeverReachedBootCheck })
            if *it == toplevel("golden"))
    };
    assert!(plan.steps.iter().any(failed), "{plan:?}");
    assert!(
        does(&plan, &Step::Watch) && does(&plan, &Step::RequestRollback) && !does(&plan, &Step::Reboot),
        "{plan:?}"
    );
    let ledger = after(&plan, sent());
    assert!(ledger.is_failed_landing(&toplevel("golden")));
    assert_eq!(ledger.landing.unwrap().toplevel, toplevel("other"));
    assert_eq!(ledger.rollback.unwrap().to, toplevel("other"));
}

#[test]
fn a_one_shot_that_the_firmware_forgot_is_armed_again_and_the_machine_stays_up() {
    let plan = plan(&sent(), 3, "other", &Moment::BootCheck);
    assert!(does(&plan, &Step::Arm(toplevel("golden"))) && !does(&plan, &Step::Reboot), "{plan:?}");
    let mut in_place = seen(3, "other");
    in_place.loader.as_mut().unwrap().one_shot = OneShot::Armed(toplevel("golden"));
    let again = decide(&sent(), &in_place, &policy(2), &Moment::BootCheck);
    assert_eq!(again, Plan::default());
}

#[test]
fn power_that_goes_before_golden_is_armed_ends_on_golden_all_the_same() {
    let ledger = play(
        marked(),
        &[(1, "trial", Moment::BootCheck), (1, "trial", unit_fails()), (2, "trial", Moment::BootCheck)],
    );
    let cut_off = plan(&ledger, 2, "trial", &unit_fails());
    let first = cut_off.steps.iter().find_map(|step| match step {
        Step::Commit(ledger) => Some((**ledger).clone()),
        _ => None,
    });
    let plan = plan(&first.unwrap(), 3, "other", &Moment::BootCheck);
    assert!(does(&plan, &Step::Arm(toplevel("golden"))) && does(&plan, &Step::Reboot), "{plan:?}");
}

#[test]
fn without_a_budget_what_is_well_stays_up() {
    let ledger = play(marked(), &[(1, "trial", Moment::BootCheck), (2, "trial", Moment::BootCheck)]);
    let none = golden_core::Policy { max_automatic_reboots: 0, ..policy(2) };
    let plan = decide(&ledger, &seen(3, "other"), &none, &Moment::BootCheck);
    assert!(!does(&plan, &Step::Reboot) && !does(&plan, &Step::EnterSafeMode), "{plan:?}");
    assert!(after(&plan, ledger).safe_mode.is_none());
}

#[test]
fn what_is_up_while_a_trial_waits_takes_nobodys_place() {
    let ledger = marked();
    let plan = plan(&ledger, 1, "golden", &Moment::Confirm);
    assert_eq!(after(&plan, ledger.clone()).confirmed, ledger.confirmed);
}

#[test]
fn golden_is_listed_again_only_by_the_installer_of_a_confirmed_default() {
    let golden = toplevel("golden");
    let mut loader = machine::seen(1, "golden").loader.unwrap();
    loader.default = Some(toplevel("other"));
    assert_eq!(golden_core::relists(&known(), &loader, &golden), None, "golden has an entry");
    loader.listed.retain(|listed| *listed != golden);
    assert_eq!(golden_core::relists(&known(), &loader, &golden), Some(&toplevel("other")));
    for default in [Some(toplevel("trial")), None] {
        loader.default = default;
        assert_eq!(golden_core::relists(&known(), &loader, &golden), None, "{:?}", loader.default);
    }
}
