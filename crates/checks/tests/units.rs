//! What is made of what systemd says. A test of its own, because it says where `systemctl` is.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use std::env;
use std::path::PathBuf;
use std::process::Command;

use common::{LONG, Machine, once};
use golden_checks::{Check, Probe, Work};
use golden_core::{Finding, Weight};

/// A `systemctl` for a machine with one unit of each kind.
const SYSTEMCTL: &str = r#"#!/bin/sh
for last; do :; done
case "$1 $last" in
  "show good.service") printf 'LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\n' ;;
  "show slow.service") printf 'LoadState=loaded\nActiveState=activating\nSubState=start\nResult=success\n' ;;
  "show done.service") printf 'LoadState=loaded\nActiveState=inactive\nSubState=dead\nResult=success\n' ;;
  "show bad.service") printf 'LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\n' ;;
  "show gone.service") printf 'LoadState=not-found\nActiveState=inactive\nSubState=dead\nResult=success\n' ;;
  "show hangs.service") exec sleep 7500 ;;
  "status "*) echo "the journal of $last"; exit 3 ;;
  "list-units "*) cat "$FAILED_UNITS" ;;
  *) echo "Failed to connect to bus: No such file or directory" >&2; exit 1 ;;
esac
"#;

#[test]
fn answers_as_a_probe() {
    common::answer_as_a_probe();
}

fn check(probe: Probe) -> Check {
    let (name, weight) = (format!("{probe:?}"), Weight::Required);
    Check { name, weight, timing: once(10), needs_network: false, work: Work::Probe(probe) }
}

fn unit(unit: &str) -> Check {
    check(Probe::Unit { unit: format!("{unit}.service") })
}

/// In the environment of the process that has the other `systemctl`: the directory that it is in.
const INSIDE: &str = "INSIDE";

#[test]
fn inside() {
    let Some(directory) = env::var_os(INSIDE).map(PathBuf::from) else { return };
    let machine = Machine::new();
    let hangs = Check { timing: once(1), ..unit("hangs") };
    let checks = [unit("good"), unit("slow"), unit("done"), unit("bad"), unit("gone"), unit("other"), hangs];
    let findings = machine.run_within(LONG, &checks);
    let brief = |finding: &Finding| (finding.passed, finding.said.clone(), finding.units.join(" "));
    let found: Vec<_> = findings.iter().map(brief).collect();
    let expected = [
        (true, "good.service is active (running)", ""),
        (false, "slow.service is activating (start)", "slow.service"),
        (false, "done.service is inactive (dead)", "done.service"),
        (false, "bad.service has failed (exit-code)", "bad.service"),
        (false, "there is no gone.service", "gone.service"),
        (false, "systemctl failed: Failed to connect to bus: No such file or directory", ""),
        (false, "no answer within 1 s", ""),
    ];
    let expected = expected.map(|(passed, said, units)| (passed, said.to_owned(), units.to_owned()));
    assert_eq!(found, expected);
    assert_eq!(findings[3].output, "the journal of bad.service");
    assert!(!common::is_running("sleep 7500"));

    let none = check(Probe::NoFailedUnits { except: vec!["known.service".into()] });
    let list = directory.join("failed");
    for (units, passed, said) in [
        (vec![], true, "no unit has failed".to_owned()),
        (vec!["known.service", "golden-drill.service"], true, "no unit has failed".to_owned()),
        (vec!["known.service", "a.service"], false, "a.service has failed".to_owned()),
        (vec!["a.service", "b.mount"], false, "2 units have failed: a.service, b.mount".to_owned()),
    ] {
        let line = |unit: &&str| format!("{unit} loaded failed failed Something\n");
        std::fs::write(&list, units.iter().map(line).collect::<String>()).unwrap();
        let finding = machine.run_within(LONG, std::slice::from_ref(&none)).remove(0);
        assert_eq!((finding.passed, finding.said), (passed, said));
    }
    // All are named, or one that is new would be excused with those that are not.
    let many: Vec<String> =
        (0..500).map(|number| format!("unit-{number}.service loaded failed failed\n")).collect();
    std::fs::write(&list, many.concat()).unwrap();
    let finding = machine.run_within(LONG, std::slice::from_ref(&none)).remove(0);
    assert_eq!((finding.passed, finding.units.len()), (false, 500));
    assert!(finding.said.len() < 1000 && finding.output.len() <= 4096);
    println!("all of it");
}

#[test]
fn a_unit_is_active_or_it_is_said_what_it_is() {
    let machine = Machine::new();
    machine.put(
        "/bin/systemctl",
        &SYSTEMCTL.replace("$FAILED_UNITS", machine.at("/failed").to_str().unwrap()),
        0o755,
    );
    let path = format!("{}:{}", machine.at("/bin").display(), env::var("PATH").unwrap());
    let mut process = Command::new(env::current_exe().unwrap());
    process.args(["inside", "--exact", "--nocapture"]).env("PATH", path).env(INSIDE, machine.at("/"));
    let output = process.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("all of it"), "{text}");
}
