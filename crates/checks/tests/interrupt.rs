//! What is left of checks when whoever runs them is told to end.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::{LONG, Machine, shell};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// In the environment of the process that is told to end.
const RUNS: &str = "RUNS_CHECKS";

#[test]
fn runs_until_it_is_told_to_end() {
    if env::var_os(RUNS).is_none() {
        return;
    }
    let machine = Machine::new();
    // The terminal of the process itself, for a check has none: that is how the test learns that it runs.
    let commands = format!("setsid sleep 7701 & echo > /proc/{}/fd/1; exec sleep 7702", std::process::id());
    let findings = machine.run_until(&[shell("x", &commands)], Instant::now() + LONG);
    println!("went on: {findings:?}");
}

#[test]
fn a_check_does_not_outlive_a_signal_that_ends_us() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut process = Command::new(env::current_exe().unwrap());
        // One thread, as programs have that run checks: signals are held back from no other.
        let arguments = ["runs_until_it_is_told_to_end", "--exact", "--nocapture", "--test-threads=1"];
        process.args(arguments).env(RUNS, "1");
        let mut process = process.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        // What the test harness says of itself comes first.
        while !common::is_running("sleep 7702") {
            lines.next();
        }
        kill(Pid::from_raw(process.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(process.wait().unwrap().signal(), Some(signal as i32));
        assert!(!common::is_running("sleep 7701") && !common::is_running("sleep 7702"), "{signal}");
        assert!(!lines.any(|line| line.contains("went on")));
    }
}
