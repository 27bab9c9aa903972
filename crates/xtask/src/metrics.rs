//! What Prometheus itself says of the metrics and the rules: promtool, out of Debian's package and without its services.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use golden_serve::{Document, metrics};

use crate::tally::Tally;

/// Where the package is unpacked to.
const UNPACKED: &str = "target/tools/prometheus";
const DOCUMENTS: &str = "crates/serve/tests/documents";
const RULES: &str = "monitoring/golden-generation.rules.yml";
const TESTS: &str = "monitoring/golden-generation.rules.test.yml";

/// How many checks there are.
pub(crate) const COUNT: usize = 3;

/// Run every check.
pub(crate) fn all(tally: &mut Tally) -> Result<()> {
    println!("== metrics and alerts");
    let promtool = promtool()?;
    let mut complaints = String::new();
    for entry in fs::read_dir(DOCUMENTS).context("there are no documents here: run this in the checkout")? {
        let path = entry?.path();
        let document = Document::parse(&fs::read(&path)?).with_context(|| path.display().to_string())?;
        let said = complaint(&ask(&promtool, &["check", "metrics"], &metrics(&document))?);
        if !said.is_empty() {
            let _ = writeln!(complaints, "{}: {said}", path.display());
        }
    }
    tally.verdict("the metrics of every made-up host are as Prometheus wants them", &complaints);
    tally.verdict("the alerts parse", &complaint(&ask(&promtool, &["check", "rules", RULES], "")?));
    tally.verdict(
        "each alert fires when it should and not before",
        &failure(&ask(&promtool, &["test", "rules", TESTS], "")?),
    );
    Ok(())
}

pub(crate) fn run() -> Result<bool> {
    let mut tally = Tally::default();
    all(&mut tally)?;
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// `$1` where to.
const UNPACK: &str = r#"
    mkdir -p "$1" && cd "$1" && rm -f prometheus_*.deb
    apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }
    dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb"#;

fn promtool() -> Result<PathBuf> {
    let program = Path::new(UNPACKED).join("usr/bin/promtool");
    if program.exists() {
        return Ok(fs::canonicalize(program)?);
    }
    println!("== unpacking promtool");
    let status = Command::new("bash")
        .args(["-euc", UNPACK, "unpack", UNPACKED])
        .status()
        .context("cannot run bash")?;
    ensure!(status.success() && program.exists(), "Debian's package prometheus cannot be had");
    Ok(fs::canonicalize(program)?)
}

fn ask(promtool: &Path, arguments: &[&str], input: &str) -> Result<Output> {
    let mut command = Command::new(promtool);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().context("cannot run promtool")?;
    // It may have said enough before it read all.
    let _ = process.stdin.take().context("no pipe to promtool")?.write_all(input.as_bytes());
    Ok(process.wait_with_output()?)
}

/// Whatever it says against it, warnings too.
fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if said.is_empty() { failure(output) } else { said }
}

fn failure(output: &Output) -> String {
    if output.status.success() {
        return String::new();
    }
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
