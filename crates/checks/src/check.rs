//! What there is to check.

use std::path::{Path, PathBuf};
use std::time::Duration;

use golden_core::Weight;
use golden_host::LinuxHost;
use golden_host::settings::one_line;

use crate::probe::Probe;
use crate::{Settings, drop_in, greenboot};

/// Most checks of a machine. Each that runs takes two open files of the 1024 that a service has.
pub const MAX_CHECKS: usize = 256;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Unique among the checks of a machine.
    pub name: String,
    /// What a failure means.
    pub weight: Weight,
    /// How patient it is.
    pub timing: Timing,
    /// Whether it means nothing without a network.
    pub needs_network: bool,
    /// What is done.
    pub work: Work,
}

/// How patient a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Longest that one run may take.
    pub timeout: Duration,
    /// Runs after the first one that failed.
    pub retries: u32,
    /// Pause between two runs.
    pub interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), retries: 2, interval: Duration::from_secs(5) }
    }
}

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Something that the suite can look at by itself.
    Probe(Probe),
    /// A program with its arguments; passed if it exits with status 0.
    Command(Vec<String>),
    /// A file in a drop-in directory; passed if it exits with status 0.
    Script(PathBuf),
    /// Nothing, because it cannot be run: it has failed, and this is why.
    Broken(String),
}

/// All checks of a machine, the required ones first, then by name.
#[must_use]
pub fn list(host: &LinuxHost, settings: &Settings) -> Vec<Check> {
    let mut checks = settings.checks.clone();
    drop_in::add(host, settings, Path::new(greenboot::PATH), &mut checks);
    if checks.len() > MAX_CHECKS {
        let why = format!("there are {} checks, and {MAX_CHECKS} are run at most", checks.len());
        checks.truncate(MAX_CHECKS - 1);
        checks.push(Check::broken("too-many-checks", Weight::Required, why));
    }
    checks.sort_by(|left, right| (left.weight, &left.name).cmp(&(right.weight, &right.name)));
    checks
}

impl Check {
    /// One that has failed before it was run.
    #[must_use]
    pub fn broken(name: &str, weight: Weight, why: impl AsRef<str>) -> Self {
        let work = Work::Broken(one_line(why.as_ref()));
        Self { name: one_line(name), weight, timing: Timing::default(), needs_network: false, work }
    }

    /// Whether a failure means that the system does not work.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.weight == Weight::Required
    }
}
