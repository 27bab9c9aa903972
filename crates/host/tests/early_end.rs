//! A boot that has to be confirmed, and what ends it: the deadline, emergency mode, and files that are gone.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use golden_core::{Cause, End, Injection, Ledger};
use golden_host::operation::{self, Emergency};
use golden_host::simulated::{Effect, Fate, Program, Said, SimulatedHost, Snapshot, World, foresee};
use golden_host::{Output, Trouble};

#[path = "simulated/mod.rs"]
mod simulated;

use simulated::{boot, ledger, lose_kernel, lose_ledger, options, toplevel};

fn marked() -> SimulatedHost {
    simulated::marked(World::default())
}

fn complaints(host: &SimulatedHost, of: Trouble) -> usize {
    host.said().iter().filter(|said| matches!(said, Said::Complained(trouble, _) if *trouble == of)).count()
}

#[test]
fn the_deadline_counts_from_the_start_of_userspace_on_the_clock_that_does_not_sleep() {
    let host = marked();
    boot(&host, 2, "b");
    let left = |secs| {
        host.set_clock(secs);
        operation::time_left(&host, &options()).unwrap()
    };
    assert_eq!(left(5), None, "nobody watches before the boot check");
    Program::BootCheck.run(&host).unwrap();
    // The simulated userspace begins after one second.
    assert_eq!(left(101), Some(Duration::from_secs(500)));
    assert_eq!(left(601), Some(Duration::ZERO));
    assert_eq!(left(4_294_967_296), Some(Duration::ZERO));
    Program::Confirm.run(&host).unwrap();
    assert_eq!(left(601), None, "it is confirmed");
}

#[test]
fn a_trial_whose_kernel_is_gone_for_good_is_given_up_after_two_tries_and_golden_stays() {
    let host = marked();
    lose_kernel(&host, "b");
    // The loader passes over the entry, and golden finds that it cannot be armed again.
    boot(&host, 2, "a");
    Program::BootCheck.run(&host).unwrap();
    assert!(!host.world().reboot_asked, "there is nothing to retry");
    let quarantined = &ledger(&host).quarantine[0];
    assert_eq!(quarantined.toplevel, toplevel("b"));
    let causes: Vec<_> = quarantined.attempts.iter().map(|attempt| attempt.end.clone().unwrap()).collect();
    let passed_over = |why: &str| why == "its boot files were not whole on the boot partition";
    assert!(
        matches!(&causes[0], End::Failed { cause: Cause::NotBootable { why } } if passed_over(why)),
        "{causes:?}"
    );
    let names_the_lost_file = |why: &str| why.contains(&format!("cannot copy {}/kernel", toplevel("b")));
    assert!(
        matches!(&causes[1], End::Failed { cause: Cause::NotBootable { why } } if names_the_lost_file(why)),
        "{causes:?}"
    );
    assert_eq!(complaints(&host, Trouble::Loader), 1);
}

#[test]
fn a_trial_that_the_loader_passed_over_is_repaired_and_gets_its_next_attempt_at_once() {
    let host = marked();
    host.change(|world| {
        let esp = Arc::make_mut(&mut world.esp);
        esp.remove(Path::new("/boot/EFI/nixos/bbbb-linux-b-bzImage.efi")).unwrap();
        esp.sync();
    });
    boot(&host, 2, "a");
    Program::BootCheck.run(&host).unwrap();
    assert!(host.world().reboot_asked);
    assert_eq!(ledger(&host).trial.unwrap().attempts.failures(), 1);
    boot(&host, 3, "b");
    assert_eq!(foresee(&host.world()).default, Some(toplevel("a")));
    for program in [Program::BootCheck, Program::Confirm] {
        program.run(&host).unwrap();
    }
    assert!(ledger(&host).is_confirmed(&toplevel("b")));
}

#[test]
fn emergency_mode_without_the_state_is_left_only_if_the_loader_did_not_boot_its_default() {
    for (system, expected) in [("b", Emergency::WithoutState), ("a", Emergency::Unwatched)] {
        let host = marked();
        lose_ledger(&host);
        boot(&host, 2, system);
        let emergency = operation::emergency(&host, &options()).unwrap();
        assert_eq!(emergency, expected, "{system}");
        operation::leave_emergency(&host, &options(), emergency).unwrap();
        assert_eq!(host.world().reboot_asked, expected == Emergency::WithoutState, "{system}");
    }
}

#[test]
fn emergency_mode_without_the_state_is_left_where_what_was_confirmed_last_stands_in_for_golden_too() {
    for (system, expected) in
        [("c", Emergency::WithoutState), ("a", Emergency::WithoutState), ("b", Emergency::Unwatched)]
    {
        let host = marked();
        boot(&host, 2, "b");
        for program in [Program::BootCheck, Program::Confirm, Program::Switch(toplevel("c"))] {
            program.run(&host).unwrap();
        }
        assert_eq!(foresee(&host.world()).default, Some(toplevel("b")));
        lose_ledger(&host);
        boot(&host, 3, system);
        assert_eq!(operation::emergency(&host, &options()).unwrap(), expected, "{system}");
    }
}

#[test]
fn emergency_mode_in_an_attempt_is_one_failure_even_if_the_boot_check_never_ran() {
    let host = marked();
    boot(&host, 2, "b");
    let emergency = operation::emergency(&host, &options()).unwrap();
    assert_eq!(emergency, Emergency::Watched);
    operation::leave_emergency(&host, &options(), emergency).unwrap();
    assert!(host.world().reboot_asked);
    let attempts = ledger(&host).trial.unwrap().attempts;
    assert_eq!((attempts.len(), attempts.failures()), (1, 1));
}

#[test]
fn a_confirmation_finds_a_golden_that_could_not_be_landed_on() {
    let lost_entry = |host: &SimulatedHost| {
        host.change(|world| {
            let esp = Arc::make_mut(&mut world.esp);
            let of_a = |text: &[u8]| String::from_utf8_lossy(text).contains("init=/nix/store/aaaa-a/init");
            let entries: Vec<PathBuf> = esp
                .files()
                .filter(|(path, bytes)| path.starts_with("/boot/loader/entries") && of_a(bytes))
                .map(|(path, _)| path.clone())
                .collect();
            assert!(!entries.is_empty());
            for entry in entries {
                esp.remove(&entry).unwrap();
            }
            esp.sync();
        });
    };
    for (is_lost, expected) in [(false, 0), (true, 1)] {
        let host = marked();
        boot(&host, 2, "b");
        Program::BootCheck.run(&host).unwrap();
        if is_lost {
            lost_entry(&host);
        }
        host.said();
        Program::Confirm.run(&host).unwrap();
        assert!(ledger(&host).is_confirmed(&toplevel("b")));
        assert_eq!(complaints(&host, Trouble::GoldenDamaged), expected);
    }
}

/// Both attempts of `b` have failed, the budget of reboots is spent, and a switch that nobody marked has made `b` the default again.
fn stranded() -> SimulatedHost {
    let host = marked();
    host.configure(|options| options.policy.max_automatic_reboots = 1);
    for number in [2, 3] {
        boot(&host, number, "b");
        Program::BootCheck.run(&host).unwrap();
        Program::Deadline.run(&host).unwrap();
    }
    assert!(host.world().is_safe && ledger(&host).safe_mode.is_some());
    Program::SwitchUnmarked(toplevel("b")).run(&host).unwrap();
    boot(&host, 4, "b");
    host
}

#[test]
fn a_boot_of_what_has_failed_is_in_safe_mode_whichever_effect_fails_on_the_way() {
    let probe = stranded();
    let before = probe.effects();
    Program::BootCheck.run(&probe).unwrap();
    assert!(probe.world().is_safe);
    for number in 1..=probe.effects() - before {
        let host = stranded();
        host.set_fate(Fate::Fail(number, ErrorKind::Other));
        let _ = Program::BootCheck.run(&host);
        assert!(host.world().is_safe, "effect {number}");
    }
}

#[test]
fn rescue_mode_long_after_the_boot_says_nothing_of_what_was_armed_since() {
    let host = marked();
    host.change(|world| {
        world.firmware_boots = None;
        // A person takes the one-shot back, and asks for rescue mode.
        Arc::make_mut(&mut world.variables).remove("LoaderEntryOneShot").unwrap();
    });
    host.teach(
        "systemctl",
        Box::new(|_, arguments| {
            let is_asked = arguments.contains(&"golden-boot-check.service");
            let stdout = if is_asked { "active\n" } else { "" }.to_owned();
            Ok(Output { success: true, stdout, stderr: String::new() })
        }),
    );
    assert_eq!(operation::emergency(&host, &options()).unwrap(), Emergency::Unwatched);
    assert!(!host.world().reboot_asked);
    assert_eq!(ledger(&host).trial.unwrap().attempts.failures(), 0);
}

/// Golden `a`, and `b` was confirmed in this boot.
fn confirmed() -> SimulatedHost {
    let host = marked();
    boot(&host, 2, "b");
    for program in [Program::BootCheck, Program::Confirm] {
        program.run(&host).unwrap();
    }
    host
}

#[test]
fn a_confirmed_system_is_left_or_stays_what_it_was_whichever_effect_fails_on_its_way_back() {
    let late = Program::FailLate { checks: vec!["web".to_owned()], goes_back: true };
    for program in [late, Program::RollBackNow, Program::Drill(Injection::Power)] {
        let probe = confirmed();
        probe.record();
        program.run(&probe).unwrap();
        assert!(probe.world().reboot_asked);
        for (number, Snapshot { effect, .. }) in (1..).zip(probe.recorded()) {
            if effect == Effect::Reboot {
                // The next boot goes there, whoever asks for it.
                continue;
            }
            let host = confirmed();
            let before = ledger(&host);
            host.set_fate(Fate::Fail(number, ErrorKind::Other));
            let _ = program.run(&host);
            host.clear_fate();
            let is_left = host.world().reboot_asked || host.world().is_safe;
            let after = Ledger { revision: before.revision, ..ledger(&host) };
            assert!(is_left || after == before, "{program:?}: {number}, {effect:?}: {after:#?}");
        }
    }
}
