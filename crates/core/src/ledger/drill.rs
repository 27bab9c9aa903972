//! An owner's rehearsal.

use serde::{Deserialize, Serialize};

use super::trial::Trial;
use crate::{BootId, Kept, Toplevel};

/// An owner's rehearsal: the running system is booted with a failure on purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drill {
    /// The failure on purpose.
    pub injection: Injection,
    /// The loader's default before the rehearsal, and after it.
    pub default: Toplevel,
    /// The system under rehearsal, and its boots.
    pub trial: Trial,
    /// Golden, once it is its turn, and its boots. The rehearsal is over when it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing: Option<Trial>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

/// A failure on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Injection {
    /// The kernel panics.
    Panic,
    /// The boot never gets to its end.
    Hang,
    /// A unit fails whose failure takes the machine down.
    Unit,
    /// A check before the confirmation fails.
    Check,
    /// The machine is reset without a word.
    Power,
}

impl Drill {
    /// Whether a boot of it runs that was not ended yet.
    #[must_use]
    pub fn is_open_in(&self, boot: &BootId) -> bool {
        [&self.trial].into_iter().chain(&self.landing).any(|trial| trial.attempts.is_open_in(boot))
    }

    /// The system that is booted next: that of another attempt, golden, or, once golden has failed, the former default.
    #[must_use]
    pub fn next(&self) -> &Toplevel {
        match &self.landing {
            None => &self.trial.toplevel,
            Some(landing) if landing.attempts.failures() == 0 => &landing.toplevel,
            Some(_) => &self.default,
        }
    }
}
