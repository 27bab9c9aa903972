//! A trial that was armed, and something else was started: the machine may show that it never ran.

use golden_core::{
    Arming, Event, Ledger, Loader, Moment, NotStartedBecause, OneShot, Plan, Seen, StartedBy, Step, decide,
};

mod machine;

use machine::{after, boot, does, known, policy, seen, toplevel};

fn systemd_boot(partition: &str) -> StartedBy {
    let (loader, partition) = (Some("systemd-boot".to_owned()), Some(partition.to_owned()));
    StartedBy { loader, partition }
}

fn started_by(started_by: StartedBy, seen: Seen) -> Seen {
    Seen { loader: seen.loader.map(|loader| Loader { started_by, ..loader }), ..seen }
}

/// Golden runs, started by systemd-boot. The firmware has started the machine `starts` times since the trial was armed.
fn golden_runs(number: u32, one_shot: OneShot, starts: Option<u32>) -> Seen {
    let mut seen = started_by(systemd_boot("a"), seen(number, "golden"));
    let loader = seen.loader.as_mut().expect("a loader");
    (loader.one_shot, loader.firmware_boots) = (one_shot, starts.map(|starts| 7 + starts));
    seen
}

/// The firmware had counted to 7.
fn marked() -> Ledger {
    let seen = golden_runs(0, OneShot::Clear, Some(0));
    after(&decide(&known(), &seen, &policy(2), &Moment::Mark(toplevel("trial"))), known())
}

fn check(ledger: &Ledger, seen: &Seen) -> (Plan, Ledger) {
    let plan = decide(ledger, seen, &policy(2), &Moment::BootCheck);
    let after = after(&plan, ledger.clone());
    (plan, after)
}

/// Each way in which the next boot can show that the trial was not started.
fn evidence() -> Vec<(NotStartedBecause, Seen)> {
    let armed = || OneShot::Armed(toplevel("trial"));
    let mut bypassed = golden_runs(2, armed(), None);
    bypassed.loader.as_mut().expect("a loader").is_bypassed = true;
    let by = |by, one_shot| started_by(by, golden_runs(2, one_shot, None));
    let grub = StartedBy { loader: Some("GRUB".to_owned()), ..StartedBy::default() };
    vec![
        (NotStartedBecause::AnotherLoader, bypassed),
        (NotStartedBecause::AnotherLoader, by(grub, OneShot::Clear)),
        (NotStartedBecause::AnotherLoader, by(StartedBy::default(), armed())),
        (NotStartedBecause::AnotherPartition, by(systemd_boot("b"), OneShot::Clear)),
        (NotStartedBecause::Forgotten, golden_runs(2, OneShot::Clear, Some(1))),
        (NotStartedBecause::Ignored, golden_runs(2, armed(), Some(1))),
    ]
}

#[test]
fn a_system_that_was_not_started_has_not_failed_and_nothing_is_rebooted() {
    for (because, seen) in evidence() {
        let mut ledger = marked();
        for number in 2..10 {
            let (plan, after) = check(&ledger, &Seen { boot: boot(number), ..seen.clone() });
            ledger = after;
            let trial = ledger.trial.as_ref().expect("it goes on waiting");
            assert!(trial.attempts.is_empty() && ledger.quarantine.is_empty(), "{because:?}: {trial:?}");
            assert!(!does(&plan, &Step::Reboot), "{because:?}: {plan:?}");
            // As it would be found at each of these boots.
            ledger.trial.as_mut().expect("a trial").arming = Arming::Armed;
            ledger.trial.as_mut().expect("a trial").armed_at = Some(7);
            ledger.trial.as_mut().expect("a trial").armed_by = systemd_boot("a");
        }
    }
}

#[test]
fn the_owner_is_told_after_the_second_time_in_a_row_and_once() {
    for (because, seen) in evidence() {
        let mut ledger = marked();
        let mut told = Vec::new();
        for number in 2..6 {
            let before = ledger.trial.as_mut().expect("a trial");
            (before.arming, before.armed_at, before.armed_by) = (Arming::Armed, Some(7), systemd_boot("a"));
            let (plan, after) = check(&ledger, &Seen { boot: boot(number), ..seen.clone() });
            ledger = after;
            told.extend(plan.steps.into_iter().filter_map(|step| match step {
                Step::Tell(event @ Event::NotStarted { .. }) => Some((number, event)),
                _ => None,
            }));
            let missed = ledger.trial.as_ref().and_then(|trial| trial.not_started.as_ref());
            assert_eq!(missed.map(|missed| missed.because), Some(because));
        }
        let event = Event::NotStarted { toplevel: toplevel("trial"), times: 2, because };
        assert_eq!(told, [(3, event)], "{because:?}");
    }
}

#[test]
fn an_attempt_begins_the_count_anew() {
    let (_, ledger) = check(&marked(), &golden_runs(2, OneShot::Clear, Some(1)));
    assert!(ledger.trial.as_ref().is_some_and(|trial| trial.not_started.is_some()));
    let (_, ledger) = check(&ledger, &started_by(systemd_boot("a"), seen(3, "trial")));
    let trial = ledger.trial.expect("a trial");
    assert_eq!((trial.attempts.len(), trial.not_started), (1, None));
}

#[test]
fn an_attempt_counts_where_the_machine_does_not_show_that_it_was_not_started() {
    // The same loader, which may have been updated, from the same partition; or one that never said anything.
    let silent = |seen: Seen| started_by(StartedBy::default(), seen);
    let ledger_of_silent = {
        let seen = silent(golden_runs(0, OneShot::Clear, None));
        after(&decide(&known(), &seen, &policy(2), &Moment::Mark(toplevel("trial"))), known())
    };
    for (ledger, seen) in [
        (marked(), golden_runs(2, OneShot::Clear, Some(2))),
        (marked(), golden_runs(2, OneShot::Clear, None)),
        (ledger_of_silent, silent(golden_runs(2, OneShot::Clear, None))),
    ] {
        let (_, after) = check(&ledger, &seen);
        assert_eq!(after.trial.expect("a trial").attempts.failures(), 1);
    }
}

#[test]
fn a_trial_that_the_other_partition_does_not_list_goes_on_waiting() {
    let mut elsewhere = started_by(systemd_boot("b"), golden_runs(2, OneShot::Clear, None));
    elsewhere.loader.as_mut().expect("a loader").listed.retain(|listed| *listed != toplevel("trial"));
    let (plan, ledger) = check(&marked(), &elsewhere);
    assert!(ledger.trial.is_some() && !plan.steps.iter().any(|it| matches!(it, Step::Arm(_))), "{plan:?}");
    // And it is given up where it is not listed any more by the loader that was to boot it.
    let mut gone = golden_runs(2, OneShot::Clear, None);
    gone.loader.as_mut().expect("a loader").listed.retain(|listed| *listed != toplevel("trial"));
    assert!(check(&ledger, &gone).1.trial.is_none());
}

#[test]
fn a_golden_that_was_not_started_has_not_failed_as_a_landing() {
    let mut ledger = known();
    ledger.confirmed.reverse();
    let armed = Moment::RollBackNow(toplevel("trial"));
    let mut running = started_by(systemd_boot("a"), seen(1, "trial"));
    running.loader.as_mut().expect("a loader").default = Some(toplevel("other"));
    ledger = after(&decide(&ledger, &running, &policy(2), &armed), ledger);
    let landing = ledger.landing.clone().expect("golden is to be booted once");
    assert_eq!((landing.arming, &landing.armed_by), (Arming::Armed, &systemd_boot("a")));
    let mut elsewhere = started_by(systemd_boot("b"), seen(2, "other"));
    elsewhere.loader.as_mut().expect("a loader").default = Some(toplevel("other"));
    let (_, elsewhere) = check(&ledger, &elsewhere);
    assert!(elsewhere.failed_landings.is_empty(), "{elsewhere:?}");
    let mut here = started_by(systemd_boot("a"), seen(2, "other"));
    here.loader.as_mut().expect("a loader").default = Some(toplevel("other"));
    assert!(check(&ledger, &here).1.is_failed_landing(&toplevel("golden")));
}
