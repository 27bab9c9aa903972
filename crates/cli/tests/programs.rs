//! What a person sees of the programs, on a machine below a directory.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::process::{Command, Stdio};

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{LEDGER, Machine, status, toplevel};

const GOLDEN: &str = env!("CARGO_BIN_EXE_golden");
const PIN: &str = env!("CARGO_BIN_EXE_pin-golden");

fn answer(machine: &Machine, arguments: &[&str]) -> String {
    let output = machine.run(GOLDEN, arguments);
    assert_eq!(status(&output), (0, String::new()), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn ledger(trial: &str, more: &str) -> String {
    let a = toplevel("a");
    format!(
        r#"{{"format":1,"min_reader":1,"revision":7,"confirmed":[{{"toplevel":"{a}"}}],"trial":{trial}{more}}}"#
    )
}

#[test]
fn the_first_word_of_the_status_is_the_state() {
    let (a, b) = (toplevel("a"), toplevel("b"));
    let trial = format!(r#"{{"toplevel":"{b}","origin":"marked","arming":"idle","attempts":[]}}"#);
    let back = format!(r#","rolled_back":{{"from":"{b}","to":"{a}"}}"#);
    let safe = r#","safe_mode":{"reason":{"kind":"budget-spent"}}"#;
    let machine = Machine::installed();
    for (word, text) in [
        ("ok", ledger("null", "")),
        ("trial", ledger(&trial, "")),
        ("rolled-back", ledger("null", &back)),
        ("safe-mode", ledger("null", safe)),
    ] {
        machine.put(LEDGER, text.as_bytes());
        assert_eq!(answer(&machine, &["status"]).split_whitespace().next(), Some(word));
        let json: serde_json::Value = serde_json::from_str(&answer(&machine, &["status", "--json"])).unwrap();
        assert_eq!(json["state"], word);
    }
    fs::remove_file(machine.at(LEDGER)).unwrap();
    fs::remove_file(machine.at("/nix/var/nix/profiles/system-profiles/golden")).unwrap();
    assert!(answer(&machine, &["status"]).starts_with("unprotected"));
}

#[test]
fn a_suite_that_is_switched_off_for_this_boot_is_said_and_is_never_ok() {
    let machine = Machine::installed();
    let trial =
        format!(r#"{{"toplevel":"{}","origin":"marked","arming":"idle","attempts":[]}}"#, toplevel("b"));
    for text in [ledger("null", ""), ledger(&trial, "")] {
        machine.put(LEDGER, text.as_bytes());
        machine.put("/proc/cmdline", b"quiet golden.disable=1\n");
        let said = answer(&machine, &["status"]);
        assert!(said.starts_with("unprotected\ndisabled: golden.disable=1"), "{said}");
        let json: serde_json::Value = serde_json::from_str(&answer(&machine, &["status", "--json"])).unwrap();
        assert_eq!((&json["state"], &json["disabled"]), (&"unprotected".into(), &true.into()));
        for coverage in json["coverage"].as_array().unwrap() {
            let by_the_watchdog_alone = coverage["failure"] == "a shutdown that hangs";
            assert!(by_the_watchdog_alone || coverage["covered"] == false, "{coverage}");
        }
        // Another word on the command line switches nothing off.
        machine.put("/proc/cmdline", b"quiet golden.disable=0 x.golden.disable=1\n");
        let said = answer(&machine, &["status"]);
        assert!(!said.contains("disabled"), "{said}");
    }
}

#[test]
fn a_state_directory_is_an_absolute_path_or_the_command_line_is_refused() {
    let machine = Machine::installed();
    let elsewhere = tempfile::tempdir().unwrap();
    for directory in ["state", "./state", "../state", ""] {
        for program in [GOLDEN, PIN] {
            let mut command = Command::new(program);
            command.arg("--root").arg(machine.root()).args(["--state-dir", directory]);
            command.args((program == GOLDEN).then_some("confirm")).current_dir(elsewhere.path());
            let (code, said) = status(&command.output().unwrap());
            assert_eq!(code, 64, "{program} --state-dir {directory:?}: {said}");
            assert!(said.contains("absolute path") || directory.is_empty(), "{said}");
        }
    }
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    assert!(!machine.at("/state").exists());
    let config = "/etc/golden-generation/config.toml";
    machine.put(config, b"state_dir = \"state\"\n");
    let (code, said) = status(&machine.run(GOLDEN, &["confirm"]));
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("state_dir: \"state\" is not an absolute path") && said.contains("the defaults apply"),
        "{said}"
    );
    assert!(machine.at(LEDGER).exists() && !machine.at("/state").exists());
}

#[test]
fn a_ledger_that_cannot_be_read_is_said() {
    let machine = Machine::installed();
    machine.put(LEDGER, b"{ torn");
    let status = answer(&machine, &["status"]);
    assert!(status.starts_with("unprotected") && status.contains("not readable"), "{status}");
    for question in ["status", "why"] {
        let json: serde_json::Value = serde_json::from_str(&answer(&machine, &[question, "--json"])).unwrap();
        assert!(json["unreadable"].is_string(), "{question}: {json}");
    }
}

#[test]
fn questions_are_answered_on_a_machine_that_knows_nothing_yet() {
    let machine = Machine::installed();
    answer(&machine, &["why"]);
    serde_json::from_str::<serde_json::Value>(&answer(&machine, &["why", "--json"])).unwrap();
    answer(&machine, &["history"]);
    assert_eq!(answer(&machine, &["history", "--json"]), "");
    assert!(!machine.at(LEDGER).exists());
}

#[test]
fn a_landing_that_failed_is_a_part_of_the_chain() {
    let machine = Machine::installed();
    let (a, b, c) = (toplevel("a"), toplevel("b"), toplevel("c"));
    let failed = r#"[{"boot":null,"end":{"kind":"failed","cause":{"kind":"vanished"}}}]"#;
    let ledger = format!(
        r#"{{"format":1,"min_reader":1,"revision":9,"confirmed":[{{"toplevel":"{a}"}}],
             "failed_landings":[{{"from":"{c}","toplevel":"{b}","attempts":{failed}}}],
             "rolled_back":{{"from":"{c}","to":"{a}"}},
             "quarantine":[{{"toplevel":"{c}","attempts":{failed}}}]}}"#
    );
    machine.put(LEDGER, ledger.as_bytes());
    let why = answer(&machine, &["why"]);
    assert!(why.contains(&format!("came back to {b}, which did not work either")), "{why}");
    assert_eq!(
        why.matches("failed: it stopped without a word").count(),
        3,
        "the sentence, and each attempt: {why}"
    );
    let json: serde_json::Value = serde_json::from_str(&answer(&machine, &["why", "--json"])).unwrap();
    assert_eq!(json["failed_landings"][0]["toplevel"], b, "{json}");
}

#[test]
fn what_led_to_a_rollback_names_where_the_machine_is_and_not_where_it_was_first() {
    let machine = Machine::installed();
    let (a, b, c) = (toplevel("a"), toplevel("b"), toplevel("c"));
    let failed = r#"[{"boot":null,"end":{"kind":"failed","cause":{"kind":"vanished"}}}]"#;
    let landed = format!(r#","rolled_back":{{"from":"{c}","to":"{a}"}}"#);
    let quarantine = format!(r#","quarantine":[{{"toplevel":"{c}","attempts":{failed}}}]"#);
    // Golden did not work, and the rollback has gone on to what was confirmed last.
    let goes_on = format!(
        r#","failed_landings":[{{"from":"{c}","toplevel":"{a}","attempts":{failed}}}],
           "landing":{{"from":"{c}","toplevel":"{b}","attempts":[]}},"rollback":{{"from":"{c}","to":"{b}"}}"#
    );
    for (more, expected) in
        [(format!("{landed}{quarantine}{goes_on}"), &b), (format!("{landed}{quarantine}"), &a)]
    {
        machine.put(LEDGER, ledger("null", &more).as_bytes());
        let why = answer(&machine, &["why"]);
        let words = if expected == &b { "Rolling back" } else { "Rolled back" };
        assert!(why.starts_with(&format!("{words} from {c}\nto {expected}.\n")), "{why}");
        let json: serde_json::Value = serde_json::from_str(&answer(&machine, &["why", "--json"])).unwrap();
        assert_eq!(json["landed_on"], **expected, "{json}");
    }
}

#[test]
fn what_was_never_confirmed_is_not_pinned() {
    let machine = Machine::installed();
    machine.boot(2, "b");
    let (code, said) = status(&machine.run(PIN, &[]));
    assert_eq!(code, 77, "{said}");
    assert!(said.contains(&toplevel("b")) && said.contains("hint: "), "{said}");
}

#[test]
fn wrong_use_has_its_status() {
    let machine = Machine::installed();
    for (program, arguments) in
        [(GOLDEN, &["nonsense"][..]), (GOLDEN, &[]), (GOLDEN, &["simulate"]), (PIN, &["--nonsense"])]
    {
        assert_eq!(status(&machine.run(program, arguments)).0, 64, "{arguments:?}");
    }
    let (code, said) = status(&machine.run(GOLDEN, &["simulate", "/nothing/there"]));
    assert_eq!((code, said.lines().count()), (74, 1), "{said}");
    for program in [GOLDEN, PIN] {
        assert!(Command::new(program).arg("--help").output().unwrap().status.success());
    }
}

#[test]
fn a_scenario_without_an_end_is_refused() {
    let (code, said) = status(&Machine::empty().run(GOLDEN, &["simulate", "/dev/zero"]));
    assert_eq!((code, said.lines().count()), (74, 1), "{said}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child =
        Command::new(GOLDEN).arg("--help").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn a_quarantined_system_may_not_be_deployed_and_any_other_may() {
    let machine = Machine::installed();
    let (a, b) = (toplevel("a"), toplevel("b"));
    let check = |system: &str| status(&machine.run(GOLDEN, &["check", system]));
    assert_eq!(check(&b), (0, String::new()), "nothing has happened yet");
    machine.put(
        LEDGER,
        ledger("null", &format!(r#","quarantine":[{{"toplevel":"{b}","attempts":[]}}]"#)).as_bytes(),
    );
    assert_eq!(check(&a), (0, String::new()));
    let (code, said) = check(&b);
    assert_eq!(code, 77, "{said}");
    assert!(said.contains(&b) && said.contains("hint: "), "{said}");
    machine.put("/proc/cmdline", b"quiet golden.disable=1\n");
    assert_eq!(check(&b), (0, String::new()));
}

#[test]
fn a_rehearsal_asks_first_and_is_refused_where_it_has_no_end() {
    let machine = Machine::installed();
    machine.put(LEDGER, ledger("null", "").as_bytes());
    let before = machine.text(LEDGER);
    // Nobody is there to say yes.
    let said = answer(&machine, &["drill", "panic"]);
    assert!(said.contains("reboots now") && said.ends_with("nothing was done\n"), "{said}");
    assert!(answer(&machine, &["drill"]).starts_with("there was no rehearsal"));
    fs::remove_file(machine.at("/nix/var/nix/profiles/system-profiles/golden")).unwrap();
    let (code, said) = status(&machine.run(GOLDEN, &["drill", "unit", "--yes"]));
    assert_eq!(code, 77, "{said}");
    assert!(said.contains("no golden is pinned") && said.contains("hint: "), "{said}");
    assert_eq!(status(&machine.run(GOLDEN, &["drill", "--yes"])).0, 64);
    assert_eq!(machine.text(LEDGER), before);
}

#[test]
fn a_rehearsal_under_way_is_said() {
    let machine = Machine::installed();
    let (a, b) = (toplevel("a"), toplevel("b"));
    let failed = r#"[{"boot":null,"end":{"kind":"failed","cause":{"kind":"vanished"}}}]"#;
    let tried = |of: &str, attempts| {
        format!(r#"{{"toplevel":"{of}","origin":"marked","arming":"idle","attempts":{attempts}}}"#)
    };
    let drill = format!(
        r#","drill":{{"injection":"power","default":"{b}","trial":{},"landing":{}}}"#,
        tried(&b, failed),
        tried(&a, "[]")
    );
    machine.put(LEDGER, ledger("null", &drill).as_bytes());
    let said = answer(&machine, &["status"]);
    assert!(
        said.contains("rehearsal: the machine is reset") && said.contains("(1 attempts, 1 failed)"),
        "{said}"
    );
    assert!(said.contains(&format!("{a} is next to be confirmed")), "{said}");
    let json: serde_json::Value = serde_json::from_str(&answer(&machine, &["status", "--json"])).unwrap();
    assert_eq!(json["drill"]["trial"]["toplevel"], b);
}

#[test]
fn a_unit_of_a_rehearsal_fails_in_its_attempt_and_never_else() {
    let machine = Machine::installed();
    machine.put(LEDGER, ledger("null", "").as_bytes());
    assert_eq!(status(&machine.run(GOLDEN, &["inject"])).0, 0);
}

#[test]
fn safe_mode_says_what_to_do_to_whoever_logs_in() {
    const MOTD: &str = "/run/motd.d/golden-generation";
    let machine = Machine::installed();
    machine.put(LEDGER, ledger("null", "").as_bytes());
    assert_eq!(answer(&machine, &["announce"]), "");
    machine.put(LEDGER, ledger("null", r#","safe_mode":{"reason":{"kind":"ladder-ended"}}"#).as_bytes());
    let said = answer(&machine, &["announce"]);
    assert!(said.contains("SAFE MODE") && said.contains("golden why"), "{said}");
    assert_eq!(machine.text(MOTD), said);
    let status = answer(&machine, &["status"]);
    assert!(status.contains("safe mode: every generation"), "{status}");
    answer(&machine, &["announce", "--over"]);
    assert!(!machine.at(MOTD).exists());
}

#[test]
fn a_golden_that_lost_its_entry_is_said_before_it_is_needed() {
    let machine = Machine::installed();
    machine.put(LEDGER, ledger("null", "").as_bytes());
    assert!(!answer(&machine, &["status"]).contains("DAMAGED"));
    fs::remove_file(machine.at("/boot/loader/entries/nixos-a.conf")).unwrap();
    let said = answer(&machine, &["status"]);
    assert!(said.starts_with("unprotected") && said.contains("DAMAGED"), "{said}");
}

#[test]
fn a_boot_partition_that_is_not_mounted_is_said_of_the_loader_and_not_of_golden() {
    let machine = Machine::installed();
    machine.put(LEDGER, ledger("null", "").as_bytes());
    let (name, version) = ("LoaderInfo", "systemd-boot 257");
    machine.set_variable(name, version);
    let root = "30 1 253:0 / / rw - ext4 /dev/vda3 rw\n";
    machine.put("/proc/self/mountinfo", root.as_bytes());
    let said = answer(&machine, &["status"]);
    assert!(said.starts_with("unprotected") && !said.contains("DAMAGED"), "{said}");
    assert!(said.contains("loader:   the boot partition is unknown: "), "{said}");
}

#[test]
fn a_machine_whose_default_nobody_knows_is_unprotected() {
    let machine = Machine::installed();
    machine.put(LEDGER, ledger("null", "").as_bytes());
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    assert!(answer(&machine, &["status"]).starts_with("unprotected"));
}

#[test]
fn a_grub_that_boots_what_it_likes_covers_nothing_and_says_so() {
    const CFG: &str = "/boot/grub/grub.cfg";
    let saved = "set default=\"${saved_entry}\"";
    for (change, expected) in [("set default=\"0\"", "saved_entry"), (saved, "environment block")] {
        let machine = Machine::with_grub();
        machine.put(LEDGER, ledger("null", "").as_bytes());
        let env =
            "# GRUB Environment Block\nsaved_entry=NixOS - Profile 'golden'>NixOS - Configuration 1 (a)\n";
        machine.put("/boot/grub/grubenv", format!("{env:#<1024}").as_bytes());
        let covered = |machine: &Machine| {
            let said = answer(machine, &["status"]);
            let word = said.split_whitespace().next().unwrap().to_owned();
            let emergency =
                said.lines().find(|line| line.starts_with("emergency mode is covered: ")).unwrap();
            (word, emergency.to_owned())
        };
        let (word, emergency) = covered(&machine);
        assert!(word == "ok" && emergency.contains(": yes"), "{word}, {emergency}");
        if change == saved {
            fs::remove_file(machine.at("/boot/grub/grubenv")).unwrap();
        } else {
            let text = machine.text(CFG).replace(saved, change);
            machine.put(CFG, text.as_bytes());
        }
        let (word, emergency) = covered(&machine);
        assert!(word == "unprotected" && emergency.contains(": no"), "{word}, {emergency}");
        assert!(emergency.contains(expected), "{emergency}");
    }
}

#[test]
fn a_machine_that_can_lose_the_way_back_with_its_state_says_so() {
    let machine = Machine::with_extlinux();
    machine.put(LEDGER, ledger("null", "").as_bytes());
    let row = |mounts: &str| {
        machine.put("/proc/self/mountinfo", mounts.as_bytes());
        let said = answer(&machine, &["status"]);
        let row = said.lines().find(|line| line.starts_with("emergency mode without the state directory"));
        row.unwrap().to_owned()
    };
    let root = "30 1 8:2 / / rw - ext4 /dev/sda2 rw\n31 30 8:3 / /var/li rw - ext4 /dev/sda3 rw\n";
    assert!(row(root).contains(": yes"), "{}", row(root));
    let apart = format!("{root}32 30 8:4 / /var rw,relatime shared:1 - ext4 /dev/sda4 rw\n");
    assert!(row(&apart).contains(": no") && row(&apart).contains("/var alone"), "{}", row(&apart));
}

#[test]
fn golden_whose_profile_another_program_removed_is_never_said_to_be_nothing() {
    let machine = Machine::installed();
    let pinned = format!(
        r#"{{"format":1,"min_reader":1,"revision":1,"golden":{{"toplevel":"{a}"}},"confirmed":[{{"toplevel":"{a}"}}]}}"#,
        a = toplevel("a")
    );
    machine.put(LEDGER, pinned.as_bytes());
    fs::remove_file(machine.at("/nix/var/nix/profiles/system-profiles/golden")).unwrap();
    for root in [false, true] {
        if root {
            machine.link("/nix/var/nix/gcroots/golden-generation-golden", &toplevel("a"));
        }
        let json: serde_json::Value = serde_json::from_str(&answer(&machine, &["status", "--json"])).unwrap();
        assert_eq!(json["golden"], toplevel("a"), "{json}");
        assert_eq!(json["state"], "ok", "{json}");
    }
    // Without a ledger the root is enough.
    fs::remove_file(machine.at(LEDGER)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&answer(&machine, &["status", "--json"])).unwrap();
    assert_eq!(json["golden"], toplevel("a"), "{json}");
}
