//! `cargo xtask test`: every check, the fast ones first.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use golden_vm_tests::claims;

use crate::tally::Tally;

/// Run everything and print the closing line. `Ok(false)` if anything failed.
pub(crate) fn all(with_vm: bool) -> Result<bool> {
    let mut tally = Tally::default();
    check(&mut tally, "the code is formatted", &["fmt", "--all", "--check"])?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    check(&mut tally, "clippy has nothing to say", &clippy)?;
    cargo_test(&mut tally)?;
    if with_vm {
        let counts = claims::run(None)?;
        tally.passed += counts.passed;
        tally.failed += counts.failed;
    } else {
        tally.skipped += claims::count();
    }
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// One check that passes or fails as a whole.
fn check(tally: &mut Tally, claim: &str, arguments: &[&str]) -> Result<()> {
    println!("== {claim}");
    let status = Command::new("cargo").args(arguments).status().context("cannot run cargo")?;
    if status.success() {
        tally.passed += 1;
    } else {
        tally.failed += 1;
        println!("FAILED: {claim}");
    }
    Ok(())
}

/// The tests of all crates. One that does not compile counts as failed.
fn cargo_test(tally: &mut Tally) -> Result<()> {
    println!("== tests of all crates");
    let output = Command::new("cargo")
        .args(["test", "--workspace", "--quiet", "--no-fail-fast", "--", "--show-output"])
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
