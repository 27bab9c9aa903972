//! The programs as systemd and a loader's installer run them, on a machine below a directory.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs::{self, File};
use std::process::Command;
use std::thread;

use fs2::FileExt;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;
mod program;

use machine::{LEDGER, Machine, status, toplevel};
use program::{BOOT_CHECK, CONFIRM, MARK, NOTIFY, RECORD_SHUTDOWN, ROLLBACK, VERIFY, code, marked, programs};

const GOLDEN: &str = "/nix/var/nix/profiles/system-profiles/golden";
const GOLDEN_ROOT: &str = "/nix/var/nix/gcroots/golden-generation-golden";

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
