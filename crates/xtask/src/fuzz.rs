//! `cargo xtask fuzz`: look for bytes for which a parser does not keep what it promises.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where `cargo-fuzz` is built to.
const TOOLS: &str = "target/tools";
const TARGETS: &str = "fuzz/targets";
/// What is found on the way; what is worth keeping goes to `fuzz/corpus` by hand.
const FOUND: &str = "target/fuzz/corpus";
/// Longest input, in bytes: longer than any file of the suite's own, or the headers of an image.
const MAX_BYTES: u32 = 8192;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// One of the files in fuzz/targets, without its suffix; all of them if none is named
    target: Option<String>,
    /// For how long, each
    #[arg(long, value_name = "N", default_value_t = 600)]
    secs: u32,
}

/// Run them one after the other. `Ok(false)` if something was found.
pub(crate) fn run(fuzz: &Fuzz) -> Result<bool> {
    let known = targets()?;
    let targets = match &fuzz.target {
        None => known,
        Some(target) => {
            ensure!(known.contains(target), "there is no {target}; there are {}", known.join(", "));
            vec![target.clone()]
        }
    };
    let tool = tool()?;
    let mut holds = true;
    for target in targets {
        println!("== {target}, {} seconds", fuzz.secs);
        let found = Path::new(FOUND).join(&target);
        fs::create_dir_all(&found)?;
        let status = Command::new(&tool)
            // libFuzzer needs flags that only a nightly compiler takes.
            .env("RUSTUP_TOOLCHAIN", "nightly")
            .args(["fuzz", "run", "--target-dir", "target/fuzz", &target])
            .args([found, Path::new("fuzz/corpus").join(&target)])
            .args(["--", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
            .args([format!("-max_total_time={}", fuzz.secs), format!("-max_len={MAX_BYTES}")])
            .status()
            .context("cannot run cargo-fuzz")?;
        holds &= status.success();
    }
    Ok(holds)
}

fn targets() -> Result<Vec<String>> {
    let files = fs::read_dir(TARGETS).context("run this in the checkout")?;
    let mut targets = Vec::new();
    for file in files {
        let path = file?.path();
        targets.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    targets.sort();
    Ok(targets)
}

fn tool() -> Result<PathBuf> {
    let program = Path::new(TOOLS).join("bin/cargo-fuzz");
    if !program.exists() {
        println!("== building cargo-fuzz, half a minute");
        let install = ["install", "cargo-fuzz", "--version", "^0.13", "--locked", "--quiet", "--root", TOOLS];
        let status = Command::new("cargo").args(install).status().context("cannot run cargo")?;
        ensure!(status.success(), "cargo-fuzz does not build");
    }
    Ok(program)
}
