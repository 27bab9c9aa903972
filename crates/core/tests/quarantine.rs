//! What is not deployed again, until when, and what a person says about it.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod machine;

use golden_core::{
    Cause, End, Event, Ledger, Moment, Named, Plan, Policy, Refusal, Revision, Seen, Step, Toplevel, Verdict,
    decide, verdict,
};
use machine::{after, boot, does, known, marked, policy, seen, toplevel};

fn revision(text: &str) -> Revision {
    text.parse().unwrap()
}

/// `trial` failed twice and the machine is back on golden.
fn failed(policy: &Policy) -> Ledger {
    let sourced = from("trial", "3f2a9c1", seen(0, "golden"));
    let mut ledger = after(&decide(&known(), &sourced, policy, &Moment::Mark(toplevel("trial"))), known());
    let cause = Cause::ChecksFailed { checks: vec!["http".to_owned()] };
    for number in [1, 2] {
        let now = seen(number, "trial");
        ledger = after(&decide(&ledger, &now, policy, &Moment::BootCheck), ledger);
        ledger = after(&decide(&ledger, &now, policy, &Moment::Fail(cause.clone())), ledger);
    }
    for moment in [Moment::BootCheck, Moment::RolledBack { running: None }, Moment::Confirm] {
        ledger = after(&decide(&ledger, &seen(3, "golden"), policy, &moment), ledger);
    }
    assert!(ledger.is_quarantined(&toplevel("trial")), "{ledger:?}");
    ledger
}

fn from(name: &str, source: &str, seen: Seen) -> Seen {
    Seen { sources: vec![(toplevel(name), revision(source))], ..seen }
}

fn is_refused(ledger: &Ledger, seen: &Seen, name: &str) -> bool {
    matches!(verdict(ledger, seen, &policy(2), &toplevel(name)), Verdict::Refused(_))
}

#[test]
fn what_failed_is_refused_whatever_revision_it_is_said_to_come_from() {
    let ledger = failed(&policy(2));
    for source in ["3f2a9c1", "another"] {
        let now = from("trial", source, seen(4, "golden"));
        let plan = decide(&ledger, &now, &policy(2), &Moment::Mark(toplevel("trial")));
        assert_eq!(plan.refusal, Some(Refusal::Quarantined(toplevel("trial"))));
        let plan = decide(&ledger, &now, &policy(2), &Moment::Check(toplevel("trial")));
        assert_eq!(plan.refusal, Some(Refusal::Quarantined(toplevel("trial"))));
    }
    // A changed closure is free, also from the same revision.
    assert!(!is_refused(&ledger, &from("other", "3f2a9c1", seen(4, "golden")), "other"));
}

#[test]
fn what_a_person_refuses_by_its_revision_is_refused_whatever_it_is() {
    let commit = "3f2a9c1d00000000000000000000000000000000";
    let named = Moment::Quarantine(Named::Revision(revision("3f2a9c1")));
    let ledger = known();
    let ledger = after(&decide(&ledger, &seen(1, "golden"), &policy(2), &named), ledger);
    assert!(is_refused(&ledger, &from("trial", commit, seen(1, "golden")), "trial"));
    assert!(is_refused(&ledger, &from("other", commit, seen(1, "golden")), "other"), "confirmed or not");
    assert!(!is_refused(&ledger, &from("golden", commit, seen(1, "golden")), "golden"), "golden never is");
    assert!(!is_refused(&ledger, &from("trial", "aaaaaaa", seen(1, "golden")), "trial"));
    assert!(!is_refused(&ledger, &seen(1, "golden"), "trial"), "nobody says what it was built from");
    // Either of those who say something is believed.
    let mut two = from("trial", "aaaaaaa", seen(1, "golden"));
    two.sources.push((toplevel("trial"), revision(commit)));
    let plan = decide(&ledger, &two, &policy(2), &Moment::Mark(toplevel("trial")));
    assert!(matches!(plan.refusal, Some(Refusal::QuarantinedRevision { .. })), "{plan:?}");
    let release = Moment::Release(Named::Revision(revision(commit)));
    let ledger = after(&decide(&ledger, &seen(1, "golden"), &policy(2), &release), ledger);
    assert!(ledger.quarantined_revisions.is_empty());
}

#[test]
fn a_refused_switch_puts_the_profile_back_and_touches_none_that_is_somebodys() {
    let trial = toplevel("trial");
    let ledger = failed(&policy(2));
    let there = |profile: &str| Seen { profile: Some(toplevel(profile)), ..seen(4, "golden") };
    for moment in [Moment::Mark(trial.clone()), Moment::Check(trial.clone())] {
        let plan = decide(&ledger, &there("trial"), &policy(2), &moment);
        assert!(does(&plan, &Step::PutProfileBack(toplevel("golden"))), "{plan:?}");
        assert_eq!(
            plan.steps.last(),
            Some(&Step::PutProfileBack(toplevel("golden"))),
            "what may fail comes last"
        );
        let plan = decide(&ledger, &there("other"), &policy(2), &moment);
        assert!(!plan.steps.iter().any(|step| matches!(step, Step::PutProfileBack(_))), "{plan:?}");
    }
    // Who only asks changes nothing, and is no news.
    let plan = decide(&ledger, &there("other"), &policy(2), &Moment::Check(trial.clone()));
    assert!(plan.steps.is_empty() && plan.refusal.is_some());
    // Another trial that waits for its boot was what the profile named.
    let waits = after(&decide(&ledger, &there("new"), &policy(2), &Moment::Mark(toplevel("new"))), ledger);
    let mut now = there("trial");
    now.loader.as_mut().unwrap().listed.push(toplevel("new"));
    let plan = decide(&waits, &now, &policy(2), &Moment::Check(trial.clone()));
    assert!(does(&plan, &Step::PutProfileBack(toplevel("new"))), "{plan:?}");
    // What boots by itself, if it is known; else what runs.
    now = there("trial");
    now.loader.as_mut().unwrap().default = Some(toplevel("other"));
    let plan = decide(&failed(&policy(2)), &now, &policy(2), &Moment::Check(trial.clone()));
    assert!(does(&plan, &Step::PutProfileBack(toplevel("other"))), "{plan:?}");
    now.loader.as_mut().unwrap().default = Some(trial.clone());
    let plan = decide(&failed(&policy(2)), &now, &policy(2), &Moment::Check(trial));
    assert!(does(&plan, &Step::PutProfileBack(toplevel("golden"))), "{plan:?}");
}

fn patient() -> Policy {
    Policy { second_chance_after_secs: 3600, ..policy(2) }
}

fn up(number: u32, secs: u64) -> Seen {
    Seen { uptime_secs: secs, ..seen(number, "golden") }
}

fn may_be_deployed(ledger: &Ledger, seen: &Seen) -> bool {
    verdict(ledger, seen, &patient(), &toplevel("trial")) == Verdict::SecondChance
}

#[test]
fn a_second_chance_comes_only_to_who_asked_for_it_and_only_after_time_that_passed_for_certain() {
    let never = failed(&policy(2));
    assert!(never.quarantine[0].waited.is_none());
    assert!(!may_be_deployed(&never, &up(9, 1_000_000)), "asked for after it had failed");
    // It failed in boot 2, which had been up for no time at all.
    let ledger = failed(&patient());
    for (number, secs, expected) in [(2, 3599, false), (2, 3600, true), (3, 3599, false), (3, 3600, true)] {
        assert_eq!(may_be_deployed(&ledger, &up(number, secs)), expected, "boot {number}, {secs} s");
    }
    assert!(is_refused(&ledger, &up(3, 1_000_000), "trial"), "the owner has changed his mind");
}

#[test]
fn the_waiting_survives_reboots_as_far_as_somebody_tried() {
    let mut ledger = failed(&patient());
    // Two boots of half an hour and a bit, with a deployer that tries in each.
    let trial = || Moment::Check(toplevel("trial"));
    for (number, secs) in [(10, 2000), (11, 100)] {
        let plan = decide(&ledger, &up(number, secs), &patient(), &trial());
        assert!(plan.refusal.is_some());
        ledger = after(&plan, ledger);
    }
    assert_eq!(ledger.quarantine[0].waited.as_ref().unwrap().counted_secs, 2000, "a little is not written");
    assert!(!may_be_deployed(&ledger, &up(11, 1599)) && may_be_deployed(&ledger, &up(11, 1600)));
    // In the boot that counted last, nothing counts twice.
    assert!(!may_be_deployed(&ledger, &up(10, 3599)) && may_be_deployed(&ledger, &up(10, 3600)));
}

#[test]
fn a_second_chance_is_a_trial_and_the_next_one_takes_twice_as_long() {
    let ledger = failed(&patient());
    let now = up(9, 4000);
    let plan = decide(&ledger, &now, &patient(), &Moment::Mark(toplevel("trial")));
    assert!(plan.refusal.is_none(), "{plan:?}");
    let told =
        |plan: &Plan| plan.steps.iter().any(|step| matches!(step, Step::Tell(Event::SecondChance { .. })));
    assert!(told(&plan));
    let mut ledger = after(&plan, ledger);
    assert!(ledger.trial.is_some() && !ledger.is_quarantined(&toplevel("trial")));
    // Replaced before it began: the chance is still there.
    let replaced = decide(&ledger, &now, &patient(), &Moment::Mark(toplevel("golden")));
    let replaced = after(&replaced, ledger.clone());
    assert_eq!(verdict(&replaced, &up(9, 0), &patient(), &toplevel("trial")), Verdict::Free);
    for number in [20, 21] {
        ledger = after(&decide(&ledger, &seen(number, "trial"), &patient(), &Moment::BootCheck), ledger);
        let fail = Moment::Fail(Cause::Deadline { secs: 600, units: Vec::new() });
        ledger = after(&decide(&ledger, &seen(number, "trial"), &patient(), &fail), ledger);
    }
    assert!(ledger.is_quarantined(&toplevel("trial")));
    assert_eq!(ledger.quarantine[0].failed_trials, 2);
    assert!(!may_be_deployed(&ledger, &up(30, 7199)) && may_be_deployed(&ledger, &up(30, 7200)));
}

#[test]
fn a_second_chance_that_passes_is_forgotten_as_a_failure() {
    let ledger = failed(&patient());
    let mut ledger =
        after(&decide(&ledger, &up(9, 4000), &patient(), &Moment::Mark(toplevel("trial"))), ledger);
    for moment in [Moment::BootCheck, Moment::Confirm] {
        ledger = after(&decide(&ledger, &seen(20, "trial"), &patient(), &moment), ledger);
    }
    assert!(ledger.is_confirmed(&toplevel("trial")) && ledger.quarantine.is_empty());
}

#[test]
fn what_a_person_put_there_waits_for_a_person() {
    let add = Moment::Quarantine(Named::Toplevel(toplevel("trial")));
    let ledger = after(&decide(&known(), &up(1, 0), &patient(), &add), known());
    assert!(ledger.quarantine[0].by_person && !may_be_deployed(&ledger, &up(2, 1_000_000)));
    let again = decide(&ledger, &up(2, 0), &patient(), &add);
    assert_eq!(again, Plan::default(), "twice is once");
    // Also what had failed by itself, with the evidence.
    let ledger = failed(&patient());
    let ledger = after(&decide(&ledger, &up(9, 0), &patient(), &add), ledger);
    assert_eq!(ledger.quarantine.len(), 1);
    assert_eq!(ledger.quarantine[0].attempts.failures(), 2);
    assert!(!may_be_deployed(&ledger, &up(10, 1_000_000)));
}

#[test]
fn a_trial_that_waits_is_called_off_by_its_name_and_by_its_revision() {
    let sourced = from("trial", "3f2a9c1", seen(0, "golden"));
    let ledger = after(&decide(&known(), &sourced, &policy(2), &Moment::Mark(toplevel("trial"))), known());
    let mut now = seen(0, "golden");
    now.loader.as_mut().unwrap().one_shot = golden_core::OneShot::Armed(toplevel("trial"));
    for named in [Named::Toplevel(toplevel("trial")), Named::Revision(revision("3f2a9c1"))] {
        let plan = decide(&ledger, &now, &policy(2), &Moment::Quarantine(named.clone()));
        assert!(after(&plan, ledger.clone()).trial.is_none(), "{named:?}");
        assert!(does(&plan, &Step::Disarm), "{named:?}: {plan:?}");
        assert!(does(&plan, &Step::PutProfileBack(toplevel("golden"))), "{named:?}: {plan:?}");
    }
}

#[test]
fn what_the_machine_needs_is_not_put_into_quarantine() {
    let add = |ledger: &Ledger, seen: &Seen, name: &str| {
        decide(ledger, seen, &policy(2), &Moment::Quarantine(Named::Toplevel(toplevel(name)))).refusal
    };
    let is_no = |refusal: Option<Refusal>, word: &str| match refusal {
        Some(Refusal::NoQuarantine(why)) => assert!(why.contains(word), "{why}"),
        other => panic!("{other:?}"),
    };
    is_no(add(&known(), &seen(1, "other"), "golden"), "golden");
    is_no(add(&known(), &seen(1, "other"), "other"), "runs");
    assert_eq!(add(&known(), &seen(1, "golden"), "other"), None);
    // What boots by itself and does not run gives way to what runs.
    let mut now = seen(1, "golden");
    now.loader.as_mut().unwrap().default = Some(toplevel("other"));
    let plan = decide(&known(), &now, &policy(2), &Moment::Quarantine(Named::Toplevel(toplevel("other"))));
    assert!(does(&plan, &Step::SetDefault(toplevel("golden"))), "{plan:?}");
    assert!(!after(&plan, known()).is_confirmed(&toplevel("other")), "nobody comes back to it");
}

#[test]
fn what_is_released_is_a_trial_like_every_other() {
    let release = |named| Moment::Release(named);
    for named in [Named::Toplevel(toplevel("trial")), Named::Revision(revision("3f2a9c1"))] {
        let ledger = failed(&policy(2));
        let plan = decide(&ledger, &seen(9, "golden"), &policy(2), &release(named.clone()));
        let ledger = after(&plan, ledger);
        assert!(ledger.quarantine.is_empty(), "{named:?}");
        let plan = decide(&ledger, &seen(9, "golden"), &policy(2), &Moment::Mark(toplevel("trial")));
        assert!(after(&plan, ledger).trial.is_some_and(|trial| trial.attempts.is_empty()), "{named:?}");
    }
    for named in [Named::Toplevel(toplevel("golden")), Named::Revision(revision("aaaaaaa"))] {
        let plan = decide(&failed(&policy(2)), &seen(9, "golden"), &policy(2), &release(named));
        assert_eq!(plan, Plan::default());
    }
}

fn ask(ledger: &Ledger, seen: &Seen, of: &Toplevel) -> Plan {
    decide(ledger, seen, &policy(2), &Moment::RollBackNow(of.clone()))
}

#[test]
fn a_person_leaves_what_runs_for_golden_and_that_reboot_is_his() {
    let other = toplevel("other");
    let plan = ask(&known(), &seen(1, "other"), &other);
    let ledger = after(&plan, known());
    assert_eq!(plan.steps.last(), Some(&Step::Reboot));
    assert_eq!(ledger.automatic_reboots, 0);
    assert_eq!(ledger.rollback.as_ref().unwrap().to, toplevel("golden"));
    assert!(ledger.is_quarantined(&other) && !ledger.is_confirmed(&other) && ledger.quarantine[0].by_person);
    let asked = Event::RollbackAsked { from: other.clone(), to: toplevel("golden") };
    let place = |wanted: &Step| plan.steps.iter().position(|step| step == wanted);
    assert!(place(&Step::Tell(asked)) < place(&Step::Reboot), "history knows before it happens");
    // Golden has to prove itself, and the profile follows.
    let landed = seen(2, "golden");
    let ledger = after(&decide(&ledger, &landed, &policy(2), &Moment::BootCheck), ledger);
    assert!(ledger.is_watched(&boot(2)));
    let there = Seen { profile: Some(other.clone()), ..landed };
    let plan = decide(&ledger, &there, &policy(2), &Moment::RollBack);
    assert!(does(&plan, &Step::SetProfile(toplevel("golden"))), "{plan:?}");
    // A deployer does not bring it back.
    assert!(is_refused(&ledger, &there, "other"));
}

#[test]
fn a_trial_that_a_person_leaves_has_failed_by_that() {
    let ledger = after(&decide(&marked(), &seen(1, "trial"), &policy(2), &Moment::BootCheck), marked());
    let plan = ask(&ledger, &seen(1, "trial"), &toplevel("trial"));
    let ledger = after(&plan, ledger);
    assert!(ledger.trial.is_none());
    let end = ledger.quarantine[0].attempts.last().unwrap().end.clone();
    assert_eq!(end, Some(End::Failed { cause: Cause::AskedByPerson }));
}

#[test]
fn without_a_place_to_come_back_to_a_person_is_told_no() {
    let other = toplevel("other");
    let refused = |ledger: &Ledger, seen: &Seen, of: &Toplevel| {
        let plan = ask(ledger, seen, of);
        assert!(plan.steps.is_empty(), "{plan:?}");
        match plan.refusal {
            Some(Refusal::NoRollback(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(&known(), &seen(1, "golden"), &toplevel("golden")).contains("golden runs"));
    let blind = Seen { loader: None, ..seen(1, "other") };
    assert!(refused(&known(), &blind, &other).contains("loader"));
    let mut alone = seen(1, "other");
    alone.golden = None;
    alone.loader.as_mut().unwrap().listed = vec![other.clone()];
    assert!(refused(&known(), &alone, &other).contains("nothing to come back to"));
    let under_way = after(&ask(&known(), &seen(1, "other"), &other), known());
    assert!(refused(&under_way, &seen(1, "other"), &other).contains("under way"));
}

#[test]
fn after_a_live_switch_it_is_what_runs_that_is_left() {
    // `golden` was booted, and `other` runs.
    let mut now = seen(1, "golden");
    now.golden = None;
    let plan = ask(&known(), &now, &toplevel("other"));
    let ledger = after(&plan, known());
    assert!(ledger.is_quarantined(&toplevel("other")));
    assert_eq!(ledger.rollback.as_ref().unwrap().to, toplevel("golden"));
    assert_eq!(plan.steps.last(), Some(&Step::Reboot));
}

/// What was waited for so far is written now and then: where it cannot be, nothing that was refused boots all the same.
#[test]
fn a_refusal_is_the_loaders_before_it_is_the_ledgers() {
    let policy = Policy { second_chance_after_secs: 86_400, ..policy(2) };
    let ledger = failed(&policy);
    let mut seen = Seen { profile: Some(toplevel("trial")), uptime_secs: 50_000, ..seen(4, "golden") };
    seen.loader.as_mut().unwrap().default = Some(toplevel("trial"));
    let plan = decide(&ledger, &seen, &policy, &Moment::Mark(toplevel("trial")));
    let at = |is: fn(&Step) -> bool| plan.steps.iter().position(is);
    let default = at(|step| matches!(step, Step::SetDefault(_)));
    assert!(default.is_some() && default < at(|step| matches!(step, Step::Commit(_))), "{plan:?}");
}
