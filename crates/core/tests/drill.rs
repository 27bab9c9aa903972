//! The owner's rehearsal: `other` runs and is the loader's default, `golden` has to take over.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod machine;

use golden_core::{
    Cause, Damage, Drill, End, Event, Injection, Ledger, Moment, OneShot, Plan, Policy, RebootCause, Refusal,
    SafeModeReason, Seen, Shutdown, ShutdownSeen, Step, decide,
};
use machine::{after, boot, does, known, marked, policy, toplevel};

/// The machine with `other` as its default, before or after which everything here happens.
fn seen(number: u32, booted: &str) -> Seen {
    let mut seen = machine::seen(number, booted);
    seen.loader.as_mut().unwrap().default = Some(toplevel("other"));
    seen
}

fn deadline() -> Moment {
    Moment::Fail(Cause::Deadline { secs: 600, units: Vec::new() })
}

fn emergency() -> Moment {
    Moment::Fail(Cause::Emergency { units: Vec::new() })
}

fn shutdown(failed: &[&str]) -> Moment {
    let failed_units = failed.iter().map(|unit| (*unit).to_owned()).collect();
    Moment::Shutdown(ShutdownSeen { kind: Shutdown::Reboot, failed_units, goes_elsewhere: false })
}

fn reboots(plan: &Plan) -> bool {
    plan.steps.last() == Some(&Step::Reboot)
}

fn told(plan: &Plan) -> impl Iterator<Item = &Event> {
    plan.steps.iter().filter_map(|step| match step {
        Step::Tell(event) => Some(event),
        _ => None,
    })
}

/// Whether it passed, and what golden died of, if the plan ends the rehearsal.
fn end(plan: &Plan) -> Option<(bool, Option<Cause>)> {
    let mut ends = told(plan).filter_map(|event| match event {
        Event::DrillEnded { passed, golden_failed, .. } => Some((*passed, golden_failed.clone())),
        _ => None,
    });
    let end = ends.next();
    assert!(ends.next().is_none(), "it ends once: {plan:?}");
    end
}

fn play(ledger: Ledger, moments: &[(u32, &str, Moment)]) -> Ledger {
    moments.iter().fold(ledger, |ledger, (number, booted, moment)| {
        after(&decide(&ledger, &seen(*number, booted), &policy(2), moment), ledger)
    })
}

/// A rehearsal has begun.
fn begun(injection: Injection) -> Ledger {
    let plan = decide(&known(), &seen(0, "other"), &policy(2), &Moment::Drill(injection));
    assert!(does(&plan, &Step::Arm(toplevel("other"))) && reboots(&plan), "{plan:?}");
    after(&plan, known())
}

/// Both attempts have vanished, and golden runs in boot 4.
fn golden_is_up() -> Ledger {
    let check = |number, booted| (number, booted, Moment::BootCheck);
    let moments = [check(1, "other"), check(2, "other"), check(3, "other"), check(4, "golden")];
    let ledger = play(begun(Injection::Power), &moments);
    let landing = ledger.drill.as_ref().and_then(|drill| drill.landing.as_ref()).unwrap();
    assert!(landing.attempts.is_open_in(&boot(4)), "{ledger:?}");
    ledger
}

#[test]
fn a_rehearsal_commits_nothing_before_it_is_known_that_both_systems_can_be_booted_and_is_undone_if_it_is_not_armed()
 {
    let plan = decide(&known(), &seen(0, "other"), &policy(2), &Moment::Drill(Injection::Power));
    let is_commit = |step: &Step| matches!(step, Step::Commit(_));
    let committed = plan.steps.iter().position(is_commit).unwrap();
    let checked: Vec<&Step> = plan.steps[..committed].iter().collect();
    assert_eq!(checked, [&Step::Check(toplevel("golden")), &Step::Check(toplevel("other"))]);
    let armed = plan.steps.iter().position(|step| matches!(step, Step::Arm(_))).unwrap();
    let told = plan.steps.iter().position(|step| matches!(step, Step::Tell(_))).unwrap();
    assert!(armed < told, "history knows of it once the loader obeys: {plan:?}");
    assert_eq!(*plan.undo.unwrap().ledger, known());
}

fn refused(ledger: &Ledger, seen: &Seen) -> Option<Refusal> {
    decide(ledger, seen, &policy(2), &Moment::Drill(Injection::Unit)).refusal
}

#[test]
fn it_is_refused_where_it_would_not_end_on_golden_or_something_is_under_way() {
    let now = seen(0, "other");
    assert_eq!(refused(&known(), &now), None);
    let without_golden = Seen { golden: None, ..now.clone() };
    assert!(
        matches!(refused(&known(), &without_golden), Some(Refusal::NoDrill(why)) if why.contains("golden"))
    );
    let damage =
        Damage { toplevel: toplevel("golden"), why: "the kernel is gone".to_owned(), is_lasting: false };
    let damaged = Seen { damaged: vec![damage], ..now.clone() };
    assert!(refused(&known(), &damaged).is_some());
    for ledger in [marked(), begun(Injection::Unit)] {
        assert!(matches!(refused(&ledger, &now), Some(Refusal::NoDrill(why)) if why.contains("under way")));
    }
    assert!(refused(&known(), &seen(0, "trial")).is_some(), "what runs was never confirmed");
}

#[test]
fn it_is_refused_without_a_reboot_left_for_each_attempt_and_for_golden() {
    let spent = |automatic_reboots| Ledger { automatic_reboots, ..known() };
    let now = seen(0, "other");
    assert_eq!(refused(&spent(3), &now), None);
    assert!(matches!(refused(&spent(4), &now), Some(Refusal::NoDrill(why)) if why.contains("budget")));
}

#[test]
fn it_fails_as_often_as_a_trial_may_and_then_golden_is_booted_once_and_watched() {
    let mut ledger = begun(Injection::Power);
    for number in 1..=2 {
        let plan = decide(&ledger, &seen(number, "other"), &policy(2), &Moment::BootCheck);
        assert!(
            does(&plan, &Step::Inject(Injection::Power)) && does(&plan, &Step::Watch) && !reboots(&plan),
            "{plan:?}"
        );
        ledger = after(&plan, ledger);
    }
    // It stopped without a word, and what is the default comes up.
    let plan = decide(&ledger, &seen(3, "other"), &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::Arm(toplevel("golden"))) && reboots(&plan), "{plan:?}");
    let rebooting = told(&plan).last();
    assert!(
        matches!(rebooting, Some(Event::Rebooting { cause: RebootCause::Drill, toplevel: to, automatic_reboots: 1 }) if *to == toplevel("golden")),
        "{plan:?}"
    );
    ledger = after(&plan, ledger);
    let plan = decide(&ledger, &seen(4, "golden"), &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::Watch) && !does(&plan, &Step::Inject(Injection::Power)), "{plan:?}");
    assert_eq!(end(&plan), None, "golden is not confirmed yet");
    let ledger = after(&plan, ledger);
    assert!(ledger.drill.is_some() && ledger.is_watched(&boot(4)));
}

#[test]
fn what_fails_early_goes_to_golden_without_another_boot_in_between() {
    for (moment, by_us) in [(deadline(), true), (emergency(), true), (shutdown(&["drill.service"]), false)] {
        let ledger = play(
            begun(Injection::Unit),
            &[(1, "other", Moment::BootCheck), (1, "other", moment.clone()), (2, "other", Moment::BootCheck)],
        );
        let plan = decide(&ledger, &seen(2, "other"), &policy(2), &moment);
        assert!(does(&plan, &Step::Arm(toplevel("golden"))), "{plan:?}");
        assert_eq!(reboots(&plan), by_us, "{plan:?}");
        let ledger = play(after(&plan, ledger), &[(3, "golden", Moment::BootCheck)]);
        assert!(ledger.is_watched(&boot(3)) && ledger.automatic_reboots == 2 * u32::from(by_us));
    }
}

#[test]
fn it_has_passed_when_golden_is_confirmed_and_not_before() {
    let ledger = golden_is_up();
    let plan = decide(&ledger, &seen(4, "golden"), &policy(2), &Moment::Confirm);
    assert_eq!(end(&plan), Some((true, None)));
    let ended = told(&plan).next();
    assert!(matches!(ended, Some(Event::DrillEnded { causes, .. }) if causes.len() == 2), "{plan:?}");
    let ledger = after(&plan, ledger);
    assert!(ledger.drill.is_none() && ledger.quarantine.is_empty() && ledger.failed_landings.is_empty());
    assert!(ledger.owed_default.is_none() && ledger.automatic_reboots == 0);
    assert!(ledger.is_confirmed(&toplevel("other")) && ledger.is_confirmed(&toplevel("golden")));
}

#[test]
fn the_default_stays_what_it_is_from_the_beginning_to_the_end() {
    let mut ledger = known();
    let all = [
        (0, "other", Moment::Drill(Injection::Panic)),
        (1, "other", Moment::BootCheck),
        (2, "other", Moment::BootCheck),
        (3, "other", Moment::BootCheck),
        (4, "golden", Moment::BootCheck),
        (4, "golden", Moment::Confirm),
    ];
    for (number, booted, moment) in all {
        let plan = decide(&ledger, &seen(number, booted), &policy(2), &moment);
        assert!(!plan.steps.iter().any(|step| matches!(step, Step::SetDefault(_))), "{plan:?}");
        ledger = after(&plan, ledger);
    }
}

#[test]
fn golden_that_fails_early_is_left_for_what_was_the_default_which_tells_it() {
    for (moment, by_us) in [(deadline(), true), (emergency(), true), (shutdown(&["disk.service"]), false)] {
        let ledger = golden_is_up();
        let plan = decide(&ledger, &seen(4, "golden"), &policy(2), &moment);
        assert_eq!(reboots(&plan), by_us, "{plan:?}");
        assert!(
            !plan.steps.iter().any(|step| matches!(step, Step::Arm(_) | Step::EnterSafeMode)),
            "{plan:?}"
        );
        let ledger = after(&plan, ledger);
        assert_eq!(ledger.automatic_reboots, 1 + u32::from(by_us));
        assert_eq!(ledger.drill.as_ref().map(Drill::next), Some(&toplevel("other")));
        let plan = decide(&ledger, &seen(5, "other"), &policy(2), &Moment::BootCheck);
        let (passed, cause) = end(&plan).unwrap();
        assert!(!passed && cause.is_some() && !reboots(&plan), "{plan:?}");
        let ledger = after(&plan, ledger);
        assert!(ledger.drill.is_none() && ledger.is_failed_landing(&toplevel("golden")));
        // The next rollback goes elsewhere, until golden is confirmed again.
        assert!(matches!(refused(&ledger, &seen(5, "other")), Some(Refusal::NoDrill(_))));
        let ledger = play(ledger, &[(5, "other", Moment::Confirm), (6, "golden", Moment::Confirm)]);
        assert!(ledger.failed_landings.is_empty() && ledger.automatic_reboots == 0);
    }
}

#[test]
fn golden_that_stops_without_a_word_has_failed() {
    let ledger = golden_is_up();
    for booted in ["other", "golden"] {
        let plan = decide(&ledger, &seen(5, booted), &policy(2), &Moment::BootCheck);
        assert_eq!(end(&plan), Some((false, Some(Cause::Vanished))), "{plan:?}");
        assert!(!reboots(&plan) && after(&plan, ledger.clone()).is_failed_landing(&toplevel("golden")));
    }
}

#[test]
fn golden_that_never_reaches_its_boot_check_has_failed_and_one_that_a_person_passed_over_has_not() {
    let check = |number, booted| (number, booted, Moment::BootCheck);
    let ledger = play(begun(Injection::Power), &[check(1, "other"), check(2, "other"), check(3, "other")]);
    let plan = decide(&ledger, &seen(4, "other"), &policy(2), &Moment::BootCheck);
    assert_eq!(end(&plan), Some((false, Some(Cause::NeverReachedBootCheck))), "{plan:?}");
    let picked = {
        let mut seen = seen(4, "other");
        seen.loader.as_mut().unwrap().default = Some(toplevel("golden"));
        seen
    };
    let plan = decide(&ledger, &picked, &policy(2), &Moment::BootCheck);
    assert_eq!(end(&plan), Some((false, None)), "{plan:?}");
    assert!(after(&plan, ledger).failed_landings.is_empty());
}

#[test]
fn golden_that_is_rebooted_before_it_is_confirmed_is_booted_again_and_nothing_counts() {
    let ledger = golden_is_up();
    let plan = decide(&ledger, &seen(4, "golden"), &policy(2), &shutdown(&[]));
    assert!(does(&plan, &Step::Arm(toplevel("golden"))) && !reboots(&plan), "{plan:?}");
    let ledger = play(after(&plan, ledger), &[(5, "golden", Moment::BootCheck)]);
    assert_eq!(ledger.drill.as_ref().unwrap().landing.as_ref().unwrap().attempts.failures(), 0);
    let plan = decide(&ledger, &seen(5, "golden"), &policy(2), &Moment::Confirm);
    assert_eq!(end(&plan), Some((true, None)));
}

#[test]
fn golden_that_reboots_itself_for_ever_has_failed() {
    let mut ledger = golden_is_up();
    for number in 4..=8 {
        let plan = decide(&ledger, &seen(number, "golden"), &policy(2), &shutdown(&[]));
        assert_eq!(does(&plan, &Step::Arm(toplevel("golden"))), number < 8, "{plan:?}");
        ledger = after(&plan, ledger);
        if number < 8 {
            ledger = play(ledger, &[(number + 1, "golden", Moment::BootCheck)]);
        }
    }
    let plan = decide(&ledger, &seen(9, "other"), &policy(2), &Moment::BootCheck);
    assert_eq!(end(&plan), Some((false, Some(Cause::Interrupted { times: 5 }))));
}

#[test]
fn a_person_who_stays_in_emergency_mode_is_not_rebooted_and_golden_has_failed() {
    let ledger = golden_is_up();
    let stay = Moment::Close(Cause::Emergency { units: Vec::new() });
    let plan = decide(&ledger, &seen(4, "golden"), &policy(2), &stay);
    assert!(!reboots(&plan), "{plan:?}");
    let ledger = after(&plan, ledger);
    // Emergency mode again, in the same boot.
    assert_eq!(decide(&ledger, &seen(4, "golden"), &policy(2), &Moment::BootCheck), Plan::default());
    let plan = decide(&ledger, &seen(5, "other"), &policy(2), &Moment::BootCheck);
    assert!(matches!(end(&plan), Some((false, Some(Cause::Emergency { .. })))), "{plan:?}");
}

#[test]
fn without_a_budget_golden_that_fails_goes_to_safe_mode_and_is_not_rebooted() {
    let ledger = Ledger { automatic_reboots: 6, ..golden_is_up() };
    let plan = decide(&ledger, &seen(4, "golden"), &policy(2), &deadline());
    assert!(!does(&plan, &Step::Reboot) && plan.steps.last() == Some(&Step::EnterSafeMode), "{plan:?}");
    assert!(matches!(end(&plan), Some((false, Some(Cause::Deadline { .. })))), "{plan:?}");
    let ledger = after(&plan, ledger);
    assert_eq!(ledger.safe_mode.as_ref().unwrap().reason, SafeModeReason::BudgetSpent);
    // What was the default works, and that ends it.
    let plan = decide(&ledger, &seen(5, "other"), &policy(2), &Moment::BootCheck);
    assert!(!does(&plan, &Step::EnterSafeMode), "{plan:?}");
    assert!(play(ledger, &[(5, "other", Moment::Confirm)]).safe_mode.is_none());
    // Before golden's turn nothing is broken, and the machine stays as it is.
    let check = |number, booted| (number, booted, Moment::BootCheck);
    let ledger = play(begun(Injection::Power), &[check(1, "other"), check(2, "other")]);
    let spent = Ledger { automatic_reboots: 6, ..ledger };
    let plan = decide(&spent, &seen(3, "other"), &policy(2), &Moment::BootCheck);
    assert!(end(&plan) == Some((false, None)) && !does(&plan, &Step::Reboot), "{plan:?}");
}

#[test]
fn where_golden_itself_is_rehearsed_it_is_watched_where_it_is() {
    let on_golden = |number| machine::seen(number, "golden");
    let mut ledger = known();
    let drill = Moment::Drill(Injection::Power);
    for (number, moment) in [(0, drill), (1, Moment::BootCheck), (2, Moment::BootCheck)] {
        ledger = after(&decide(&ledger, &on_golden(number), &policy(2), &moment), ledger);
    }
    let plan = decide(&ledger, &on_golden(3), &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::Watch) && !reboots(&plan), "{plan:?}");
    let ledger = after(&plan, ledger);
    assert_eq!(end(&decide(&ledger, &on_golden(3), &policy(2), &Moment::Confirm)), Some((true, None)));
}

#[test]
fn one_in_which_nothing_fails_has_not_passed() {
    let ledger = play(begun(Injection::Unit), &[(1, "other", Moment::BootCheck)]);
    let plan = decide(&ledger, &seen(1, "other"), &policy(2), &Moment::Confirm);
    assert_eq!(end(&plan), Some((false, None)), "{plan:?}");
}

#[test]
fn a_person_who_reboots_an_attempt_ends_it() {
    let ledger = play(begun(Injection::Hang), &[(1, "other", Moment::BootCheck)]);
    let plan = decide(&ledger, &seen(1, "other"), &policy(2), &shutdown(&[]));
    assert_eq!(end(&plan), Some((false, None)), "{plan:?}");
}

#[test]
fn one_that_is_cut_off_before_it_is_armed_is_over() {
    let begin = decide(&known(), &seen(0, "other"), &policy(2), &Moment::Drill(Injection::Unit));
    let armed = begin.steps.iter().position(|step| matches!(step, Step::Arm(_))).unwrap();
    // The power went before or after the loader was told.
    for steps in [armed, armed + 1] {
        let ledger =
            after(&Plan { undo: None, steps: begin.steps[..steps].to_vec(), refusal: None }, known());
        for booted in ["golden", "other"] {
            let plan = decide(&ledger, &seen(1, booted), &policy(2), &Moment::BootCheck);
            assert!(end(&plan) == Some((false, None)) && !reboots(&plan), "{plan:?}");
        }
    }
}

#[test]
fn a_switch_in_the_middle_ends_it_and_history_says_so() {
    let running = play(begun(Injection::Unit), &[(1, "other", Moment::BootCheck)]);
    let of_golden = play(
        begun(Injection::Power),
        &[(1, "other", Moment::BootCheck), (2, "other", Moment::BootCheck), (3, "other", Moment::BootCheck)],
    );
    for (ledger, armed) in [(running, "other"), (of_golden, "golden")] {
        let mut now = seen(1, "other");
        now.loader.as_mut().unwrap().one_shot = OneShot::Armed(toplevel(armed));
        for known in ["golden", "other"] {
            let plan = decide(&ledger, &now, &policy(2), &Moment::Mark(toplevel(known)));
            assert_eq!(end(&plan), Some((false, None)), "{plan:?}");
            // What is the default now may be what was armed: a loader that boots nothing once cannot tell them apart.
            assert_eq!(does(&plan, &Step::Disarm), known != armed, "{plan:?}");
        }
        let plan = decide(&ledger, &now, &policy(2), &Moment::Mark(toplevel("trial")));
        assert!(does(&plan, &Step::Arm(toplevel("trial"))) && end(&plan) == Some((false, None)), "{plan:?}");
        let ledger = after(&plan, ledger);
        assert!(ledger.drill.is_none() && ledger.trial.is_some());
    }
}

#[test]
fn a_default_that_is_quarantined_is_put_right_before_golden_is_booted() {
    let check = |number, booted| (number, booted, Moment::BootCheck);
    let mut ledger = play(begun(Injection::Power), &[check(1, "other"), check(2, "other")]);
    let quarantined = serde_json::json!({ "toplevel": toplevel("trial"), "attempts": [] });
    ledger.quarantine.push(serde_json::from_value(quarantined).unwrap());
    let mut now = seen(3, "trial");
    now.loader.as_mut().unwrap().default = Some(toplevel("trial"));
    let plan = decide(&ledger, &now, &policy(2), &Moment::BootCheck);
    let at = |wanted: &Step| plan.steps.iter().position(|step| step == wanted);
    let default = at(&Step::SetDefault(toplevel("other")));
    assert!(default.is_some() && default < at(&Step::Arm(toplevel("golden"))), "{plan:?}");
}

#[test]
fn what_was_deployed_in_the_middle_and_not_marked_ends_it_and_is_tried_if_it_runs() {
    let ledger = play(begun(Injection::Power), &[(1, "other", Moment::BootCheck)]);
    for booted in ["other", "trial"] {
        let mut now = seen(2, booted);
        now.loader.as_mut().unwrap().default = Some(toplevel("trial"));
        let plan = decide(&ledger, &now, &policy(2), &Moment::BootCheck);
        assert_eq!(end(&plan), Some((false, None)), "{plan:?}");
        assert!(!does(&plan, &Step::SetDefault(toplevel("other"))) && !reboots(&plan), "{plan:?}");
        let after = after(&plan, ledger.clone());
        assert_eq!(after.trial.map(|trial| trial.attempts.len()), (booted == "trial").then_some(1));
    }
}

#[test]
fn what_an_older_build_began_has_its_default_put_back() {
    // It made golden the default, and knew nothing of golden's attempts.
    let text = format!(
        r#"{{"injection":"power","default":"{}","trial":{{"toplevel":"{0}","origin":"marked","arming":"idle",
            "attempts":[{{"boot":null,"end":{{"kind":"failed","cause":{{"kind":"vanished"}}}}}},
                        {{"boot":"{}","end":null}}]}}}}"#,
        toplevel("other"),
        boot(2).as_str()
    );
    let ledger = Ledger { drill: Some(serde_json::from_str(&text).unwrap()), ..known() };
    let now = machine::seen(3, "golden");
    let plan = decide(&ledger, &now, &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::SetDefault(toplevel("other"))) && does(&plan, &Step::Watch), "{plan:?}");
    let ledger = after(&plan, ledger);
    let plan = decide(&ledger, &now, &policy(2), &Moment::Confirm);
    assert!(does(&plan, &Step::SetDefault(toplevel("other"))), "{plan:?}");
    assert_eq!(end(&plan), Some((true, None)));
}

#[test]
fn a_default_that_could_not_be_put_back_without_the_loader_is_owed() {
    let blind = |number, booted| Seen { loader: None, ..seen(number, booted) };
    let ledger = golden_is_up();
    let plan = decide(&ledger, &blind(5, "golden"), &policy(2), &Moment::BootCheck);
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::SetDefault(_))), "{plan:?}");
    let ledger = after(&plan, ledger);
    let plan = decide(&ledger, &machine::seen(5, "golden"), &policy(2), &Moment::Confirm);
    assert!(does(&plan, &Step::SetDefault(toplevel("other"))), "{plan:?}");
}

#[test]
fn a_golden_that_failed_when_it_was_needed_is_no_end_of_it() {
    let failed = serde_json::json!({ "from": toplevel("trial"), "toplevel": toplevel("golden") });
    let mut ledger = known();
    ledger.failed_landings.push(serde_json::from_value(failed).unwrap());
    assert!(
        matches!(refused(&ledger, &seen(4, "other")), Some(Refusal::NoDrill(why)) if why.starts_with("golden"))
    );
}

#[test]
fn what_is_rehearsed_is_booted_again_if_it_dies_where_nobody_sees_it_and_something_else_is_the_default() {
    let golden_default = |number, booted| machine::seen(number, booted);
    let drill = Moment::Drill(Injection::Panic);
    let ledger = after(&decide(&known(), &golden_default(0, "other"), &policy(2), &drill), known());
    let plan = decide(&ledger, &golden_default(1, "golden"), &policy(2), &Moment::BootCheck);
    assert!(does(&plan, &Step::Arm(toplevel("other"))) && reboots(&plan), "{plan:?}");
    let trial = after(&plan, ledger).drill.unwrap().trial;
    assert_eq!(trial.attempts[0].end, Some(End::Failed { cause: Cause::NeverReachedBootCheck }));
    // With the second, golden is where it should be.
    let ledger = Ledger { drill: None, ..known() };
    let one = Policy { max_failures: 1.try_into().unwrap(), ..policy(1) };
    let ledger = after(&decide(&ledger, &golden_default(0, "other"), &one, &drill), ledger);
    let plan = decide(&ledger, &golden_default(1, "golden"), &one, &Moment::BootCheck);
    assert!(does(&plan, &Step::Watch) && !reboots(&plan), "{plan:?}");
}
