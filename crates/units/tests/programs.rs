//! The programs as systemd and a loader's installer run them, on a machine below a directory.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;

use fs2::FileExt;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{LEDGER, Machine, status, toplevel};

const BOOT_CHECK: &str = env!("CARGO_BIN_EXE_golden-boot-check");
const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
const DEADLINE: &str = env!("CARGO_BIN_EXE_golden-deadline");
const EMERGENCY: &str = env!("CARGO_BIN_EXE_golden-emergency");
const HIBERNATE: &str = env!("CARGO_BIN_EXE_golden-hibernate");
const VERIFY: &str = env!("CARGO_BIN_EXE_golden-verify");
const GOLDEN: &str = "/nix/var/nix/profiles/system-profiles/golden";
const GOLDEN_ROOT: &str = "/nix/var/nix/gcroots/golden-generation-golden";
const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");
const NOTIFY: &str = env!("CARGO_BIN_EXE_golden-notify");
const RECORD_SHUTDOWN: &str = env!("CARGO_BIN_EXE_golden-record-shutdown");
const ROLLBACK: &str = env!("CARGO_BIN_EXE_golden-rollback");

/// Every program that reads the ledger, with what it needs on its command line.
fn programs() -> Vec<(&'static str, Vec<String>)> {
    let bare = [BOOT_CHECK, CONFIRM, RECORD_SHUTDOWN, ROLLBACK, DEADLINE, EMERGENCY, HIBERNATE]
        .map(|program| (program, Vec::new()));
    let mark = (MARK, vec![toplevel("b")]);
    bare.into_iter().chain([mark]).collect()
}

fn code(output: &Output) -> i32 {
    status(output).0
}

/// A machine on which `a` was found healthy and `b` is armed.
fn marked() -> Machine {
    let machine = Machine::installed();
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    assert_eq!(code(&machine.run(MARK, &[&toplevel("b")])), 0);
    machine
}

#[test]
fn help_names_every_exit_status() {
    for program in programs().into_iter().map(|(program, _)| program).chain([VERIFY, NOTIFY]) {
        let output = Command::new(program).arg("--help").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Usage:"), "{program}: {text}");
        for number in [0, 64, 65, 74, 75, 77, 78] {
            assert!(text.contains(&format!("  {number} ")), "{program}: {number}: {text}");
        }
    }
}

#[test]
fn wrong_use_is_said_in_one_sentence() {
    let wrong: [(&str, &[&str]); 3] = [(BOOT_CHECK, &["--nonsense"]), (CONFIRM, &["surplus"]), (MARK, &[])];
    for (program, arguments) in wrong {
        let (code, said) = status(&Machine::installed().run(program, arguments));
        assert_eq!(code, 64, "{program} {arguments:?}: {said}");
        assert!(said.starts_with("error: "), "{program} {arguments:?}: {said}");
    }
}

#[test]
fn a_switch_that_fails_twice_ends_on_golden_through_the_programs_alone() {
    let machine = marked();
    assert!(machine.text("/boot/loader/loader.conf").starts_with("timeout 3\ndefault nixos-a.conf\n"));
    let armed = "nixos-b.conf".encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let one_shot = || fs::read(machine.variable("LoaderEntryOneShot")).ok();
    assert_eq!(one_shot().unwrap()[4..], armed);
    for (number, armed) in [(2, true), (3, false)] {
        machine.boot(number, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
        assert_eq!(one_shot().is_some(), armed, "after attempt {}", number - 1);
    }
    machine.boot(4, "a");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    assert!(machine.at("/run/golden-generation/phase-two").exists());
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
    assert_eq!(ledger["quarantine"][0]["toplevel"], toplevel("b"));
    let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
    assert_eq!(code, 77, "{said}");
    assert!(said.contains("\nrefused: ") && said.contains("\nhint: "), "{said}");
}

#[test]
fn a_ledger_for_a_newer_build_is_left_as_it_is() {
    let machine = marked();
    let newer = machine.text(LEDGER).replace("\"min_reader\": 1", "\"min_reader\": 2");
    let newer = newer.replace("\"min_reader\":1", "\"min_reader\":2");
    machine.put(LEDGER, newer.as_bytes());
    for (program, arguments) in programs() {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (code, said) = status(&machine.run(program, &arguments));
        assert_eq!(code, 65, "{program}: {said}");
        assert!(said.contains("hint: "), "{program}: {said}");
        assert_eq!(machine.text(LEDGER), newer, "{program}");
    }
}

type Make = fn(&Machine);

#[test]
fn what_is_no_file_in_the_place_of_history_does_not_keep_it_from_being_written() {
    const HISTORY: &str = "/var/lib/golden-generation/history.jsonl";
    let makes: [(&str, Make); 3] = [
        ("a FIFO", |machine| {
            assert!(Command::new("mkfifo").arg(machine.at(HISTORY)).status().unwrap().success());
        }),
        ("a directory", |machine| fs::create_dir(machine.at(HISTORY)).unwrap()),
        ("too much", |machine| File::create(machine.at(HISTORY)).unwrap().set_len(1 << 40).unwrap()),
    ];
    for (what, make) in makes {
        let machine = Machine::installed();
        make(&machine);
        let (code, said) = status(&machine.run(CONFIRM, &[]));
        assert!(code == 0 && !said.contains("cannot"), "{what}: {said}");
        assert!(machine.text(HISTORY).contains("\"adopted\""), "{what}: {}", machine.text(HISTORY));
        let lines = golden_host::read_history(
            &golden_host::LinuxHost::new(machine.root()),
            "/var/lib/golden-generation".as_ref(),
        );
        assert_eq!(lines.unwrap().len(), 1, "{what}: what is in the way is kept aside and not read");
    }
}

#[test]
fn a_corrupt_ledger_is_kept_aside_whatever_it_is() {
    let makes: [(&str, Make); 5] = [
        ("torn", |machine| machine.put(LEDGER, b"{ torn")),
        ("empty", |machine| machine.put(LEDGER, b"")),
        ("a directory", |machine| fs::create_dir(machine.at(LEDGER)).unwrap()),
        ("a loop", |machine| machine.link(LEDGER, "ledger.json")),
        ("a FIFO", |machine| {
            assert!(Command::new("mkfifo").arg(machine.at(LEDGER)).status().unwrap().success());
        }),
    ];
    for (what, make) in makes {
        let machine = Machine::installed();
        make(&machine);
        let output = machine.run(CONFIRM, &[]);
        assert_eq!(code(&output), 0, "{what}: {}", status(&output).1);
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        assert_eq!(ledger["confirmed"][0]["toplevel"], toplevel("a"), "{what}");
        let names = fs::read_dir(machine.at("/var/lib/golden-generation")).unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name());
        assert!(names.any(|name| name.to_string_lossy().contains("corrupt")), "{what}");
    }
}

#[test]
fn the_last_revision_is_no_end() {
    let machine = marked();
    let last = machine.text(LEDGER).replace("\"revision\": 3", &format!("\"revision\": {}", u64::MAX));
    assert!(last.contains(&u64::MAX.to_string()));
    machine.put(LEDGER, last.as_bytes());
    assert_eq!(code(&machine.run(MARK, &[&toplevel("b")])), 0);
}

#[test]
fn a_held_lock_is_waited_for_and_then_said() {
    let machine = marked();
    machine.boot(2, "b");
    let before = machine.text(LEDGER);
    let lock = File::open(machine.at("/var/lib/golden-generation/lock")).unwrap();
    lock.lock_exclusive().unwrap();
    thread::scope(|scope| {
        for (program, arguments) in [(BOOT_CHECK, vec![]), (CONFIRM, vec![]), (MARK, vec![toplevel("b")])] {
            let machine = &machine;
            scope.spawn(move || {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let (code, said) = status(&machine.run(program, &arguments));
                assert_eq!(code, 75, "{program}: {said}");
            });
        }
    });
    assert_eq!(machine.text(LEDGER), before);
    FileExt::unlock(&lock).unwrap();
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
}

/// Marks that each of two programs makes.
const EACH: u64 = 10;

#[test]
fn two_programs_at_once_lose_nothing() {
    let machine = marked();
    let revision = |machine: &Machine| {
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        ledger["revision"].as_u64().unwrap()
    };
    let before = revision(&machine);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    assert_eq!(code(&machine.run(MARK, &[&toplevel("b")])), 0);
                }
            });
        }
    });
    // Each mark writes its intent and its result.
    assert_eq!(revision(&machine), before + 2 * EACH * 2);
}

#[test]
fn settings_that_are_not_understood_are_said_and_cost_nothing() {
    let machine = marked();
    machine.boot(2, "b");
    let deep = format!("a = {}", "[".repeat(1_000_000));
    let (wide, dotted) = (&deep[..60_000], format!("[{}]", "a.".repeat(20_000)));
    for settings in ["max_failure = 3\n", &deep, wide, &dotted] {
        machine.put("/etc/golden-generation/config.toml", settings.as_bytes());
        let (code, said) = status(&machine.run(BOOT_CHECK, &[]));
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("config.toml") && said.contains("the defaults apply"), "{said}");
    }
    assert!(machine.text(LEDGER).contains("00000002"), "the attempt is counted all the same");
}

#[test]
fn nobody_who_listens_is_no_reason_to_stop() {
    let machine = Machine::installed();
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    machine.put("/etc/golden-generation/config.toml", b"not understood");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut mark = Command::new(MARK);
    mark.arg("--root").arg(machine.root()).arg(toplevel("b")).stderr(full);
    assert_eq!(mark.status().unwrap().code(), Some(0));
    assert!(machine.variable("LoaderEntryOneShot").exists());
}

#[test]
fn a_root_that_is_not_there_is_said_and_not_made() {
    for (program, arguments) in programs() {
        let machine = Machine::empty();
        let root = machine.at("/nothing");
        let output = Command::new(program).arg("--root").arg(&root).args(arguments).output().unwrap();
        let (code, said) = status(&output);
        assert_eq!(code, 64, "{program}: {said}");
        assert!(said.contains("there is no such directory") && !root.exists(), "{program}: {said}");
    }
}

#[test]
fn every_program_knows_its_name() {
    for (program, _) in programs() {
        let output = Command::new(program).arg("--version").output().unwrap();
        let name = std::path::Path::new(program).file_name().unwrap().to_str().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().starts_with(&format!("{name} ")));
    }
}

#[test]
fn what_is_missing_is_named() {
    let machine = Machine::installed();
    fs::remove_file(machine.at("/proc/sys/kernel/random/boot_id")).unwrap();
    let (code, said) = status(&machine.run(CONFIRM, &[]));
    assert_eq!(code, 74);
    assert!(said.contains("/proc/sys/kernel/random/boot_id"), "{said}");
    fs::remove_dir_all(machine.at("/boot")).unwrap();
    let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
    assert_eq!(code, 74);
    assert!(said.contains("no boot loader found"), "{said}");
}

#[test]
fn a_machine_on_which_nothing_was_ever_done_is_left_alone() {
    let machine = Machine::empty();
    for program in [BOOT_CHECK, RECORD_SHUTDOWN, ROLLBACK] {
        assert_eq!(code(&machine.run(program, &[])), 0, "{program}");
    }
    assert_eq!(fs::read_dir(machine.root()).unwrap().count(), 0);
}

#[test]
fn what_could_not_be_marked_is_not_what_boots_next() {
    let machine = marked();
    machine.put("/boot/loader/loader.conf", b"default nixos-b.conf\n");
    fs::remove_file(machine.at("/var/lib/golden-generation/lock")).unwrap();
    fs::create_dir(machine.at("/var/lib/golden-generation/lock")).unwrap();
    let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
    assert_eq!(code, 74, "{said}");
    assert!(said.contains(&format!("{} is the default boot entry", toplevel("a"))), "{said}");
    assert!(machine.text("/boot/loader/loader.conf").starts_with("default nixos-a.conf\n"));
    // Without a golden it is what was confirmed last.
    for link in [GOLDEN, GOLDEN_ROOT] {
        fs::remove_file(machine.at(link)).unwrap();
    }
    machine.put("/boot/loader/loader.conf", b"default nixos-b.conf\n");
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 74);
    assert!(machine.text("/boot/loader/loader.conf").starts_with("default nixos-a.conf\n"));
    // What is known to be good is left as the installer made it.
    machine.put("/boot/loader/loader.conf", b"default nixos-b.conf\n");
    machine.put(LEDGER, machine.text(LEDGER).replace(&toplevel("a"), &toplevel("b")).as_bytes());
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 74);
    assert_eq!(machine.text("/boot/loader/loader.conf"), "default nixos-b.conf\n");
}

#[test]
fn a_disabled_suite_marks_nothing() {
    let machine = Machine::installed();
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    machine.put("/proc/cmdline", b"quiet golden.disable=1\n");
    let before = machine.text("/boot/loader/loader.conf");
    assert_eq!(code(&machine.run(MARK, &[&toplevel("b")])), 0);
    assert_eq!(machine.text("/boot/loader/loader.conf"), before);
    assert!(!machine.variable("LoaderEntryOneShot").exists());
}

#[test]
fn after_a_live_switch_nothing_is_counted_or_confirmed() {
    let machine = marked();
    machine.boot(2, "b");
    machine.link("/run/current-system", &toplevel("a"));
    let before = machine.text(LEDGER);
    for program in [BOOT_CHECK, CONFIRM] {
        assert_eq!(code(&machine.run(program, &[])), 0);
        assert_eq!(machine.text(LEDGER), before, "{program}");
    }
    fs::remove_file(machine.at("/run/current-system")).unwrap();
    machine.link("/run/current-system", &toplevel("b"));
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    assert_ne!(machine.text(LEDGER), before);
}

#[test]
fn one_setting_that_is_not_understood_does_not_move_the_state() {
    let machine = Machine::installed();
    machine.put(
        "/etc/golden-generation/config.toml",
        b"state_dir = \"/persist/golden\"\nmax_failures = 4294967296\n",
    );
    let output = machine.run(CONFIRM, &[]);
    assert_eq!(code(&output), 0, "{}", status(&output).1);
    assert!(machine.at("/persist/golden/ledger.json").exists() && !machine.at(LEDGER).exists());
}

#[test]
fn a_boot_that_nobody_watches_is_left_alone_by_what_ends_boots() {
    let machine = Machine::installed();
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    let before = machine.text(LEDGER);
    for program in [DEADLINE, EMERGENCY, HIBERNATE] {
        let output = machine.run(program, &[]);
        assert_eq!(status(&output), (0, String::new()), "{program}");
        assert!(output.stdout.is_empty(), "{program} counts down");
    }
    assert_eq!(machine.text(LEDGER), before);
    assert!(!machine.at("/run/golden-generation/attempt").exists());
}

#[test]
fn an_attempt_leaves_word_for_what_watches_it() {
    let machine = marked();
    machine.boot(2, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    assert!(machine.at("/run/golden-generation/attempt").exists());
}

#[test]
fn hibernation_arms_what_runs_and_waking_up_arms_the_trial() {
    let machine = marked();
    let armed = || machine.variable_text("LoaderEntryOneShot");
    let trial = armed();
    assert_eq!(code(&machine.run(HIBERNATE, &[])), 0);
    assert!(armed().is_some() && armed() != trial, "{:?}", armed());
    assert_eq!(code(&machine.run(HIBERNATE, &["--awake"])), 0);
    assert_eq!(armed(), trial);
}

#[test]
fn what_the_kernel_and_the_watchdog_left_stays_with_the_attempt_that_ended_without_a_word() {
    let machine = marked();
    machine.boot(2, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    machine.put("/sys/class/watchdog/watchdog0/bootstatus", b"32\n");
    machine.put(
        "/sys/fs/pstore/dmesg-efi_pstore-1",
        b"<0>[    3.1] Kernel panic - not syncing: Attempted to kill init!\n",
    );
    machine.boot(3, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
    let attempts = &ledger["trial"]["attempts"];
    let panic = "Kernel panic - not syncing: Attempted to kill init!";
    assert_eq!(attempts[0]["evidence"], serde_json::json!({ "panic": panic, "watchdog": true }));
    assert!(attempts[1]["evidence"].is_null(), "{attempts}");
}

#[test]
fn a_dump_that_was_there_before_an_attempt_is_no_evidence_of_its_end() {
    const OLD: &str = "/sys/fs/pstore/dmesg-efi_pstore-170000000001001";
    const IN_MEMORY: &str = "/sys/fs/pstore/dmesg-ramoops-0";
    let panic =
        |secs: u32, why: &str| format!("<0>[    {secs}.1] Kernel panic - not syncing: {why}\n").into_bytes();
    let machine = Machine::installed();
    // Nobody has cleared what is left of a panic of months ago.
    machine.put(OLD, &panic(1, "months ago"));
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    assert_eq!(code(&machine.run(MARK, &[&toplevel("b")])), 0);
    let evidence_after = |number: u32| {
        // More failures than two end the trial: the last one is what is asked for.
        machine.boot(number, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        let attempts = &ledger["trial"]["attempts"];
        attempts.as_array().unwrap().iter().rev().nth(1).map(|last| last["evidence"]["panic"].clone())
    };
    machine.put("/etc/golden-generation/config.toml", b"max_failures = 9\n");
    assert_eq!(evidence_after(2), None, "there was no attempt before");
    assert_eq!(evidence_after(3), Some(serde_json::Value::Null), "power was lost, and nothing else");
    machine.put(IN_MEMORY, &panic(2, "of the second attempt"));
    assert_eq!(evidence_after(4).unwrap(), "Kernel panic - not syncing: of the second attempt");
    assert_eq!(evidence_after(5), Some(serde_json::Value::Null), "of the attempt before, and still there");
    // Memory has one place, and each boot begins with the same name.
    machine.put(IN_MEMORY, &panic(3, "of the fourth attempt"));
    assert_eq!(evidence_after(6).unwrap(), "Kernel panic - not syncing: of the fourth attempt");
    fs::remove_file(machine.at(IN_MEMORY)).unwrap();
    assert_eq!(evidence_after(7), Some(serde_json::Value::Null));
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
    assert_eq!(ledger["known_dumps"].as_array().unwrap().len(), 1, "what is gone need not be known");
}

#[test]
fn no_number_of_dumps_makes_a_ledger_that_grows_without_end() {
    let machine = marked();
    for number in 0..1000 {
        machine.put(&format!("/sys/fs/pstore/dmesg-efi_pstore-{number:06}"), b"Oops: an old one\n");
    }
    machine.boot(2, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    let known = || {
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        ledger["known_dumps"].as_array().unwrap().len()
    };
    assert_eq!(known(), golden_core::MAX_DUMPS);
    machine.put("/sys/fs/pstore/dmesg-efi_pstore-001000", b"Oops: the new one\n");
    machine.boot(3, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
    assert_eq!(ledger["trial"]["attempts"][0]["evidence"]["panic"], "Oops: the new one");
    assert_eq!(known(), golden_core::MAX_DUMPS);
}

#[test]
fn what_a_system_was_built_from_is_what_its_deployer_says_or_it_itself() {
    let source = format!("{}/etc/golden-generation/source.json", toplevel("b"));
    for (own, told, expected) in [
        (None, None, None),
        (Some("aaaaaaa"), None, Some("aaaaaaa")),
        (Some("aaaaaaa"), Some("bbbbbbb"), Some("bbbbbbb")),
        (None, Some("not one word"), None),
    ] {
        let machine = Machine::installed();
        assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
        if let Some(own) = own {
            machine.put(&source, format!("{{\"revision\":\"{own}\"}}").as_bytes());
        }
        let mut command = Command::new(MARK);
        command.arg("--root").arg(machine.root()).arg(toplevel("b"));
        let output = command.envs(told.map(|told| ("GOLDEN_REVISION", told))).output().unwrap();
        assert_eq!(code(&output), 0, "{output:?}");
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        assert_eq!(ledger["trial"]["revision"].as_str(), expected, "{own:?} {told:?}");
    }
}

#[test]
fn a_rollback_that_cannot_be_finished_leaves_its_post_mortem_for_root_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let machine = marked();
    for number in [2, 3] {
        machine.boot(number, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    }
    machine.boot(4, "a");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    // There is no Nix below a directory.
    for _ in 0..2 {
        assert_eq!(code(&machine.run(ROLLBACK, &[])), 74);
    }
    let place = machine.at("/var/lib/golden-generation/postmortem");
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
    let files: Vec<_> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(&files[0]).unwrap()).unwrap();
    assert_eq!(kept["from"]["toplevel"], toplevel("b"));
    assert_eq!(kept["attempts"].as_array().unwrap().len(), 2, "{kept:#}");
    assert!(kept["closures"]["unknown"].is_string(), "{kept:#}");
}

#[test]
fn second_chances_are_a_setting_of_a_table_of_their_own() {
    for (settings, complaint) in [
        ("[quarantine]\nsecond_chance_after_secs = 86400\n", None),
        ("[quarantine]\nsecond_chance_after_secs = -1\n", Some("second_chance_after_secs")),
        ("[quarantine]\nsecond_chance_after = 5\n", Some("second_chance_after")),
    ] {
        let machine = marked();
        machine.put("/etc/golden-generation/config.toml", settings.as_bytes());
        let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
        assert_eq!(code, 0, "{said}");
        assert_eq!(complaint.is_some(), said.contains("the defaults apply"), "{settings}: {said}");
        assert!(complaint.is_none_or(|complaint| said.contains(complaint)), "{settings}: {said}");
    }
}

#[test]
fn a_refused_mark_is_refused_even_where_the_profile_cannot_be_put_back() {
    let machine = marked();
    for number in [2, 3] {
        machine.boot(number, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    }
    machine.boot(4, "a");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    machine.link("/nix/var/nix/profiles/system", "system-1-link");
    machine.link("/nix/var/nix/profiles/system-1-link", &toplevel("b"));
    // There is no Nix below a directory.
    let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
    assert!(code == 77 && said.contains("nix-env") && said.contains("hint: "), "{code}: {said}");
}

#[test]
fn one_panic_with_a_crash_kernel_is_one_failed_attempt_and_its_cause_is_a_panic() {
    let with_elfcorehdr = ("/proc/cmdline", "quiet irqpoll maxcpus=1 elfcorehdr=0x75000000 1");
    for (path, text) in [with_elfcorehdr, ("/proc/vmcore", "ELF")] {
        let machine = marked();
        machine.boot(2, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
        let armed = fs::read(machine.variable("LoaderEntryOneShot")).unwrap();
        let before: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();

        // The crash kernel starts the same system, in rescue mode, without the loader.
        machine.boot(3, "b");
        fs::write(machine.variable("LoaderEntryOneShot"), &armed).unwrap();
        machine.put(path, text.as_bytes());
        for program in [BOOT_CHECK, EMERGENCY, DEADLINE, RECORD_SHUTDOWN] {
            assert_eq!(code(&machine.run(program, &[])), 0, "{program}");
        }
        assert!(!machine.at("/run/golden-generation/attempt").exists());
        assert_eq!(fs::read(machine.variable("LoaderEntryOneShot")).unwrap(), armed);
        let mut recorded: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        let attempts = recorded["trial"]["attempts"].clone();
        assert_eq!(attempts.as_array().map(Vec::len), Some(1), "{attempts}");
        assert!(attempts[0]["end"].is_null(), "{attempts}");
        // Nothing else has changed.
        recorded["trial"]["attempts"] = before["trial"]["attempts"].clone();
        recorded["revision"] = before["revision"].clone();
        assert_eq!(recorded, before);

        fs::remove_file(machine.at(path)).unwrap();
        machine.boot(4, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        let attempts = ledger["trial"]["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 2, "{attempts:?}");
        assert_eq!(attempts[0]["end"]["kind"], "failed", "{attempts:?}");
        assert!(attempts[0]["evidence"]["panic"].as_str().unwrap().contains("panic"), "{attempts:?}");
        assert_eq!(ledger["quarantine"], serde_json::json!([]));
    }
}

#[test]
fn what_starts_by_itself_can_be_switched_off_on_the_kernel_command_line() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../units");
    let units = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let mut started = 0;
    for unit in units.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("golden-")) {
        let Ok(text) = fs::read_to_string(&unit) else { continue };
        // A unit that nothing enables is started by one of those, or by a program that asks for itself.
        if text.contains("\n[Install]\n") {
            assert!(text.contains("\nConditionKernelCommandLine=!golden.disable=1\n"), "{}", unit.display());
            started += 1;
        }
    }
    assert!(started >= 12, "{started}");
}

#[test]
fn in_a_crash_kernel_systemd_starts_nothing_of_ours_but_the_boot_check() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../units");
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    for unit in files.filter(|path| path.extension().is_some_and(|extension| extension == "service")) {
        let text = fs::read_to_string(&unit).unwrap();
        // What can be switched off is what acts by itself.
        if !text.contains("ConditionKernelCommandLine=!golden.disable=1\n") {
            continue;
        }
        let is_kept_out = text.contains("\nConditionKernelCommandLine=!elfcorehdr\n")
            && text.contains("\nConditionPathExists=!/proc/vmcore\n");
        assert_eq!(is_kept_out, !unit.ends_with("golden-boot-check.service"), "{}", unit.display());
    }
}

#[test]
fn a_closed_boot_that_still_runs_is_left_when_its_deadline_is_started_again() {
    let makes: [(&str, Make); 4] = [
        ("nothing", |_| {}),
        ("its kernel", |machine| fs::remove_file(machine.at("/boot/EFI/nixos/b-kernel.efi")).unwrap()),
        ("no file in the place of its kernel", |machine| {
            fs::remove_file(machine.at("/boot/EFI/nixos/b-kernel.efi")).unwrap();
            fs::create_dir(machine.at("/boot/EFI/nixos/b-kernel.efi")).unwrap();
        }),
        ("its kernel, and that of the store", |machine| {
            fs::remove_file(machine.at("/boot/EFI/nixos/b-kernel.efi")).unwrap();
            fs::remove_file(machine.at(&format!("{}/kernel", toplevel("b")))).unwrap();
        }),
    ];
    for (what, make) in makes {
        let machine = marked();
        machine.boot(2, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
        make(&machine);
        let mut ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        let end = serde_json::json!({ "kind": "failed", "cause": { "kind": "vanished" } });
        ledger["trial"]["attempts"][0]["end"] = end;
        machine.put(LEDGER, ledger.to_string().as_bytes());
        let (_, said) = status(&machine.run(DEADLINE, &[]));
        assert!(said.contains("rebooting by ourselves"), "{what}: {said}");
        // A machine below a directory is not running.
        assert!(said.contains("cannot reboot"), "{what}: {said}");
    }
}

fn named(machine: &Machine, link: &str) -> Option<PathBuf> {
    fs::read_link(machine.at(link)).ok()
}

/// As comin does it, on a machine that runs something else than golden.
fn tidy_profiles(machine: &Machine) {
    for link in [GOLDEN, &format!("{GOLDEN}-1-link")] {
        fs::remove_file(machine.at(link)).unwrap();
    }
}

#[test]
fn a_boot_check_that_cannot_record_an_attempt_leaves_word_for_what_watches_it() {
    let makes: [(&str, Make); 2] = [
        ("no room for the ledger", |machine| {
            fs::create_dir_all(machine.at("/var/lib/golden-generation/.ledger.json.new/full")).unwrap();
        }),
        ("no lock", |machine| {
            fs::remove_file(machine.at("/var/lib/golden-generation/lock")).unwrap();
            fs::create_dir(machine.at("/var/lib/golden-generation/lock")).unwrap();
        }),
    ];
    for (what, make) in makes {
        for (system, is_watched) in [("b", true), ("a", false)] {
            let machine = marked();
            make(&machine);
            machine.boot(2, system);
            let _ = machine.run(BOOT_CHECK, &[]);
            assert_eq!(machine.at("/run/golden-generation/attempt").exists(), is_watched, "{what}: {system}");
        }
    }
}

#[test]
fn goldens_profile_comes_back_before_an_installer_runs_and_with_the_mark_and_is_in_history_once() {
    let machine = Machine::installed();
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    assert_eq!(named(&machine, GOLDEN_ROOT), Some(toplevel("a").into()));
    let history = || machine.text("/var/lib/golden-generation/history.jsonl");
    for (number, program) in [[VERIFY, "--profile"], [MARK, &toplevel("b")]].into_iter().enumerate() {
        tidy_profiles(&machine);
        for _ in 0..2 {
            assert_eq!(code(&machine.run(program[0], &program[1..])), 0);
            assert_eq!(named(&machine, GOLDEN), Some("golden-1-link".into()));
            assert_eq!(named(&machine, &format!("{GOLDEN}-1-link")), Some(toplevel("a").into()));
            assert_eq!(history().matches("golden-put-back").count(), number + 1);
        }
    }
}

#[test]
fn a_disabled_suite_leaves_the_profiles_as_they_are() {
    let machine = Machine::installed();
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    tidy_profiles(&machine);
    machine.put("/proc/cmdline", b"quiet golden.disable=1\n");
    for argument in ["--profile", "--entry"] {
        assert_eq!(code(&machine.run(VERIFY, &[argument])), 0);
        assert_eq!(named(&machine, GOLDEN), None, "{argument}");
    }
}

#[test]
fn an_installer_that_runs_is_waited_for_and_golden_has_its_profile_meanwhile() {
    let machine = Machine::installed();
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    tidy_profiles(&machine);
    machine.put("/run/nixos/switch-to-configuration.lock", b"");
    let lock = File::open(machine.at("/run/nixos/switch-to-configuration.lock")).unwrap();
    lock.lock_exclusive().unwrap();
    let mut waiting = Command::new(VERIFY).arg("--root").arg(machine.root()).arg("--entry").spawn().unwrap();
    while named(&machine, GOLDEN).is_none() {
        thread::yield_now();
    }
    assert!(waiting.try_wait().unwrap().is_none());
    // Another program has it go once more, before the installer is done.
    tidy_profiles(&machine);
    drop(lock);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(named(&machine, GOLDEN), Some("golden-1-link".into()));
}
