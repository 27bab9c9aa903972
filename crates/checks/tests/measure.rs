//! What a run costs: a process of its own is measured, in which nothing else happens.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use common::{LONG, Machine, shell};
use golden_checks::Check;

/// In the environment of the process that is measured: what each of the checks does.
const MEASURED: &str = "MEASURED";
/// Most memory that the runner may have had at once, in KiB.
const MAX_KIB: u64 = 20 * 1024;

#[test]
fn is_measured() {
    let Ok(commands) = env::var(MEASURED) else { return };
    let checks: Vec<Check> = (0..50).map(|number| shell(&format!("c{number}"), &commands)).collect();
    let machine = Machine::new();
    let began = Instant::now();
    let findings = machine.run_within(LONG, &checks);
    let millis = began.elapsed().as_millis();
    assert!(findings.iter().all(|finding| finding.passed), "{findings:?}");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak {} millis {millis}", peak.trim().trim_end_matches(" kB"));
}

/// Peak memory in KiB, and milliseconds.
fn measure(commands: &str) -> (u64, u64) {
    let mut process = Command::new(env::current_exe().unwrap());
    let output =
        process.args(["is_measured", "--exact", "--nocapture"]).env(MEASURED, commands).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let after = |word| words.iter().position(|found| *found == word).map(|at| words[at + 1].parse().unwrap());
    (after("peak").expect(&text), after("millis").expect(&text))
}

#[test]
fn fifty_checks_that_each_print_ten_megabytes_cost_little_memory() {
    let (peak, millis) = measure("head -c 10000000 /dev/zero");
    println!("peak {peak} KiB, {millis} ms");
    assert!(peak < MAX_KIB, "{peak} KiB");
}

#[test]
fn figures_of_fifty_checks_of_a_tenth_of_a_second() {
    let (peak, millis) = measure("sleep 0.1");
    println!("peak {peak} KiB, {millis} ms");
    // Half of what they take one after another: a slow machine must not say no, and that they run at once is proved elsewhere.
    assert!(millis < 50 * 100 / 2, "{millis} ms");
}
