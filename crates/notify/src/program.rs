//! What `golden-notify` does on a real machine.

use std::fmt::Write as _;
use std::path::Path;

use golden_host::operation::Options;
use golden_host::{Error, Host, LinuxHost, Trouble};

use crate::courier::Threads;
use crate::round::{Done, Round, Tried};
use crate::secret::Credentials;
use crate::settings::{PATH, Settings};

/// Runs this program with its secrets and its sandbox.
const SERVICE: &str = "golden-notify.service";
/// Runs it again, at longer and longer intervals, while messages wait.
const RETRY: &str = "golden-notify-retry.timer";

/// Read on, and deliver what is due.
///
/// # Errors
/// The settings are no TOML, another run has not ended, or history cannot be read.
pub fn run(host: &LinuxHost, options: &Options) -> Result<(), Error> {
    let Some(settings) = Settings::load(host)? else { return Ok(()) };
    for fault in &settings.faults {
        host.complain(Trouble::Configuration, &format!("{PATH}: {fault}"));
    }
    let done = deliver(host, options, &settings)?;
    if host.is_this_machine() {
        schedule(host, done);
    }
    Ok(())
}

/// Send a test message to every target; what came out, and whether all of them have it.
///
/// # Errors
/// The settings are no TOML, there are none, or another run has not ended.
pub fn test(host: &LinuxHost, options: &Options) -> Result<(String, bool), Error> {
    let Some(settings) = Settings::load(host)? else {
        let said = format!("there is no {PATH}: nobody is told anything\n");
        return Ok((said, false));
    };
    let round = Round::new(host, &options.state_dir, &settings)?;
    let id = round.put_test()?;
    // The unit has the secrets, and what works in its sandbox is what counts.
    if host.is_this_machine() && std::env::var_os("CREDENTIALS_DIRECTORY").is_none() {
        let started = host.run(Path::new("systemctl"), &["start", SERVICE]);
        if !started.is_ok_and(|it| it.success) {
            deliver(host, options, &settings)?;
        }
    } else {
        deliver(host, options, &settings)?;
    }
    let mut said = String::new();
    let mut all = settings.faults.is_empty() && !settings.targets.is_empty();
    for (name, outcome) in round.outcomes(&id)? {
        all &= outcome == Tried::Delivered;
        let _ = match outcome {
            Tried::Delivered => writeln!(said, "{name}: delivered"),
            Tried::Failed(why) => writeln!(said, "{name}: not delivered: {why}"),
            Tried::No => writeln!(said, "{name}: not tried; `journalctl -u {SERVICE}` may say why"),
        };
    }
    for fault in &settings.faults {
        let _ = writeln!(said, "{PATH}: {fault}");
    }
    if settings.targets.is_empty() && settings.faults.is_empty() {
        let _ = writeln!(said, "{PATH} names no target");
    }
    Ok((said, all))
}

fn deliver(host: &LinuxHost, options: &Options, settings: &Settings) -> Result<Done, Error> {
    let mut courier = Threads::new(Credentials::of_this_unit());
    Round::new(host, &options.state_dir, settings)?.run(&mut courier)
}

/// While messages wait, a timer comes back for them; else nothing does, and the machine may sleep.
fn schedule(host: &LinuxHost, done: Done) {
    let verb = match done {
        // The intervals begin anew.
        Done { waiting: 1.., new: 1.., .. } => "restart",
        Done { waiting: 1.., .. } => "start",
        Done { delivered: 1.., .. } => "stop",
        _ => return,
    };
    match host.run(Path::new("systemctl"), &["--no-block", verb, RETRY]) {
        Ok(output) if output.success => {}
        Ok(output) => host.complain(Trouble::Io, &format!("cannot {verb} {RETRY}: {}", output.stderr.trim())),
        Err(error) => host.complain(Trouble::Io, &format!("cannot {verb} {RETRY}: {error}")),
    }
}
