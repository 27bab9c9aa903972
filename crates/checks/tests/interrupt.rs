//! What is left of checks when whoever runs them is told to end.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use common::{LONG, Machine, shell};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// In the environment of the process that is told to end.
const RUNS: &str = "RUNS_CHECKS";

/// The test harness runs tests in threads; signals are held back in one, and programs that run checks have no other.
fn main() {
    if env::var_os(RUNS).is_some() {
        runs_until_it_is_told_to_end();
    } else {
        a_check_does_not_outlive_a_signal_that_ends_us();
    }
}

fn runs_until_it_is_told_to_end() {
    let machine = Machine::new();
    // A check has nothing to tell the test by, but the output of the process itself.
    let commands = format!("setsid sleep 7701 & echo > /proc/{}/fd/1; exec sleep 7702", std::process::id());
    let findings = machine.run_within(LONG, &[shell("x", &commands)]);
    println!("went on: {findings:?}");
}

fn a_check_does_not_outlive_a_signal_that_ends_us() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        // Whoever runs the tests in the background may ignore some of them.
        let mut process = Command::new("env");
        process.arg("--default-signal").arg(env::current_exe().unwrap());
        let mut process = process.env(RUNS, "1").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some(""), "it did not begin");
        while !common::is_running("sleep 7702") {}
        kill(Pid::from_raw(process.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(process.wait().unwrap().signal(), Some(signal as i32));
        assert!(!common::is_running("sleep 7701") && !common::is_running("sleep 7702"), "{signal}");
        assert_eq!(lines.next(), None, "{signal}");
    }
}
