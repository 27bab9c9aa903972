//! The end of the ladder, where nothing but a loss of power is known against what runs. There is nothing but `golden`.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod machine;

use golden_core::{
    Cause, End, Event, Evidence, Ledger, Moment, Plan, Policy, SafeModeReason, Seen, Shutdown, ShutdownSeen,
    Step, decide,
};
use machine::{after, boot, does, known, marked, policy, toplevel};

fn seen(number: u32, booted: &str) -> Seen {
    let mut seen = machine::seen(number, booted);
    seen.loader.as_mut().unwrap().listed.retain(|listed| *listed != toplevel("other"));
    seen
}

fn deadline() -> Moment {
    Moment::Fail(Cause::Deadline { secs: 600, units: Vec::new() })
}

fn shutdown(failed: &[&str]) -> Moment {
    let failed_units = failed.iter().map(|unit| (*unit).to_owned()).collect();
    Moment::Shutdown(ShutdownSeen { kind: Shutdown::Reboot, failed_units, goes_elsewhere: false })
}

fn told(plan: &Plan, is: fn(&Event) -> bool) -> usize {
    plan.steps.iter().filter(|step| matches!(step, Step::Tell(event) if is(event))).count()
}

fn is_safe(plan: &Plan) -> bool {
    plan.steps.last() == Some(&Step::EnterSafeMode)
}

fn is_tried(plan: &Plan) -> bool {
    let told = told(plan, |event| matches!(event, Event::TriedAgain { .. })) == 1;
    assert_eq!(told, does(plan, &Step::Watch), "{plan:?}");
    told && !is_safe(plan) && !does(plan, &Step::Reboot)
}

fn play(ledger: Ledger, moments: &[(u32, &str, Moment)]) -> Ledger {
    moments.iter().fold(ledger, |ledger, (number, booted, moment)| {
        after(&decide(&ledger, &seen(*number, booted), &policy(2), moment), ledger)
    })
}

/// The power went in each boot from 1 to `last`: in both attempts of the trial, then in golden.
fn power_cuts(last: u32) -> Ledger {
    let booted = |number| if number <= 2 { "trial" } else { "golden" };
    let checks: Vec<_> = (1..=last).map(|number| (number, booted(number), Moment::BootCheck)).collect();
    play(marked(), &checks)
}

#[test]
fn what_may_have_lost_its_power_is_tried_as_often_as_a_trial_and_then_it_is_safe_mode() {
    let mut ledger = power_cuts(4);
    assert!(ledger.safe_mode.is_none());
    for number in 5..=6 {
        let plan = decide(&ledger, &seen(number, "golden"), &policy(2), &Moment::BootCheck);
        assert!(is_tried(&plan), "{plan:?}");
        ledger = after(&plan, ledger);
        assert!(ledger.is_watched(&boot(number)));
        assert_eq!(ledger.safe_mode.as_ref().unwrap().reason, SafeModeReason::LadderEnded);
    }
    for number in 7..=9 {
        let plan = decide(&ledger, &seen(number, "golden"), &policy(2), &Moment::BootCheck);
        assert!(is_safe(&plan) && !does(&plan, &Step::Watch), "{plan:?}");
        ledger = after(&plan, ledger);
        assert!(!ledger.is_watched(&boot(number)));
    }
    assert_eq!(ledger.failed_landings[0].attempts.failures(), 4);
}

#[test]
fn a_try_that_is_confirmed_ends_safe_mode_and_what_failed_stays_quarantined() {
    for last in 5..=6 {
        let ledger = play(power_cuts(last), &[(last, "golden", Moment::RolledBack { running: None })]);
        let plan = decide(&ledger, &seen(last, "golden"), &policy(2), &Moment::Confirm);
        assert_eq!(told(&plan, |event| matches!(event, Event::SafeModeEnded { .. })), 1, "{plan:?}");
        let ledger = after(&plan, ledger);
        assert!(ledger.safe_mode.is_none() && ledger.failed_landings.is_empty());
        assert!(ledger.is_quarantined(&toplevel("trial")) && ledger.rolled_back.is_some());
        assert_eq!(ledger.automatic_reboots, 0);
        assert_eq!(decide(&ledger, &seen(7, "golden"), &policy(2), &Moment::BootCheck), Plan::default());
    }
}

#[test]
fn a_try_finishes_the_rollback() {
    let plan = decide(&power_cuts(4), &seen(5, "golden"), &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::RequestRollback), "{plan:?}");
}

#[test]
fn a_try_that_fails_with_a_cause_is_the_last_and_goes_to_safe_mode_where_it_is() {
    let emergency = || Moment::Fail(Cause::Emergency { units: Vec::new() });
    for (moment, by_us) in [(deadline(), true), (emergency(), true), (shutdown(&["disk.service"]), false)] {
        let ledger = power_cuts(5);
        let plan = decide(&ledger, &seen(5, "golden"), &policy(2), &moment);
        assert_eq!(is_safe(&plan), by_us, "{plan:?}");
        assert!(!does(&plan, &Step::Reboot), "{plan:?}");
        assert_eq!(told(&plan, |event| matches!(event, Event::LandingFailed { .. })), 1);
        let ledger = after(&plan, ledger);
        assert!(!ledger.is_watched(&boot(5)));
        let plan = decide(&ledger, &seen(6, "golden"), &policy(2), &Moment::BootCheck);
        assert!(is_safe(&plan), "{plan:?}");
        assert_eq!(after(&plan, ledger).failed_landings[0].attempts.failures(), 3);
    }
}

#[test]
fn what_is_known_to_have_hung_or_panicked_is_not_tried() {
    let panic = Evidence { panic: Some("Kernel panic - not syncing: x".to_owned()), watchdog: false };
    let watchdog = Evidence { panic: None, watchdog: true };
    for evidence in [panic, watchdog] {
        let found = |number| Seen { evidence: evidence.clone(), ..seen(number, "golden") };
        // Before the end of the ladder, at its end, and in a try.
        for number in 4..=6 {
            let ledger = power_cuts(number - 1);
            let mut plan = decide(&ledger, &found(number), &policy(2), &Moment::BootCheck);
            if number == 4 {
                let ledger = after(&plan, ledger);
                plan = decide(&ledger, &seen(5, "golden"), &policy(2), &Moment::BootCheck);
            }
            assert!(is_safe(&plan) && !does(&plan, &Step::Watch), "{number}: {plan:?}");
        }
    }
}

#[test]
fn a_landing_that_failed_with_a_cause_before_is_not_tried() {
    let ledger = play(power_cuts(3), &[(3, "golden", deadline()), (4, "golden", Moment::BootCheck)]);
    let plan = decide(&ledger, &seen(5, "golden"), &policy(2), &Moment::BootCheck);
    assert!(is_safe(&plan), "{plan:?}");
}

#[test]
fn a_quarantined_system_is_never_tried() {
    let plan = decide(&power_cuts(6), &seen(7, "trial"), &policy(2), &Moment::BootCheck);
    assert!(is_safe(&plan) && !does(&plan, &Step::Watch), "{plan:?}");
}

#[test]
fn a_try_that_is_rebooted_in_an_orderly_way_does_not_count_until_it_is_too_often() {
    let mut ledger = power_cuts(5);
    for number in 5..=9 {
        ledger = play(ledger, &[(number, "golden", shutdown(&[]))]);
        let failures = ledger.failed_landings[0].attempts.failures();
        assert_eq!(failures, 2 + u32::from(number == 9));
        let plan = decide(&ledger, &seen(number + 1, "golden"), &policy(2), &Moment::BootCheck);
        assert_eq!((is_tried(&plan), is_safe(&plan)), (number < 9, number == 9), "{plan:?}");
        ledger = after(&plan, ledger);
    }
}

#[test]
fn a_try_is_one_however_often_its_boot_is_checked() {
    let ledger = power_cuts(5);
    let plan = decide(&ledger, &seen(5, "golden"), &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::Watch) && !is_safe(&plan), "{plan:?}");
    assert_eq!(after(&plan, ledger.clone()), ledger);
}

#[test]
fn whoever_stays_in_the_emergency_mode_of_a_try_is_left_alone() {
    let stay = Moment::Close(Cause::Emergency { units: Vec::new() });
    let ledger = play(power_cuts(5), &[(5, "golden", stay)]);
    assert!(!ledger.is_watched(&boot(5)));
    assert_eq!(decide(&ledger, &seen(5, "golden"), &policy(2), &Moment::BootCheck), Plan::default());
    assert!(is_safe(&decide(&ledger, &seen(6, "golden"), &policy(2), &Moment::BootCheck)));
}

#[test]
fn with_one_failure_allowed_there_is_one_try() {
    let check = |ledger: &Ledger, number, booted| {
        decide(ledger, &seen(number, booted), &policy(1), &Moment::BootCheck)
    };
    let mut ledger = marked();
    for (number, booted) in [(1, "trial"), (2, "golden")] {
        ledger = after(&check(&ledger, number, booted), ledger);
    }
    let plan = check(&ledger, 3, "golden");
    assert!(is_tried(&plan), "{plan:?}");
    assert!(is_safe(&check(&after(&plan, ledger), 4, "golden")));
}

#[test]
fn what_an_older_build_left_in_safe_mode_is_tried_too() {
    let text = format!(
        r#"{{"from":"{}","toplevel":"{}","attempts":[{{"boot":null,"end":{{"kind":"failed","cause":{{"kind":"vanished"}}}}}}]}}"#,
        toplevel("trial"),
        toplevel("golden")
    );
    let mut ledger = known();
    ledger.failed_landings.push(serde_json::from_str(&text).unwrap());
    ledger.safe_mode = Some(serde_json::from_str(r#"{"reason":{"kind":"ladder-ended"}}"#).unwrap());
    assert!(is_tried(&decide(&ledger, &seen(9, "golden"), &policy(2), &Moment::BootCheck)));
}

/// The budget is spent, the attempt of the trial failed, and another one waits.
fn trial_waits() -> (Ledger, Policy) {
    let spent = Policy { max_automatic_reboots: 0, ..policy(3) };
    let ledger = after(&decide(&marked(), &seen(1, "trial"), &spent, &Moment::BootCheck), marked());
    let ledger = after(&decide(&ledger, &seen(1, "trial"), &spent, &deadline()), ledger);
    assert!(ledger.safe_mode.is_some() && ledger.trial.is_some());
    (ledger, spent)
}

#[test]
fn safe_mode_lasts_while_a_trial_waits_whatever_else_is_confirmed() {
    let (ledger, policy) = trial_waits();
    for force in [None, Some(false), Some(true)] {
        let moment = force.map_or(Moment::Confirm, |force| Moment::Pin { force });
        for booted in ["golden", "other"] {
            let after = after(&decide(&ledger, &seen(2, booted), &policy, &moment), ledger.clone());
            assert!(after.safe_mode.is_some() && after.trial.is_some(), "{moment:?}");
        }
    }
}

#[test]
fn safe_mode_is_over_when_the_trial_passes_or_is_over_and_something_else_is_confirmed() {
    let (ledger, policy) = trial_waits();
    let again = after(&decide(&ledger, &seen(2, "trial"), &policy, &Moment::BootCheck), ledger.clone());
    let plan = decide(&again, &seen(2, "trial"), &policy, &Moment::Confirm);
    assert_eq!(told(&plan, |event| matches!(event, Event::SafeModeEnded { .. })), 1, "{plan:?}");
    assert!(after(&plan, again).safe_mode.is_none());
    let over = Ledger { trial: None, ..ledger };
    let plan = decide(&over, &seen(2, "golden"), &policy, &Moment::Confirm);
    assert!(after(&plan, over).safe_mode.is_none());
}

#[test]
fn a_system_that_is_vouched_for_does_not_lose_the_trial_that_waits() {
    let mut now = machine::seen(1, "unknown");
    let loader = now.loader.as_mut().unwrap();
    loader.listed.push(toplevel("unknown"));
    let ledger = Ledger { automatic_reboots: 2, ..marked() };
    let plan = decide(&ledger, &now, &policy(2), &Moment::Pin { force: true });
    let pinned = after(&plan, ledger);
    assert!(pinned.is_confirmed(&toplevel("unknown")) && pinned.trial.is_some());
    assert_eq!(pinned.automatic_reboots, 2, "the trial is not over");
    assert_eq!(pinned.golden.unwrap().toplevel, toplevel("unknown"));
}

#[test]
fn the_end_of_a_try_is_kept_with_the_landing() {
    let ledger = play(power_cuts(5), &[(5, "golden", deadline())]);
    let ends: Vec<_> =
        ledger.failed_landings[0].attempts.iter().map(|attempt| attempt.end.clone().unwrap()).collect();
    assert_eq!(ends[0], End::Failed { cause: Cause::Vanished });
    assert!(matches!(&ends[2], End::Failed { cause: Cause::Deadline { .. } }), "{ends:?}");
}
