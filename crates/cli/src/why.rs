//! `golden why`: what was deployed, what became of it, and what to do.

mod find;
mod stands;
mod words;

use std::path::PathBuf;

use golden_core::{Ledger, Revision, Toplevel};
use golden_host::command::Common;
use golden_host::operation::Options;
use golden_host::postmortem::{Closures, FailedLanding, Story};
use golden_host::{Error, LinuxHost, Store};
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use stands::not_armed;
use stands::{Stands, stands};

/// Version of the JSON answer.
const SCHEMA: u32 = 2;

/// Everything that is known of one failure.
#[derive(Serialize)]
struct Why {
    schema: u32,
    /// Why the ledger cannot be read; little is known then.
    unreadable: Option<String>,
    /// The story in sentences.
    summary: Vec<String>,
    /// What whoever reads this can do, as sentences.
    to_do: Vec<String>,
    /// What failed; nothing has, if this is empty.
    failed: Option<Toplevel>,
    /// What that was built from.
    failed_revision: Option<Revision>,
    /// Whether a person asked to leave it.
    asked: bool,
    /// Where the machine came back to, or will.
    landed_on: Option<Toplevel>,
    landed_on_revision: Option<Revision>,
    attempts: Vec<Story>,
    /// What the machine came back to before, and did not work either.
    failed_landings: Vec<FailedLanding>,
    /// Checks that failed on what failed and on what the machine came back to.
    failed_on_landing_too: Vec<String>,
    /// What the deployment changed.
    closures: Option<Closures>,
    /// The file that this is from; without one it is from the ledger and the journal.
    post_mortem: Option<PathBuf>,
    /// What a person asked about.
    #[serde(skip)]
    asked_of: Option<String>,
    /// Whether history tells of a failure, although nothing else does: the ledger was lost, or it is long ago.
    #[serde(skip)]
    is_in_history: bool,
    #[serde(skip)]
    state: State,
    #[serde(skip)]
    stands: Stands,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Nothing has failed.
    #[default]
    Nothing,
    /// It is still tried.
    Trial,
    /// The machine is on its way back.
    GoingBack,
    /// It is back.
    Back,
    /// It failed, and something else was deployed since.
    Past,
    /// It may be deployed again.
    Released,
    /// It was deployed again, and was confirmed.
    Works,
}

pub(crate) fn run(common: &Common, of: Option<&str>, json: bool) -> Result<String, Error> {
    let host = common.host();
    let options = common.options(&host);
    let (ledger, unreadable) = Store::new(&host, &options.state_dir).read()?.told();
    let found = crate::style::during("asking the journal", || {
        find::find(&host, &options, &ledger.clone().unwrap_or_default(), of, true)
    })?;
    let mut why = Why { unreadable, asked_of: of.map(str::to_owned), ..found };
    if why.unreadable.is_some() {
        // Nobody knows whether it may be deployed.
        why.state = State::Nothing;
    }
    let ledger = ledger.unwrap_or_default();
    why.stands = stands(&host, &options, &ledger, why.failed.as_ref());
    why.summary = words::summary(&why);
    why.to_do = words::to_do(&why, &ledger);
    let colours = crate::style::has_colours();
    Ok(if json { crate::print::json(&why) } else { words::all(&why, colours) })
}

/// The last failure as others may read it: what checks printed and the journal said is in it only if the owner wants that.
/// Nothing if nothing failed, or if nobody can tell.
pub(crate) fn published(
    host: &LinuxHost,
    options: &Options,
    ledger: &Ledger,
    with_output: bool,
) -> Option<Value> {
    let mut why = find::find(host, options, ledger, None, with_output).ok()?;
    why.failed
        .as_ref()
        .filter(|_| why.state != State::Trial || why.attempts.iter().any(Story::has_failed))?;
    if !with_output {
        let landings = why.failed_landings.iter_mut().flat_map(|landing| &mut landing.attempts);
        for story in why.attempts.iter_mut().chain(landings) {
            story.journal.clear();
            story.failed_checks.iter_mut().for_each(|check| check.output.clear());
        }
    }
    why.stands = stands(host, options, ledger, why.failed.as_ref());
    why.summary = words::summary(&why);
    Some(json!({
        "failed": why.failed,
        "failed_revision": why.failed_revision,
        "landed_on": why.landed_on,
        "landed_on_revision": why.landed_on_revision,
        "says": words::published(&why),
        "changes": why.closures.as_ref().map(|closures| &closures.changes[..closures.changes.len().min(CHANGES)]),
    }))
}

/// Changes of a closure that are published.
const CHANGES: usize = 50;
