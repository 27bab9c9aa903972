//! Checks that behave badly, and what comes of them.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::IntoRawFd as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{LONG, Machine, REQUIRED, WANTED, is_running, once, shell};
use golden_checks::{Check, Timing, Work};
use golden_core::{Finding, Weight};
use golden_host::Host as _;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

#[test]
fn answers_as_a_probe() {
    common::answer_as_a_probe();
}

fn run(checks: &[Check]) -> Vec<Finding> {
    Machine::new().run_within(LONG, checks)
}

fn one(check: Check) -> Finding {
    run(&[check]).into_iter().next().unwrap()
}

fn fifo(directory: &tempfile::TempDir, name: &str) -> PathBuf {
    let path = directory.path().join(name);
    common::make_fifo(&path);
    path
}

#[test]
fn a_greenboot_script_of_any_mode_and_first_line_is_run_by_bash() {
    let machine = Machine::new();
    let text = "#!/no/such/bash\nset -euo pipefail\nwords=(one two)\n[[ ${words[1]} == two ]] && echo ${BASH_VERSION:+bash}\n";
    machine.put("/usr/lib/greenboot/check/required.d/00_x.sh", text, 0o644);
    let finding = machine.finding();
    assert_eq!((finding.passed, &*finding.output), (true, "bash"), "{}", finding.said);
}

#[test]
fn a_configuration_of_greenboot_that_everybody_may_write_to_is_not_sourced_and_that_is_said() {
    let machine = Machine::new();
    let ran = machine.at("/ran");
    machine.put("/etc/greenboot/greenboot.conf", &format!("touch {}\n", ran.display()), 0o666);
    let finding = machine.finding();
    assert_eq!((finding.passed, finding.weight), (false, Weight::Wanted));
    assert!(finding.said.starts_with("everybody may write to /etc/greenboot/"), "{finding:?}");
    assert!(!ran.exists());
}

#[test]
fn what_comes_out_is_said_as_it_is() {
    for (commands, passed, said, output) in [
        ("echo fine", true, "exited with status 0", "fine"),
        ("echo out; echo err >&2; exit 3", false, "exited with status 3", "out\nerr"),
        ("kill -SEGV $$", false, "was killed by SIGSEGV", ""),
        ("exec >&- 2>&-; exit 5", false, "exited with status 5", ""),
        ("kill -KILL $$", false, "was killed by SIGKILL", ""),
    ] {
        let finding = one(shell("x", commands));
        assert_eq!((finding.passed, &*finding.said, &*finding.output), (passed, said, output), "{commands}");
        assert_eq!(finding.runs, 1);
    }
}

#[test]
fn all_are_run_and_all_are_reported_after_the_first_failure() {
    let checks: Vec<Check> =
        (0..6).map(|number| shell(&format!("c{number}"), &format!("exit {}", number % 2))).collect();
    let passed: Vec<bool> = run(&checks).iter().map(|finding| finding.passed).collect();
    assert_eq!(passed, [true, false, true, false, true, false]);
}

#[test]
fn fifty_checks_run_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (arrive, go) = (fifo(&directory, "arrive"), fifo(&directory, "go"));
    let commands = format!("echo x > {}; read line < {}", arrive.display(), go.display());
    let checks: Vec<Check> = (0..50).map(|number| shell(&format!("c{number}"), &commands)).collect();
    // Nobody is let go before all have come.
    let barrier = std::thread::spawn(move || {
        let both = |path| OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (mut arrive, mut go) = (both(arrive), both(go));
        arrive.read_exact(&mut [0; 50 * 2]).unwrap();
        go.write_all(&[b'\n'; 50]).unwrap();
        // Open until all have read.
        go
    });
    let findings = run(&checks);
    drop(barrier.join().unwrap());
    assert!(findings.iter().all(|finding| finding.passed), "{findings:?}");
}

#[test]
fn a_check_is_run_again_as_often_as_it_may_be_and_no_longer_than_until_it_passes() {
    let directory = tempfile::tempdir().unwrap();
    let count = directory.path().join("count");
    for (passes_at, runs, passed) in [(1, 1, true), (3, 3, true), (9, 4, false)] {
        fs::write(&count, "").unwrap();
        let commands = format!("echo run >> {0}; [ $(wc -l < {0}) -ge {passes_at} ]", count.display());
        let timing = Timing { retries: 3, ..once(30) };
        let finding = one(Check { timing, ..shell("x", &commands) });
        assert_eq!((finding.runs, finding.passed), (runs, passed));
        assert_eq!(fs::read_to_string(&count).unwrap().lines().count(), runs as usize);
    }
}

#[test]
fn a_hung_check_is_a_failed_check_and_keeps_nobody_else() {
    let hung = Check { timing: once(1), ..shell("hung", "echo before; exec sleep 7100") };
    let findings = run(&[hung, shell("good", "true")]);
    assert_eq!((findings[0].passed, &*findings[0].said), (false, "no answer within 1 s"));
    assert_eq!(findings[0].output, "before");
    assert!(findings[1].passed && findings[1].millis < findings[0].millis);
    assert!(!is_running("sleep 7100"));
}

#[test]
fn a_check_that_ignores_every_signal_is_killed_too() {
    let stubborn = "trap '' TERM INT HUP QUIT; kill -STOP $$; sleep 7101";
    let finding = one(Check { timing: once(1), ..shell("x", stubborn) });
    assert_eq!(finding.said, "no answer within 1 s");
}

/// Ways of a process to be out of sight.
const HIDES: [(&str, &str); 5] = [
    ("a background job", "sleep NUMBER & "),
    ("a session of its own", "setsid sleep NUMBER & "),
    ("a daemon", "setsid sh -c 'sleep NUMBER & ' & wait; "),
    (
        "a daemon that holds no pipe",
        "setsid sh -c 'exec sleep NUMBER </dev/null >/dev/null 2>&1 & ' & wait; ",
    ),
    ("a daemon that forgot who started it", "env -i PATH=$PATH setsid sh -c 'sleep NUMBER & ' & wait; "),
];

#[test]
fn nothing_that_a_check_started_is_left() {
    for (number, (case, commands)) in HIDES.iter().enumerate() {
        for (then, passed, secs) in [("exit 0", true, 60), ("sleep 7299", false, 1)] {
            let sleep = format!("72{number}{}", u8::from(passed));
            let commands = commands.replace("NUMBER", &sleep);
            // Nobody may be faster than what is hidden.
            let seen = format!("until grep -qsa 'sleep.{sleep}' /proc/[0-9]*/cmdline; do :; done; ");
            let seen = seen.replace("sleep.", "^sleep.");
            let finding = one(Check { timing: once(secs), ..shell("x", &format!("{commands}{seen}{then}")) });
            assert_eq!(finding.passed, passed, "{case}: {finding:?}");
            assert!(!is_running(&format!("sleep {sleep}")), "{case}");
        }
    }
}

#[test]
fn what_one_check_started_is_ended_with_it_and_what_others_did_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let go = fifo(&directory, "go");
    let daemon = |number| format!("setsid sh -c 'sleep {number} & ' & wait; ");
    let seen = |number| format!("until grep -qsa '^sleep.{number}' /proc/[0-9]*/cmdline; do :; done; ");
    let gone = |number| format!("while grep -qsa '^sleep.{number}' /proc/[0-9]*/cmdline; do :; done; ");
    // The second one ends once the daemon of the first is gone, and its own is still there.
    let first = format!("{}{}read line < {}", daemon(7301), seen(7301), go.display());
    let second = format!(
        "{}{}{}echo > {}; {}{}",
        daemon(7302),
        seen(7302),
        seen(7301),
        go.display(),
        gone(7301),
        seen(7302)
    );
    let findings = run(&[shell("first", &first), shell("second", &second)]);
    assert!(findings.iter().all(|finding| finding.passed), "{findings:?}");
    assert!(!is_running("sleep 7302"));
}

#[test]
fn the_last_of_ten_megabytes_is_kept_and_who_prints_for_ever_is_stopped() {
    let finding = one(shell("x", "head -c 10000000 /dev/zero | tr '\\0' x; echo; echo the end"));
    assert!(finding.passed && finding.output.ends_with("x\nthe end"), "{}", finding.said);
    assert!(finding.output.len() <= 4096 && finding.output.len() > 4000);
    let finding = one(Check { timing: once(1), ..shell("x", "exec yes") });
    assert_eq!((&*finding.said, finding.output.len()), ("no answer within 1 s", 4095));
    let finding = one(Check { timing: once(1), ..shell("x", "setsid yes & exit 0") });
    assert!(finding.passed);
}

#[test]
fn a_check_has_nothing_of_ours_but_what_is_documented() {
    let machine = Machine::new();
    let lock = machine.at("/lock");
    File::create(&lock).unwrap();
    // Whoever started us may have left something open, which nobody here knows.
    let left_open = File::open("/").unwrap();
    fcntl(&left_open, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let _ = left_open.into_raw_fd();
    let _held = machine.host.lock(common::path("/lock")).unwrap();
    let commands = format!(
        "ls -l /proc/self/fd | tail -n +2 | wc -l; readlink /proc/self/fd/0; pwd; flock -n {} true || echo locked; \
         grep SigBlk /proc/self/status; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; echo $GOLDEN_TOPLEVEL $GOLDEN_BOOT_ID $GOLDEN_CHECK",
        lock.display()
    );
    let findings = machine.run_within(LONG, &[shell("a name", &commands)]);
    let lines: Vec<&str> = findings[0].output.lines().collect();
    // Three, and the directory that is listed.
    assert_eq!(lines[..4], ["4", "/dev/null", "/", "locked"], "{}", findings[0].output);
    let known = [
        "GOLDEN_BOOT_ID",
        "GOLDEN_CHECK",
        "GOLDEN_TOPLEVEL",
        "HOME",
        "LANG",
        "PATH",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "TZ",
        "USER",
        "_",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NIX_SSL_CERT_FILE",
        "LOCALE_ARCHIVE",
        "TZDIR",
    ];
    let is_known = |name: &str| known.contains(&name) || name.to_lowercase().ends_with("_proxy");
    assert_eq!(lines[4], "SigBlk:\t0000000000000000");
    assert!(lines[5].split_whitespace().all(is_known), "{}", lines[5]);
    let about = common::subject();
    let expected = format!("{} {} a name", about.toplevel.unwrap(), about.boot.as_str());
    assert_eq!(lines[6], expected);
}

#[test]
fn a_check_is_not_spared_when_memory_runs_out_though_we_are() {
    const OURS: &str = "/proc/self/oom_score_adj";
    // Only root may say so.
    let Ok(()) = fs::write(OURS, "-100") else { return };
    let check = Check { timing: once(10), ..shell("x", &format!("until grep -qx 0 {OURS}; do :; done")) };
    let finding = one(check);
    fs::write(OURS, "0").unwrap();
    assert!(finding.passed, "{}", finding.said);
}

#[test]
fn a_check_that_changes_the_state_changes_nothing_about_its_result() {
    let machine = Machine::new();
    machine.put("/var/lib/golden-generation/ledger.json", "{}", 0o600);
    let state = machine.at("/var/lib/golden-generation");
    machine.script("a", &format!("rm -r {0}; echo no JSON > {0}; exit 1", state.display()));
    machine.script("b", &format!("rm -r {}; true", machine.at(REQUIRED).display()));
    let findings = machine.run();
    assert_eq!(findings.iter().map(|finding| finding.passed).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_cannot_be_run_says_why_and_is_not_tried_again() {
    let machine = Machine::new();
    machine.put(&format!("{REQUIRED}/a-not-executable"), "#!/bin/sh\n", 0o644);
    machine.put(&format!("{REQUIRED}/b-no-interpreter"), "#!/no/such/interpreter -e\n", 0o755);
    machine.put(&format!("{REQUIRED}/c-no-first-line"), "true\n", 0o755);
    machine.put(&format!("{REQUIRED}/d-empty"), "", 0o755);
    machine.link(&format!("{REQUIRED}/e-dangling"), "/nowhere");
    machine.link(&format!("{REQUIRED}/f-loop"), "f-loop");
    machine.put(&format!("{REQUIRED}/g-broken-line"), "#!\u{7}\u{1b}[31m\n", 0o755);
    fs::create_dir_all(machine.at(WANTED)).unwrap();
    common::make_fifo(&machine.at(&format!("{WANTED}/h-fifo")));
    let findings = machine.run();
    for (finding, expected) in findings.iter().zip([
        "is not executable (chmod +x)",
        "its interpreter /no/such/interpreter is not there",
        "its first line names no interpreter",
        "its first line names no interpreter",
        "is a link to /nowhere, which is not there",
        "too many links",
        "cannot be run",
        "not a regular file",
    ]) {
        assert!(!finding.passed && finding.said.contains(expected), "{expected}: {}", finding.said);
        assert!(finding.runs <= 1 && !finding.said.contains(char::is_control), "{}", finding.said);
    }
    assert_eq!(findings.len(), 8);
    assert_eq!(findings[7].weight, Weight::Wanted);
    let missing = Check { work: Work::Command(vec!["no-such-program".into()]), ..shell("x", "") };
    assert_eq!(one(missing).said, "no-such-program is not installed");
}

#[test]
fn nobody_is_waited_for_longer_than_until_the_deadline() {
    let machine = Machine::new();
    let patient = Timing { retries: 100, interval: Duration::from_secs(600), ..once(600) };
    let checks = [
        Check { timing: patient, ..shell("hangs", "exec sleep 7400") },
        Check { timing: patient, ..shell("fails", "exit 4") },
        shell("passes", "true"),
    ];
    let findings = machine.run_within(Duration::from_secs(1), &checks);
    assert_eq!(findings[0].said, "it was not over when the time for all checks was");
    assert_eq!(findings[1].said, "exited with status 4");
    assert!(findings[2].passed);
    assert!(!is_running("sleep 7400"));
    let late = machine.run_within(Duration::ZERO, &checks);
    assert!(
        late.iter().all(|finding| finding.said == "there was no time left to run it" && finding.runs == 0)
    );
}

#[test]
fn results_are_told_as_they_come() {
    let machine = Machine::new();
    let mut told = Vec::new();
    let slow = shell("slow", "sleep 0.2");
    let mut runner = golden_checks::Runner::new(&machine.host, common::subject())
        .telling(|finding| told.push(finding.check.clone()));
    let _alone = common::alone();
    let findings = runner.run(&[slow, shell("fast", "true")], Instant::now() + LONG);
    drop(runner);
    assert_eq!(findings.iter().map(|finding| &*finding.check).collect::<Vec<_>>(), ["slow", "fast"]);
    assert_eq!(told, ["fast", "slow"]);
}
