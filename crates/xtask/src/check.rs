//! `cargo xtask test`: every check, the fast ones first.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use golden_vm_tests::claims::{self, Chosen};
use golden_vm_tests::matrix;

use crate::tally::Tally;

/// Run everything and print the closing line. `Ok(false)` if anything failed.
pub(crate) fn all(with_vm: bool) -> Result<bool> {
    let mut tally = Tally::default();
    check(&mut tally, "the code is formatted", cargo().args(["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    check(&mut tally, "clippy has nothing to say", cargo().args(clippy))?;
    cargo_test(&mut tally)?;
    deny(&mut tally)?;
    tally.verdict(
        "the README has the fault matrix, and each of its rows is proved",
        &matrix::complaints(Path::new(".")),
    );
    if with_vm {
        crate::nix::all(&mut tally, &crate::nix::Nix::default())?;
        crate::units::all(&mut tally, false)?;
        crate::metrics::all(&mut tally)?;
        crate::page::all(&mut tally)?;
        let counts = claims::run(&Chosen::Ci)?;
        tally.passed += counts.passed;
        tally.failed += counts.failed;
    } else {
        tally.skipped += claims::ci_count() + crate::nix::count()? + crate::units::COUNT;
        tally.skipped += crate::metrics::COUNT + crate::page::count()?;
    }
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Print the fault matrix, or put it into the README.
pub(crate) fn matrix(bless: bool) -> Result<bool> {
    const README: &str = "README.md";
    print!("{}", matrix::table());
    if bless {
        let readme = fs::read_to_string(README).context("there is no README here")?;
        fs::write(README, matrix::with_table(&readme).context("the README has no place for the table")?)?;
    }
    let complaints = matrix::complaints(Path::new("."));
    eprint!("{complaints}");
    Ok(complaints.is_empty())
}

fn cargo() -> Command {
    Command::new("cargo")
}

/// One check that passes or fails as a whole.
fn check(tally: &mut Tally, claim: &str, command: &mut Command) -> Result<()> {
    println!("== {claim}");
    let status =
        command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if status.success() {
        tally.passed += 1;
    } else {
        tally.failed += 1;
        println!("FAILED: {claim}");
    }
    Ok(())
}

/// Licences, duplicates and sources of everything we build on. Advisories need a database from outside and are checked
/// where it can be had: `cargo deny check advisories`.
fn deny(tally: &mut Tally) -> Result<()> {
    const TOOLS: &str = "target/tools";
    let program = Path::new(TOOLS).join("bin/cargo-deny");
    if !program.exists() {
        println!("== building cargo-deny, a minute or two");
        // It runs once: its own speed is not worth the time of an optimised build.
        let install = [
            "install",
            "cargo-deny",
            "--version",
            "^0.20",
            "--locked",
            "--debug",
            "--quiet",
            "--root",
            TOOLS,
        ];
        let status = Command::new("cargo").args(install).status().context("cannot run cargo")?;
        anyhow::ensure!(status.success(), "cargo-deny does not build");
    }
    let mut command = Command::new(program);
    check(tally, "licences, duplicates and sources", command.args(["check", "licenses", "bans", "sources"]))
}

/// The tests of all crates. One that does not compile counts as failed.
fn cargo_test(tally: &mut Tally) -> Result<()> {
    println!("== tests of all crates");
    let output = cargo()
        .args(["test", "--workspace", "--quiet", "--no-fail-fast"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let counts = Tally::of_libtest(&text);
    tally.add(&counts);
    if !output.status.success() && counts.failed == 0 {
        tally.failed += 1;
    }
    Ok(())
}
