//! The published state of one host, as a page reads it. Source: `docs/status-json.md`.
//!
//! A document of another host may say anything: it is bounded, every text in it is tamed, and what this build does not know is
//! left out.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::text::{List, Text};

/// What a document says it is.
pub const KIND: &str = "golden-generation host status";
/// The schema that this build writes and reads. A newer one only ever adds fields.
pub const SCHEMA: u32 = 1;
/// Longest document that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Most events that a document tells of.
pub const MAX_EVENTS: usize = 50;

/// Why a text is not the state of a host.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum NotADocument {
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("it is not the state of a host as golden-generation publishes it")]
    OtherKind,
    #[error("it has schema {0}, and this build reads {SCHEMA}")]
    OtherSchema(u32),
    #[error("it does not parse: {0}")]
    Syntax(Text),
}

/// The state of one host.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Document {
    pub schema: u32,
    pub host: Text,
    /// When it was written: RFC 3339, UTC, by the clock of that host.
    pub time: Text,
    /// Version of the suite.
    #[serde(default)]
    pub version: Text,
    /// The boot that wrote it.
    #[serde(default)]
    pub boot: Text,
    pub summary: Summary,
    pub status: Status,
    /// Failed attempts after which the host rolls back.
    #[serde(default)]
    pub max_failures: u32,
    /// Reboots that the suite caused since the last healthy boot.
    #[serde(default)]
    pub automatic_reboots: u32,
    /// What happened, the oldest first.
    #[serde(default)]
    pub timeline: List<Happened>,
    #[serde(default)]
    pub why: Option<Why>,
    #[serde(default)]
    pub assessment: Option<Assessment>,
    /// How often each kind of event happened, ever.
    #[serde(default)]
    pub totals: BTreeMap<Kind, u64>,
    /// When each kind of event happened last.
    #[serde(default)]
    pub latest: BTreeMap<Kind, Text>,
}

/// One sentence each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Summary {
    /// What happened.
    pub happened: Text,
    /// What to do.
    pub advice: Text,
}

/// What `golden status --json` says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Status {
    pub state: State,
    #[serde(default)]
    pub unreadable: Option<Text>,
    #[serde(default)]
    pub golden: Option<Text>,
    #[serde(default)]
    pub damage: Option<Text>,
    #[serde(default)]
    pub running: Option<Text>,
    #[serde(default)]
    pub default: Option<Text>,
    #[serde(default)]
    pub trial: Option<Trial>,
    #[serde(default)]
    pub drill: Option<IgnoredAny>,
    #[serde(default)]
    pub failed_landings: List<Text>,
    #[serde(default)]
    pub quarantine: List<Text>,
    #[serde(default)]
    pub coverage: List<Coverage>,
}

/// How a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum State {
    SafeMode,
    RolledBack,
    Unprotected,
    Trial,
    Ok,
    /// A word that only a newer build knows.
    #[serde(other)]
    Unknown,
}

impl State {
    /// Every state that this build knows.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Trial, Self::RolledBack, Self::Unprotected, Self::SafeMode];

    /// As `golden status` says it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SafeMode => "safe-mode",
            Self::RolledBack => "rolled-back",
            Self::Unprotected => "unprotected",
            Self::Unknown => "unknown",
            Self::Trial => "trial",
            Self::Ok => "ok",
        }
    }
}

/// The trial under way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Trial {
    pub toplevel: Text,
    #[serde(default)]
    pub attempts: List<Attempt>,
}

/// One of its boots.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Attempt {
    #[serde(default)]
    pub end: Option<End>,
}

/// How that ended.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct End {
    #[serde(default)]
    kind: Text,
}

impl End {
    /// `failed`, `innocent`, or what a newer build knows.
    #[must_use]
    pub fn word(&self) -> &str {
        &self.kind
    }
}

impl Trial {
    /// Attempts that failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        let failed = |attempt: &&Attempt| attempt.end.as_ref().is_some_and(|end| end.word() == "failed");
        self.attempts.iter().filter(failed).count()
    }
}

/// Whether the host comes back by itself from one kind of failure.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Coverage {
    pub failure: Text,
    pub covered: bool,
    #[serde(default)]
    pub by: Text,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Happened {
    pub time: Text,
    #[serde(default)]
    pub boot: Text,
    /// Its kind, as `golden history --json` says it.
    pub event: Text,
    #[serde(default)]
    pub severity: Severity,
    /// The event as a sentence.
    pub says: Text,
}

/// How urgent an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Severity {
    Critical,
    Error,
    Warning,
    #[default]
    #[serde(other)]
    Notice,
}

/// Why a generation failed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Why {
    #[serde(default)]
    pub failed: Option<Text>,
    #[serde(default)]
    pub landed_on: Option<Text>,
    #[serde(default)]
    pub failed_revision: Option<Text>,
    /// The chain of what happened.
    #[serde(default)]
    pub says: List<Text>,
    /// What the deployment changed.
    #[serde(default)]
    pub changes: Option<List<Text>>,
}

/// The last run of all checks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Assessment {
    #[serde(default)]
    pub report_only: bool,
    pub findings: List<Finding>,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Finding {
    pub check: Text,
    pub weight: Weight,
    pub passed: bool,
    #[serde(default)]
    pub said: Text,
    #[serde(default)]
    pub output: Text,
    #[serde(default)]
    pub millis: u64,
    #[serde(default)]
    pub excuse: Option<Text>,
}

/// What a failed check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Weight {
    Required,
    #[serde(other)]
    Wanted,
}

impl Weight {
    /// As the settings say it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Wanted => "wanted",
        }
    }
}

/// A kind of event; a name that no event can have is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Kind(Text);

impl std::borrow::Borrow<str> for Kind {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Document {
    /// Read what a host published.
    ///
    /// # Errors
    /// It is none, or of a schema that this build does not read.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotADocument> {
        /// The two fields that every schema has.
        #[derive(Deserialize)]
        struct Header {
            document: Text,
            schema: u32,
        }
        if bytes.len() > MAX_BYTES {
            return Err(NotADocument::TooLong);
        }
        let syntax = |error: serde_json::Error| NotADocument::Syntax(Text::from(error.to_string().as_str()));
        // What is left out is not looked at otherwise.
        let text = std::str::from_utf8(bytes)
            .map_err(|error| NotADocument::Syntax(Text::from(error.to_string().as_str())))?;
        let header: Header = serde_json::from_str(text).map_err(|error| match error.classify() {
            // JSON of something else.
            serde_json::error::Category::Data => NotADocument::OtherKind,
            _ => syntax(error),
        })?;
        if &*header.document != KIND {
            return Err(NotADocument::OtherKind);
        }
        if header.schema != SCHEMA {
            return Err(NotADocument::OtherSchema(header.schema));
        }
        let document: Self = serde_json::from_str(text).map_err(syntax)?;
        // A map has no other bound than that of the document.
        if document.totals.len().max(document.latest.len()) > crate::text::MAX_ELEMENTS {
            return Err(NotADocument::Syntax(Text::from("it tells of too many kinds of events")));
        }
        Ok(document)
    }

    /// When it was written; `None` if that is no time.
    #[must_use]
    pub fn written(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.time).ok()
    }

    /// How often something happened.
    #[must_use]
    pub fn total(&self, event: &str) -> u64 {
        self.totals.get(event).copied().unwrap_or_default()
    }

    /// When something happened last, in seconds since 1970.
    #[must_use]
    pub fn last(&self, event: &str) -> Option<u64> {
        let time = humantime::parse_rfc3339(self.latest.get(event)?).ok()?;
        Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
    }
}
