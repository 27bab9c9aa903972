//! What a machine tells others of itself, on a machine below a directory.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use golden_serve::Document;
use golden_serve::document::{KIND, MAX_BYTES, State};
use machine::{LEDGER, Machine, status, toplevel};
use serde_json::{Value, json};

const GOLDEN: &str = env!("CARGO_BIN_EXE_golden");
const PUBLISHED: &str = "/run/golden-generation-public/status.json";
const HISTORY: &str = "/var/lib/golden-generation/history.jsonl";
const COUNTED: &str = "/var/lib/golden-generation/counted.json";
const ASSESSMENT: &str = "/run/golden-generation/assessment.json";
const MOTD: &str = "/run/motd.d/golden-generation";
const TEXTFILE: &str = "/var/lib/node-exporter/golden-generation.prom";
const BOOT: &str = "00000001000040008000000000000000";

/// Publish, and give what goes to the console.
fn publish(machine: &Machine, arguments: &[&str]) -> String {
    let output = machine.run(GOLDEN, &[&["publish"], arguments].concat());
    assert_eq!(status(&output), (0, String::new()));
    String::from_utf8(output.stdout).unwrap()
}

fn published(machine: &Machine) -> (Document, Value) {
    let text = machine.text(PUBLISHED);
    (Document::parse(text.as_bytes()).unwrap(), serde_json::from_str(&text).unwrap())
}

/// A machine with this ledger, on which a host name is known.
fn machine(ledger: &Value) -> Machine {
    let machine = Machine::installed();
    let mut whole =
        json!({"format": 1, "min_reader": 1, "revision": 7, "confirmed": [{"toplevel": toplevel("a")}]});
    whole.as_object_mut().unwrap().extend(ledger.as_object().unwrap().clone());
    machine.put(LEDGER, whole.to_string().as_bytes());
    machine.put("/proc/sys/kernel/hostname", b"web1\n");
    machine
}

fn failed(cause: &Value) -> Value {
    json!({"boot": null, "end": {"kind": "failed", "cause": cause}})
}

fn rolled_back() -> Machine {
    let attempts = [
        failed(&json!({"kind": "vanished"})),
        failed(&json!({"kind": "checks-failed", "checks": ["nginx"]})),
    ];
    machine(&json!({
        "rolled_back": {"from": toplevel("b"), "to": toplevel("a")},
        "quarantine": [{"toplevel": toplevel("b"), "attempts": attempts}],
    }))
}

fn event(number: u32, event: &Value) -> String {
    let mut line = json!({"time": format!("2026-11-21T18:{:02}:{:02}Z", number / 60 % 60, number % 60), "written_in": BOOT});
    line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    line.to_string() + "\n"
}

fn attempt_failed(number: u32) -> String {
    let failed = json!({"event": "attempt-failed", "toplevel": toplevel("b"), "failures": number, "max_failures": 2,
                        "boot": null, "cause": {"kind": "vanished"}});
    event(number, &failed)
}

fn mode(machine: &Machine, path: &str) -> u32 {
    fs::metadata(machine.at(path)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_is_published_says_what_the_status_says_and_in_two_sentences_what_to_do() {
    let machine = rolled_back();
    publish(&machine, &[]);
    let (document, value) = published(&machine);
    let answer = machine.run(GOLDEN, &["status", "--json"]);
    let asked: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(value["status"], asked);
    assert_eq!((document.status.state, &*document.host), (State::RolledBack, "web1"));
    let (a, b) = (toplevel("a"), toplevel("b"));
    let happened = format!(
        "{b} failed twice, and the machine came back to {a}. The last time required checks failed: nginx."
    );
    assert_eq!(&*document.summary.happened, happened);
    assert!(document.summary.advice.starts_with("Correct the configuration"), "{:?}", document.summary);
    let why = document.why.unwrap();
    assert!(why.says.len() > 3 && why.failed.as_deref() == Some(&*b), "{why:?}");
}

#[test]
fn only_the_group_of_the_directory_may_read_it() {
    let machine = rolled_back();
    publish(&machine, &[]);
    assert_eq!((mode(&machine, "/run/golden-generation-public"), mode(&machine, PUBLISHED)), (0o750, 0o640));
    // As tmpfiles makes it: files get its group, whatever that is.
    fs::set_permissions(machine.at("/run/golden-generation-public"), fs::Permissions::from_mode(0o2750))
        .unwrap();
    publish(&machine, &[]);
    assert_eq!((mode(&machine, "/run/golden-generation-public"), mode(&machine, PUBLISHED)), (0o2750, 0o640));
    assert_eq!(
        mode(&machine, LEDGER) & 0o077,
        fs::metadata(machine.at(LEDGER)).unwrap().permissions().mode() & 0o077
    );
}

#[test]
fn whoever_logs_in_reads_three_lines_after_a_rollback_and_nothing_when_all_is_well() {
    let machine = rolled_back();
    publish(&machine, &[]);
    let motd = machine.text(MOTD);
    assert_eq!((mode(&machine, MOTD), mode(&machine, "/run/motd.d")), (0o644, 0o755), "whoever that is");
    assert_eq!(motd.lines().count(), 3, "{motd}");
    assert!(motd.starts_with("golden-generation: ROLLED BACK. b (bbbbbbb) failed twice"), "{motd}");
    assert!(motd.lines().nth(1).unwrap().starts_with("Correct the configuration"), "{motd}");
    machine.put(
        LEDGER,
        format!(
            r#"{{"format":1,"min_reader":1,"revision":8,"confirmed":[{{"toplevel":"{}"}}]}}"#,
            toplevel("a")
        )
        .as_bytes(),
    );
    publish(&machine, &[]);
    assert!(!machine.at(MOTD).exists());
    fs::remove_file(machine.at("/nix/var/nix/profiles/system-profiles/golden")).unwrap();
    publish(&machine, &[]);
    let motd = machine.text(MOTD);
    assert!(motd.contains("UNPROTECTED. No golden is pinned") && motd.contains("pin-golden"), "{motd}");
}

#[test]
fn what_safe_mode_says_at_a_login_is_left_alone() {
    let machine = machine(&json!({"safe_mode": {"reason": {"kind": "ladder-ended"}}}));
    machine.run(GOLDEN, &["announce"]);
    let said = machine.text(MOTD);
    publish(&machine, &[]);
    assert_eq!(machine.text(MOTD), said);
    assert_eq!(published(&machine).0.status.state, State::SafeMode);
    machine.run(GOLDEN, &["announce", "--over"]);
    publish(&machine, &[]);
    assert!(!machine.at(MOTD).exists());
}

#[test]
fn the_console_has_one_line_for_each_rollback_and_boot() {
    let machine = rolled_back();
    let line = publish(&machine, &[]);
    assert!(line.starts_with("golden-generation: ROLLED BACK.") && line.lines().count() == 1, "{line}");
    assert_eq!(publish(&machine, &[]), "");
    machine.boot(2, "a");
    assert_eq!(publish(&machine, &[]), line);
    machine.put(LEDGER, machine.text(LEDGER).replace(&toplevel("b"), &toplevel("c")).as_bytes());
    assert!(publish(&machine, &[]).contains("c (ccccccc)"));
}

#[test]
fn what_checks_printed_is_published_only_if_the_owner_asks() {
    let machine = rolled_back();
    let finding = json!({"check": "nginx", "weight": "wanted", "passed": false, "said": "exited with status 1",
                         "output": "password=hunter2", "runs": 1, "millis": 20, "seen": "hunter2"});
    let assessment =
        json!({"schema": 1, "toplevel": toplevel("a"), "boot": BOOT, "findings": [finding], "x": "hunter2"});
    machine.put(ASSESSMENT, assessment.to_string().as_bytes());
    publish(&machine, &[]);
    assert!(!machine.text(PUBLISHED).contains("hunter2"));
    assert_eq!(&*published(&machine).0.assessment.unwrap().findings[0].said, "exited with status 1");
    publish(&machine, &["--with-output"]);
    assert_eq!(&*published(&machine).0.assessment.unwrap().findings[0].output, "password=hunter2");
    for damaged in ["{", "[]", "null", r#"{"schema":2}"#] {
        machine.put(ASSESSMENT, damaged.as_bytes());
        assert_eq!(machine.run(GOLDEN, &["publish"]).status.code(), Some(0));
        assert!(published(&machine).0.assessment.is_none(), "{damaged}");
    }
}

#[test]
fn counters_never_fall_although_history_forgets() {
    let machine = rolled_back();
    let lines: Vec<String> = (1..=5).map(attempt_failed).collect();
    let total = |machine: &Machine| {
        publish(machine, &[]);
        published(machine).0.total("attempt-failed")
    };
    machine.put(HISTORY, lines[..2].concat().as_bytes());
    assert_eq!((total(&machine), total(&machine)), (2, 2));
    // What was counted is gone, but for its last line.
    machine.put(HISTORY, lines[1..4].concat().as_bytes());
    assert_eq!(total(&machine), 4);
    assert_eq!(published(&machine).1["latest"]["attempt-failed"], "2026-11-21T18:00:04Z");
    // All of it is gone.
    machine.put(HISTORY, lines[4].as_bytes());
    assert_eq!(total(&machine), 5);
    // A crash before the counts were written counts the same again.
    machine.put(HISTORY, lines.concat().as_bytes());
    fs::remove_file(machine.at(COUNTED)).unwrap();
    assert_eq!(total(&machine), 5);
    for damaged in [b"{ torn".to_vec(), Vec::new(), vec![b'x'; 1 << 20]] {
        machine.put(COUNTED, &damaged);
        assert_eq!(total(&machine), 5);
    }
}

#[test]
fn metrics_are_written_where_the_collector_looks_and_nowhere_else() {
    let machine = rolled_back();
    machine.put("/var/lib/node-exporter/.keep", b"");
    // Whoever may write there must not choose another file for us.
    machine.put("/precious", b"precious");
    machine.link("/var/lib/node-exporter/.golden-generation.prom.new", "/precious");
    publish(&machine, &["--textfile", TEXTFILE]);
    let text = machine.text(TEXTFILE);
    assert!(text.contains("golden_generation_state{state=\"rolled-back\"} 1\n"), "{text}");
    assert_eq!((mode(&machine, TEXTFILE), machine.text("/precious")), (0o644, "precious".to_owned()));
    let names: Vec<_> = fs::read_dir(machine.at("/var/lib/node-exporter"))
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    for wrong in ["/var/lib/node-exporter/golden", "golden.prom"] {
        assert_eq!(machine.run(GOLDEN, &["publish", "--textfile", wrong]).status.code(), Some(64), "{wrong}");
    }
    // What cannot be written costs the rest nothing, and is said.
    fs::remove_file(machine.at(PUBLISHED)).unwrap();
    let output = machine.run(GOLDEN, &["publish", "--textfile", "/nowhere/golden.prom"]);
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/golden.prom"));
    assert!(machine.at(PUBLISHED).exists());
}

#[test]
fn whatever_is_in_the_state_directory_something_is_published() {
    for (file, bytes) in [
        (LEDGER, b"{ torn".to_vec()),
        (LEDGER, br#"{"format":9,"min_reader":9}"#.to_vec()),
        (HISTORY, vec![0xff; 3 << 20]),
        (HISTORY, b"{\"time\":1}\n\n[]\nnull\n{".to_vec()),
    ] {
        let machine = rolled_back();
        machine.put(file, &bytes);
        publish(&machine, &[]);
        let (document, _) = published(&machine);
        if file == LEDGER {
            assert!(document.summary.happened.contains("cannot be read"), "{:?}", document.summary);
        }
    }
    // Nothing has ever happened, and that leaves no state behind.
    let machine = Machine::installed();
    publish(&machine, &[]);
    assert!(!machine.at(COUNTED).exists() && !machine.at(LEDGER).exists());
}

#[test]
fn a_document_stays_below_what_anybody_reads_whatever_a_ledger_holds() {
    let units: Vec<String> = (0..200).map(|number| format!("{}{number}.service", "x".repeat(200))).collect();
    let cause = json!({"kind": "deadline", "secs": 600, "units": units});
    let attempts: Vec<Value> = (0..40).map(|_| failed(&cause)).collect();
    let machine = machine(&json!({
        "rolled_back": {"from": toplevel("b"), "to": toplevel("a")},
        "quarantine": [{"toplevel": toplevel("b"), "attempts": attempts}],
    }));
    let big = json!({"event": "attempt-failed", "toplevel": toplevel("b"), "failures": 1, "max_failures": 2, "boot": null, "cause": cause});
    machine.put(HISTORY, (0..22).map(|number| event(number, &big)).collect::<String>().as_bytes());
    publish(&machine, &[]);
    assert!(machine.text(PUBLISHED).len() <= MAX_BYTES);
    assert_eq!(published(&machine).0.status.state, State::RolledBack);
}

#[test]
fn many_at_once_leave_one_whole_copy() {
    let machine = rolled_back();
    let run = || {
        let mut command = Command::new(GOLDEN);
        command.arg("--root").arg(machine.root()).arg("publish").stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().unwrap()
    };
    let mut running: Vec<_> = (0..8).map(|_| run()).collect();
    // Killed in the middle, wherever that is.
    for child in running.iter_mut().step_by(2) {
        child.kill().unwrap();
    }
    for mut child in running {
        child.wait().unwrap();
    }
    publish(&machine, &[]);
    published(&machine);
    let names: Vec<_> = fs::read_dir(machine.at("/run/golden-generation-public"))
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(names, ["status.json"]);
}

#[test]
fn a_full_disk_leaves_the_old_copy_whole_and_takes_no_space() {
    let machine = rolled_back();
    publish(&machine, &[]);
    let before = machine.text(PUBLISHED);
    machine.put(LEDGER, machine.text(LEDGER).replace(&toplevel("b"), &toplevel("c")).as_bytes());
    // No file may be longer than a part of the copy.
    let mut full = Command::new("sh");
    full.args(["-euc", r#"trap "" XFSZ; ulimit -f 2; exec "$@""#, "full", GOLDEN, "--root"])
        .arg(machine.root());
    let output = full.arg("publish").stdin(Stdio::null()).output().unwrap();
    let (code, said) = status(&output);
    assert!(
        code == 74 && said.contains("cannot write /run/golden-generation-public/status.json"),
        "{code}: {said}"
    );
    assert_eq!(machine.text(PUBLISHED), before);
    let names: Vec<_> = fs::read_dir(machine.at("/run/golden-generation-public")).unwrap().collect();
    assert_eq!(names.len(), 1);
    // What is short enough is told all the same.
    assert!(machine.text(MOTD).contains("c (ccccccc)"));
}

#[test]
fn who_publishes_already_is_waited_for_and_then_named() {
    let machine = rolled_back();
    publish(&machine, &[]);
    let lock = machine.at("/run/golden-generation/publish.lock");
    let mut holder = Command::new("flock");
    let holder = holder.arg(lock).args(["-c", "echo held; cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    holder.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
    let output = machine.run(GOLDEN, &["publish"]);
    let (code, said) = status(&output);
    assert!(
        code == 75 && said.contains("publish.lock") && said.contains("safe to try again"),
        "{code}: {said}"
    );
    drop(holder.stdin.take());
    holder.wait().unwrap();
    publish(&machine, &[]);
}

#[test]
fn every_field_of_the_document_is_documented() {
    let machine = rolled_back();
    machine.put(HISTORY, attempt_failed(1).as_bytes());
    let finding =
        json!({"check": "nginx", "weight": "wanted", "passed": true, "said": "", "runs": 1, "millis": 20});
    machine.put(
        ASSESSMENT,
        json!({"schema": 1, "toplevel": null, "boot": BOOT, "findings": [finding]}).to_string().as_bytes(),
    );
    publish(&machine, &[]);
    let documented = include_str!("../../../docs/status-json.md");
    assert!(documented.contains(KIND));
    let (_, value) = published(&machine);
    let mut missing = Vec::new();
    for (part, fields) in [
        ("", &value),
        ("summary.", &value["summary"]),
        ("status.", &value["status"]),
        ("timeline[].", &value["timeline"][0]),
        ("why.", &value["why"]),
        ("assessment.", &value["assessment"]),
        ("assessment.findings[].", &value["assessment"]["findings"][0]),
        ("status.coverage[].", &value["status"]["coverage"][0]),
    ] {
        let names = fields.as_object().unwrap().keys().map(|name| format!("`{part}{name}`"));
        missing.extend(names.filter(|name| !documented.contains(name.as_str())));
    }
    assert!(missing.is_empty(), "{missing:?}");
}
