//! What systemd itself says of the units: no mistakes, with NixOS's own lines beside them too, and how exposed each is.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use golden_vm_tests::tree;

use crate::install::{self, Install};
use crate::tally::Tally;

/// Layout of a package, with programs that do nothing.
const LAYOUT: &str = "target/units";
/// Exposure of each unit, as it was last accepted.
const EXPOSURE: &str = "units/exposure.txt";
/// Configurations whose drop-ins are verified beside the packaged units.
const CASES: [&str; 4] = ["minimal", "impermanence", "notify", "notify-mail"];
/// Where the package is in those.
const PACKAGE: &str = "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-golden-generation";

/// How many checks there are.
pub(crate) const COUNT: usize = 2 + CASES.len();

/// Run every check.
pub(crate) fn all(tally: &mut Tally, bless: bool) -> Result<()> {
    println!("== units");
    lay_out()?;
    tally.verdict("systemd finds no mistake in the units", &verify(None)?);
    for case in CASES {
        tally.verdict(&format!("nor beside what NixOS makes of {case}"), &verify(Some(case))?);
    }
    let exposure = exposure()?;
    if bless {
        fs::write(EXPOSURE, &exposure)?;
    }
    let accepted = fs::read_to_string(EXPOSURE).unwrap_or_default();
    let difference = if exposure == accepted {
        String::new()
    } else {
        format!("accepted:\n{accepted}now:\n{exposure}If it fell: cargo xtask nix --bless")
    };
    tally.verdict("no unit is more exposed than it was", &difference);
    Ok(())
}

fn lay_out() -> Result<()> {
    let (programs, root) = (Path::new(LAYOUT).join("programs"), Path::new(LAYOUT).join("root"));
    let _ = fs::remove_dir_all(LAYOUT);
    fs::create_dir_all(&programs)?;
    for command in golden_units::commands().into_iter().chain(golden_cli::commands()) {
        // Only that it can be run matters.
        fs::copy("/bin/true", programs.join(command.get_name()))?;
    }
    install::run(&Install { programs, prefix: "/usr".into(), root: root.clone() })?;
    for case in CASES {
        drop_ins(case, &Path::new(LAYOUT).join(case))?;
    }
    Ok(())
}

/// The drop-ins of a case, out of its checked-in text.
fn drop_ins(case: &str, to: &Path) -> Result<()> {
    let text = fs::read_to_string(format!("nixos/tests/cases/{case}.expected")).context("no such case")?;
    for section in text.split("== ").filter(|section| section.starts_with("etc/systemd/system/")) {
        let (path, body) = section.split_once('\n').unwrap_or((section, ""));
        let path = to.join(path);
        fs::create_dir_all(path.parent().unwrap_or(to))?;
        fs::write(path, body.replace(PACKAGE, "/usr"))?;
    }
    Ok(())
}

/// Complaints of systemd about our units.
fn verify(case: Option<&str>) -> Result<String> {
    const VERIFY: &str = r#"
        cp -a /srv/target/units/root/. /; [ -z "$1" ] || cp -a "/srv/target/units/$1/." /
        systemd-analyze verify --man=no --recursive-errors=one /usr/lib/systemd/system/golden-* 2>&1 | grep golden ||:"#;
    let output = tree::run("bash", &["-euc", VERIFY, "verify", case.unwrap_or_default()])?;
    Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// One line for each unit: its name, and from 0 (sandboxed) to 10.
fn exposure() -> Result<String> {
    const SECURITY: &str = r"
        cp -a /srv/target/units/root/. /
        for unit in /usr/lib/systemd/system/golden-*.service; do
          systemd-analyze security --offline=true --no-pager $unit
        done";
    let output = tree::run("bash", &["-euc", SECURITY])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = String::new();
    for line in text.lines().filter_map(|line| line.split_once("Overall exposure level for ")) {
        let mut words = line.1.split_whitespace();
        let (unit, level) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let _ = writeln!(lines, "{} {level}", unit.trim_end_matches(':'));
    }
    anyhow::ensure!(!lines.is_empty(), "systemd says nothing: {}", String::from_utf8_lossy(&output.stderr));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use super::*;

    /// What is set in the drop-in of a unit where the state is in `/persist`.
    fn elsewhere(unit: &str) -> String {
        let text = include_str!("../../../nixos/tests/cases/impermanence.expected");
        let title = format!("etc/systemd/system/{unit}.d/");
        let section = text.split("== ").find(|section| section.starts_with(&title));
        section.unwrap_or_default().to_owned()
    }

    #[test]
    fn where_the_state_is_elsewhere_each_sandboxed_unit_may_write_there_and_no_other_gets_a_mount_namespace()
    {
        let (mut sandboxed, mut free) = (0, 0);
        for entry in fs::read_dir("../../units").unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "service") {
                continue;
            }
            let packaged = fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let set = elsewhere(&name);
            let says = |key: &str| {
                let value = |text: &str, path: &str| {
                    text.lines().any(|line| line.starts_with(key) && line.contains(path))
                };
                (value(&packaged, "/var/lib/golden-generation"), value(&set, "/persist/golden-generation"))
            };
            let (before, after) = says("ReadWritePaths=");
            if packaged.contains("ProtectSystem=") {
                assert_eq!(before, after, "{name}: {set}");
                sandboxed += u32::from(after);
            } else {
                assert!(!before && !after, "{name}: {set}");
                free += 1;
            }
            let (before, after) = says("InaccessiblePaths=");
            assert_eq!(before, after, "{name}: {set}");
            let (before, after) = says("RequiresMountsFor=");
            assert!(after || !before, "{name}: {set}");
        }
        assert!(sandboxed >= 8 && free >= 5, "{sandboxed} {free}");
    }
}
