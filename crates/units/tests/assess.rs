//! What a failed check does to the boot that it fails in.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::os::unix::fs::MetadataExt as _;

use serde_json::Value;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{LEDGER, Machine, status, toplevel};

const ASSESS: &str = env!("CARGO_BIN_EXE_golden-assess");
const BOOT_CHECK: &str = env!("CARGO_BIN_EXE_golden-boot-check");
const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
const PROBATION: &str = env!("CARGO_BIN_EXE_golden-probation");
const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");
const SETTINGS: &str = "/etc/golden-generation/checks.toml";
const LAST: &str = "/run/golden-generation/assessment.json";

/// No disk has that much room.
const FAILS: &str = "settle_secs = 0\n[check.room]\nkind = \"disk-space\"\npath = \"/\"\nfree_bytes = 9000000000000000000\nretries = 0\n";

/// A machine in the first attempt of `b`.
fn in_attempt() -> Machine {
    let machine = Machine::installed();
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 0);
    machine.boot(2, "b");
    machine.link("/run/current-system", &toplevel("b"));
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    machine
}

fn json(machine: &Machine, path: &str) -> Value {
    serde_json::from_str(&machine.text(path)).unwrap()
}

/// The cause of the only attempt, if it is over.
fn cause(machine: &Machine) -> Value {
    json(machine, LEDGER)["trial"]["attempts"][0]["end"]["cause"].clone()
}

fn told(machine: &Machine, event: &str) -> usize {
    let history = machine.text("/var/lib/golden-generation/history.jsonl");
    history.lines().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count()
}

#[test]
fn a_required_check_that_fails_ends_the_attempt_and_what_it_said_is_kept() {
    let machine = in_attempt();
    machine.put(SETTINGS, FAILS.as_bytes());
    // Nobody reboots the machine below a directory.
    assert_ne!(status(&machine.run(ASSESS, &[])).0, 0);
    assert_eq!(cause(&machine)["kind"], "checks-failed");
    assert_eq!(cause(&machine)["checks"][0], "room");
    let boot = "00000002000040008000000000000000";
    let kept = json(&machine, &format!("/var/lib/golden-generation/postmortem/assessment-{boot}.json"));
    assert_eq!(kept["findings"][0]["check"], "room");
    assert_eq!(kept, json(&machine, LAST));
    assert_eq!((told(&machine, "attempt-failed"), told(&machine, "checks-failed")), (1, 0));
}

#[test]
fn what_counts_not_is_told_and_ends_nothing() {
    let cases = [
        ("wanted", FAILS.to_owned() + "required = false\n"),
        ("report only", "report_only = true\n".to_owned() + FAILS),
    ];
    for (case, settings) in cases {
        let machine = in_attempt();
        machine.put(SETTINGS, settings.as_bytes());
        let (code, said) = status(&machine.run(ASSESS, &[]));
        assert_eq!(code, 0, "{case}: {said}");
        assert_eq!(cause(&machine), Value::Null, "{case}");
        assert_eq!(told(&machine, "checks-failed"), 1, "{case}");
    }
}

#[test]
fn a_confirmed_system_is_never_ended_and_its_failure_is_said() {
    let machine = Machine::installed();
    machine.link("/run/current-system", &toplevel("a"));
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    let before = machine.text(LEDGER);
    machine.put(SETTINGS, FAILS.as_bytes());
    let (code, said) = status(&machine.run(ASSESS, &[]));
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("required checks failed: room"), "{said}");
    assert_eq!(machine.text(LEDGER), before);
    assert_eq!(told(&machine, "checks-failed"), 1);
}

#[test]
fn settings_that_are_not_understood_are_a_required_check_that_failed() {
    let machine = in_attempt();
    machine.put(SETTINGS, b"setle_secs = 3\n");
    assert_ne!(status(&machine.run(ASSESS, &[])).0, 0);
    assert_eq!(cause(&machine)["checks"][0], "checks.toml");
    let said = json(&machine, LAST)["findings"][0]["said"].as_str().unwrap().to_owned();
    assert!(said.contains("setle_secs") && said.contains("settle_secs"), "{said}");
}

#[test]
fn the_same_assessment_again_leaves_the_file_that_starts_golden_publish_alone() {
    let machine = Machine::installed();
    machine.link("/run/current-system", &toplevel("a"));
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    let replaced = || std::fs::metadata(machine.at(LAST)).unwrap().ino();
    let prints = |text: &str| {
        let check =
            format!("[check.one]\nkind = \"command\"\nretries = 0\ncommand = [\"sh\", \"-c\", \"{text}\"]\n");
        machine.put(SETTINGS, check.as_bytes());
        machine.run(ASSESS, &[]);
    };
    // The output of a check, and its time, differ from run to run.
    prints("date +%N; exit 1");
    let first = replaced();
    prints("date +%N; exit 1");
    assert_eq!(replaced(), first, "golden-publish runs although nothing has changed");
    prints("exit 0");
    assert_ne!(replaced(), first);
}

#[test]
fn what_failed_before_the_switch_is_excused() {
    let machine = in_attempt();
    machine.put(SETTINGS, FAILS.as_bytes());
    let mut ledger = json(&machine, LEDGER);
    ledger["trial"]["baseline"] = serde_json::json!({"failed_checks": ["room"]});
    machine.put(LEDGER, ledger.to_string().as_bytes());
    assert_eq!(status(&machine.run(ASSESS, &[])).0, 0);
    assert_eq!(cause(&machine), Value::Null);
    assert_eq!(json(&machine, LAST)["findings"][0]["excuse"], "failed-before");
}

#[test]
fn what_is_excused_keeps_nobody_from_looking_again_after_the_settle_time() {
    let machine = in_attempt();
    let flag = machine.at("/flag");
    let falls_over = format!(
        "[check.falls-over]\nkind = \"command\"\nretries = 0\ncommand = [\"sh\", \"-c\", \"[ ! -e {0} ] && touch {0}\"]\n",
        flag.display()
    );
    machine.put(SETTINGS, (FAILS.to_owned() + &falls_over).as_bytes());
    let mut ledger = json(&machine, LEDGER);
    ledger["trial"]["baseline"] = serde_json::json!({"failed_checks": ["room"]});
    machine.put(LEDGER, ledger.to_string().as_bytes());
    assert_ne!(status(&machine.run(ASSESS, &[])).0, 0);
    assert_eq!(cause(&machine)["checks"], serde_json::json!(["falls-over"]));
}

#[test]
fn the_last_assessment_is_the_baseline_of_the_next_switch() {
    let machine = Machine::installed();
    machine.link("/run/current-system", &toplevel("a"));
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine.put(SETTINGS, FAILS.as_bytes());
    machine.put("/proc/net/route", b"Iface\tDestination\tGateway\n");
    assert_eq!(status(&machine.run(ASSESS, &[])).0, 69);
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 0);
    let baseline = &json(&machine, LEDGER)["trial"]["baseline"];
    assert_eq!(baseline["failed_checks"], serde_json::json!(["room"]));
    assert_eq!(baseline["network_down"], true);
}

/// What fails just before a switch, asked for as the mark does.
fn look(machine: &Machine) -> Value {
    let (code, said) = status(&machine.run(ASSESS, &["--baseline"]));
    assert_eq!(code, 0, "{said}");
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 0);
    json(machine, LEDGER)["trial"]["baseline"]["failed_checks"].clone()
}

#[test]
fn a_check_is_looked_at_just_before_a_switch_and_what_it_said_in_the_boot_is_old() {
    let works = FAILS.replace("9000000000000000000", "1");
    for (boot, now, failed) in
        [(FAILS, &*works, serde_json::json!([])), (&works, FAILS, serde_json::json!(["room"]))]
    {
        let machine = Machine::installed();
        machine.link("/run/current-system", &toplevel("a"));
        assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
        machine.put(SETTINGS, boot.as_bytes());
        machine.run(ASSESS, &[]);
        let (last, history) = (machine.text(LAST), told(&machine, "checks-failed"));
        machine.put(SETTINGS, now.as_bytes());
        assert_eq!(look(&machine), failed);
        // It is no verdict on anything.
        assert_eq!((machine.text(LAST), told(&machine, "checks-failed")), (last, history));
    }
}

#[test]
fn what_another_system_failed_of_excuses_nobody() {
    let machine = Machine::installed();
    machine.link("/run/current-system", &toplevel("a"));
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine.put(SETTINGS, FAILS.as_bytes());
    machine.run(ASSESS, &[]);
    let other = machine.text(LAST).replace(&toplevel("a"), &toplevel("c"));
    machine.put(LAST, other.as_bytes());
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 0);
    assert_eq!(json(&machine, LEDGER)["trial"]["baseline"]["failed_checks"], serde_json::json!([]));
}

#[test]
fn who_looks_before_a_switch_waits_for_no_slow_check_and_holds_it_against_nobody() {
    let machine = Machine::installed();
    machine.link("/run/current-system", &toplevel("a"));
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    let slow = "[check.slow]\nkind = \"command\"\ncommand = [\"/bin/sleep\", \"300\"]\ntimeout_secs = 400\n";
    let hangs = slow.replace("slow", "hangs").replace("400", "2");
    machine.put(SETTINGS, format!("{slow}{hangs}").as_bytes());
    let began = std::time::Instant::now();
    assert_eq!(look(&machine), serde_json::json!(["hangs"]));
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

/// What is read after a confirmation goes on for a second.
fn on_probation(settings: &str) -> String {
    format!("probation_secs = 1\n{settings}")
}

#[test]
fn what_had_failed_when_a_boot_was_confirmed_is_no_late_failure() {
    let machine = in_attempt();
    machine.put(SETTINGS, on_probation(FAILS).as_bytes());
    let mut ledger = json(&machine, LEDGER);
    ledger["trial"]["baseline"] = serde_json::json!({"failed_checks": ["room"]});
    machine.put(LEDGER, ledger.to_string().as_bytes());
    assert_eq!(status(&machine.run(ASSESS, &[])).0, 0);
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    let (code, said) = status(&machine.run(PROBATION, &[]));
    assert_eq!((code, told(&machine, "failed-late")), (0, 0), "{said}");
}

#[test]
fn what_passed_when_a_boot_was_confirmed_and_fails_after_it_is_a_late_failure() {
    let machine = in_attempt();
    machine.put(SETTINGS, on_probation(&FAILS.replace("9000000000000000000", "1")).as_bytes());
    assert_eq!(status(&machine.run(ASSESS, &[])).0, 0);
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine.put(SETTINGS, on_probation(FAILS).as_bytes());
    let (code, said) = status(&machine.run(PROBATION, &[]));
    assert_eq!((code, told(&machine, "failed-late")), (69, 1), "{said}");
}

#[test]
fn a_wanted_check_whose_failure_cannot_be_told_fails_nobody() {
    let machine = in_attempt();
    machine.put(SETTINGS, (FAILS.to_owned() + "required = false\n").as_bytes());
    let lock = machine.at("/var/lib/golden-generation/lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let (code, said) = status(&machine.run(ASSESS, &[]));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("lock"), "{said}");
}

#[test]
fn checks_that_pass_do_so_although_the_ledger_is_a_newer_builds_or_cannot_be_read() {
    let spoils: [fn(&Machine); 2] = [
        |machine| {
            let mut ledger = json(machine, LEDGER);
            ledger["min_reader"] = 99.into();
            machine.put(LEDGER, ledger.to_string().as_bytes());
        },
        |machine| {
            // The file is there, and nobody can read it.
            std::fs::remove_file(machine.at(LEDGER)).unwrap();
            machine.link(LEDGER, "ledger.json");
        },
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        for (settings, expected) in [(FAILS.replace("9000000000000000000", "1"), 0), (FAILS.to_owned(), 69)] {
            let machine = in_attempt();
            machine.put(SETTINGS, settings.as_bytes());
            spoil(&machine);
            if number == 1 {
                // A boot that is not an attempt.
                std::fs::remove_file(machine.at("/run/golden-generation/attempt")).unwrap();
            }
            let (code, said) = status(&machine.run(ASSESS, &[]));
            assert_eq!(code, expected, "{number}: {said}");
        }
    }
}

#[test]
fn a_check_does_not_run_the_checks() {
    let machine = in_attempt();
    let mut command = std::process::Command::new(ASSESS);
    command.arg("--root").arg(machine.root()).env("GOLDEN_CHECK", "me");
    let (code, said) = status(&command.output().unwrap());
    assert!(code == 64 && said.contains("a check (me) asks"), "{code} {said}");
    assert_eq!(cause(&machine), Value::Null);
}
