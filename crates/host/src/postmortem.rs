//! What is kept of a rollback for whoever asks why: one JSON file for each, written in phase two. Format: `docs/json.md`.

mod closures;
mod collect;
mod store;

use golden_core::{Attempt, BootId, End, Evidence, Finding, Revision, Toplevel};
use serde::{Deserialize, Serialize};

pub(crate) use collect::collect;
pub use collect::told_from_ledger;
pub use store::{all, assessment};

/// Version of the format.
pub const POSTMORTEM_SCHEMA: u32 = 1;
/// Longest file, in bytes.
pub const MAX_BYTES: usize = 256 << 10;
/// Files that are kept; the oldest is removed first.
pub const MAX_FILES: usize = 16;

/// One rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostMortem {
    /// [`POSTMORTEM_SCHEMA`] of the writer.
    pub schema: u32,
    /// What was left.
    pub from: Told,
    /// What the machine came back to.
    pub to: Told,
    /// Whether a person asked for it.
    #[serde(default)]
    pub asked: bool,
    /// The boot that collected it: of what the machine came back to.
    pub collected_in: BootId,
    /// When, by the clock of the machine, in UTC. Only ever shown: it may be wrong.
    pub time: String,
    /// The attempts of what was left, the oldest first; the last ones where there are many.
    pub attempts: Vec<Story>,
    /// What the machine came back to before, and did not work either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_landings: Vec<FailedLanding>,
    /// How the two systems differ.
    pub closures: Closures,
    /// How often everything was made half as long to fit into [`MAX_BYTES`].
    #[serde(default)]
    pub shortened: u32,
}

/// A system, and what it was built from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Told {
    pub toplevel: Toplevel,
    pub revision: Option<Revision>,
}

/// One boot that was not confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// Which; `None` for one that died before the boot check could see it.
    pub boot: Option<BootId>,
    /// How it ended; `None` while it runs.
    pub end: Option<End>,
    /// What pstore and the watchdog said of it.
    #[serde(default)]
    pub evidence: Evidence,
    /// Units that failed in it.
    #[serde(default)]
    pub failed_units: Vec<String>,
    /// Checks that failed in it, with the end of their output.
    #[serde(default)]
    pub failed_checks: Vec<Finding>,
    /// The last errors in its journal, the oldest first, as `who: what`.
    #[serde(default)]
    pub journal: Vec<String>,
    /// What could not be found out, as sentences.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// A known-good system that the machine came back to in vain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct FailedLanding {
    pub toplevel: Toplevel,
    pub attempts: Vec<Story>,
}

/// How two systems differ.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Closures {
    /// What the deployment changed, as `nix store diff-closures` puts it: a line for each package, from what the machine came
    /// back to, to what was left.
    #[serde(default)]
    pub changes: Vec<String>,
    /// Why that is not known, or not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

impl Story {
    /// What the ledger says of it, and nothing else.
    #[must_use]
    pub fn of(attempt: &Attempt) -> Self {
        Self {
            boot: attempt.boot.clone(),
            end: attempt.end.clone(),
            evidence: attempt.evidence.clone(),
            failed_units: Vec::new(),
            failed_checks: Vec::new(),
            journal: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Whether it counts.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.end, Some(End::Failed { .. }))
    }
}
