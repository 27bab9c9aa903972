//! A boot that did not come up is left although other parts are broken; and one that came up is not left.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use golden_core::{Event, Ledger};
use golden_host::operation::{self, Emergency};
use golden_host::simulated::{Effect, Fate, Program, Said, SimulatedHost, World, foresee};

#[path = "simulated/mod.rs"]
mod simulated;

use simulated::{LEDGER, STATE_DIR, boot, ledger, lose_kernel, lose_ledger, options, pinned, toplevel};

/// Golden `a` was pinned, `c` was confirmed after it if `newer`, and `b` is armed.
fn marked(newer: bool) -> SimulatedHost {
    let host = pinned(World::default());
    if newer {
        Program::Switch(toplevel("c")).run(&host).unwrap();
        boot(&host, 2, "c");
        for program in [Program::BootCheck, Program::Confirm] {
            program.run(&host).unwrap();
        }
    }
    Program::Switch(toplevel("b")).run(&host).unwrap();
    host.said();
    host
}

/// The same in this attempt of `b`, which is the first or the second.
fn attempt(number: u64, newer: bool) -> SimulatedHost {
    let host = marked(newer);
    for number in 1..=number {
        boot(&host, 10 + number, "b");
        Program::BootCheck.run(&host).unwrap();
    }
    host.said();
    host
}

/// Golden runs after both attempts of `b`, and has to prove itself.
fn landed(newer: bool) -> SimulatedHost {
    let host = attempt(2, newer);
    Program::Deadline.run(&host).unwrap();
    boot(&host, 20, "a");
    Program::BootCheck.run(&host).unwrap();
    host.said();
    host
}

fn is_left(host: &SimulatedHost) -> bool {
    host.world().reboot_asked || host.world().is_safe
}

fn time_left(host: &SimulatedHost) -> Option<Duration> {
    operation::time_left(host, &options()).unwrap()
}

#[test]
fn an_attempt_whose_system_cannot_be_started_again_is_left_for_golden() {
    let host = attempt(1, false);
    assert_eq!(foresee(&host.world()).once, Some(toplevel("b")));
    lose_kernel(&host, "b");
    Program::Deadline.run(&host).unwrap();
    assert!(host.world().reboot_asked);
    let foreseen = foresee(&host.world());
    assert_eq!((foreseen.once, foreseen.default), (None, Some(toplevel("a"))));
}

#[test]
fn a_failed_trial_is_left_for_the_next_rung_where_golden_is_damaged_and_for_safe_mode_where_there_is_none() {
    for (newer, expected) in [(true, Some("c")), (false, None)] {
        let host = attempt(2, newer);
        lose_kernel(&host, "a");
        Program::Deadline.run(&host).unwrap();
        assert_eq!((host.world().reboot_asked, host.world().is_safe), (newer, !newer));
        if let Some(expected) = expected {
            let foreseen = foresee(&host.world());
            assert_eq!(foreseen.once.or(foreseen.default), Some(toplevel(expected)));
        }
    }
}

#[test]
fn a_landing_that_fails_is_left_for_safe_mode_where_the_next_rung_is_damaged() {
    for is_damaged in [false, true] {
        let host = landed(true);
        if is_damaged {
            lose_kernel(&host, "c");
        }
        Program::Deadline.run(&host).unwrap();
        assert_eq!((host.world().reboot_asked, host.world().is_safe), (!is_damaged, is_damaged));
    }
}

type Prepare = fn() -> SimulatedHost;

const UNCONFIRMED: [(&str, Prepare); 6] = [
    ("first attempt", || attempt(1, false)),
    ("second attempt", || attempt(2, false)),
    ("second attempt with two rungs", || attempt(2, true)),
    ("landing", || landed(false)),
    ("landing with another rung", || landed(true)),
    ("second attempt with a damaged golden", || {
        let host = attempt(2, true);
        lose_kernel(&host, "a");
        host
    }),
];

#[test]
fn a_boot_that_did_not_come_up_is_left_if_any_one_effect_fails() {
    for (what, prepare) in UNCONFIRMED {
        let probe = prepare();
        let before = probe.effects();
        Program::Deadline.run(&probe).unwrap();
        for number in 1..=probe.effects() - before {
            for kind in [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
                let host = prepare();
                host.set_fate(Fate::Fail(number, kind));
                let _ = Program::Deadline.run(&host);
                host.clear_fate();
                if !is_left(&host) {
                    // systemd starts the failed program again.
                    assert!(time_left(&host).is_some(), "{what}: {kind} at effect {number}");
                    let _ = Program::Deadline.run(&host);
                }
                assert!(is_left(&host), "{what}: {kind} at effect {number}");
            }
        }
    }
}

#[test]
fn a_boot_that_did_not_come_up_is_left_if_the_program_that_ends_it_is_killed_anywhere() {
    for (what, prepare) in UNCONFIRMED {
        let host = prepare();
        host.record();
        Program::Deadline.run(&host).unwrap();
        for (number, snapshot) in host.recorded().into_iter().enumerate() {
            let is_done = matches!(snapshot.effect, Effect::Reboot | Effect::EnterSafeMode);
            host.set_world(snapshot.world);
            assert!(is_done || is_left(&host) || time_left(&host).is_some(), "{what}: after {number}");
            Program::Deadline.run(&host).unwrap();
            assert!(is_left(&host), "{what}: after {number}");
        }
    }
}

#[test]
fn a_person_who_stays_in_emergency_mode_is_not_rebooted_by_anything_that_is_started_again() {
    let host = attempt(1, false);
    let emergency = operation::emergency(&host, &options()).unwrap();
    operation::stay_in_emergency(&host, &options(), emergency).unwrap();
    assert_eq!(ledger(&host).trial.unwrap().attempts.failures(), 1);
    assert_eq!(time_left(&host), None);
    assert_eq!(operation::emergency(&host, &options()).unwrap(), Emergency::Unwatched);
    Program::Deadline.run(&host).unwrap();
    assert!(!is_left(&host));
}

#[test]
fn safe_mode_is_entered_once_in_a_boot() {
    let host = attempt(2, false);
    lose_kernel(&host, "a");
    Program::Deadline.run(&host).unwrap();
    assert!(host.world().is_safe);
    host.change(|world| world.is_safe = false);
    assert_eq!(time_left(&host), None, "a person goes on from there");
    Program::Deadline.run(&host).unwrap();
    assert!(!is_left(&host));
}

/// `b` was confirmed, and golden is older.
fn confirmed() -> SimulatedHost {
    let host = attempt(1, false);
    Program::Confirm.run(&host).unwrap();
    host.said();
    host
}

#[test]
fn a_rollback_that_has_nowhere_to_go_is_refused_and_changes_nothing() {
    let host = confirmed();
    lose_kernel(&host, "a");
    let before = ledger(&host);
    let refused = Program::RollBackNow.run(&host).unwrap_err().to_string();
    assert!(refused.starts_with("refused: no rollback now:"), "{refused}");
    assert_eq!(ledger(&host), before);
    assert_eq!(foresee(&host.world()).default, Some(toplevel("b")));
    assert!(!is_left(&host));
}

#[test]
fn a_rollback_whose_loader_cannot_be_told_leaves_the_ledger_as_it_was() {
    let probe = confirmed();
    probe.record();
    Program::RollBackNow.run(&probe).unwrap();
    let effects = probe.recorded();
    let is_loader = |effect: &Effect| match effect {
        // A default that was written and not synced is there, too.
        Effect::Overwrite(path) | Effect::Rename(path) | Effect::SyncFile(path) => path.starts_with("/boot"),
        Effect::SetVariable(_) => true,
        _ => false,
    };
    let told: Vec<usize> = (0..effects.len()).filter(|at| is_loader(&effects[*at].effect)).collect();
    assert!(!told.is_empty());
    for at in told {
        let host = confirmed();
        let before = ledger(&host);
        host.set_fate(Fate::Fail(at as u64 + 1, ErrorKind::Other));
        Program::RollBackNow.run(&host).unwrap_err();
        host.clear_fate();
        let after = ledger(&host);
        assert_eq!(Ledger { revision: before.revision, ..after }, before);
        assert_eq!(foresee(&host.world()).default, Some(toplevel("b")));
        assert!(!is_left(&host));
    }
}

#[test]
fn a_late_failure_that_has_nowhere_to_go_is_told_and_changes_nothing() {
    for is_damaged in [false, true] {
        let host = confirmed();
        if is_damaged {
            lose_kernel(&host, "a");
        }
        let before = ledger(&host);
        let late = Program::FailLate { checks: vec!["web".to_owned()], goes_back: true };
        late.run(&host).unwrap();
        let told =
            host.said().iter().filter(|said| matches!(said, Said::Told(Event::FailedLate { .. }))).count();
        assert_eq!(told, 1);
        assert_eq!(host.world().reboot_asked, !is_damaged);
        assert_eq!(ledger(&host) == before, is_damaged);
        assert_eq!(ledger(&host).is_confirmed(&toplevel("b")), is_damaged);
    }
}

const UNWRITABLE: [Fate; 2] = [Fate::Full(ErrorKind::StorageFull), Fate::Full(ErrorKind::ReadOnlyFilesystem)];

#[test]
fn an_attempt_that_the_disk_does_not_record_is_watched_and_left_for_golden_which_is_not_rebooted() {
    for fate in UNWRITABLE {
        let host = marked(false);
        host.set_fate(fate);
        boot(&host, 11, "b");
        Program::BootCheck.run(&host).unwrap_err();
        assert!(host.world().is_watched() && time_left(&host).is_some(), "{fate:?}");
        Program::Deadline.run(&host).unwrap();
        assert!(host.world().reboot_asked && !host.world().is_safe, "{fate:?}");
        let foreseen = foresee(&host.world());
        assert_eq!((foreseen.once, foreseen.default), (None, Some(toplevel("a"))), "{fate:?}");
        // The disk stays full: nothing is armed, and golden is left alone.
        boot(&host, 12, "a");
        let _ = Program::BootCheck.run(&host);
        assert!(!is_left(&host) && !host.world().is_watched() && time_left(&host).is_none(), "{fate:?}");
        // And once it is not, the attempt counts.
        host.clear_fate();
        boot(&host, 13, "a");
        Program::BootCheck.run(&host).unwrap();
        assert_eq!(ledger(&host).trial.unwrap().attempts.failures(), 1, "{fate:?}");
    }
}

#[test]
fn an_unrecorded_attempt_is_recorded_as_soon_as_the_disk_allows_it() {
    let host = marked(false);
    host.set_fate(UNWRITABLE[0]);
    boot(&host, 11, "b");
    Program::BootCheck.run(&host).unwrap_err();
    host.clear_fate();
    Program::Deadline.run(&host).unwrap();
    assert!(host.world().reboot_asked);
    assert_eq!(ledger(&host).trial.unwrap().attempts.failures(), 1);
    assert_eq!(foresee(&host.world()).once, Some(toplevel("b")), "it has another attempt");
}

#[test]
fn an_unrecorded_attempt_without_a_known_good_default_ends_in_safe_mode() {
    let host = marked(false);
    host.change(|world| world.build(&toplevel("c")));
    Program::SwitchUnmarked(toplevel("c")).run(&host).unwrap();
    host.set_fate(UNWRITABLE[0]);
    boot(&host, 11, "c");
    host.change(|world| {
        // Nobody marked it, and the loader does not obey either.
        world.lie = Some(golden_host::simulated::Lie::IgnoresWrites);
    });
    Program::BootCheck.run(&host).unwrap_err();
    Program::Deadline.run(&host).unwrap();
    assert!(host.world().is_safe && !host.world().reboot_asked);
}

#[test]
fn an_unrecorded_attempt_ends_in_safe_mode_if_the_default_lacks_its_boot_files_or_a_foreign_entry_is_armed() {
    let changes: [fn(&SimulatedHost); 2] = [
        |host| lose_kernel(host, "a"),
        |host| {
            let foreign: Vec<u8> =
                "windows.conf".encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
            golden_host::Host::efi_write(host, "LoaderEntryOneShot", &foreign).unwrap();
        },
    ];
    for change in changes {
        let host = marked(false);
        host.set_fate(UNWRITABLE[0]);
        boot(&host, 11, "b");
        change(&host);
        Program::BootCheck.run(&host).unwrap_err();
        Program::Deadline.run(&host).unwrap();
        assert_eq!((host.world().reboot_asked, host.world().is_safe), (false, true));
    }
}

#[test]
fn an_unrecorded_attempt_that_comes_up_is_left_alone() {
    let host = marked(false);
    host.set_fate(UNWRITABLE[0]);
    boot(&host, 11, "b");
    Program::BootCheck.run(&host).unwrap_err();
    Program::Confirm.run(&host).unwrap_err();
    assert_eq!(time_left(&host), None);
    Program::Deadline.run(&host).unwrap();
    assert!(!is_left(&host));
}

fn write_ledger(host: &SimulatedHost, bytes: &[u8]) {
    host.change(|world| {
        let var = Arc::make_mut(&mut world.var);
        var.write(Path::new(LEDGER), bytes).unwrap();
        var.sync();
    });
}

#[test]
fn a_boot_that_was_confirmed_is_left_alone_although_its_ledger_is_lost_or_older_after_that() {
    for prepare in [|| attempt(1, false), || attempt(1, true), || landed(false)] {
        let host = prepare();
        let backup = serde_json::to_vec(&ledger(&marked(false))).unwrap();
        Program::Confirm.run(&host).unwrap();
        let confirmed = host.world();
        let loses: [&dyn Fn(); 3] =
            [&|| lose_ledger(&host), &|| write_ledger(&host, b"{torn"), &|| write_ledger(&host, &backup)];
        for (number, lose) in loses.into_iter().enumerate() {
            host.set_world(confirmed.clone());
            lose();
            Program::Deadline.run(&host).unwrap();
            assert!(!is_left(&host) && time_left(&host).is_none(), "{number}");
        }
    }
}

#[test]
fn a_boot_that_came_up_is_left_alone_whatever_keeps_its_confirmation_from_the_disk() {
    for prepare in [|| attempt(1, false), || attempt(2, true), || landed(false)] {
        let probe = prepare();
        let before = probe.effects();
        Program::Confirm.run(&probe).unwrap();
        let effects = probe.effects() - before;
        let once = (1..=effects).map(|number| Fate::Fail(number, ErrorKind::Other));
        for fate in UNWRITABLE.into_iter().chain(once) {
            for recovers in [false, true] {
                let host = prepare();
                host.set_fate(fate);
                let _ = Program::Confirm.run(&host);
                if recovers {
                    host.clear_fate();
                }
                let _ = Program::Deadline.run(&host);
                let _ = Program::Emergency.run(&host);
                assert!(!is_left(&host), "{fate:?}, {recovers}");
                assert_eq!(time_left(&host), None, "{fate:?}, {recovers}");
            }
        }
    }
}

#[test]
fn an_unrecorded_attempt_is_left_alone_once_another_system_runs() {
    let host = marked(false);
    host.set_fate(UNWRITABLE[0]);
    boot(&host, 11, "b");
    Program::BootCheck.run(&host).unwrap_err();
    host.change(|world| {
        Arc::make_mut(&mut world.volatile).link("/run/current-system", toplevel("a").as_str());
    });
    assert_eq!(time_left(&host), None);
    Program::Deadline.run(&host).unwrap();
    assert!(!is_left(&host));
}

#[test]
fn emergency_mode_of_a_known_good_system_is_a_persons_although_the_disk_takes_nothing() {
    for fate in UNWRITABLE {
        let host = marked(false);
        host.set_fate(fate);
        boot(&host, 11, "a");
        Program::BootCheck.run(&host).unwrap_err();
        assert_eq!(operation::emergency(&host, &options()).unwrap(), Emergency::Unwatched, "{fate:?}");
    }
}

#[test]
fn an_attempt_whose_ledger_is_lost_is_an_attempt_all_the_same() {
    for is_corrupt in [false, true] {
        for newer in [false, true] {
            let host = marked(newer);
            if is_corrupt {
                host.change(|world| {
                    Arc::make_mut(&mut world.var).write(Path::new(LEDGER), b"{torn").unwrap();
                });
            } else {
                lose_ledger(&host);
            }
            boot(&host, 11, "b");
            let default = foresee(&host.world()).default;
            assert!(!operation::is_boot_settled(&host, Path::new(STATE_DIR)).unwrap());
            Program::BootCheck.run(&host).unwrap();
            let trial = ledger(&host).trial.unwrap();
            assert_eq!((trial.toplevel, trial.attempts.len()), (toplevel("b"), 1));
            assert!(host.world().is_watched() && time_left(&host).is_some());
            assert_eq!(foresee(&host.world()).default, default, "it stands in, golden or not");
            Program::Deadline.run(&host).unwrap();
            assert!(host.world().reboot_asked);
        }
    }
}

#[test]
fn a_system_that_the_loader_boots_by_itself_is_left_alone_although_the_ledger_is_lost() {
    // `b` was confirmed, and golden is older.
    let host = confirmed();
    lose_ledger(&host);
    for (number, system) in [(21, "b"), (22, "a")] {
        boot(&host, number, system);
        Program::BootCheck.run(&host).unwrap();
        assert!(!host.world().is_watched() && !is_left(&host), "{system}");
        assert_eq!(foresee(&host.world()).default, Some(toplevel("b")), "{system}");
    }
    // Neither golden nor a ledger: as without us.
    host.change(|world| {
        Arc::make_mut(&mut world.nix).remove(Path::new("/nix/var/nix/profiles/system-profiles/golden"));
    });
    boot(&host, 23, "a");
    assert!(operation::is_boot_settled(&host, Path::new(STATE_DIR)).unwrap());
}

#[test]
fn a_trial_and_a_landing_are_watched_although_a_detail_of_them_in_the_ledger_cannot_be_read() {
    type Details = [(&'static str, &'static str); 3];
    type Build = fn() -> SimulatedHost;
    let trial: Details = [
        ("\"arming\": \"armed\"", "\"arming\": 7"),
        ("\"origin\": \"marked\"", "\"origin\": []"),
        ("\"attempts\": [", "\"armed_by\": 7, \"attempts\": ["),
    ];
    let landing: Details = [
        ("\"arming\": \"idle\"", "\"arming\": 7"),
        ("\"attempts\": [", "\"armed_by\": 7, \"attempts\": ["),
        ("\"arming\": ", "\"armed_at\": \"odd\", \"arming\": "),
    ];
    let landing_waits = || {
        let host = attempt(2, false);
        Program::Deadline.run(&host).unwrap();
        host
    };
    let builds: [(&str, Details, Build, &str); 2] =
        [("\"trial\": {", trial, || marked(false), "b"), ("\"landing\": {", landing, landing_waits, "a")];
    for (field, details, build, boots) in builds {
        for (from, to) in details {
            let host = build();
            let text = golden_host::Host::read(&host, Path::new(LEDGER)).unwrap();
            let text = String::from_utf8(text).unwrap();
            let (before, after) = text.split_once(field).unwrap_or_else(|| panic!("{field}: {text}"));
            assert!(after.contains(from), "{from}: {after}");
            let odd = format!("{before}{field}{}", after.replacen(from, to, 1));
            assert!(serde_json::from_str::<Ledger>(&odd).is_err(), "{odd}");
            golden_host::Host::write(&host, Path::new(LEDGER), odd.as_bytes()).unwrap();
            boot(&host, 30, boots);
            Program::BootCheck.run(&host).unwrap();
            assert!(time_left(&host).is_some(), "{field} {to}");
        }
    }
}
