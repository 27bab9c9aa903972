//! What a person is told.

use std::fmt;
use std::str::FromStr;

use golden_core::{BootId, Revision, Toplevel};
use serde::{Deserialize, Serialize};

/// Version of the JSON form of a [`Message`]. Fields may be added to it; none changes its meaning.
pub const SCHEMA: u32 = 1;

/// What a message is about. The names are those of the events in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Kind {
    RolledBack,
    SafeMode,
    SafeModeEnded,
    LandingFailed,
    AttemptFailed,
    ChecksFailed,
    WentBack,
    FailedLate,
    DrillEnded,
    GoldenDamaged,
    GoldenPutBack,
    OneShotStayed,
    NotStarted,
    Unprotected,
    Refused,
    Confirmed,
    Pinned,
    /// The owner wants to see whether messages arrive.
    Test,
}

impl Kind {
    /// What an owner can choose.
    pub const ALL: [Self; 17] = [
        Self::RolledBack,
        Self::SafeMode,
        Self::SafeModeEnded,
        Self::LandingFailed,
        Self::AttemptFailed,
        Self::ChecksFailed,
        Self::WentBack,
        Self::FailedLate,
        Self::DrillEnded,
        Self::GoldenDamaged,
        Self::GoldenPutBack,
        Self::OneShotStayed,
        Self::NotStarted,
        Self::Unprotected,
        Self::Refused,
        Self::Confirmed,
        Self::Pinned,
    ];

    /// What is told where the owner says nothing: what went wrong, and rehearsals.
    pub const DEFAULT: [Self; 11] = [
        Self::RolledBack,
        Self::SafeMode,
        Self::SafeModeEnded,
        Self::LandingFailed,
        Self::ChecksFailed,
        Self::WentBack,
        Self::FailedLate,
        Self::DrillEnded,
        Self::GoldenDamaged,
        Self::NotStarted,
        Self::GoldenPutBack,
    ];

    /// Its name in history, in settings and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled-back",
            Self::SafeMode => "safe-mode",
            Self::SafeModeEnded => "safe-mode-ended",
            Self::LandingFailed => "landing-failed",
            Self::AttemptFailed => "attempt-failed",
            Self::ChecksFailed => "checks-failed",
            Self::WentBack => "went-back",
            Self::FailedLate => "failed-late",
            Self::DrillEnded => "drill-ended",
            Self::GoldenDamaged => "golden-damaged",
            Self::GoldenPutBack => "golden-put-back",
            Self::OneShotStayed => "one-shot-stayed",
            Self::NotStarted => "not-started",
            Self::Unprotected => "unprotected",
            Self::Refused => "refused",
            Self::Confirmed => "confirmed",
            Self::Pinned => "pinned",
            Self::Test => "test",
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Whether it may wake somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good news.
    Low,
    /// To be looked at by day.
    Normal,
    /// Something failed, and the machine helped itself.
    High,
    /// The machine needs somebody.
    Urgent,
}

/// One message, the same for every target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// 32 hexadecimal digits. The same thing has the same one, however often it is sent.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// Whether it may wake somebody.
    pub severity: Severity,
    /// Name of the machine.
    pub host: String,
    /// When it happened, RFC 3339 in UTC, by the clock of the machine, which may be wrong.
    pub time: String,
    /// The boot that it comes from.
    pub boot: Option<BootId>,
    /// One line.
    pub title: String,
    /// A few lines, of which the first says it all.
    pub text: String,
    /// What to do, as a sentence. The text ends with it.
    pub next: String,
    /// The system that failed.
    pub failed: Option<Toplevel>,
    /// The source revision of what failed.
    #[serde(default)]
    pub revision: Option<Revision>,
    /// The system that runs.
    pub runs: Option<Toplevel>,
    /// Boots of the failed system that failed, the oldest first. At most [`MAX_ATTEMPTS`], the last ones.
    pub attempts: Vec<Attempt>,
}

/// Failed boots that a message lists.
pub const MAX_ATTEMPTS: usize = 8;

/// A boot that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What was booted.
    pub toplevel: Toplevel,
    /// Which boot; `None` for one that died before anything of ours ran.
    pub boot: Option<BootId>,
    /// Why it failed, as a part of a sentence.
    pub cause: String,
}
