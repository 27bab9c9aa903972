//! The activation of a system on the running machine, as `switch-to-configuration` leaves it behind.

use std::io;
use std::path::Path;
use std::time::Duration;

use golden_core::{Baseline, Toplevel};

use crate::{Error, Host, Limits, manager, system};

/// Held from before the installer runs until everything is started. Source: NixOS, `switch-to-configuration-ng`.
const LOCK: &str = "/run/nixos/switch-to-configuration.lock";
/// Units that an activation has yet to start; it takes the file away at its end. Source: there.
const TO_START: &str = "/run/nixos/start-list";
/// Exit status when units failed, and nothing else did. Source: there.
const UNITS_FAILED: i32 = 4;
/// What it says in the journal takes a few lines for each switch.
const JOURNAL: Limits = Limits { time: Duration::from_secs(10), output_bytes: 1 << 20 };

/// Whether no `switch-to-configuration` runs. Waits for one a little.
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

/// What runs now; `None` where nothing says so.
#[must_use]
pub fn running(host: &dyn Host) -> Option<Toplevel> {
    system::running(host)
}

/// Whether anything of `to` was activated in this boot. `switch-to-configuration` may refuse to, and leave it to the next boot.
/// Where the journal cannot be asked, it was.
#[must_use]
pub fn has_begun(host: &dyn Host, to: &Toplevel) -> bool {
    is_running(host, to) || said(host).is_none_or(|said| has_begun_by(&said, to))
}

/// End the activation that hangs, with all that it has started: what follows would wait for it.
///
/// # Errors
/// Nobody can be asked who that is, or ended.
pub fn end(host: &dyn Host) -> Result<(), Error> {
    let hanging = processes(host)?;
    if hanging.is_empty() {
        return Ok(());
    }
    let arguments: Vec<&str> = std::iter::once("-KILL").chain(hanging.iter().map(String::as_str)).collect();
    let killed = host.run(Path::new("kill"), &arguments).map_err(Error::io("run", "kill"))?;
    // One of them may have ended meanwhile.
    if killed.success || processes(host)?.is_empty() {
        Ok(())
    } else {
        Err(Error::Program { program: "kill".to_owned(), stderr: killed.stderr })
    }
}

/// Whoever has the lock open, and their children. Source: `proc(5)`.
fn processes(host: &dyn Host) -> Result<Vec<String>, Error> {
    let names = host.list(Path::new("/proc")).map_err(Error::io("list", "/proc"))?;
    let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    let own = std::process::id().to_string();
    let all: Vec<String> = names.iter().filter_map(|name| name.to_str().map(str::to_owned)).collect();
    let all: Vec<String> = all.into_iter().filter(|name| is_number(name) && *name != own).collect();
    let parents: Vec<Option<String>> = all.iter().map(|name| parent(host, name)).collect();
    let mut found: Vec<String> = all.iter().filter(|name| has_lock(host, name)).cloned().collect();
    let mut next = 0;
    while next < found.len() {
        let children = all.iter().zip(&parents).filter(|(_, of)| of.as_ref() == Some(&found[next]));
        let children: Vec<String> = children.map(|(name, _)| name.clone()).collect();
        found.extend(children.into_iter().filter(|name| !found.contains(name)).collect::<Vec<_>>());
        next += 1;
    }
    Ok(found)
}

/// `123 (name, with anything in it) S 1 …`; `None` once it is gone.
fn parent(host: &dyn Host, process: &str) -> Option<String> {
    let bytes = host.read(&Path::new("/proc").join(process).join("stat")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.rsplit_once(')')?.1.split_whitespace().nth(1).map(str::to_owned)
}

fn has_lock(host: &dyn Host, process: &str) -> bool {
    let files = Path::new("/proc").join(process).join("fd");
    let names = host.list(&files).unwrap_or_default();
    names.iter().any(|name| host.read_link(&files.join(name)).is_ok_and(|file| file == Path::new(LOCK)))
}

/// How an activation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Everything was done.
    Well,
    /// Some units failed, or nobody can say: they may recover, or had failed before. [`failed_units`] tells.
    Units,
    /// It was not brought to its end, for this reason.
    HalfWay(String),
}

/// How the activation of `to` ended, which has ended.
#[must_use]
pub fn ending(host: &dyn Host, to: &Toplevel) -> Ending {
    let half_way = || Ending::HalfWay("it ended half-way".to_owned());
    if !is_running(host, to) {
        return half_way();
    }
    match said(host).and_then(|said| last_status(&said, to)) {
        Some(0) => Ending::Well,
        // Units that it has stopped, and was to start again.
        None if host.read(Path::new(TO_START)).is_ok_and(|list| !list.is_empty()) => half_way(),
        Some(UNITS_FAILED) | None => Ending::Units,
        Some(status) => Ending::HalfWay(format!("switch-to-configuration exited with status {status}")),
    }
}

/// Services that wait until the network is online. Without a cable they fail, whichever system runs.
const WAIT_ONLINE: [&str; 2] = ["NetworkManager-wait-online.service", "systemd-networkd-wait-online.service"];
/// An instance waits for one interface. Source: `systemd-networkd-wait-online.service(8)`.
const WAIT_ONLINE_INSTANCE: &str = "systemd-networkd-wait-online@";

/// The units that fail and had not failed before the switch, as part of a sentence; `None` if there are none. Services that wait for
/// the network and the units in `except` do not count.
///
/// # Errors
/// systemd cannot be asked.
pub fn failed_units(
    host: &dyn Host,
    before: Option<&Baseline>,
    except: &[String],
) -> Result<Option<String>, Error> {
    let mut failed = manager::failed_units(host)?;
    failed.retain(|unit| before.is_none_or(|before| !before.failed_units.contains(unit)));
    failed.retain(|unit| !may_fail(unit, except));
    Ok((!failed.is_empty()).then(|| format!("{} failed", failed.join(", "))))
}

fn may_fail(unit: &str, except: &[String]) -> bool {
    WAIT_ONLINE.contains(&unit)
        || unit.starts_with(WAIT_ONLINE_INSTANCE)
        || except.iter().any(|excepted| excepted == unit)
}

/// What `switch-to-configuration` says of itself in the journal of this boot; `None` where the journal cannot be asked.
fn said(host: &dyn Host) -> Option<String> {
    let arguments =
        ["--quiet", "--no-pager", "--output=cat", "--boot", "--lines=256", "SYSLOG_IDENTIFIER=nixos"];
    let journalctl = Path::new("journalctl");
    // The last words may be on their way. Where nobody can wait for them, what is there has to do.
    let _ = host.run_within(JOURNAL, journalctl, &["--sync"]);
    let said = host.run_within(JOURNAL, journalctl, &arguments).ok()?;
    (said.status == Some(0)).then_some(said.stdout)
}

fn has_begun_by(said: &str, to: &Toplevel) -> bool {
    said.lines().any(|line| line.strip_prefix("switching to system configuration ") == Some(to.as_str()))
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
