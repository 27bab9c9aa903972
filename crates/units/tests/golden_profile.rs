//! Golden's profile, after another program has removed it.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use fs2::FileExt;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;
mod program;

use machine::{Machine, toplevel};
use program::{CONFIRM, MARK, VERIFY, code};

const GOLDEN: &str = "/nix/var/nix/profiles/system-profiles/golden";
const GOLDEN_ROOT: &str = "/nix/var/nix/gcroots/golden-generation-golden";

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
