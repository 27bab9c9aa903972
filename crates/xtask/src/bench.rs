//! `cargo xtask bench`: what a boot without a trial pays, against what the owner would otherwise run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Runs of each program, in turn: what else the machine does hits all of them alike.
const RUNS: usize = 300;
/// What cargo leaves to its children: with it the dynamic linker looks in many more places.
const SEARCH: &str = "LD_LIBRARY_PATH";
/// As the unit says it.
const STATE_DIR: [&str; 2] = ["--state-dir", "/var/lib/golden-generation"];
const TOPLEVEL: &str = "/nix/store/0000000000000000000000000000000a-nixos-system-a";
const LEDGER: &str =
    r#"{"format":1,"min_reader":1,"revision":3,"confirmed":[{"toplevel":"@"}],"golden":{"toplevel":"@"}}"#;
/// The same reads in bash, as an owner would write them.
const SCRIPT: &str = r#"#!/bin/bash
ledger=$(< "$1/var/lib/golden-generation/ledger.json")
booted=$(readlink "$1/run/booted-system")
golden=$(readlink "$1/nix/var/nix/profiles/system-profiles/golden")
[[ $ledger != *'"trial":{'* && $ledger == *"$booted"* && -n $golden ]]
"#;

/// Print the medians and their ratios.
pub(crate) fn run() -> Result<bool> {
    let directory = std::env::temp_dir().join(format!("golden-bench-{}", std::process::id()));
    let measured = measure(&directory);
    fs::remove_dir_all(&directory)?;
    measured.map(|()| true)
}

fn measure(directory: &Path) -> Result<()> {
    let root = directory.join("root");
    furnish(&root)?;
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--quiet", "-p", "golden-units", "-p", "golden-cli"]);
    ensure!(build.status().context("cannot run cargo")?.success(), "the programs do not build");
    let check = fs::canonicalize("target/release/golden-boot-check")?;
    let empty = empty_program(directory)?;
    let script = directory.join("check.bash");
    fs::write(&script, SCRIPT)?;
    let at_root = root.to_string_lossy().into_owned();
    let mut contenders = [
        ("golden-boot-check", command(&check, &["--root", &at_root, STATE_DIR[0], STATE_DIR[1]]), Vec::new()),
        ("empty Rust program", command(&empty, &[]), Vec::new()),
        (
            "bash, the same reads",
            command(Path::new("bash"), &[&script.to_string_lossy(), &at_root]),
            Vec::new(),
        ),
    ];
    for _ in 0..RUNS {
        for (name, command, times) in &mut contenders {
            let before = Instant::now();
            ensure!(command.status()?.success(), "{name} failed");
            times.push(before.elapsed());
        }
    }
    let medians: Vec<Duration> = contenders.iter_mut().map(|(_, _, times)| median(times)).collect();
    for ((name, ..), time) in contenders.iter().zip(&medians) {
        let ratio = medians[0].as_secs_f64() / time.as_secs_f64();
        println!(
            "{name:<22} {:>7.0} µs   golden-boot-check takes {ratio:.2} times that",
            time.as_secs_f64() * 1e6
        );
    }
    sizes()?;
    system_calls(&check, &at_root)
}

/// A machine on which nothing is on trial.
fn furnish(root: &Path) -> Result<()> {
    for directory in ["var/lib/golden-generation", "run", "nix/var/nix/profiles/system-profiles"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::write(root.join("var/lib/golden-generation/ledger.json"), LEDGER.replace('@', TOPLEVEL))?;
    symlink(TOPLEVEL, root.join("run/booted-system"))?;
    let profiles = root.join("nix/var/nix/profiles/system-profiles");
    symlink("golden-1-link", profiles.join("golden"))?;
    Ok(symlink(TOPLEVEL, profiles.join("golden-1-link"))?)
}

fn empty_program(directory: &Path) -> Result<PathBuf> {
    let (source, program) = (directory.join("empty.rs"), directory.join("empty"));
    fs::write(&source, "fn main() {}\n")?;
    let mut rustc = Command::new("rustc");
    rustc
        .args(["-C", "opt-level=s", "-C", "panic=abort", "-C", "strip=symbols", "-o"])
        .arg(&program)
        .arg(&source);
    ensure!(rustc.status().context("cannot run rustc")?.success(), "the empty program does not build");
    Ok(program)
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env_remove(SEARCH);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn sizes() -> Result<()> {
    for entry in fs::read_dir("target/release")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && name.contains("golden") && !name.contains('.') {
            println!("{name:<22} {:>7} kB", fs::metadata(&path)?.len() / 1000);
        }
    }
    Ok(())
}

/// What it asks of the kernel, where strace is there to tell.
fn system_calls(check: &Path, root: &str) -> Result<()> {
    let mut strace = Command::new("strace");
    strace.env_remove(SEARCH);
    let Ok(output) = strace.args(["-f", "--"]).arg(check).args(["--root", root]).args(STATE_DIR).output()
    else {
        println!("system calls: not counted, for there is no strace");
        return Ok(());
    };
    let trace = String::from_utf8_lossy(&output.stderr);
    let count = |names: &[&str]| {
        trace.lines().filter(|line| names.iter().any(|name| line.starts_with(&format!("{name}(")))).count()
    };
    let total = trace.lines().filter(|line| line.contains(" = ")).count();
    let (syncs, children) =
        (count(&["fsync", "fdatasync", "sync", "syncfs"]), count(&["fork", "vfork", "clone", "clone3"]));
    println!("system calls: {total}, of these {syncs} syncs and {children} new processes or threads");
    ensure!(syncs == 0 && children == 0, "a boot without a trial must cost no sync and no process");
    Ok(())
}
