//! The activation of a system on the running machine, as `switch-to-configuration` leaves it behind.

use std::io;
use std::path::Path;
use std::time::Duration;

use golden_core::{Baseline, Toplevel};

use crate::{Error, Host, Limits, manager, system};

/// Held from before the installer runs until everything is started. Source: NixOS, `switch-to-configuration-ng`.
const LOCK: &str = "/run/nixos/switch-to-configuration.lock";
/// Exit status when units failed, and nothing else did. Source: there.
const UNITS_FAILED: i32 = 4;
/// What it says in the journal takes a few lines for each switch.
const JOURNAL: Limits = Limits { time: Duration::from_secs(10), output_bytes: 1 << 20 };

/// Whether no `switch-to-configuration` runs.
///
/// # Errors
/// Its lock cannot be asked.
pub fn has_ended(host: &dyn Host) -> Result<bool, Error> {
    match host.lock(Path::new(LOCK)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        // Nobody has switched in this boot.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::io("lock", LOCK)(error)),
    }
}

/// Whether this system is the one that runs.
#[must_use]
pub fn is_running(host: &dyn Host, toplevel: &Toplevel) -> bool {
    system::running(host).as_ref() == Some(toplevel)
}

/// Why the activation of `to` did not go well; `None` if it did. Units that had failed before say nothing.
///
/// # Errors
/// systemd cannot be asked.
pub fn failure(host: &dyn Host, to: &Toplevel, before: Option<&Baseline>) -> Result<Option<String>, Error> {
    if !is_running(host, to) {
        return Ok(Some("it ended half-way".to_owned()));
    }
    match exit_status(host, to) {
        Some(0) => return Ok(None),
        Some(UNITS_FAILED) | None => {}
        Some(status) => return Ok(Some(format!("switch-to-configuration exited with status {status}"))),
    }
    let mut failed = manager::failed_units(host)?;
    failed.retain(|unit| before.is_none_or(|before| !before.failed_units.contains(unit)));
    Ok((!failed.is_empty()).then(|| format!("{} failed", failed.join(", "))))
}

/// What `switch-to-configuration` says of itself in the journal; `None` where it says nothing.
fn exit_status(host: &dyn Host, to: &Toplevel) -> Option<i32> {
    let arguments =
        ["--quiet", "--no-pager", "--output=cat", "--boot", "--lines=256", "SYSLOG_IDENTIFIER=nixos"];
    let said = host.run_within(JOURNAL, Path::new("journalctl"), &arguments).ok()?;
    last_status(&said.stdout, to)
}

fn last_status(said: &str, to: &Toplevel) -> Option<i32> {
    said.lines().rev().find_map(|line| {
        if line.strip_prefix("finished switching to system configuration ") == Some(to.as_str()) {
            return Some(Some(0));
        }
        let rest = line.strip_prefix("switching to system configuration ")?.strip_prefix(to.as_str())?;
        // The line that it begins with ends here: what comes before it is of an earlier switch.
        Some(rest.strip_prefix(" failed (status ").and_then(|rest| rest.strip_suffix(')')?.parse().ok()))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_switch_to_it_is_what_counts() {
        let to: Toplevel = "/nix/store/aaaa-new".parse().unwrap();
        let (begins, works) = (
            format!("switching to system configuration {to}"),
            format!("finished switching to system configuration {to}"),
        );
        let fails = format!("{begins} failed (status 4)");
        let cases = [
            (vec![], None),
            (vec![&begins, &works], Some(0)),
            (vec![&begins, &fails], Some(4)),
            (vec![&begins, &works, &begins], None),
            (vec![&begins, &fails, &begins, &works], Some(0)),
        ];
        for (lines, status) in cases {
            let text: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
            assert_eq!(last_status(&text.join("\n"), &to), status, "{text:?}");
        }
        let other = "finished switching to system configuration /nix/store/aaaa-newer";
        assert_eq!(last_status(other, &to), None);
    }
}
