//! A specialisation is deployed: the system profile names its parent.

mod machine;

use golden_core::{Cause, Ledger, Moment, Plan, Seen, Step, decide};
use machine::{after, does, known, policy, seen, toplevel};

/// The profile names `profile`, which has `trial` as a specialisation.
fn parent(profile: &str, seen: Seen) -> Seen {
    Seen { profile: Some(toplevel(profile)), specialisations: vec![toplevel("trial")], ..seen }
}

fn step(ledger: &Ledger, seen: &Seen, moment: &Moment) -> (Ledger, Plan) {
    let plan = decide(ledger, seen, &policy(2), moment);
    (after(&plan, ledger.clone()), plan)
}

fn checks_failed() -> Cause {
    Cause::ChecksFailed { checks: vec!["web".into()] }
}

/// `trial` failed twice, and golden runs.
fn failed() -> Ledger {
    let (mut ledger, _) = step(&known(), &seen(0, "golden"), &Moment::Mark(toplevel("trial")));
    for number in [1, 2] {
        ledger = step(&ledger, &seen(number, "trial"), &Moment::BootCheck).0;
        ledger = step(&ledger, &seen(number, "trial"), &Moment::Fail(checks_failed())).0;
    }
    step(&ledger, &seen(3, "golden"), &Moment::BootCheck).0
}

#[test]
fn a_rollback_from_a_specialisation_takes_the_profile_off_its_parent() {
    let (_, plan) = step(&failed(), &parent("parent", seen(3, "golden")), &Moment::RollBack);
    assert!(does(&plan, &Step::SetProfile(toplevel("golden"))), "{plan:?}");
}

#[test]
fn a_parent_that_is_known_to_be_good_keeps_the_profile() {
    for good in ["golden", "other"] {
        let (_, plan) = step(&failed(), &parent(good, seen(3, "golden")), &Moment::RollBack);
        assert!(!plan.steps.iter().any(|step| matches!(step, Step::SetProfile(_))), "{good}: {plan:?}");
    }
    // So does a later deployment that has nothing to do with it.
    let later = Seen { profile: Some(toplevel("later")), ..seen(3, "golden") };
    let (_, plan) = step(&failed(), &later, &Moment::RollBack);
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::SetProfile(_))), "{plan:?}");
}

#[test]
fn a_live_switch_to_a_specialisation_that_goes_back_takes_the_profile_along() {
    let live = Moment::MarkLive { from: toplevel("golden"), to: toplevel("trial") };
    for (profile, is_moved) in [("parent", true), ("golden", false), ("other", false)] {
        let here = parent(profile, seen(1, "golden"));
        let (ledger, _) = step(&known(), &here, &live);
        let (ledger, _) = step(&ledger, &here, &Moment::LiveFailed(checks_failed()));
        let (_, plan) = step(&ledger, &here, &Moment::RollBack);
        let moved = does(&plan, &Step::SetProfile(toplevel("golden")));
        assert_eq!(moved, is_moved, "{profile}: {plan:?}");
    }
}

#[test]
fn a_refused_specialisation_does_not_leave_the_profile_at_a_parent_that_nobody_knows() {
    let (ledger, _) = step(&failed(), &seen(3, "golden"), &Moment::RolledBack { running: None });
    for moment in [Moment::Mark(toplevel("trial")), Moment::Check(toplevel("trial"))] {
        for (profile, is_put_back) in [("parent", true), ("other", false)] {
            let (_, plan) = step(&ledger, &parent(profile, seen(4, "golden")), &moment);
            let put_back = does(&plan, &Step::PutProfileBack(toplevel("golden")));
            assert_eq!(put_back, is_put_back, "{profile}: {plan:?}");
        }
    }
}
