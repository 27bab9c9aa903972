//! The suite as it comes into a machine: freshly built programs and the units as they are, on a small disk.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::{cache, checkout, progress, script};

/// Build the programs and put them on a disk, with the units.
pub(crate) fn disk() -> Result<PathBuf> {
    progress("building the programs");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--profile", "guest", "-p", "golden-units", "-p", "golden-cli"]);
    let target = checkout().join("target");
    let built = cargo.current_dir(checkout()).env("CARGO_TARGET_DIR", &target).status();
    ensure!(built.context("cannot run cargo")?.success(), "the programs do not build");
    fs::create_dir_all(cache())?;
    let disk = cache().join(format!("suite-{}.img", std::process::id()));
    script(MAKE, &[&programs(), &checkout().join("units"), &disk])?;
    Ok(disk)
}

/// Where the programs are that a machine runs.
pub(crate) fn programs() -> PathBuf {
    checkout().join("target/guest")
}

/// `$1` the programs, `$2` the units, `$3` the disk.
const MAKE: &str = r#"
tree=$(mktemp -d); trap 'rm -rf "$tree"' EXIT
# Disks of runs that are over.
for old in "$(dirname "$3")"/suite-*.img; do
  pid=${old##*-}; pid=${pid%.img}
  [ -d "/proc/$pid" ] || rm -f "$old"
done
mkdir "$tree/bin" "$tree/units"
find "$1" -maxdepth 1 -type f -executable \( -name 'golden*' -o -name pin-golden \) -exec cp -t "$tree/bin" {} +
cp "$2"/* "$tree/units/"
truncate -s 96M "$3"; mke2fs -q -t ext4 -O ^has_journal -d "$tree" "$3"
"#;
