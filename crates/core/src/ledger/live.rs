//! A switch that changes the running system.

use serde::{Deserialize, Serialize};

use super::trial::Trial;
use crate::{Baseline, BootId, Kept, Toplevel};

/// A switch that changes the running system. Until it has proved itself, its trial is not armed: if the
/// machine goes down, the last confirmed system boots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The system that ran before; it is activated again if the switch fails.
    pub from: Toplevel,
    /// The system that is activated.
    pub to: Toplevel,
    /// In which boot.
    pub boot: BootId,
    /// How far it is.
    pub phase: LivePhase,
    /// Whether a person said that it works.
    #[serde(default)]
    pub confirmed: bool,
    /// The faults of the machine before the first activation that has yet to prove itself; `None` where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// The trial that it replaced, and that gets its place back if the switch fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Box<Trial>>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

/// How far a live switch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LivePhase {
    /// It is activated, or runs in its window.
    Proving,
    /// It has failed, and the system that ran before comes back.
    GoingBack,
}
