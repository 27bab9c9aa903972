//! `golden why`: the chain of attempts.

use std::collections::BTreeMap;
use std::fmt::Write;

use golden_core::{Attempt, BootId, End, Landing, Ledger, Quarantined, Toplevel};
use golden_host::command::Common;
use golden_host::{Error, Reading, Store, describe_cause, describe_evidence, last_words};
use serde::Serialize;

/// Version of the JSON answer.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Why<'a> {
    schema: u32,
    /// Why the ledger cannot be read; nothing is known then.
    unreadable: Option<String>,
    /// What failed; nothing has, if this is empty.
    failed: Option<&'a Toplevel>,
    /// Where the machine came back to, or will.
    landed_on: Option<&'a Toplevel>,
    attempts: &'a [Attempt],
    /// What the machine came back to before, and did not work either.
    failed_landings: Vec<&'a Landing>,
    /// The last warnings and errors of each boot that failed, as far as the journal still has them.
    last_words: BTreeMap<BootId, Vec<String>>,
}

pub(crate) fn run(common: &Common, of: Option<&str>, json: bool) -> Result<String, Error> {
    let host = common.host();
    let (ledger, unreadable) = match Store::new(&host, &common.options(&host).state_dir).read()? {
        Reading::Whole(ledger) => (*ledger, None),
        Reading::Missing => (Ledger::default(), None),
        Reading::Corrupt(why) => (Ledger::default(), Some(why)),
    };
    let mut why = Why { unreadable, ..why(&ledger, of) };
    let landings = why.failed_landings.iter().flat_map(|landing| landing.attempts.iter());
    let failed = why.attempts.iter().chain(landings).filter(|it| matches!(it.end, Some(End::Failed { .. })));
    for boot in failed.filter_map(|attempt| attempt.boot.clone()) {
        let lines = last_words(&host, &boot);
        why.last_words.extend((!lines.is_empty()).then_some((boot, lines)));
    }
    Ok(if json { crate::print::json(&why) } else { in_words(&why) })
}

fn why<'a>(ledger: &'a Ledger, of: Option<&str>) -> Why<'a> {
    let trial = ledger.trial.iter().map(|trial| (&trial.toplevel, &*trial.attempts));
    let failed = |quarantined: &'a Quarantined| (&quarantined.toplevel, &*quarantined.attempts);
    let mut candidates = trial.chain(ledger.quarantine.iter().rev().map(failed));
    let found = candidates.find(|(toplevel, attempts)| of.is_none_or(|of| is_meant(of, toplevel, attempts)));
    let rolled_back = ledger.rolled_back.iter().map(|done| (&done.from, &done.to));
    let rollback = ledger.rollback.iter().map(|begun| (&begun.from, &begun.to));
    // The one that has begun later, where the first landing did not work.
    let mut landings = rollback.chain(rolled_back);
    let landed_on =
        found.and_then(|(toplevel, _)| landings.find(|(from, _)| *from == toplevel).map(|(_, to)| to));
    Why {
        schema: SCHEMA,
        unreadable: None,
        failed: found.map(|(toplevel, _)| toplevel),
        landed_on,
        attempts: found.map_or(&[], |(_, attempts)| attempts),
        failed_landings: found.map_or_else(Vec::new, |(toplevel, _)| {
            let came_from = |landing: &&Landing| landing.from == *toplevel;
            ledger.failed_landings.iter().chain(&ledger.landing).filter(came_from).collect()
        }),
        last_words: BTreeMap::new(),
    }
}

fn is_meant(of: &str, toplevel: &Toplevel, attempts: &[Attempt]) -> bool {
    let boot = of.parse::<BootId>().ok();
    toplevel.as_str().contains(of) || boot.is_some() && attempts.iter().any(|attempt| attempt.boot == boot)
}

fn in_words(why: &Why) -> String {
    if let Some(unreadable) = &why.unreadable {
        return format!("the ledger is not readable: {unreadable}\n");
    }
    let Some(failed) = why.failed else { return "no trial has failed on this machine\n".to_owned() };
    let mut text = match why.landed_on {
        Some(landing) => format!("Rolled back from {failed}\nto {landing}.\n"),
        None => format!("{failed}:\n"),
    };
    write_attempts(&mut text, why, why.attempts);
    for landing in why.failed_landings.iter().filter(|landing| landing.attempts.failures() > 0) {
        let _ = writeln!(text, "The machine came back to {}, which did not work either:", landing.toplevel);
        write_attempts(&mut text, why, &landing.attempts);
    }
    if why.landed_on.is_some() {
        text.push_str("The trial is quarantined. Mend the configuration and deploy again.\n");
    }
    text
}

fn write_attempts(text: &mut String, why: &Why, attempts: &[Attempt]) {
    for (index, attempt) in attempts.iter().enumerate() {
        let end = match &attempt.end {
            Some(End::Failed { cause }) => format!("failed: {}", describe_cause(cause)),
            Some(End::Innocent { .. }) => {
                "was interrupted by an orderly shutdown, which does not count".to_owned()
            }
            Some(End::Unknown(_)) => "ended in a way that a newer build recorded".to_owned(),
            None => "runs".to_owned(),
        };
        let boot = attempt.boot.as_ref().map_or("unseen boot".to_owned(), |boot| format!("boot {boot}"));
        let _ =
            writeln!(text, "Attempt {} ({boot}) {end}.{}", index + 1, describe_evidence(&attempt.evidence));
        for line in attempt.boot.iter().filter_map(|boot| why.last_words.get(boot)).flatten() {
            let _ = writeln!(text, "    {line}");
        }
    }
}
