//! Boots that fail before they end, and what follows when the landing fails as well.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod machine;

use golden_core::{
    Arming, Attempts, Cause, Damage, End, Event, Evidence, Kept, Landing, Ledger, Moment, OneShot, Plan,
    Policy, Quarantined, RebootCause, RollbackTarget, SafeMode, SafeModeReason, Seen, Shutdown, ShutdownSeen,
    StartedBy, Step, decide, is_settled, landing,
};
use machine::{after, boot, does, known, marked, policy, seen, toplevel};

fn deadline() -> Moment {
    Moment::Fail(Cause::Deadline { secs: 600, units: vec!["slow.service".to_owned()] })
}

fn reboots(plan: &Plan) -> bool {
    plan.steps.last() == Some(&Step::Reboot)
}

fn told(plan: &Plan, is: fn(&Event) -> bool) -> usize {
    plan.steps.iter().filter(|step| matches!(step, Step::Tell(event) if is(event))).count()
}

/// The ledger after each moment in turn.
fn play(ledger: Ledger, moments: &[(u32, &str, Moment)]) -> Ledger {
    moments.iter().fold(ledger, |ledger, (number, booted, moment)| {
        after(&decide(&ledger, &seen(*number, booted), &policy(2), moment), ledger)
    })
}

/// The trial has failed twice, and golden runs in boot 3.
fn landed() -> Ledger {
    play(
        marked(),
        &[(1, "trial", Moment::BootCheck), (2, "trial", Moment::BootCheck), (3, "golden", Moment::BootCheck)],
    )
}

fn shutdown(failed: &[&str]) -> Moment {
    let failed_units = failed.iter().map(|unit| (*unit).to_owned()).collect();
    Moment::Shutdown(ShutdownSeen { kind: Shutdown::Reboot, failed_units, goes_elsewhere: false })
}

#[test]
fn a_boot_that_fails_early_is_closed_with_its_cause_and_rebooted_twice_and_then_golden_takes_over() {
    let ledger = play(marked(), &[(1, "trial", Moment::BootCheck)]);
    let plan = decide(&ledger, &seen(1, "trial"), &policy(2), &deadline());
    assert!(reboots(&plan) && does(&plan, &Step::Arm(toplevel("trial"))), "{plan:?}");
    let ledger = play(after(&plan, ledger), &[(2, "trial", Moment::BootCheck)]);
    let plan = decide(&ledger, &seen(2, "trial"), &policy(2), &deadline());
    assert!(reboots(&plan) && !does(&plan, &Step::Arm(toplevel("trial"))), "{plan:?}");
    let ledger = after(&plan, ledger);
    assert_eq!(ledger.quarantine[0].attempts.failures(), 2);
    assert!(
        matches!(&ledger.quarantine[0].attempts[0].end, Some(End::Failed { cause: Cause::Deadline { units, .. } }) if units == &["slow.service"])
    );
    assert_eq!(ledger.landing.unwrap().toplevel, toplevel("golden"));
}

#[test]
fn a_deadline_after_the_confirmation_or_of_another_boot_changes_nothing() {
    let confirmed = play(marked(), &[(1, "trial", Moment::BootCheck), (1, "trial", Moment::Confirm)]);
    assert_eq!(decide(&confirmed, &seen(1, "trial"), &policy(2), &deadline()), Plan::default());
    let open = play(marked(), &[(1, "trial", Moment::BootCheck)]);
    assert_eq!(decide(&open, &seen(2, "trial"), &policy(2), &deadline()), Plan::default());
    assert_eq!(decide(&known(), &seen(1, "golden"), &policy(2), &deadline()), Plan::default());
}

#[test]
fn what_failed_early_is_not_confirmed_by_a_late_success() {
    let ledger =
        play(marked(), &[(1, "trial", Moment::BootCheck), (1, "trial", Moment::Close(Cause::Vanished))]);
    assert_eq!(ledger.trial.as_ref().unwrap().attempts.failures(), 1);
    assert_eq!(decide(&ledger, &seen(1, "trial"), &policy(2), &Moment::Confirm), Plan::default());
}

#[test]
fn a_person_who_stays_is_not_rebooted_and_the_attempt_has_failed() {
    let ledger = play(marked(), &[(1, "trial", Moment::BootCheck)]);
    let plan =
        decide(&ledger, &seen(1, "trial"), &policy(2), &Moment::Close(Cause::Emergency { units: vec![] }));
    assert!(!does(&plan, &Step::Reboot) && !does(&plan, &Step::EnterSafeMode), "{plan:?}");
    assert_eq!(told(&plan, |event| matches!(event, Event::AttemptFailed { .. })), 1);
}

#[test]
fn emergency_mode_again_in_a_boot_in_which_a_person_stayed_is_no_other_attempt_and_reboots_nobody() {
    let stays = || Moment::Close(Cause::Emergency { units: vec![] });
    let trial = play(marked(), &[(1, "trial", Moment::BootCheck), (1, "trial", stays())]);
    let landing = play(landed(), &[(3, "golden", stays())]);
    for (ledger, number, booted) in [(trial, 1, "trial"), (landing, 3, "golden")] {
        let again = decide(&ledger, &seen(number, booted), &policy(2), &Moment::BootCheck);
        assert_eq!(again, Plan::default(), "{booted}");
        let next = decide(&ledger, &seen(number + 1, booted), &policy(2), &Moment::BootCheck);
        assert_ne!(next, Plan::default(), "{booted}");
    }
}

#[test]
fn a_boot_is_watched_before_the_ledger_or_the_loader_is_touched() {
    let of_trial = decide(&marked(), &seen(1, "trial"), &policy(2), &Moment::BootCheck);
    let twice = play(marked(), &[(1, "trial", Moment::BootCheck), (2, "trial", Moment::BootCheck)]);
    let mut armed = seen(3, "golden");
    armed.loader.as_mut().unwrap().one_shot = OneShot::Armed(toplevel("trial"));
    let of_landing = decide(&twice, &armed, &policy(2), &Moment::BootCheck);
    for (plan, touches) in [(of_trial, Step::Arm(toplevel("trial"))), (of_landing, Step::Disarm)] {
        let at = |step: &Step| plan.steps.iter().position(|it| it == step).unwrap();
        let commit = plan.steps.iter().position(|step| matches!(step, Step::Commit(_))).unwrap();
        assert!(at(&Step::Watch) < commit && commit < at(&touches), "{plan:?}");
    }
}

#[test]
fn without_the_loader_the_last_attempt_is_closed_and_the_default_does_the_rest() {
    let ledger = play(marked(), &[(1, "trial", Moment::BootCheck), (2, "trial", Moment::BootCheck)]);
    let blind = Seen { loader: None, ..seen(2, "trial") };
    let plan = decide(&ledger, &blind, &policy(2), &deadline());
    assert!(reboots(&plan), "{plan:?}");
    let ledger = after(&plan, ledger);
    assert_eq!(ledger.trial.as_ref().unwrap().attempts.failures(), 2);
    let plan = decide(&ledger, &seen(3, "golden"), &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::RequestRollback), "{plan:?}");
}

#[test]
fn a_spent_budget_ends_in_safe_mode_and_not_in_a_reboot() {
    let none = Policy { max_automatic_reboots: 0, ..policy(2) };
    for boots in 1..=2 {
        let moments: Vec<_> = (1..=boots).map(|number| (number, "trial", Moment::BootCheck)).collect();
        let ledger = play(marked(), &moments);
        let plan = decide(&ledger, &seen(boots, "trial"), &none, &deadline());
        assert!(!does(&plan, &Step::Reboot), "{plan:?}");
        assert_eq!(plan.steps.last(), Some(&Step::EnterSafeMode));
        assert_eq!(after(&plan, ledger).safe_mode.unwrap().reason, SafeModeReason::BudgetSpent);
    }
}

#[test]
fn a_spent_budget_ends_the_ladder_where_the_machine_is() {
    let none = Policy { max_automatic_reboots: 0, ..policy(2) };
    for (number, moment) in [(3, deadline()), (4, Moment::BootCheck)] {
        let plan = decide(&landed(), &seen(number, "golden"), &none, &moment);
        assert!(!does(&plan, &Step::Reboot), "{plan:?}");
        // What stopped without a word is tried again.
        let is_known = matches!(moment, Moment::Fail(_));
        assert_eq!(plan.steps.last() == Some(&Step::EnterSafeMode), is_known, "{plan:?}");
        let ledger = after(&plan, landed());
        assert_eq!(ledger.safe_mode.unwrap().reason, SafeModeReason::BudgetSpent);
        // Whoever reboots it comes to the next rung.
        assert!(does(&plan, &Step::SetDefault(toplevel("other"))), "{plan:?}");
    }
}

#[test]
fn a_landing_is_watched_until_it_is_confirmed() {
    let ledger = landed();
    assert!(ledger.landing.as_ref().unwrap().attempts.is_open_in(&boot(3)));
    assert!(!is_settled(&ledger, Some(&toplevel("golden")), Some(&toplevel("golden"))));
    let done =
        play(ledger, &[(3, "golden", Moment::RolledBack { running: None }), (3, "golden", Moment::Confirm)]);
    assert!(done.landing.is_none() && done.failed_landings.is_empty());
    assert!(is_settled(&done, Some(&toplevel("golden")), Some(&toplevel("golden"))));
}

#[test]
fn golden_that_fails_gives_way_to_what_was_confirmed_last_at_once() {
    for (moment, by_us) in [(shutdown(&["disk.service"]), false), (deadline(), true)] {
        let plan = decide(&landed(), &seen(3, "golden"), &policy(2), &moment);
        assert!(does(&plan, &Step::Arm(toplevel("other"))), "{plan:?}");
        assert_eq!(reboots(&plan), by_us, "{plan:?}");
        let ledger = after(&plan, landed());
        assert!(ledger.is_failed_landing(&toplevel("golden")));
        assert_eq!(ledger.rollback.unwrap().to, toplevel("other"));
        assert_eq!(ledger.automatic_reboots, u32::from(by_us));
    }
    // It stopped without a word, and is the loader's default all the same.
    let plan = decide(&landed(), &seen(4, "golden"), &policy(2), &Moment::BootCheck);
    assert!(reboots(&plan) && does(&plan, &Step::Arm(toplevel("other"))), "{plan:?}");
}

#[test]
fn an_innocent_end_of_a_landing_does_not_count() {
    let ledger = play(landed(), &[(3, "golden", shutdown(&[])), (4, "golden", Moment::BootCheck)]);
    assert!(ledger.failed_landings.is_empty());
    assert_eq!(ledger.landing.unwrap().attempts.failures(), 0);
}

#[test]
fn the_last_rung_has_as_many_attempts_as_a_trial_because_after_it_there_is_only_safe_mode() {
    let alone = |number| {
        let mut seen = seen(number, "golden");
        seen.loader.as_mut().unwrap().listed.retain(|listed| *listed != toplevel("other"));
        seen
    };
    let mut ledger = landed();
    let plan = decide(&ledger, &alone(4), &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::Watch) && !does(&plan, &Step::EnterSafeMode), "{plan:?}");
    ledger = after(&plan, ledger);
    let plan = decide(&ledger, &alone(4), &policy(2), &deadline());
    assert!(!does(&plan, &Step::Reboot), "{plan:?}");
    assert_eq!(plan.steps.last(), Some(&Step::EnterSafeMode));
    ledger = after(&plan, ledger);
    assert_eq!(ledger.safe_mode.as_ref().unwrap().reason, SafeModeReason::LadderEnded);
    // Every further boot of it goes there too; a boot that is confirmed after all ends it.
    let plan = decide(&ledger, &alone(6), &policy(2), &Moment::BootCheck);
    assert_eq!(plan.steps.last(), Some(&Step::EnterSafeMode));
    let ledger = after(&decide(&ledger, &alone(6), &policy(2), &Moment::Confirm), ledger);
    assert!(ledger.safe_mode.is_none() && ledger.failed_landings.is_empty());
}

#[test]
fn the_rungs_are_golden_what_was_confirmed_last_and_older_goldens() {
    let mut seen = seen(0, "golden");
    seen.older_goldens = vec![toplevel("older")];
    seen.loader.as_mut().unwrap().listed.push(toplevel("older"));
    let mut ledger = known();
    let mut order = Vec::new();
    while let Some(rung) = landing(&ledger, &seen, &policy(2), &toplevel("trial")) {
        if order.contains(&rung) {
            break;
        }
        let landing = serde_json::json!({ "from": toplevel("trial"), "toplevel": rung });
        ledger.failed_landings.push(serde_json::from_value(landing).unwrap());
        order.push(rung);
    }
    assert_eq!(order, ["golden", "other", "older"].map(toplevel));
    // What has failed everywhere is still better than nothing: there the machine stays in safe mode.
    assert_eq!(landing(&ledger, &seen, &policy(2), &toplevel("trial")), Some(toplevel("golden")));
    let last = Policy { rollback_target: RollbackTarget::LastConfirmed, ..policy(2) };
    let mut other_last = known();
    other_last.confirmed.reverse();
    assert_eq!(landing(&other_last, &seen, &last, &toplevel("trial")), Some(toplevel("other")));
}

fn damage(name: &str, is_lasting: bool) -> Damage {
    Damage { toplevel: toplevel(name), why: "the kernel is gone".to_owned(), is_lasting }
}

#[test]
fn what_cannot_be_booted_is_no_landing_and_a_trial_that_cannot_has_failed() {
    let damaged =
        |name: &str, number, booted| Seen { damaged: vec![damage(name, true)], ..seen(number, booted) };
    let seen_now = damaged("golden", 0, "other");
    assert_eq!(landing(&known(), &seen_now, &policy(2), &toplevel("trial")), Some(toplevel("other")));
    let plan = decide(&marked(), &damaged("trial", 1, "golden"), &policy(1), &Moment::BootCheck);
    let ledger = after(&plan, marked());
    assert!(ledger.is_quarantined(&toplevel("trial")), "{plan:?}");
    // A full boot partition is no fault of the trial's.
    let full = Seen { damaged: vec![damage("trial", false)], ..seen(1, "other") };
    let plan = decide(&marked(), &full, &policy(1), &Moment::BootCheck);
    let ledger = after(&plan, marked());
    assert_eq!(ledger.trial.unwrap().attempts.failures(), 0, "{plan:?}");
}

#[test]
fn evidence_stays_with_the_attempt_that_it_is_about() {
    let evidence = Evidence { panic: Some("Kernel panic - not syncing: x".to_owned()), watchdog: true };
    let ledger = play(marked(), &[(1, "trial", Moment::BootCheck)]);
    let next = Seen { evidence: evidence.clone(), ..seen(2, "trial") };
    let ledger = after(&decide(&ledger, &next, &policy(2), &Moment::BootCheck), ledger);
    let attempts = &ledger.trial.as_ref().unwrap().attempts;
    assert_eq!((&attempts[0].evidence, &attempts[1].evidence), (&evidence, &Evidence::default()));
}

#[test]
fn a_loader_that_boots_nothing_once_has_nothing_armed_while_an_attempt_runs() {
    let mut seen = seen(1, "trial");
    seen.loader.as_mut().unwrap().consumes_one_shot = false;
    let plan = decide(&marked(), &seen, &policy(3), &Moment::BootCheck);
    assert!(!does(&plan, &Step::Arm(toplevel("trial"))), "{plan:?}");
    // Right before the reboot it may be: golden need not be passed through.
    let ledger = after(&plan, marked());
    let plan = decide(&ledger, &seen, &policy(3), &deadline());
    assert!(does(&plan, &Step::Arm(toplevel("trial"))) && reboots(&plan), "{plan:?}");
}

#[test]
fn a_loader_that_keeps_a_one_shot_is_found_out_by_the_firmwares_counter() {
    let at = |boots| {
        let mut seen = seen(boots, "trial");
        let loader = seen.loader.as_mut().unwrap();
        loader.firmware_boots = Some(boots);
        loader.one_shot = OneShot::Armed(toplevel("trial"));
        seen
    };
    let ledger = after(&decide(&known(), &at(0), &policy(2), &Moment::Mark(toplevel("trial"))), known());
    let stayed = |event: &Event| matches!(event, Event::OneShotStayed { .. });
    let plan = decide(&ledger, &at(1), &policy(2), &Moment::BootCheck);
    assert_eq!(told(&plan, stayed), 1, "{plan:?}");
    // Past the loader (kexec, a reboot of userspace) it was not asked.
    assert_eq!(told(&decide(&ledger, &at(0), &policy(2), &Moment::BootCheck), stayed), 0);
}

#[test]
fn hibernation_goes_through_the_loader_and_the_trial_waits_meanwhile() {
    let ledger = marked();
    let plan = decide(&ledger, &seen(0, "golden"), &policy(2), &Moment::Hibernate);
    assert_eq!(plan.steps.last(), Some(&Step::Arm(toplevel("golden"))));
    let ledger = after(&plan, ledger);
    // Nobody counts a boot that was none, even if it wakes up as another one.
    let plan = decide(&ledger, &seen(1, "golden"), &policy(2), &Moment::BootCheck);
    assert_eq!(told(&plan, |event| matches!(event, Event::AttemptFailed { .. })), 0, "{plan:?}");
    let plan = decide(&ledger, &seen(0, "golden"), &policy(2), &Moment::Resume);
    assert!(does(&plan, &Step::Arm(toplevel("trial"))), "{plan:?}");
    assert_eq!(decide(&known(), &seen(0, "golden"), &policy(2), &Moment::Hibernate), Plan::default());
}

#[test]
fn what_a_boot_check_takes_back_is_no_evidence_of_an_attempt() {
    let failures = |consumes_one_shot| {
        let mut seen = seen(1, "golden");
        seen.loader.as_mut().unwrap().consumes_one_shot = consumes_one_shot;
        let plan = decide(&marked(), &seen, &policy(2), &Moment::BootCheck);
        after(&plan, marked()).trial.unwrap().attempts.failures()
    };
    assert_eq!((failures(true), failures(false)), (1, 0));
}

#[test]
fn a_boot_that_is_closed_is_left_for_what_comes_next_and_history_knows_before() {
    let seen = seen(2, "trial");
    let leaves = |ledger: &Ledger| decide(ledger, &seen, &policy(2), &Moment::Leave).steps;
    let reboots = |cause, to: &str| {
        let event = Event::Rebooting { cause, toplevel: toplevel(to), automatic_reboots: 0 };
        vec![Step::Tell(event), Step::Reboot]
    };
    let landed = landed();
    let without_rollback = Ledger { rollback: None, ..landed.clone() };
    let safe_mode = Some(SafeMode { reason: SafeModeReason::BudgetSpent, unknown: Kept::new() });
    for (ledger, expected) in [
        (known(), vec![]),
        (marked(), reboots(RebootCause::Retry, "trial")),
        (Ledger { automatic_reboots: 0, ..landed.clone() }, reboots(RebootCause::RollBack, "golden")),
        (Ledger { automatic_reboots: 0, ..without_rollback }, reboots(RebootCause::LandAgain, "golden")),
        (Ledger { safe_mode, ..landed }, vec![Step::EnterSafeMode]),
    ] {
        assert_eq!(leaves(&ledger), expected);
    }
}

#[test]
fn a_closed_attempt_is_left_as_the_loader_stands_only_if_a_working_system_boots_next() {
    type Change = fn(&mut Ledger, &mut Seen);
    let marked = marked();
    let begun = after(&decide(&marked, &seen(1, "trial"), &policy(2), &Moment::BootCheck), marked);
    let closed = after(&decide(&begun, &seen(1, "trial"), &policy(2), &deadline()), begun);
    let changes: [(&str, Change, bool); 6] = [
        ("golden works", |_, _| {}, true),
        ("golden is damaged", |_, seen| seen.damaged.push(damage("golden", true)), false),
        ("golden is quarantined", |ledger, _| ledger.quarantine.push(quarantined("golden")), false),
        ("golden has failed", |ledger, _| ledger.failed_landings.push(failed_landing("golden")), false),
        ("the trial is the default", |_, seen| set_default(seen, Some("trial")), false),
        ("the default is unknown", |_, seen| set_default(seen, None), false),
    ];
    for (claim, change, leaves) in changes {
        let (mut ledger, mut seen) = (closed.clone(), seen(1, "trial"));
        change(&mut ledger, &mut seen);
        let plan = decide(&ledger, &seen, &policy(2), &Moment::Leave);
        assert_eq!(
            (reboots(&plan), does(&plan, &Step::EnterSafeMode)),
            (leaves, !leaves),
            "{claim}: {plan:?}"
        );
    }
    // A damaged system that is armed would boot once.
    for is_damaged in [false, true] {
        let mut seen = seen(1, "trial");
        seen.loader.as_mut().unwrap().one_shot = OneShot::Armed(toplevel("trial"));
        seen.damaged.extend(is_damaged.then(|| damage("trial", true)));
        let plan = decide(&closed, &seen, &policy(2), &Moment::Leave);
        assert_eq!((reboots(&plan), does(&plan, &Step::Disarm)), (true, is_damaged), "{plan:?}");
    }
}

fn set_default(seen: &mut Seen, default: Option<&str>) {
    seen.loader.as_mut().unwrap().default = default.map(toplevel);
}

fn quarantined(name: &str) -> Quarantined {
    Quarantined {
        toplevel: toplevel(name),
        attempts: Attempts::default(),
        revision: None,
        by_person: true,
        failed_trials: 0,
        waited: None,
        second_chance: false,
        unknown: Kept::new(),
    }
}

fn failed_landing(name: &str) -> Landing {
    Landing {
        from: toplevel("trial"),
        toplevel: toplevel(name),
        arming: Arming::Idle,
        armed_at: None,
        armed_by: StartedBy::default(),
        attempts: Attempts::default(),
        unknown: Kept::new(),
    }
}
