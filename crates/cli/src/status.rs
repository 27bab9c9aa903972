//! `golden status`

use std::fmt::Write;

use golden_core::{Ledger, Toplevel, Trial};
use golden_host::command::Common;
use golden_host::loader;
use golden_host::operation::Options;
use golden_host::{Error, Host, LinuxHost, Reading, Store};
use serde::Serialize;

/// Version of the JSON answer.
const SCHEMA: u32 = 1;

/// How the machine stands. The words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Ok,
    Trial,
    RolledBack,
    Unprotected,
    SafeMode,
}

#[derive(Serialize)]
struct Status {
    schema: u32,
    state: State,
    /// Why the ledger cannot be read; nothing is known of trials then.
    unreadable: Option<String>,
    golden: Option<Toplevel>,
    running: Option<Toplevel>,
    default: Option<Toplevel>,
    trial: Option<Trial>,
    quarantine: Vec<Toplevel>,
    coverage: Vec<Coverage>,
}

/// Whether the machine comes back by itself from one kind of failure.
#[derive(Serialize)]
struct Coverage {
    failure: &'static str,
    covered: bool,
    by: String,
}

pub(crate) fn run(common: &Common, json: bool) -> Result<String, Error> {
    let host = common.host();
    let (ledger, unreadable) = match Store::new(&host, &common.options(&host).state_dir).read()? {
        Reading::Whole(ledger) => (*ledger, None),
        Reading::Missing => (Ledger::default(), None),
        Reading::Corrupt(why) => (Ledger::default(), Some(why)),
    };
    let status = status(&host, &common.options(&host), ledger, unreadable)?;
    Ok(if json { crate::print::json(&status) } else { in_words(&status) })
}

fn status(
    host: &LinuxHost,
    options: &Options,
    ledger: Ledger,
    unreadable: Option<String>,
) -> Result<Status, Error> {
    let golden = golden_host::golden(host)?;
    let loader = loader::detect(host, options).and_then(|loader| loader.see());
    let running = host.read_link(std::path::Path::new("/run/booted-system")).ok();
    let landing_exists = |loader: &golden_core::Loader| {
        let known = |toplevel: &Toplevel| golden.as_ref() == Some(toplevel) || ledger.is_confirmed(toplevel);
        loader.listed.iter().any(known)
    };
    let state = if ledger.safe_mode.is_some() {
        State::SafeMode
    } else if ledger.trial.is_some() {
        State::Trial
    } else if ledger.rollback.is_some() || ledger.rolled_back.is_some() {
        State::RolledBack
    } else if unreadable.is_some() || golden.is_none() || !loader.as_ref().is_ok_and(landing_exists) {
        State::Unprotected
    } else {
        State::Ok
    };
    let one_shot = host.efi_read("LoaderEntryOneShot").map(drop).map_err(|error| error.to_string());
    Ok(Status {
        schema: SCHEMA,
        state,
        unreadable,
        running: running.and_then(|path| path.to_str()?.parse().ok()),
        default: loader.as_ref().ok().and_then(|loader| loader.default.clone()),
        coverage: coverage(loader.as_ref().map(landing_exists).map_err(Error::chain), &one_shot),
        golden,
        trial: ledger.trial,
        quarantine: ledger.quarantine.into_iter().map(|quarantined| quarantined.toplevel).collect(),
    })
}

fn coverage(landing: Result<bool, String>, one_shot: &Result<(), String>) -> Vec<Coverage> {
    let (landing, why_not) = match landing {
        Ok(true) => (true, String::new()),
        Ok(false) => (false, "there is nothing to come back to: run pin-golden".to_owned()),
        Err(error) => (false, error),
    };
    let by_one_shot = match (one_shot, landing) {
        (Ok(()), true) => (true, "the one-shot: the loader's default stays known-good".to_owned()),
        (Err(error), true) => (false, format!("no one-shot without EFI variables: {error}")),
        (_, false) => (false, why_not.clone()),
    };
    let by_count = if landing { "counting failed boots".to_owned() } else { why_not };
    vec![
        Coverage { failure: "a kernel panic", covered: by_one_shot.0, by: by_one_shot.1.clone() },
        Coverage { failure: "a dead initrd that reboots", covered: by_one_shot.0, by: by_one_shot.1 },
        Coverage { failure: "a failed unit with FailureAction=reboot", covered: landing, by: by_count },
        Coverage {
            failure: "a hang that nothing resets",
            covered: false,
            by: "no deadline yet: set RuntimeWatchdogSec= and have a hardware watchdog".to_owned(),
        },
    ]
}

fn in_words(status: &Status) -> String {
    let mut text = String::new();
    let word = serde_json::to_value(status.state).ok();
    let _ = writeln!(text, "{}", word.as_ref().and_then(|word| word.as_str()).unwrap_or_default());
    if let Some(why) = &status.unreadable {
        let _ =
            writeln!(text, "ledger:   not readable: {why}; the next program that writes it keeps it aside");
    }
    let name = |toplevel: &Option<Toplevel>| toplevel.as_ref().map_or("none".to_owned(), Toplevel::to_string);
    let _ = writeln!(text, "golden:   {}", name(&status.golden));
    let _ = writeln!(text, "running:  {}", name(&status.running));
    let _ = writeln!(text, "default:  {}", name(&status.default));
    if let Some(trial) = &status.trial {
        let (tried, failed) = (trial.attempts.len(), trial.attempts.failures());
        let _ = writeln!(text, "trial:    {} ({tried} attempts, {failed} failed)", trial.toplevel);
    }
    for toplevel in &status.quarantine {
        let _ = writeln!(text, "failed:   {toplevel} (quarantined)");
    }
    for Coverage { failure, covered, by } in &status.coverage {
        let _ = writeln!(text, "{failure} is covered: {}, {by}", if *covered { "yes" } else { "no" });
    }
    if status.golden.is_none() {
        text.push_str("hint: no golden is pinned; boot a system you trust and run pin-golden\n");
    }
    text
}
