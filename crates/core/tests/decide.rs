//! What is decided, claim by claim. `golden` is pinned, `trial` is tried, `other` was confirmed earlier.

mod machine;

use golden_core::{
    Arming, Attempts, Cause, End, Event, Kept, Landing, Ledger, Moment, Plan, Policy, Refusal, Rollback,
    RollbackTarget, Seen, Shutdown, ShutdownSeen, Step, decide, is_settled,
};

use machine::{after, boot, does, known, marked, picked, policy, seen, toplevel};

#[test]
fn a_mark_keeps_the_landing_the_default_and_arms_the_trial_once() {
    let mut seen = seen(0, "golden");
    if let Some(loader) = &mut seen.loader {
        // As the installer left it.
        loader.default = Some(toplevel("trial"));
    }
    let plan = decide(&known(), &seen, &policy(2), &Moment::Mark(toplevel("trial")));
    let at = |wanted: &Step| plan.steps.iter().position(|step| step == wanted);
    let (default, arm) = (at(&Step::SetDefault(toplevel("golden"))), at(&Step::Arm(toplevel("trial"))));
    let intent = plan.steps.iter().position(|step| matches!(step, Step::Commit(_)));
    // The default first: power that goes in between loses the trial, and not the machine.
    assert!(default.is_some() && default < intent && intent < arm, "{plan:?}");
}

#[test]
fn exactly_max_failures_failed_attempts_roll_back() {
    for max_failures in 1..=3 {
        let mut ledger = marked();
        for number in 1..=max_failures {
            let plan = decide(&ledger, &seen(number, "trial"), &policy(max_failures), &Moment::BootCheck);
            ledger = after(&plan, ledger);
            let trial = ledger.trial.as_ref().unwrap();
            assert_eq!((trial.attempts.failures(), trial.attempts.len()), (number - 1, number as usize));
            // The last attempt is not followed by another one.
            assert_eq!(does(&plan, &Step::Arm(toplevel("trial"))), number < max_failures, "{plan:?}");
        }
        let plan = decide(&ledger, &seen(9, "golden"), &policy(max_failures), &Moment::BootCheck);
        assert!(does(&plan, &Step::RequestRollback) && !does(&plan, &Step::Reboot), "{plan:?}");
        let ledger = after(&plan, ledger);
        assert!(ledger.trial.is_none() && ledger.is_quarantined(&toplevel("trial")));
    }
}

#[test]
fn an_attempt_that_nobody_saw_is_retried_from_golden_and_history_knows_before_the_reboot() {
    let plan = decide(&marked(), &seen(1, "golden"), &policy(2), &Moment::BootCheck);
    assert_eq!(plan.steps.last(), Some(&Step::Reboot));
    let told = plan.steps.iter().rev().nth(1);
    assert!(matches!(told, Some(Step::Tell(Event::Rebooting { .. }))), "{plan:?}");
    let trial = after(&plan, marked()).trial.unwrap();
    assert_eq!(trial.attempts[0].end, Some(End::Failed { cause: Cause::NeverReachedBootCheck }));
}

#[test]
fn the_budget_of_reboots_is_kept() {
    let spent = Ledger { automatic_reboots: Policy::default().max_automatic_reboots, ..marked() };
    let plan = decide(&spent, &seen(1, "golden"), &policy(2), &Moment::BootCheck);
    assert!(!does(&plan, &Step::Reboot), "{plan:?}");
}

#[test]
fn a_generation_that_a_person_picked_is_no_attempt() {
    for booted in ["golden", "trial"] {
        let ledger = Ledger { trial: None, ..known() };
        let plan = decide(&ledger, &picked(1, booted), &policy(2), &Moment::BootCheck);
        assert_eq!(plan, Plan::default(), "{booted}");
    }
    let plan = decide(&marked(), &picked(1, "golden"), &policy(2), &Moment::BootCheck);
    assert!(!does(&plan, &Step::Reboot), "{plan:?}");
    assert_eq!(after(&plan, marked()).trial.unwrap().attempts.failures(), 0);
}

#[test]
fn a_switch_that_nobody_marked_is_found_out() {
    let mut seen = seen(1, "trial");
    if let Some(loader) = &mut seen.loader {
        loader.default = Some(toplevel("trial"));
    }
    let plan = decide(&known(), &seen, &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::SetDefault(toplevel("golden"))), "{plan:?}");
    assert_eq!(after(&plan, known()).trial.unwrap().attempts.len(), 1);
}

#[test]
fn an_innocent_end_does_not_count_but_five_in_a_row_do() {
    let mut ledger = marked();
    let shutdown = ShutdownSeen { kind: Shutdown::Reboot, failed_units: Vec::new(), goes_elsewhere: false };
    for number in 1..=5 {
        let seen = seen(number, "trial");
        ledger = after(&decide(&ledger, &seen, &policy(2), &Moment::BootCheck), ledger);
        ledger = after(&decide(&ledger, &seen, &policy(2), &Moment::Shutdown(shutdown.clone())), ledger);
        assert_eq!(ledger.trial.as_ref().unwrap().attempts.failures(), u32::from(number == 5));
    }
}

#[test]
fn a_unit_that_takes_the_machine_down_is_not_innocent() {
    let seen = seen(1, "trial");
    let ledger = after(&decide(&marked(), &seen, &policy(2), &Moment::BootCheck), marked());
    let shutdown = ShutdownSeen {
        kind: Shutdown::Reboot,
        failed_units: vec!["bad.service".to_owned()],
        goes_elsewhere: false,
    };
    let ledger = after(&decide(&ledger, &seen, &policy(2), &Moment::Shutdown(shutdown)), ledger);
    assert_eq!(ledger.trial.unwrap().attempts.failures(), 1);
}

#[test]
fn a_confirmed_trial_is_recorded_before_it_becomes_the_default() {
    let seen = seen(1, "trial");
    let ledger = after(&decide(&marked(), &seen, &policy(2), &Moment::BootCheck), marked());
    let plan = decide(&ledger, &seen, &policy(2), &Moment::Confirm);
    assert!(matches!(&plan.steps[0], Step::Commit(ledger) if ledger.owed_default == Some(toplevel("trial"))));
    assert!(does(&plan, &Step::SetDefault(toplevel("trial"))), "{plan:?}");
    let confirmed = after(&plan, ledger);
    assert!(confirmed.is_confirmed(&toplevel("trial")) && confirmed.owed_default.is_none());
    // The debt of a crash in between is paid by the next healthy boot, whatever it runs.
    let owing = Ledger { owed_default: Some(toplevel("trial")), ..confirmed };
    let plan = decide(&owing, &self::seen(2, "golden"), &policy(2), &Moment::Confirm);
    assert!(does(&plan, &Step::SetDefault(toplevel("trial"))), "{plan:?}");
}

#[test]
fn a_healthy_boot_without_a_trial_changes_nothing() {
    for moment in [Moment::BootCheck, Moment::Confirm, Moment::RollBack, Moment::RolledBack { running: None }]
    {
        assert_eq!(decide(&known(), &seen(1, "golden"), &policy(2), &moment), Plan::default(), "{moment:?}");
    }
}

#[test]
fn what_is_settled_gives_a_boot_check_nothing_to_do_whatever_the_loader_says() {
    let ledgers = [Ledger::default(), known(), marked()];
    let names = [None, Some("golden"), Some("trial"), Some("other")];
    for (ledger, booted) in ledgers.iter().flat_map(|ledger| names.map(|booted| (ledger, booted))) {
        for (default, selected) in names.iter().flat_map(|default| names.map(|selected| (default, selected)))
        {
            let mut seen = seen(1, "golden");
            seen.booted = booted.map(toplevel);
            if let Some(loader) = &mut seen.loader {
                (loader.default, loader.selected) = (default.map(toplevel), selected.map(toplevel));
            }
            if is_settled(ledger, seen.booted.as_ref(), seen.golden.as_ref()) {
                assert_eq!(decide(ledger, &seen, &policy(2), &Moment::BootCheck), Plan::default());
            }
        }
    }
}

#[test]
fn a_quarantined_toplevel_is_refused_and_does_not_stay_the_default() {
    let mut ledger = marked();
    for number in 1..=3 {
        let booted = if number == 3 { "golden" } else { "trial" };
        ledger = after(&decide(&ledger, &seen(number, booted), &policy(2), &Moment::BootCheck), ledger);
    }
    let mut seen = seen(4, "golden");
    if let Some(loader) = &mut seen.loader {
        loader.default = Some(toplevel("trial"));
    }
    let plan = decide(&ledger, &seen, &policy(2), &Moment::Mark(toplevel("trial")));
    assert_eq!(plan.refusal, Some(Refusal::Quarantined(toplevel("trial"))));
    assert!(does(&plan, &Step::SetDefault(toplevel("golden"))), "{plan:?}");
}

#[test]
fn only_what_was_confirmed_here_is_pinned_unless_somebody_vouches_for_it() {
    let plan = decide(&marked(), &seen(1, "trial"), &policy(2), &Moment::Pin { force: false });
    assert_eq!(plan.refusal, Some(Refusal::NeverConfirmed(toplevel("trial"))));
    assert!(plan.steps.is_empty());
    let plan = decide(&marked(), &seen(1, "trial"), &policy(2), &Moment::Pin { force: true });
    assert!(does(&plan, &Step::PinProfile(toplevel("trial"))), "{plan:?}");
    assert!(after(&plan, marked()).is_confirmed(&toplevel("trial")));
}

#[test]
fn a_second_pin_of_the_same_system_makes_sure_of_it_and_is_no_news() {
    let now = seen(1, "golden");
    let first = decide(&known(), &now, &policy(2), &Moment::Pin { force: false });
    let pinned = |plan: &Plan| plan.steps.iter().any(|step| matches!(step, Step::Tell(Event::Pinned { .. })));
    assert!(pinned(&first), "{first:?}");
    let ledger = after(&first, known());
    for force in [false, true] {
        let second = decide(&ledger, &now, &policy(2), &Moment::Pin { force });
        assert_eq!(second.steps, [Step::PinProfile(toplevel("golden"))]);
    }
    let lost = Seen { golden: None, ..now };
    assert!(pinned(&decide(&ledger, &lost, &policy(2), &Moment::Pin { force: false })));
}

/// A machine on which the trial failed and is quarantined, with golden as it was.
fn rolled_back() -> Ledger {
    let mut ledger = marked();
    for number in 1..=3 {
        let booted = if number == 3 { "golden" } else { "trial" };
        ledger = after(&decide(&ledger, &seen(number, booted), &policy(2), &Moment::BootCheck), ledger);
    }
    after(&decide(&ledger, &seen(3, "golden"), &policy(2), &Moment::RolledBack { running: None }), ledger)
}

#[test]
fn a_refused_switch_leaves_what_runs_the_default() {
    let mut seen = seen(4, "other");
    if let Some(loader) = &mut seen.loader {
        loader.default = Some(toplevel("trial"));
    }
    let plan = decide(&rolled_back(), &seen, &policy(2), &Moment::Mark(toplevel("trial")));
    assert!(does(&plan, &Step::SetDefault(toplevel("other"))), "{plan:?}");
    // Unless that is not known to be good, or has no entry any more.
    for booted in [None, Some(toplevel("trial")), Some(toplevel("gone"))] {
        seen.booted = booted;
        let plan = decide(&rolled_back(), &seen, &policy(2), &Moment::Mark(toplevel("trial")));
        assert!(does(&plan, &Step::SetDefault(toplevel("golden"))), "{plan:?}");
    }
}

#[test]
fn what_failed_is_left_when_the_loader_boots_it_by_itself_and_not_when_a_person_does() {
    let mut seen = seen(4, "trial");
    let plan = decide(&rolled_back(), &seen, &policy(2), &Moment::BootCheck);
    assert_eq!(plan, Plan::default(), "picked in the menu");
    seen.loader.as_mut().unwrap().default = Some(toplevel("trial"));
    let plan = decide(&rolled_back(), &seen, &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::SetDefault(toplevel("golden"))), "{plan:?}");
    assert_eq!(plan.steps.last(), Some(&Step::Reboot));
    let ledger = after(&plan, rolled_back());
    assert_eq!((ledger.automatic_reboots, ledger.rollback.is_some()), (1, true));
}

#[test]
fn a_default_that_nobody_can_tell_is_put_right() {
    let mut seen = seen(4, "trial");
    seen.loader.as_mut().unwrap().default = None;
    let plan = decide(&rolled_back(), &seen, &policy(2), &Moment::BootCheck);
    assert_eq!(plan.steps, [Step::SetDefault(toplevel("golden"))]);
    // What nobody knows may have been booted by it, and is tried like any other.
    let plan = decide(&known(), &seen, &policy(2), &Moment::BootCheck);
    assert_eq!(after(&plan, known()).trial.unwrap().attempts.len(), 1);
}

#[test]
fn golden_picked_in_the_menu_is_told_from_a_trial_that_died_by_the_firmware_counter() {
    let counted = |boots: Option<u32>| {
        let mut seen = seen(1, "golden");
        seen.loader.as_mut().unwrap().firmware_boots = boots;
        seen
    };
    let cases = [
        (Some(7), Some(8), 0),
        (Some(7), Some(9), 1),
        (Some(u32::MAX), Some(0), 0),
        (Some(u32::MAX), Some(1), 1),
        // Somebody took the one-shot back; the firmware lost its memory.
        (Some(7), Some(7), 0),
        (Some(7), Some(1), 0),
        (None, Some(8), 1),
        (Some(7), None, 1),
    ];
    for (then, now, failures) in cases {
        let armed = decide(&known(), &counted(then), &policy(2), &Moment::Mark(toplevel("trial")));
        let ledger = after(&armed, known());
        let plan = decide(&ledger, &counted(now), &policy(2), &Moment::BootCheck);
        assert_eq!(after(&plan, ledger).trial.unwrap().attempts.failures(), failures, "{then:?} {now:?}");
        assert_eq!(does(&plan, &Step::Reboot), failures > 0);
        assert!(does(&plan, &Step::Arm(toplevel("trial"))), "the trial waits: {plan:?}");
    }
}

#[test]
fn a_rollback_whose_landing_lost_its_entry_lands_elsewhere() {
    let begun = || {
        let mut ledger = marked();
        for number in 1..=3 {
            let booted = if number == 3 { "golden" } else { "trial" };
            ledger = after(&decide(&ledger, &seen(number, booted), &policy(2), &Moment::BootCheck), ledger);
        }
        ledger
    };
    let without = |booted: &str, gone: &[&str]| {
        let mut seen = seen(4, booted);
        let loader = seen.loader.as_mut().unwrap();
        loader.listed.retain(|listed| !gone.iter().any(|gone| toplevel(gone) == *listed));
        loader.default = Some(toplevel("trial"));
        seen
    };
    let plan = decide(&begun(), &without("trial", &["golden"]), &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::SetDefault(toplevel("other"))), "{plan:?}");
    assert_eq!(plan.steps.last(), Some(&Step::Reboot));
    assert_eq!(after(&plan, begun()).rollback.unwrap().to, toplevel("other"));
    // Where the landing runs, phase two makes its entry anew.
    let same_boot = Seen { boot: boot(3), ..without("golden", &["golden"]) };
    let plan = decide(&begun(), &same_boot, &policy(2), &Moment::BootCheck);
    assert_eq!(plan.steps, [Step::Watch, Step::RequestRollback]);
    // With nothing left to land on there is nothing left to do.
    let plan = decide(&begun(), &without("trial", &["golden", "other"]), &policy(2), &Moment::BootCheck);
    let ledger = after(&plan, begun());
    assert!(ledger.safe_mode.is_some() && !does(&plan, &Step::Reboot), "{plan:?}");
    let plan = decide(&ledger, &without("trial", &["golden", "other"]), &policy(2), &Moment::BootCheck);
    assert_eq!(plan.steps, [Step::EnterSafeMode]);
}

#[test]
fn a_debt_to_a_system_that_cannot_be_booted_any_more_is_forgotten() {
    let owing = Ledger { owed_default: Some(toplevel("gone")), ..known() };
    let plan = decide(&owing, &seen(2, "golden"), &policy(2), &Moment::Confirm);
    assert!(after(&plan, owing).owed_default.is_none());
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::SetDefault(_))), "{plan:?}");
}

#[test]
fn what_was_deployed_after_the_trial_takes_its_place_marked_or_not() {
    let mut seen = seen(1, "trial");
    let loader = seen.loader.as_mut().unwrap();
    loader.listed.push(toplevel("later"));
    loader.default = Some(toplevel("later"));
    // It may be a system without us: it stays the default, and nothing is counted against it.
    let plan = decide(&marked(), &seen, &policy(2), &Moment::BootCheck);
    assert!(after(&plan, marked()).trial.is_none());
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::SetDefault(_) | Step::Arm(_) | Step::Reboot)));
    // It runs already: this is its first attempt, and the old trial has failed nothing.
    seen.booted = Some(toplevel("later"));
    seen.loader.as_mut().unwrap().selected = Some(toplevel("later"));
    let plan = decide(&marked(), &seen, &policy(2), &Moment::BootCheck);
    let trial = after(&plan, marked()).trial.unwrap();
    assert_eq!(
        (trial.toplevel.clone(), trial.attempts.len(), trial.attempts.failures()),
        (toplevel("later"), 1, 0)
    );
    assert!(!does(&plan, &Step::Reboot), "{plan:?}");
}

#[test]
fn a_trial_that_is_gone_is_given_up() {
    let mut seen = seen(1, "golden");
    seen.loader.as_mut().unwrap().listed.retain(|listed| *listed != toplevel("trial"));
    let plan = decide(&marked(), &seen, &policy(2), &Moment::BootCheck);
    assert!(after(&plan, marked()).trial.is_none());
    assert!(!does(&plan, &Step::Reboot) && !does(&plan, &Step::Arm(toplevel("trial"))), "{plan:?}");
}

#[test]
fn the_owner_chooses_where_a_rollback_lands() {
    for (rollback_target, first, second) in
        [(RollbackTarget::Golden, "golden", "newest"), (RollbackTarget::LastConfirmed, "newest", "other")]
    {
        let policy = Policy { rollback_target, ..Policy::default() };
        let mut ledger = known();
        let mut seen = seen(1, "newest");
        seen.loader.as_mut().unwrap().listed.push(toplevel("newest"));
        ledger = after(&decide(&ledger, &seen, &policy, &Moment::Confirm), ledger);
        let landing = |seen: &Seen| golden_core::landing(&ledger, seen, &policy, &toplevel("trial"));
        assert_eq!(landing(&seen), Some(toplevel(first)));
        seen.loader.as_mut().unwrap().listed.retain(|listed| *listed != toplevel(first));
        if rollback_target == RollbackTarget::LastConfirmed {
            // The confirmed ones come before golden, which was confirmed too.
            seen.golden = None;
            assert_eq!(landing(&seen), Some(toplevel("golden")));
            seen.loader.as_mut().unwrap().listed.retain(|listed| *listed != toplevel("golden"));
        }
        assert_eq!(landing(&seen), Some(toplevel(second)));
    }
}

#[test]
fn a_boot_is_one_attempt_however_often_it_is_checked() {
    let mut ledger = marked();
    for _ in 0..3 {
        ledger = after(&decide(&ledger, &seen(1, "trial"), &policy(2), &Moment::BootCheck), ledger);
        let trial = ledger.trial.as_ref().unwrap();
        assert_eq!((trial.attempts.len(), trial.attempts.failures()), (1, 0));
    }
}

#[test]
fn what_is_quarantined_is_never_landed_on_whatever_a_ledger_says() {
    let rolled_back = rolled_back();
    let quarantined = rolled_back.quarantine[0].toplevel.clone();
    assert_eq!(quarantined, toplevel("trial"));
    let landing = Landing {
        from: toplevel("other"),
        arming: golden_core::Arming::Idle,
        armed_at: None,
        armed_by: golden_core::StartedBy::default(),
        toplevel: quarantined.clone(),
        attempts: Attempts::default(),
        unknown: Kept::new(),
    };
    let rollback =
        Rollback { from: toplevel("other"), to: quarantined.clone(), called_off: None, unknown: Kept::new() };
    let edited = Ledger { landing: Some(landing), rollback: Some(rollback), ..rolled_back };
    let mut seen = seen(9, "trial");
    for default in ["trial", "golden"] {
        if let Some(loader) = &mut seen.loader {
            loader.default = Some(toplevel(default));
        }
        for without_rollback in [false, true] {
            let rollback = edited.rollback.clone().filter(|_| !without_rollback);
            let ledger = Ledger { rollback, ..edited.clone() };
            let plan = decide(&ledger, &seen, &policy(2), &Moment::BootCheck);
            assert!(!does(&plan, &Step::SetDefault(quarantined.clone())), "{plan:?}");
            assert!(!does(&plan, &Step::RequestRollback), "{plan:?}");
            assert_eq!(does(&plan, &Step::SetDefault(toplevel("golden"))), default == "trial", "{plan:?}");
            let after = after(&plan, ledger);
            assert!(after.rollback.is_none_or(|rollback| rollback.to == toplevel("golden")));
        }
    }
    for moment in [Moment::RollBack, Moment::RolledBack { running: None }] {
        assert_eq!(decide(&edited, &seen, &policy(2), &moment), Plan::default());
    }
}

/// The boot partition is not mounted: what was armed shows in a later boot, and what ended has ended.
#[test]
fn a_boot_check_that_does_not_see_the_loader_records_what_ended_and_keeps_what_was_armed() {
    for max_failures in [1, 2] {
        let check = |ledger: &Ledger, seen: &Seen| {
            after(&decide(ledger, seen, &policy(max_failures), &Moment::BootCheck), ledger.clone())
        };
        let blind = |number, booted| Seen { loader: None, ..seen(number, booted) };
        let running = check(&marked(), &seen(1, "trial"));
        let armed = running.trial.as_ref().expect("it runs").arming;
        let ended = check(&running, &blind(2, "golden"));
        let trial = ended.trial.as_ref().expect("it is not quarantined without its loader");
        assert_eq!((trial.attempts.failures(), trial.attempts.open().is_some()), (1, false), "{trial:?}");
        assert_eq!(trial.arming, armed);
        // Nothing more is known in the next one.
        assert_eq!(check(&ended, &blind(3, "golden")), ended);
        let back = check(&ended, &seen(4, "golden"));
        assert_eq!(back.is_quarantined(&toplevel("trial")), max_failures == 1 || armed == Arming::Armed);
    }
}
