//! A switch of the running system: it works, or what ran before comes back.

mod machine;

use golden_core::{
    Arming, Baseline, Cause, Evidence, Ledger, LivePhase, Moment, OneShot, Plan, Seen, Shutdown,
    ShutdownSeen, Step, decide,
};
use machine::{after, does, known, policy, seen, toplevel};

fn mark(from: &str, to: &str) -> Moment {
    Moment::MarkLive { from: toplevel(from), to: toplevel(to) }
}

fn went_back(running: &str) -> Moment {
    Moment::RolledBack { running: Some(toplevel(running)) }
}

fn checks_failed() -> Cause {
    Cause::ChecksFailed { checks: vec!["web".into()] }
}

/// Golden runs, and `trial` is switched to.
fn switched() -> Ledger {
    step(&known(), &seen(1, "golden"), &mark("golden", "trial")).0
}

fn step(ledger: &Ledger, seen: &Seen, moment: &Moment) -> (Ledger, Plan) {
    let plan = decide(ledger, seen, &policy(2), moment);
    (after(&plan, ledger.clone()), plan)
}

fn is_trial(ledger: &Ledger, name: &str, arming: Arming) -> bool {
    ledger.trial.as_ref().is_some_and(|trial| trial.toplevel == toplevel(name) && trial.arming == arming)
}

#[test]
fn the_dead_man_is_durable_and_watched_before_anything_is_activated_and_nothing_is_armed() {
    let (ledger, plan) = step(&known(), &seen(1, "golden"), &mark("golden", "trial"));
    let live = ledger.live.clone().expect("it is live");
    assert_eq!((live.from, live.to), (toplevel("golden"), toplevel("trial")));
    assert!(is_trial(&ledger, "trial", Arming::Idle));
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::Arm(_))));
    assert_eq!(plan.steps.last(), Some(&Step::WatchLive));
}

#[test]
fn what_works_is_a_trial_of_the_next_boot() {
    let (ledger, plan) = step(&switched(), &seen(1, "golden"), &Moment::LivePassed);
    assert_eq!(ledger.live, None);
    assert!(is_trial(&ledger, "trial", Arming::Armed));
    assert!(does(&plan, &Step::Arm(toplevel("trial"))));
}

#[test]
fn what_fails_its_checks_is_quarantined_and_what_ran_before_is_activated_without_a_reboot() {
    let here = seen(1, "golden");
    let (ledger, plan) = step(&switched(), &here, &Moment::LiveFailed(checks_failed()));
    assert!(ledger.is_quarantined(&toplevel("trial")));
    assert_eq!(ledger.trial, None);
    assert!(!does(&plan, &Step::Reboot));
    let (_, effects) = step(&ledger, &here, &Moment::RollBack);
    // A profile that cannot be set comes after what has to run.
    assert_eq!(effects.steps, [Step::Activate(toplevel("golden")), Step::SetProfile(toplevel("golden"))]);
    let (ledger, plan) = step(&ledger, &here, &went_back("golden"));
    assert_eq!(ledger.live, None);
    assert!(!does(&plan, &Step::Reboot));
    let done = ledger.rolled_back.expect("it is rolled back");
    assert_eq!((done.from, done.to), (toplevel("trial"), toplevel("golden")));
}

#[test]
fn a_profile_that_was_moved_meanwhile_belongs_to_a_later_deployment() {
    let here = Seen { profile: Some(toplevel("other")), ..seen(1, "golden") };
    let (ledger, _) = step(&switched(), &here, &Moment::LiveFailed(checks_failed()));
    assert_eq!(step(&ledger, &here, &Moment::RollBack).1.steps, [Step::Activate(toplevel("golden"))]);
}

#[test]
fn a_missing_proof_counts_and_condemns_only_the_second_time() {
    let here = seen(1, "golden");
    let unproven = Moment::LiveFailed(Cause::Unproven { proof: "golden confirm".into() });
    let (ledger, _) = step(&switched(), &here, &unproven);
    assert!(!ledger.is_quarantined(&toplevel("trial")));
    let (ledger, _) = step(&ledger, &here, &went_back("golden"));
    let (ledger, _) = step(&ledger, &here, &mark("golden", "trial"));
    assert_eq!(ledger.trial.as_ref().map(|trial| trial.attempts.failures()), Some(1));
    let (ledger, _) = step(&ledger, &here, &unproven);
    assert!(ledger.is_quarantined(&toplevel("trial")));
    assert!(ledger.undecided.is_empty());
}

#[test]
fn a_power_cut_in_the_window_brings_back_the_profile_and_counts_as_one_failure() {
    let next = seen(2, "golden");
    let (ledger, plan) = step(&switched(), &next, &Moment::BootCheck);
    assert!(does(&plan, &Step::RequestRollback));
    assert!(!does(&plan, &Step::Reboot));
    assert_eq!(ledger.trial, None);
    assert_eq!(ledger.undecided.len(), 1);
    // Once more in the same boot: nothing is counted twice.
    let (ledger, _) = step(&ledger, &next, &Moment::BootCheck);
    assert_eq!(ledger.undecided[0].attempts.failures(), 1);
    let (_, effects) = step(&ledger, &next, &Moment::RollBack);
    assert_eq!(effects.steps, [Step::SetProfile(toplevel("golden"))]);
    let (ledger, _) = step(&ledger, &next, &went_back("golden"));
    assert_eq!(ledger.live, None);
    // It is deployed again, and the power goes again.
    let (ledger, _) = step(&ledger, &next, &mark("golden", "trial"));
    let (ledger, _) = step(&ledger, &seen(3, "golden"), &Moment::BootCheck);
    assert!(ledger.is_quarantined(&toplevel("trial")));
}

#[test]
fn a_power_cut_while_it_goes_back_is_finished_by_the_next_boot() {
    let (ledger, _) = step(&switched(), &seen(1, "golden"), &Moment::LiveFailed(checks_failed()));
    let next = seen(2, "golden");
    let (same, plan) = step(&ledger, &next, &Moment::BootCheck);
    assert_eq!(same, ledger);
    assert_eq!(plan.steps, [Step::RequestRollback]);
    assert_eq!(step(&ledger, &next, &went_back("golden")).0.live, None);
}

#[test]
fn who_reboots_on_purpose_boots_what_was_switched_to() {
    let down = |failed_units| ShutdownSeen { kind: Shutdown::Reboot, failed_units, goes_elsewhere: false };
    let here = seen(1, "golden");
    let (ledger, _) = step(&switched(), &here, &Moment::Shutdown(down(Vec::new())));
    assert_eq!(ledger.live, None);
    assert!(is_trial(&ledger, "trial", Arming::Armed));
    let failed = Moment::Shutdown(down(vec!["required.service".into()]));
    assert_eq!(step(&switched(), &here, &failed).1, Plan::default());
}

#[test]
fn a_person_who_picks_it_in_the_menu_tries_it() {
    let mut picked = seen(2, "trial");
    if let Some(loader) = &mut picked.loader {
        loader.default = Some(toplevel("golden"));
    }
    let (ledger, _) = step(&switched(), &picked, &Moment::BootCheck);
    assert_eq!(ledger.live, None);
    assert!(ledger.is_watched(&picked.boot));
    // The power went in the window: that counts all the same.
    assert_eq!(ledger.trial.map(|trial| trial.attempts.failures()), Some(1));
}

#[test]
fn what_the_switch_replaced_gets_its_place_back() {
    let here = seen(1, "golden");
    let (ledger, _) = step(&known(), &here, &Moment::Mark(toplevel("trial")));
    let mut armed = here.clone();
    if let Some(loader) = &mut armed.loader {
        loader.one_shot = OneShot::Armed(toplevel("trial"));
        loader.listed.push(toplevel("newer"));
    }
    let (ledger, plan) = step(&ledger, &armed, &mark("golden", "newer"));
    assert!(is_trial(&ledger, "newer", Arming::Idle));
    assert!(does(&plan, &Step::Disarm), "a power cut must not boot what was replaced");
    let (ledger, _) = step(&ledger, &here, &Moment::LiveFailed(checks_failed()));
    assert!(is_trial(&ledger, "trial", Arming::Idle));
    let (ledger, _) = step(&ledger, &here, &went_back("golden"));
    assert!(is_trial(&ledger, "trial", Arming::Armed));
}

#[test]
fn a_switch_on_top_of_an_unproven_one_goes_back_to_what_ran_before_both() {
    let mut here = seen(1, "golden");
    if let Some(loader) = &mut here.loader {
        loader.listed.push(toplevel("newer"));
    }
    let (ledger, _) = step(&switched(), &here, &mark("trial", "newer"));
    assert_eq!(ledger.live.map(|live| live.from), Some(toplevel("golden")));
}

#[test]
fn what_is_known_to_work_and_what_is_refused_is_not_watched() {
    let here = seen(1, "golden");
    assert_eq!(step(&known(), &here, &mark("golden", "other")).0.live, None);
    let (quarantined, _) = step(&switched(), &here, &Moment::LiveFailed(checks_failed()));
    let (quarantined, _) = step(&quarantined, &here, &went_back("golden"));
    let (ledger, plan) = step(&quarantined, &here, &mark("golden", "trial"));
    assert!(plan.refusal.is_some());
    assert_eq!(ledger.live, None);
}

#[test]
fn a_second_run_of_the_installer_does_not_arm_what_is_being_proved() {
    let (ledger, plan) = step(&switched(), &seen(1, "golden"), &Moment::Mark(toplevel("trial")));
    assert!(is_trial(&ledger, "trial", Arming::Idle));
    assert!(ledger.live.is_some());
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::Arm(_))));
}

#[test]
fn what_cannot_be_activated_again_is_left_by_a_reboot_within_the_budget() {
    let here = seen(1, "golden");
    let (ledger, _) = step(&switched(), &here, &Moment::LiveFailed(checks_failed()));
    let (counted, plan) = step(&ledger, &here, &went_back("trial"));
    assert_eq!(plan.steps.last(), Some(&Step::Reboot));
    assert_eq!(counted.automatic_reboots, 1);
    assert_eq!(counted.live.map(|live| live.phase), Some(LivePhase::GoingBack));
    let spent = Ledger { automatic_reboots: 6, ..ledger };
    let (safe, plan) = step(&spent, &here, &went_back("trial"));
    assert!(!does(&plan, &Step::Reboot));
    assert!(safe.safe_mode.is_some());
}

#[test]
fn evidence_of_the_boot_that_was_cut_off_is_kept() {
    let evidence = Evidence { panic: Some("BUG".into()), watchdog: false };
    let next = Seen { evidence: evidence.clone(), ..seen(2, "golden") };
    let (ledger, _) = step(&switched(), &next, &Moment::BootCheck);
    assert_eq!(ledger.undecided[0].attempts[0].evidence, evidence);
}

#[test]
fn what_fails_in_probation_is_told_and_left_only_if_the_owner_wants_it() {
    let ledger = step(&known(), &seen(1, "golden"), &Moment::Mark(toplevel("trial"))).0;
    let here = Seen { profile: Some(toplevel("trial")), ..seen(2, "trial") };
    let (ledger, _) = step(&ledger, &here, &Moment::BootCheck);
    let (ledger, plan) = step(&ledger, &here, &Moment::Confirm);
    assert!(does(&plan, &Step::BeginProbation));
    let late = |goes_back| Moment::FailLate { cause: checks_failed(), goes_back };
    let (same, plan) = step(&ledger, &here, &late(false));
    assert_eq!((same, plan.steps.len()), (ledger.clone(), 1), "it is told, and nothing else");
    let (after, plan) = step(&ledger, &here, &late(true));
    assert!(after.is_quarantined(&toplevel("trial")) && !after.is_confirmed(&toplevel("trial")));
    assert_eq!(after.rollback.map(|rollback| rollback.to), Some(toplevel("golden")));
    assert_eq!((after.automatic_reboots, plan.steps.last()), (1, Some(&Step::Reboot)));
}

#[test]
fn golden_is_not_left_because_it_fails_late() {
    let here = seen(1, "golden");
    let (ledger, plan) = step(&known(), &here, &Moment::FailLate { cause: checks_failed(), goes_back: true });
    assert_eq!((ledger, plan.steps.len()), (known(), 1));
}

/// A network that is down, and a unit that has failed.
fn broken() -> Baseline {
    Baseline { failed_units: vec!["web.service".into()], network_down: true, ..Baseline::default() }
}

fn with_newer(mut seen: Seen) -> Seen {
    if let Some(loader) = &mut seen.loader {
        loader.listed.push(toplevel("newer"));
    }
    seen
}

#[test]
fn what_an_unproven_system_has_broken_is_no_excuse_for_what_is_switched_to_on_top_of_it() {
    let before = Seen { baseline: Some(Baseline::default()), ..with_newer(seen(1, "golden")) };
    let meanwhile = Seen { baseline: Some(broken()), ..before.clone() };
    let newer = |ledger: &Ledger, moment: &Moment| {
        let (ledger, _) = step(ledger, &meanwhile, moment);
        let trial = ledger.trial.clone().expect("it is tried");
        assert_eq!(trial.toplevel, toplevel("newer"));
        assert_eq!(trial.baseline, Some(Baseline::default()), "{moment:?}");
        assert_eq!(ledger.baseline_of(&meanwhile.boot), Some(&Baseline::default()), "{moment:?}");
    };
    let (switched, _) = step(&known(), &before, &mark("golden", "trial"));
    let (failed, _) = step(&switched, &before, &Moment::LiveFailed(checks_failed()));
    for ledger in [&switched, &failed] {
        newer(ledger, &mark("trial", "newer"));
        newer(ledger, &Moment::Mark(toplevel("newer")));
    }
    // The same in a boot that has yet to be confirmed.
    let (marked, _) = step(&known(), &before, &Moment::Mark(toplevel("trial")));
    let boots = with_newer(seen(2, "trial"));
    let (tried, _) = step(&marked, &boots, &Moment::BootCheck);
    let broken = Seen { baseline: Some(broken()), ..boots };
    for moment in [mark("trial", "newer"), Moment::Mark(toplevel("newer"))] {
        let (ledger, _) = step(&tried, &broken, &moment);
        assert_eq!(ledger.trial.and_then(|trial| trial.baseline), Some(Baseline::default()), "{moment:?}");
    }
}

#[test]
fn what_broke_since_a_waiting_trial_was_marked_is_not_its_doing() {
    let before = Seen { baseline: Some(Baseline::default()), ..seen(1, "golden") };
    let (marked, _) = step(&known(), &before, &Moment::Mark(toplevel("trial")));
    let later = Seen { baseline: Some(broken()), ..before };
    let (ledger, _) = step(&marked, &later, &mark("golden", "trial"));
    assert_eq!(ledger.baseline_of(&later.boot), Some(&broken()));
}

#[test]
fn who_confirms_in_the_last_moment_was_not_told_a_lie() {
    let here = seen(1, "golden");
    let (confirmed, _) = step(&switched(), &here, &Moment::LiveConfirmed);
    let unproven = Moment::LiveFailed(Cause::Unproven { proof: "golden confirm".into() });
    assert_eq!(step(&confirmed, &here, &unproven).1, Plan::default());
    let (failed, _) = step(&confirmed, &here, &Moment::LiveFailed(checks_failed()));
    assert_eq!(failed.live.map(|live| live.phase), Some(LivePhase::GoingBack));
}

#[test]
fn what_somebody_has_switched_to_meanwhile_is_neither_left_nor_rebooted() {
    let here = seen(1, "golden");
    let (failed, _) = step(&switched(), &here, &Moment::LiveFailed(checks_failed()));
    let (ledger, plan) = step(&failed, &here, &went_back("other"));
    assert_eq!((ledger.live, ledger.rolled_back), (None, None));
    assert!(!does(&plan, &Step::Reboot));
    // Switched away from before there was a verdict: that is no news, and nothing is armed.
    let (away, _) = step(&switched(), &here, &mark("trial", "other"));
    let (ledger, plan) = step(&away, &here, &Moment::LiveUnwatched);
    assert_eq!((ledger.live, ledger.trial), (None, None));
    assert_eq!(plan.steps.len(), 1, "{plan:?}");
}

#[test]
fn what_is_switched_to_once_more_while_it_is_left_has_another_window() {
    let here = with_newer(seen(1, "golden"));
    let (marked, _) = step(&known(), &here, &Moment::Mark(toplevel("newer")));
    let (ledger, _) = step(&marked, &here, &mark("golden", "trial"));
    let unproven = Moment::LiveFailed(Cause::Unproven { proof: "golden confirm".into() });
    let (failed, _) = step(&ledger, &here, &unproven);
    let (again, _) = step(&failed, &here, &mark("trial", "trial"));
    let live = again.live.clone().expect("it is live");
    assert_eq!((live.phase, &live.from), (LivePhase::Proving, &toplevel("golden")));
    assert!(is_trial(&again, "trial", Arming::Idle));
    assert_eq!(again.trial.as_ref().map(|trial| trial.attempts.failures()), Some(1));
    assert_eq!(live.replaced.map(|trial| trial.toplevel), Some(toplevel("newer")));
    assert_eq!(step(&again, &here, &Moment::RollBack).1, Plan::default());
}

#[test]
fn a_boot_in_which_something_else_was_switched_to_does_not_run_into_its_deadline() {
    let (marked, _) = step(&known(), &seen(1, "golden"), &Moment::Mark(toplevel("trial")));
    let here = with_newer(seen(2, "trial"));
    let (tried, _) = step(&marked, &here, &Moment::BootCheck);
    assert!(tried.is_watched(&here.boot));
    let (ledger, _) = step(&tried, &here, &mark("trial", "newer"));
    let (ledger, _) = step(&ledger, &here, &Moment::LiveFailed(checks_failed()));
    let (ledger, _) = step(&ledger, &here, &went_back("trial"));
    assert!(!ledger.is_watched(&here.boot), "nobody will confirm it any more");
    assert!(is_trial(&ledger, "trial", Arming::Armed), "it gets another boot");
    assert_eq!(ledger.trial.map(|trial| trial.attempts.failures()), Some(0));
}

#[test]
fn a_verdict_that_comes_too_late_changes_nothing() {
    let here = seen(1, "golden");
    let verdicts = [
        Moment::LivePassed,
        Moment::LiveFailed(checks_failed()),
        Moment::LiveConfirmed,
        Moment::LiveUnwatched,
    ];
    let (failed, _) = step(&switched(), &here, &Moment::LiveFailed(checks_failed()));
    for verdict in verdicts {
        assert_eq!(step(&failed, &here, &verdict).1, Plan::default(), "{verdict:?} once it has failed");
        assert_eq!(
            step(&switched(), &seen(2, "golden"), &verdict).1,
            Plan::default(),
            "{verdict:?} in another boot"
        );
    }
}

#[test]
fn nothing_is_left_late_while_something_else_is_under_way() {
    let (ledger, _) = step(&known(), &seen(1, "golden"), &Moment::Mark(toplevel("trial")));
    let here = Seen { profile: Some(toplevel("trial")), ..seen(2, "trial") };
    let (ledger, _) = step(&ledger, &here, &Moment::BootCheck);
    let (confirmed, _) = step(&ledger, &here, &Moment::Confirm);
    let (switched, _) = step(&confirmed, &with_newer(here.clone()), &mark("trial", "newer"));
    let late = Moment::FailLate { cause: checks_failed(), goes_back: true };
    let (same, plan) = step(&switched, &here, &late);
    assert_eq!((same, plan.steps.len()), (switched, 1), "it is told, and nothing else");
}
