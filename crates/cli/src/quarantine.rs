//! `golden quarantine`: what is not deployed here.

use std::fmt::Write;

use clap::Subcommand;
use golden_core::{Ledger, Named, Revision, Toplevel, second_chance_in_secs};
use golden_host::command::Common;
use golden_host::operation::{self, Options};
use golden_host::{Error, LinuxHost, Store};
use serde::Serialize;

use crate::named;

/// Version of the JSON answer.
const SCHEMA: u32 = 1;

/// What is to be done with it.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Question {
    /// List the quarantined systems and revisions
    List {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Allow a system or a revision to be deployed again
    Release {
        /// A store path, a part of its name that means one system, or a source revision
        #[arg(value_name = "SYSTEM|REVISION")]
        what: String,
    },
    /// Refuse a system, or every system that is built from a source revision
    ///
    /// A name that this machine does not know is taken for a revision. The beginning of a commit is enough, from seven digits on.
    /// Golden and the running system are not quarantined.
    Add {
        /// A store path, a part of its name that means one system, or a source revision
        #[arg(value_name = "SYSTEM|REVISION")]
        what: String,
    },
}

#[derive(Serialize)]
struct Quarantine {
    schema: u32,
    /// Why the ledger cannot be read; nothing is known then.
    unreadable: Option<String>,
    /// Systems, the newest last.
    systems: Vec<System>,
    /// Revisions of which nothing is deployed, the newest last.
    revisions: Vec<Revision>,
}

#[derive(Serialize)]
struct System {
    toplevel: Toplevel,
    revision: Option<Revision>,
    /// Attempts that failed.
    failures: u32,
    /// Whether a person put it here.
    by_person: bool,
    /// Whether it may be deployed once more, because it has waited for that.
    second_chance: bool,
    /// Seconds until it may; none where it never does by itself.
    second_chance_in_secs: Option<u64>,
}

pub(crate) fn run(common: &Common, question: &Question) -> Result<String, Error> {
    let host = common.host();
    let options = common.options(&host);
    match question {
        Question::List { json } => {
            let answer = list(&host, &options)?;
            Ok(if *json { crate::print::json(&answer) } else { in_words(&answer) })
        }
        Question::Release { what } => release(&host, &options, what),
        Question::Add { what } => add(&host, &options, what),
    }
}

fn read(host: &LinuxHost, options: &Options) -> Result<(Ledger, Option<String>), Error> {
    let (ledger, unreadable) = Store::new(host, &options.state_dir).read()?.told();
    Ok((ledger.unwrap_or_default(), unreadable))
}

fn list(host: &LinuxHost, options: &Options) -> Result<Quarantine, Error> {
    let (ledger, unreadable) = read(host, options)?;
    // From a rescue shell nothing runs there, and nothing waits.
    let seen = golden_host::see(host, Some(&ledger), None).ok();
    let system = |entry: &golden_core::Quarantined| System {
        toplevel: entry.toplevel.clone(),
        revision: entry.revision.clone(),
        failures: entry.attempts.failures(),
        by_person: entry.by_person,
        second_chance: entry.second_chance,
        second_chance_in_secs: seen
            .as_ref()
            .and_then(|seen| second_chance_in_secs(entry, seen, &options.policy)),
    };
    Ok(Quarantine {
        schema: SCHEMA,
        unreadable,
        systems: ledger.quarantine.iter().map(system).collect(),
        revisions: ledger.quarantined_revisions.into_iter().map(|entry| entry.revision).collect(),
    })
}

fn in_words(quarantine: &Quarantine) -> String {
    if let Some(why) = &quarantine.unreadable {
        return format!("the ledger is not readable: {why}\n");
    }
    let mut text = String::new();
    for system in &quarantine.systems {
        let revision = system.revision.as_ref().map_or(String::new(), |it| format!(" (revision {it})"));
        let why = match (system.by_person, system.failures) {
            (true, _) => "a person said so".to_owned(),
            (false, 1) => "1 attempt failed".to_owned(),
            (false, failures) => format!("{failures} attempts failed"),
        };
        let chance = match (system.second_chance, system.second_chance_in_secs) {
            (true, _) | (false, Some(0)) => "; it may be deployed once more".to_owned(),
            (false, Some(secs)) => format!("; it may be deployed once more after {} more", duration(secs)),
            (false, None) => String::new(),
        };
        let _ = writeln!(text, "{}{revision}: {why}{chance}", system.toplevel);
    }
    for revision in &quarantine.revisions {
        let _ = writeln!(text, "every system of revision {revision}: a person said so");
    }
    if text.is_empty() { "nothing is in quarantine\n".to_owned() } else { text }
}

fn duration(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs.div_ceil(60)),
        _ => format!("{} h", secs.div_ceil(3600)),
    }
}

fn release(host: &LinuxHost, options: &Options, what: &str) -> Result<String, Error> {
    let (ledger, _) = read(host, options)?;
    let named = named::quarantined(host, &ledger, what)?;
    operation::release(host, options, named.clone())?;
    let (after, _) = read(host, options)?;
    let left = |ledger: &Ledger| ledger.quarantine.len() + ledger.quarantined_revisions.len();
    Ok(match &named {
        _ if left(&after) < left(&ledger) => {
            format!("{} may be deployed again; its next switch is a trial\n", in_a_sentence(&named))
        }
        _ => format!("{} was not in quarantine: nothing was done\n", in_a_sentence(&named)),
    })
}

fn add(host: &LinuxHost, options: &Options, what: &str) -> Result<String, Error> {
    let (before, _) = read(host, options)?;
    let named = named::deployable(host, options, &before, what)?;
    operation::quarantine(host, options, named.clone())?;
    let (after, _) = read(host, options)?;
    if before.revision == after.revision {
        return Ok(format!("{} is in quarantine already\n", in_a_sentence(&named)));
    }
    let release = match &named {
        Named::Toplevel(toplevel) => toplevel.as_str(),
        Named::Revision(revision) => revision.as_str(),
    };
    Ok(format!(
        "{} is in quarantine: it is not deployed here until `golden quarantine release {release}`\n",
        in_a_sentence(&named)
    ))
}

fn in_a_sentence(named: &Named) -> String {
    match named {
        Named::Toplevel(toplevel) => toplevel.to_string(),
        Named::Revision(revision) => format!("every system of revision {revision}"),
    }
}
