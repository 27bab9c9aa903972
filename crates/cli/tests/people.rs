//! What a person does with `golden`, on a machine below a directory.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::process::Command;

use serde_json::{Value, json};

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{LEDGER, Machine, status, toplevel};

const GOLDEN: &str = env!("CARGO_BIN_EXE_golden");
const STATE: &str = "/var/lib/golden-generation";

fn ask(machine: &Machine, arguments: &[&str]) -> String {
    let output = machine.run(GOLDEN, arguments);
    assert_eq!(status(&output).0, 0, "{arguments:?}: {}", status(&output).1);
    String::from_utf8(output.stdout).unwrap()
}

fn refused(machine: &Machine, code: i32, arguments: &[&str]) -> String {
    let (found, said) = status(&machine.run(GOLDEN, arguments));
    assert_eq!(found, code, "{arguments:?}: {said}");
    assert!(said.contains("hint: "), "what to do is not said: {said}");
    said
}

fn boot(number: u32) -> String {
    format!("{number:032x}")
}

fn failed(number: u32, cause: &Value) -> Value {
    json!({ "boot": boot(number), "end": { "kind": "failed", "cause": cause } })
}

/// `a` runs and is golden; `c` failed twice, by its checks, and the machine is back.
fn rolled_back() -> Machine {
    let machine = Machine::installed();
    let cause = json!({ "kind": "checks-failed", "checks": ["http"] });
    let ledger = json!({
        "format": 1, "min_reader": 1, "revision": 9, "confirmed": [{ "toplevel": toplevel("a") }],
        "rolled_back": { "from": toplevel("c"), "to": toplevel("a") },
        "quarantine": [{ "toplevel": toplevel("c"), "attempts": [failed(2, &cause), failed(3, &cause)],
                         "revision": "3f2a9c1d00000000", "failed_trials": 1 }],
    });
    machine.put(LEDGER, ledger.to_string().as_bytes());
    machine
}

fn ledger(machine: &Machine) -> Value {
    serde_json::from_str(&machine.text(LEDGER)).unwrap()
}

fn keep_post_mortem(machine: &Machine, output: &str) {
    let story = |number| {
        json!({
            "boot": boot(number), "end": { "kind": "failed", "cause": { "kind": "checks-failed", "checks": ["http"] } },
            "failed_units": ["nginx.service"], "journal": ["nginx: bind() failed"],
            "failed_checks": [{ "check": "http", "weight": "required", "passed": false, "said": "status 502",
                                "output": output, "runs": 1, "millis": 5 }],
        })
    };
    let kept = json!({
        "schema": 1, "from": { "toplevel": toplevel("c"), "revision": "3f2a9c1d00000000" },
        "to": { "toplevel": toplevel("a"), "revision": "aaaaaaa" }, "asked": false, "collected_in": boot(4),
        "time": "2026-11-21T18:00:00Z", "attempts": [story(2), story(3)],
        "closures": { "changes": ["nginx: 1.26 → 1.27, +12.0 KiB"] }, "shortened": 0,
    });
    machine.put(&format!("{STATE}/postmortem/rollback-000001-00.json"), kept.to_string().as_bytes());
}

#[test]
fn why_tells_the_story_first_then_what_to_do_and_then_the_details() {
    let machine = rolled_back();
    keep_post_mortem(&machine, "upstream is\n\u{1b}[2Jgone\n");
    let why = ask(&machine, &["why"]);
    let (a, c) = (toplevel("a"), toplevel("c"));
    assert!(
        why.starts_with(&format!(
            "Rolled back from {c} (revision 3f2a9c1d00000000)\nto {a} (revision aaaaaaa).\n"
        )),
        "{why}"
    );
    let place = |text: &str| why.find(text).unwrap_or_else(|| panic!("{text}: {why}"));
    let order = [
        "tried 2 times and failed",
        "To do:",
        "Attempt 1",
        "nginx.service",
        "status 502",
        "bind() failed",
        "What the deployment changed",
        "1.27",
        "rollback-000001-00.json",
    ];
    assert!(order.map(place).is_sorted(), "{why}");
    assert!(why.contains(&format!("`golden quarantine release {c}`")), "{why}");
    assert!(!why.contains('\u{1b}'), "what failed does not write to the terminal");
}

/// The system profile names this system.
fn name_in(machine: &Machine, profile: &str, system: &str) {
    let number = format!("{profile}-1-link");
    let _ = std::fs::remove_file(machine.at(profile));
    let _ = std::fs::remove_file(machine.at(&number));
    machine.link(profile, number.rsplit('/').next().unwrap());
    machine.link(&number, &toplevel(system));
}

type Change = fn(&Machine);

#[test]
fn every_sentence_of_why_is_about_how_the_machine_stands_now() {
    const SYSTEM: &str = "/nix/var/nix/profiles/system";
    const COMIN: &str = "/nix/var/nix/profiles/system-profiles/comin";
    let without_quarantine: Change = |machine| {
        let mut ledger = ledger(machine);
        let failed = ledger["quarantine"][0]["attempts"].take();
        ledger["undecided"] =
            json!([{ "toplevel": toplevel("c"), "attempts": failed, "origin": "marked", "arming": "idle" }]);
        ledger["quarantine"] = json!([]);
        machine.put(LEDGER, ledger.to_string().as_bytes());
    };
    let cases: [(&str, Change); 8] = [
        ("Golden is the default boot entry.", |machine| {
            machine.put("/boot/loader/loader.conf", b"default nixos-b.conf\n");
        }),
        ("Golden is the default boot entry.", |machine| {
            machine.put("/boot/loader/loader.conf", b"default nothing.conf\n");
        }),
        ("The system profile names golden.", |machine| name_in(machine, SYSTEM, "b")),
        ("The system profile names golden.", |machine| name_in(machine, SYSTEM, "c")),
        ("The system profile names golden.", |machine| {
            std::fs::remove_file(machine.at("/nix/var/nix/profiles/system-profiles/golden")).unwrap();
        }),
        ("c is quarantined: deployers are refused it.", without_quarantine),
        ("quarantine release", without_quarantine),
        ("c is quarantined: deployers are refused it.", |machine| {
            ask(machine, &["quarantine", "release", "cccc-c"]);
        }),
    ];
    for (sentence, change) in cases {
        let machine = rolled_back();
        name_in(&machine, SYSTEM, "a");
        let why = ask(&machine, &["why", "cccc-c"]);
        assert!(why.contains(sentence), "{sentence}: {why}");
        change(&machine);
        let why = ask(&machine, &["why"]);
        assert!(!why.contains(sentence), "{sentence}: {why}");
    }
    let machine = rolled_back();
    name_in(&machine, SYSTEM, "a");
    without_quarantine(&machine);
    let why = ask(&machine, &["why"]);
    assert!(why.contains("c is not quarantined: it may be deployed again."), "{why}");
    // A deployer has a profile of its own.
    let machine = rolled_back();
    for (names, is_said) in [("a", false), ("c", true)] {
        name_in(&machine, COMIN, names);
        let why = ask(&machine, &["why"]);
        assert_eq!(why.contains("The profile comin still names c."), is_said, "{names}: {why}");
        let status = ask(&machine, &["status"]);
        assert_eq!(status.contains("comin still names a system that failed"), is_said, "{names}: {status}");
    }
}

#[test]
fn nothing_is_to_be_done_only_while_the_trial_runs_or_is_armed() {
    let machine = Machine::installed();
    let ledger = json!({
        "format": 1, "min_reader": 1, "revision": 9, "confirmed": [{ "toplevel": toplevel("a") }],
        "trial": { "toplevel": toplevel("b"), "origin": "marked", "attempts": [], "arming": "intended" },
    });
    machine.put(LEDGER, ledger.to_string().as_bytes());
    for (is_armed, one_shot) in [(true, "nixos-b.conf"), (false, "nixos-a.conf")] {
        machine.set_variable("LoaderEntryOneShot", one_shot);
        let (why, status) = (ask(&machine, &["why"]), ask(&machine, &["status"]));
        assert_eq!(why.contains("To do: Nothing"), is_armed, "{why}");
        assert_eq!(why.contains("It is not armed"), !is_armed, "{why}");
        assert_eq!(status.contains("NOT ARMED"), !is_armed, "{status}");
    }
}

#[test]
fn a_trial_that_was_not_started_is_said_with_the_reason_and_something_to_do() {
    let machine = Machine::installed();
    let ledger = json!({
        "format": 1, "min_reader": 1, "revision": 9, "confirmed": [{ "toplevel": toplevel("a") }],
        "trial": {
            "toplevel": toplevel("b"), "origin": "marked", "attempts": [], "arming": "armed",
            "not_started": { "times": 2, "because": "another-partition" },
        },
    });
    machine.put(LEDGER, ledger.to_string().as_bytes());
    machine.set_variable("LoaderEntryOneShot", "nixos-b.conf");
    let why = ask(&machine, &["why"]);
    assert!(
        why.contains("not started twice or more, which is no failure: the boot loader was read"),
        "{why}"
    );
    assert!(why.contains("To do: Put that right") && !why.contains("Nothing"), "{why}");
}

#[test]
fn a_panic_is_not_covered_while_the_default_boot_entry_is_not_known_to_be_good() {
    for (default, is_told) in [("nixos-a.conf", false), ("nothing.conf", true), ("nixos-b.conf", true)] {
        let machine = rolled_back();
        let mut now = ledger(&machine);
        now["rolled_back"] = Value::Null;
        machine.put(LEDGER, now.to_string().as_bytes());
        machine.put("/boot/loader/loader.conf", format!("default {default}\n").as_bytes());
        let status = ask(&machine, &["status"]);
        let panic = status.lines().find(|line| line.starts_with("a kernel panic is covered: ")).unwrap();
        assert_eq!(panic.contains("default boot entry"), is_told, "{default}: {panic}");
        assert!(!is_told || panic.contains("covered: no"), "{default}: {panic}");
        assert_eq!(status.starts_with("unprotected"), is_told, "{default}: {status}");
    }
}

#[test]
fn why_is_answered_from_the_ledger_alone() {
    let machine = rolled_back();
    let why = ask(&machine, &["why"]);
    assert!(why.contains("required checks failed: http") && why.contains("To do:"), "{why}");
    machine.put(&format!("{STATE}/postmortem/rollback-000001-00.json"), b"{ torn");
    assert_eq!(ask(&machine, &["why"]), why);
}

#[test]
fn a_check_that_fails_on_golden_as_well_is_not_held_against_the_system() {
    let machine = rolled_back();
    keep_post_mortem(&machine, "");
    let line = |event: Value| {
        let mut line = json!({ "time": "2026-11-21T18:00:00Z", "written_in": boot(4) });
        line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        line.to_string() + "\n"
    };
    let checks = |required: Value| json!({ "event": "checks-failed", "toplevel": toplevel("a"), "boot": boot(4), "required": required, "wanted": [] });
    let began = line(json!({ "event": "rollback-began", "from": toplevel("c"), "to": toplevel("a") }));
    for (history, is_around) in [
        (began.clone() + &line(checks(json!(["http"]))), true),
        (began.clone() + &line(checks(json!(["disk"]))), false),
        // Before the rollback it says nothing of it.
        (line(checks(json!(["http"]))) + &began, false),
    ] {
        machine.put(&format!("{STATE}/history.jsonl"), history.as_bytes());
        let why = ask(&machine, &["why"]);
        assert_eq!(why.contains("the cause is more likely around the machine"), is_around, "{why}");
        assert_eq!(why.contains("Repair the surroundings of the machine first"), is_around, "{why}");
    }
}

#[test]
fn why_finds_what_is_meant_by_boot_number_and_name() {
    let machine = rolled_back();
    let c = toplevel("c");
    machine.link("/nix/var/nix/profiles/system-42-link", &c);
    for of in [c.as_str(), "cccc-c", "42", &boot(3), &boot(3)[..31]] {
        assert!(ask(&machine, &["why", of]).contains("Rolled back from"), "{of}");
    }
    for of in ["41", "nothing", &boot(99)] {
        let why = ask(&machine, &["why", of]);
        assert!(why.starts_with(&format!("Nothing that failed on this machine is meant by {of:?}")), "{why}");
    }
    // Released, and the post-mortem is still there.
    keep_post_mortem(&machine, "");
    ask(&machine, &["quarantine", "release", "cccc-c"]);
    for question in [&["why", "cccc-c"][..], &["why"]] {
        let why = ask(&machine, question);
        assert!(why.contains("may be deployed again") && why.contains("nginx.service"), "{why}");
    }
    let mut confirmed = ledger(&machine);
    confirmed["confirmed"].as_array_mut().unwrap().push(json!({ "toplevel": toplevel("c") }));
    machine.put(LEDGER, confirmed.to_string().as_bytes());
    let why = ask(&machine, &["why"]);
    assert!(why.contains("It was deployed again since, and was confirmed.\n\nAttempt 1"), "{why}");
    // Where the ledger is lost nobody knows whether it may.
    machine.put(LEDGER, b"{ torn");
    let why = ask(&machine, &["why"]);
    assert!(why.contains("not readable") && why.contains("nginx.service"), "{why}");
    assert!(!why.contains("deployed again"), "{why}");
}

#[test]
fn why_says_that_nothing_has_failed_only_where_history_says_so_too() {
    let machine = Machine::installed();
    assert_eq!(ask(&machine, &["why"]).trim_end(), "No trial has failed on this machine.");
    // The ledger is lost.
    let event = json!({
        "time": "2026-01-01T00:00:00Z", "written_in": boot(2), "event": "attempt-failed", "toplevel": toplevel("c"),
        "failures": 1, "max_failures": 2, "boot": boot(2), "cause": { "kind": "vanished" },
    });
    machine.put(&format!("{STATE}/history.jsonl"), format!("{event}\n").as_bytes());
    let why = ask(&machine, &["why"]);
    assert!(why.contains("`golden history` tells of one"), "{why}");
}

#[test]
fn the_number_of_a_generation_that_is_gone_names_no_system_whose_hash_it_is_in() {
    let machine = rolled_back();
    let failed = format!("/nix/store/{}-web1", "4242".repeat(8));
    let ledger = machine.text(LEDGER).replace(&toplevel("c"), &failed);
    machine.put(LEDGER, ledger.as_bytes());
    assert!(ask(&machine, &["why", "42"]).starts_with("Nothing that failed"));
    refused(&machine, 64, &["quarantine", "release", "42"]);
    assert!(ask(&machine, &["quarantine", "list"]).contains(&failed));
    assert!(ask(&machine, &["why", "424242"]).contains("Rolled back from"));
}

#[test]
fn what_a_failed_system_named_does_nothing_to_a_terminal() {
    let machine = rolled_back();
    let bad = "x\u{1b}]0;y\u{7}\u{1b}[2J\r\nFAKE";
    let causes = [
        json!({ "kind": "checks-failed", "checks": [bad] }),
        json!({ "kind": "unit-failed", "units": [bad] }),
        json!({ "kind": "activation-failed", "why": bad }),
        json!({ "kind": "not-bootable", "why": bad }),
        json!({ "kind": "emergency", "units": [bad] }),
        json!({ "kind": "deadline", "secs": 5, "units": [bad] }),
    ];
    let mut ledger = ledger(&machine);
    ledger["quarantine"][0]["attempts"] = causes.iter().map(|cause| failed(2, cause)).collect();
    machine.put(LEDGER, ledger.to_string().as_bytes());
    let line = |event: Value| {
        let mut line = event;
        line["time"] = "2026-01-01T00:00:00Z\u{1b}[2J".into();
        line["written_in"] = boot(1).into();
        line.to_string() + "\n"
    };
    let history = line(json!({ "event": "rollback-began", "from": toplevel("c"), "to": toplevel("a") }))
        + &line(json!({ "event": "checks-failed", "toplevel": toplevel("a"), "boot": boot(1),
                        "required": [bad], "wanted": [bad] }))
        + &line(json!({ "event": "golden-damaged", "toplevel": toplevel("a"), "why": bad }));
    machine.put(&format!("{STATE}/history.jsonl"), history.as_bytes());
    machine.put("/etc/golden-generation/checks.toml", b"[drop_in.\"bad.sh\"]\nretries = 0\n");
    let check = "/etc/golden-generation/checks/wanted.d/bad.sh";
    machine.put(check, b"#!/bin/sh\nprintf 'x\\033]0;y\\007\\033[2J\\r\\nmore\\tof it'\nexit 1\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(machine.at(check), executable).unwrap();
    assert!(ask(&machine, &["check"]).contains("more of it"));
    for question in [&["why"][..], &["history"], &["status"], &["quarantine", "list"], &["check"]] {
        let said = ask(&machine, question);
        assert!(!said.contains(|letter: char| letter.is_control() && letter != '\n'), "{said:?}");
        assert!(!said.contains("\nFAKE"), "{said:?}");
    }
}

#[test]
fn quarantine_is_listed_added_to_and_released() {
    let machine = rolled_back();
    let (b, c) = (toplevel("b"), toplevel("c"));
    let list = || ask(&machine, &["quarantine", "list"]);
    assert_eq!(list(), format!("{c} (revision 3f2a9c1d00000000): 2 attempts failed\n"));
    assert!(ask(&machine, &["quarantine", "add", "bbbb-b"]).starts_with(&b));
    assert!(list().contains(&format!("{b}: a person said so")));
    assert!(ask(&machine, &["quarantine", "add", &b]).contains("already"));
    assert_eq!(status(&machine.run(GOLDEN, &["check", &b])).0, 77);
    assert!(ask(&machine, &["quarantine", "add", "77aa77aa"]).contains("every system of revision 77aa77aa"));
    assert!(list().contains("every system of revision 77aa77aa: a person said so"));
    assert!(ask(&machine, &["quarantine", "release", "bbbb-b"]).contains("may be deployed again"));
    assert_eq!(status(&machine.run(GOLDEN, &["check", &b])).0, 0);
    assert!(ask(&machine, &["quarantine", "release", "77aa77a"]).contains("revision"));
    assert!(ask(&machine, &["quarantine", "release", "3f2a9c1"]).contains("revision"));
    assert_eq!(list(), "nothing is in quarantine\n");
    let history = ask(&machine, &["history"]);
    assert_eq!(history.matches("in quarantine: a person").count(), 2, "{history}");
    assert_eq!(history.matches("is released").count(), 3, "{history}");
}

#[test]
fn from_a_rescue_shell_every_question_is_answered_though_nothing_runs_there() {
    let machine = rolled_back();
    std::fs::remove_dir_all(machine.at("/proc")).unwrap();
    for question in [&["status"][..], &["why"], &["history"], &["quarantine", "list"]] {
        ask(&machine, question);
        ask(&machine, &[question, &["--json"]].concat());
    }
    assert!(ask(&machine, &["quarantine", "list"]).starts_with(&toplevel("c")));
}

#[test]
fn what_is_ambiguous_needed_or_not_there_is_said_with_what_to_do() {
    let machine = rolled_back();
    let before = machine.text(LEDGER);
    let said = refused(&machine, 64, &["quarantine", "add", "/nix/store/"]);
    assert!(said.contains("is no system"), "{said}");
    let said = refused(&machine, 64, &["quarantine", "add", "nix"]);
    assert!(said.contains(&toplevel("b")) && said.contains("more than one"), "{said}");
    assert!(refused(&machine, 64, &["quarantine", "release", "nothing"]).contains("golden quarantine list"));
    assert!(refused(&machine, 64, &["quarantine", "add", "two words"]).contains("two words"));
    let (code, said) = status(&machine.run(GOLDEN, &["quarantine", "add", "aaaa-a"]));
    assert!(code == 77 && said.contains("pin another system first"), "{said}");
    let golden = ask(&machine, &["quarantine", "release", &toplevel("a")]);
    assert!(golden.contains("was not in quarantine"), "{golden}");
    assert_eq!(machine.text(LEDGER), before);
}

#[test]
fn a_system_of_a_refused_revision_is_refused_as_it_or_its_deployer_says() {
    let machine = rolled_back();
    let b = toplevel("b");
    ask(&machine, &["quarantine", "add", "77aa77aa"]);
    assert_eq!(status(&machine.run(GOLDEN, &["check", &b])).0, 0);
    let told = |revision: &str| {
        let mut command = Command::new(GOLDEN);
        command.arg("--root").arg(machine.root()).args(["check", &b]).env("GOLDEN_REVISION", revision);
        command.output().unwrap().status.code().unwrap()
    };
    assert_eq!((told("77aa77aa00"), told("another"), told("not one word")), (77, 0, 0));
    machine.put(&format!("{b}/etc/golden-generation/source.json"), br#"{"revision":"77aa77aa00"}"#);
    let said = refused(&machine, 77, &["check", &b]);
    assert!(said.contains("revision 77aa77aa"), "{said}");
    assert_eq!(told("another"), 77, "either is believed");
    for broken in [&b"{ torn"[..], br#"{"revision":7}"#, br#"{"revision":null}"#, &vec![b'x'; 1 << 20]] {
        machine.put(&format!("{b}/etc/golden-generation/source.json"), broken);
        assert_eq!(status(&machine.run(GOLDEN, &["check", &b])).0, 0);
    }
}

#[test]
fn a_rollback_asks_first_and_is_refused_where_golden_runs() {
    let machine = rolled_back();
    let said = refused(&machine, 77, &["rollback"]);
    assert!(said.contains("golden runs already"), "{said}");
    let confirmed = json!({ "format": 1, "min_reader": 1, "revision": 1,
        "confirmed": [{ "toplevel": toplevel("a") }, { "toplevel": toplevel("b") }] });
    machine.put(LEDGER, confirmed.to_string().as_bytes());
    machine.boot(5, "b");
    let before = machine.text(LEDGER);
    let said = ask(&machine, &["rollback"]);
    assert!(said.contains(&format!("comes back to {}", toplevel("a"))), "{said}");
    assert!(said.ends_with("nothing was done\n"), "{said}");
    assert_eq!(machine.text(LEDGER), before);
    // Below a directory nothing reboots; what was decided is there.
    let (code, said) = status(&machine.run(GOLDEN, &["rollback", "--yes"]));
    assert!(code == 74 && said.contains("cannot reboot"), "{code}: {said}");
    let after = ledger(&machine);
    assert_eq!(after["rollback"]["to"], toplevel("a"));
    assert_eq!(after["quarantine"][0]["toplevel"], toplevel("b"));
    assert_eq!(after["automatic_reboots"], 0);
    assert!(ask(&machine, &["history"]).contains("a person asked for a rollback"));
}

#[test]
fn a_person_confirms_what_runs_and_is_told_why_not() {
    let machine = Machine::installed();
    let a = toplevel("a");
    assert_eq!(ask(&machine, &["confirm"]), format!("{a} is confirmed\n"));
    assert_eq!(ledger(&machine)["confirmed"][0]["toplevel"], a);
    machine.boot(2, "b");
    let trial = |end: Value| {
        json!({ "format": 1, "min_reader": 1, "revision": 1, "confirmed": [{ "toplevel": a }],
                "trial": { "toplevel": toplevel("b"), "origin": "marked", "arming": "idle",
                           "attempts": [{ "boot": "00000002000040008000000000000000", "end": end }] } })
    };
    machine.put(
        LEDGER,
        trial(json!({ "kind": "failed", "cause": { "kind": "vanished" } })).to_string().as_bytes(),
    );
    assert!(refused(&machine, 64, &["confirm"]).contains("failed in this boot"));
    machine.put(LEDGER, trial(Value::Null).to_string().as_bytes());
    assert_eq!(ask(&machine, &["confirm"]), format!("{} is confirmed\n", toplevel("b")));
}

#[test]
fn history_is_filtered() {
    let machine = Machine::installed();
    let line = |number: u32, time: &str, rest: &str| {
        format!("{{\"time\":\"{time}\",\"written_in\":\"{}\",{rest}}}\n", boot(number))
    };
    let (b, c) = (toplevel("b"), toplevel("c"));
    let text = [
        line(
            0x0001_0000,
            "2020-01-01T00:00:00Z",
            &format!(r#""event":"pinned","toplevel":"{b}","forced":false"#),
        ),
        line(0x0002_0000, "2020-01-02T00:00:00Z", &format!(r#""event":"gone","toplevel":"{c}""#)),
        line(0x0003_0000, "2020-01-03T00:00:00Z", &format!(r#""event":"adopted","toplevel":"{b}""#)),
        "{ torn\n".to_owned(),
    ];
    machine.put(&format!("{STATE}/history.jsonl"), text.concat().as_bytes());
    let count = |arguments: &[&str]| {
        let json = ask(&machine, &[&["history", "--json"], arguments].concat());
        json.lines().inspect(|line| assert!(line.starts_with("{\"schema\":1,"), "{line}")).count()
    };
    assert_eq!(count(&[]), 3);
    assert_eq!(count(&["--generation", "bbbb-b"]), 2);
    assert_eq!(count(&["--event", "gone"]), 1);
    assert_eq!(count(&["--event", "gone", "--event", "pinned"]), 2);
    assert_eq!(count(&["--boot", &boot(0x0002_0000)]), 1);
    assert_eq!(count(&["--since", "2020-01-02"]), 2);
    assert_eq!(count(&["--since", "2020-01-02T00:00:01Z"]), 1);
    assert_eq!((count(&["--since", "1h"]), count(&["--since", "1000years"])), (0, 3));
    assert_eq!((count(&["--last", "2"]), count(&["--last", "0"])), (2, 0));
    assert_eq!(count(&["--generation", "bbbb-b", "--last", "1"]), 1);
    assert!(ask(&machine, &["history", "--event", "goen"]).contains("there is: adopted, gone, pinned"));
    assert_eq!(status(&machine.run(GOLDEN, &["history", "--since", "yesterday"])).0, 64);
}

#[test]
fn a_history_larger_than_any_file_that_is_read_whole_is_told_and_filtered() {
    let machine = Machine::installed();
    let line = |event: &str, number: u32| {
        let (boot, b) = (boot(number), toplevel("b"));
        format!(
            r#"{{"time":"2020-01-01T00:00:00Z","written_in":"{boot}","event":"{event}","toplevel":"{b}"}}"#
        ) + "\n"
    };
    let path = format!("{STATE}/history.jsonl");
    machine.put(&path, line("gone", 0x0001_0000).as_bytes());
    let file = std::fs::OpenOptions::new().write(true).open(machine.at(&path)).unwrap();
    let size: u64 = 17 << 20;
    std::os::unix::fs::FileExt::write_all_at(
        &file,
        ("\n".to_owned() + &line("adopted", 0x0002_0000)).as_bytes(),
        size,
    )
    .unwrap();
    assert!(file.metadata().unwrap().len() > size);
    // The text between the first line and the last one is no line.
    assert_eq!(ask(&machine, &["history"]).lines().count(), 2);
    assert_eq!(ask(&machine, &["history", "--last", "1", "--json"]).matches("adopted").count(), 1);
    assert_eq!(
        ask(&machine, &["history", "--boot", &boot(0x0001_0000), "--json"]).matches("gone").count(),
        1
    );
    for number in ["-1", "1.5", "many", "99999999999999999999"] {
        let (code, said) = status(&machine.run(GOLDEN, &["history", "--last", number]));
        assert_eq!(code, 64, "{said}");
        assert!(said.contains("a whole number from 0 to 1000000"), "{said}");
    }
}

#[test]
fn colours_are_for_terminals() {
    let machine = rolled_back();
    for question in [&["why"][..], &["status"], &["history"], &["quarantine", "list"]] {
        assert!(!ask(&machine, question).contains('\u{1b}'), "{question:?}");
    }
}

#[test]
fn no_is_no_even_where_the_profile_cannot_be_put_back() {
    let machine = rolled_back();
    let b = toplevel("b");
    machine.link("/nix/var/nix/profiles/system", "system-1-link");
    machine.link("/nix/var/nix/profiles/system-1-link", &b);
    // There is no Nix below a directory.
    let said = ask(&machine, &["quarantine", "list"]);
    assert!(!said.contains(&b));
    let (code, said) = status(&machine.run(GOLDEN, &["quarantine", "add", &b]));
    assert!(code == 74 && said.contains("nix-env"), "{code}: {said}");
    let said = refused(&machine, 77, &["check", &b]);
    assert!(said.contains("nix-env") && said.contains("is quarantined on this host"), "{said}");
    // Somebody holds the ledger, or there is no place for a lock: nothing is deployed for that.
    std::fs::remove_file(machine.at(&format!("{STATE}/lock"))).unwrap();
    std::fs::create_dir(machine.at(&format!("{STATE}/lock"))).unwrap();
    refused(&machine, 77, &["check", &b]);
}

#[test]
fn a_system_whose_checks_are_broken_is_said_to_be_before_it_is_booted() {
    let machine = rolled_back();
    let b = toplevel("b");
    let check = || status(&machine.run(GOLDEN, &["check", &b]));
    let put =
        |path: &str, text: &str| machine.put(&format!("{b}/etc/golden-generation/{path}"), text.as_bytes());
    put("checks.toml", "settle_secs = 20\n");
    assert_eq!(check().0, 0);
    put("checks.toml", "setle_secs = 20\n");
    let (code, said) = check();
    assert!(code == 78 && said.contains("did you mean `settle_secs`?") && said.contains(&b), "{code} {said}");
    put("checks.toml", "");
    put("checks/wanted.d/10-a", "#!/bin/sh\n");
    assert_eq!(check().0, 0, "one that is only wanted is reported when it is run");
    put("checks/required.d/10-b", "#!/bin/sh\n");
    let (code, said) = check();
    assert!(code == 78 && said.contains("10-b") && said.contains("is not executable"), "{code} {said}");
    put("checks.toml", "report_only = true\n");
    assert_eq!(check().0, 0);
    // What fails now too is excused then.
    put("checks.toml", "");
    let boot = "0".repeat(32);
    let failed = format!(
        r#"{{"schema":1,"toplevel":null,"boot":"{boot}","findings":[{{"check":"10-b","weight":"required","passed":false,"said":"","runs":0,"millis":0}}]}}"#
    );
    machine.put("/run/golden-generation/assessment.json", failed.as_bytes());
    assert_eq!(check().0, 0);
}
