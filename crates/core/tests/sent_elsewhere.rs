//! Somebody sends the machine elsewhere once, while a trial or a landing waits for its boot.

use golden_core::{Arming, Ledger, Moment, OneShot, Seen, Shutdown, ShutdownSeen, Step, decide};

mod machine;

use machine::{after, does, marked, policy, seen, toplevel};

/// An orderly reboot; `sent` is where the machine was sent first.
fn goes_down(sent: Sent, seen: &mut Seen) -> Moment {
    let loader = seen.loader.as_mut().expect("a loader");
    match sent {
        Sent::Nowhere | Sent::ByFirmware => loader.one_shot = OneShot::Armed(toplevel("trial")),
        Sent::ToForeignEntry => loader.one_shot = OneShot::Foreign,
        Sent::ToOtherGeneration => loader.one_shot = OneShot::Armed(toplevel("other")),
        Sent::Nothing => loader.one_shot = OneShot::Clear,
    }
    let goes_elsewhere = sent == Sent::ByFirmware;
    Moment::Shutdown(ShutdownSeen { kind: Shutdown::Reboot, failed_units: Vec::new(), goes_elsewhere })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// The one-shot of the trial is in place.
    Nowhere,
    /// `systemctl reboot --boot-loader-entry=auto-windows`.
    ToForeignEntry,
    /// `bootctl set-oneshot nixos-generation-3.conf`.
    ToOtherGeneration,
    /// `efibootmgr --bootnext`, `systemctl reboot --firmware-setup`.
    ByFirmware,
    /// The one-shot was taken back.
    Nothing,
}

const ELSEWHERE: [Sent; 4] = [Sent::ToForeignEntry, Sent::ToOtherGeneration, Sent::ByFirmware, Sent::Nothing];

/// The ledger of a trial that waits, after a boot of golden and an orderly reboot.
fn after_reboot(sent: Sent) -> Ledger {
    let mut seen = seen(1, "golden");
    let moment = goes_down(sent, &mut seen);
    after(&decide(&marked(), &seen, &policy(2), &moment), marked())
}

#[test]
fn a_one_shot_of_somebody_else_is_no_failed_attempt_and_reboots_nothing() {
    // As the next boot sees it, the one-shot is gone and the default runs, with a counter of the firmware or without.
    for sent in ELSEWHERE {
        for firmware_boots in [None, Some(7)] {
            let ledger = after_reboot(sent);
            let mut seen = seen(2, "golden");
            seen.loader.as_mut().expect("a loader").firmware_boots = firmware_boots;
            let plan = decide(&ledger, &seen, &policy(2), &Moment::BootCheck);
            let trial = after(&plan, ledger).trial.expect("a trial");
            assert_eq!(trial.attempts.len(), 0, "{sent:?}");
            assert!(!does(&plan, &Step::Reboot), "{sent:?}: {plan:?}");
            // It goes on waiting.
            assert!(does(&plan, &Step::Arm(toplevel("trial"))) && trial.arming == Arming::Armed, "{sent:?}");
        }
    }
}

#[test]
fn an_attempt_that_died_unseen_counts_where_nobody_sent_the_machine_elsewhere() {
    let ledger = after_reboot(Sent::Nowhere);
    assert_eq!(ledger, marked());
    let plan = decide(&ledger, &seen(2, "golden"), &policy(2), &Moment::BootCheck);
    assert_eq!(after(&plan, ledger).trial.expect("a trial").attempts.failures(), 1);
}

#[test]
fn the_one_shot_of_somebody_else_is_not_taken_back() {
    // The trial runs and is rebooted into something else once.
    let mut running = seen(1, "trial");
    let ledger = after(&decide(&marked(), &running, &policy(2), &Moment::BootCheck), marked());
    for sent in [Sent::ToForeignEntry, Sent::ToOtherGeneration, Sent::ByFirmware] {
        let moment = goes_down(sent, &mut running);
        let plan = decide(&ledger, &running, &policy(2), &moment);
        let is_of_loader = |step: &Step| matches!(step, Step::Arm(_) | Step::Disarm | Step::SetDefault(_));
        assert!(!plan.steps.iter().any(is_of_loader), "{sent:?}: {plan:?}");
        // The attempt ended innocently, and the next boot check arms the next one.
        let ledger = after(&plan, ledger.clone());
        let plan = decide(&ledger, &seen(2, "golden"), &policy(2), &Moment::BootCheck);
        let trial = after(&plan, ledger).trial.expect("a trial");
        assert_eq!((trial.attempts.len(), trial.attempts.failures()), (1, 0), "{sent:?}");
        assert!(does(&plan, &Step::Arm(toplevel("trial"))) && !does(&plan, &Step::Reboot), "{sent:?}");
    }
}

#[test]
fn a_landing_that_waits_has_not_failed_when_the_machine_was_sent_elsewhere() {
    // The trial fails twice; golden is to be booted once, and a system that was confirmed after it is the default.
    let mut ledger = marked();
    for number in 1..=2 {
        let mut seen = seen(number, "trial");
        seen.loader.as_mut().expect("a loader").default = Some(toplevel("other"));
        ledger = after(&decide(&ledger, &seen, &policy(2), &Moment::BootCheck), ledger);
    }
    ledger.confirmed.reverse();
    let mut running = seen(3, "other");
    running.loader.as_mut().expect("a loader").default = Some(toplevel("other"));
    ledger = after(&decide(&ledger, &running, &policy(2), &Moment::BootCheck), ledger);
    let arming = |ledger: &Ledger| ledger.landing.as_ref().map(|landing| landing.arming);
    assert_eq!(arming(&ledger), Some(Arming::Armed), "{ledger:?}");
    let moment = goes_down(Sent::ToForeignEntry, &mut running);
    let ledger = after(&decide(&ledger, &running, &policy(2), &moment), ledger);
    assert_eq!(arming(&ledger), Some(Arming::Idle));
    let next = Seen { boot: machine::boot(4), ..running };
    let next =
        Seen { loader: next.loader.map(|it| golden_core::Loader { one_shot: OneShot::Clear, ..it }), ..next };
    let plan = decide(&ledger, &next, &policy(2), &Moment::BootCheck);
    let ledger = after(&plan, ledger);
    assert!(!ledger.is_failed_landing(&toplevel("golden")), "{plan:?}");
    assert!(does(&plan, &Step::Arm(toplevel("golden"))), "{plan:?}");
}

#[test]
fn an_attempt_that_is_rebooted_by_a_person_is_armed_again_although_the_loader_has_taken_its_one_shot_back() {
    let mut seen = seen(1, "trial");
    let ledger = after(&decide(&marked(), &seen, &policy(2), &Moment::BootCheck), marked());
    let moment = goes_down(Sent::Nothing, &mut seen);
    let plan = decide(&ledger, &seen, &policy(2), &moment);
    assert!(does(&plan, &Step::Arm(toplevel("trial"))), "{plan:?}");
}
