//! `golden why`: what was deployed, what became of it, and what to do.

mod find;
mod words;

use std::path::PathBuf;

use golden_core::{Revision, Toplevel};
use golden_host::command::Common;
use golden_host::postmortem::{Closures, FailedLanding, Story};
use golden_host::{Error, Reading, Store};
use serde::Serialize;

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
    #[serde(skip)]
    state: State,
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
}

pub(crate) fn run(common: &Common, of: Option<&str>, json: bool) -> Result<String, Error> {
    let host = common.host();
    let options = common.options(&host);
    let (ledger, unreadable) = match Store::new(&host, &options.state_dir).read()? {
        Reading::Whole(ledger) => (Some(*ledger), None),
        Reading::Missing => (None, None),
        Reading::Corrupt(why) => (None, Some(why)),
    };
    let found = crate::style::during("asking the journal", || {
        find::find(&host, &options, &ledger.clone().unwrap_or_default(), of)
    })?;
    let mut why = Why { unreadable, ..found };
    why.summary = words::summary(&why);
    why.to_do = words::to_do(&why, &ledger.unwrap_or_default());
    let colours = crate::style::has_colours();
    Ok(if json { crate::print::json(&why) } else { words::all(&why, colours) })
}
