//! What health checks found, and what of it says something against the system that runs.

use serde::{Deserialize, Serialize};

use crate::{BootId, Kept, Toplevel};

/// Version of the JSON form of an [`Assessment`].
pub const ASSESSMENT_SCHEMA: u32 = 1;

/// What a failed check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The system does not do what its owner needs of it: a trial has failed.
    Required,
    /// It is reported.
    Wanted,
}

/// One run of all checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// [`ASSESSMENT_SCHEMA`] of the writer.
    pub schema: u32,
    /// What ran.
    pub toplevel: Option<Toplevel>,
    /// In which boot.
    pub boot: BootId,
    /// Whether nothing that was found is held against the system: the owner wants to watch first.
    #[serde(default)]
    pub report_only: bool,
    /// A result for every check, by weight and name.
    pub findings: Vec<Finding>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Its name, unique in an assessment.
    pub check: String,
    /// What it means if it failed.
    pub weight: Weight,
    /// Whether it passed in the end.
    pub passed: bool,
    /// What came out, in one line: `exited with status 1`, `no answer within 10 s`.
    pub said: String,
    /// The end of what its last run printed. At most 4096 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// How often it was run: once and its retries, at most.
    pub runs: u32,
    /// How long all of that took, in milliseconds.
    pub millis: u64,
    /// Whether it means nothing without a network.
    #[serde(default)]
    pub needs_network: bool,
    /// Units whose state made it fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// Why its failure says nothing against the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excuse: Option<Excuse>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

/// Why a failed check says nothing against the system that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Excuse {
    /// It failed before the switch, too.
    FailedBefore,
    /// What it looks at had failed before the switch.
    UnitsFailedBefore,
    /// It needs a network, and there was none before the switch.
    NetworkWasDown,
    /// It failed in the trial that the machine came back from: what is wrong is not the system's doing.
    FailedInTrialToo,
    /// One that only a newer build knows.
    #[serde(other)]
    Other,
}

/// What was wrong already when a trial was marked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// Units that had failed.
    #[serde(default)]
    pub failed_units: Vec<String>,
    /// Checks that failed when they were last run in that boot.
    #[serde(default)]
    pub failed_checks: Vec<String>,
    /// Whether the machine had no default route.
    #[serde(default)]
    pub network_down: bool,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

impl Finding {
    /// Whether it failed, and nothing excuses that.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.passed && self.excuse.is_none()
    }
}

impl Assessment {
    /// Find an excuse for each check that failed and has one. `failed_in_trial` names the checks that failed in the trial that
    /// the machine came back from.
    #[must_use]
    pub fn excused(mut self, baseline: Option<&Baseline>, failed_in_trial: &[String]) -> Self {
        for finding in self.findings.iter_mut().filter(|finding| !finding.passed) {
            finding.excuse = excuse(finding, baseline, failed_in_trial);
        }
        self
    }

    /// Whether both have the same findings. The time, the runs and the output of a check are not compared: they differ each time.
    #[must_use]
    pub fn found_the_same(&self, other: &Self) -> bool {
        let found = |assessment: &Self| {
            let mut found = assessment.clone();
            for finding in &mut found.findings {
                (finding.runs, finding.millis) = (0, 0);
                finding.output.clear();
            }
            found
        };
        found(self) == found(other)
    }

    /// Names of the required checks that failed and are not excused.
    #[must_use]
    pub fn failed_required(&self) -> Vec<String> {
        let failed = |finding: &&Finding| finding.weight == Weight::Required && finding.counts();
        self.findings.iter().filter(failed).map(|finding| finding.check.clone()).collect()
    }

    /// Names of all checks that failed, excused or not.
    #[must_use]
    pub fn failed(&self) -> Vec<String> {
        self.findings.iter().filter(|finding| !finding.passed).map(|finding| finding.check.clone()).collect()
    }

    /// Whether the system may be confirmed.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.report_only || self.failed_required().is_empty()
    }
}

fn excuse(finding: &Finding, baseline: Option<&Baseline>, failed_in_trial: &[String]) -> Option<Excuse> {
    let had_failed = |before: &Baseline| finding.units.iter().all(|unit| before.failed_units.contains(unit));
    match baseline {
        Some(before) if before.failed_checks.contains(&finding.check) => Some(Excuse::FailedBefore),
        Some(before) if !finding.units.is_empty() && had_failed(before) => Some(Excuse::UnitsFailedBefore),
        Some(before) if before.network_down && finding.needs_network => Some(Excuse::NetworkWasDown),
        _ if failed_in_trial.contains(&finding.check) => Some(Excuse::FailedInTrialToo),
        _ => None,
    }
}
