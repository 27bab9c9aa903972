//! `/etc/golden-generation/checks.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use golden_core::{Toplevel, Weight};
use golden_host::settings::{self, Problem};
use golden_host::whole::Whole;
use golden_host::{Error, Host};
use serde::Deserialize;

use crate::check::{Check, MAX_CHECKS, Timing};
use crate::declared::Declared;
use crate::greenboot;

/// Where the settings are.
pub const PATH: &str = "/etc/golden-generation/checks.toml";
/// Name of the check that fails where they are not understood.
pub const SETTINGS: &str = "checks.toml";
/// Where drop-ins are looked for, unless the owner says otherwise. The last two are greenboot's.
pub const DIRECTORIES: [&str; 3] =
    ["/etc/golden-generation/checks", greenboot::DIRECTORIES[0], greenboot::DIRECTORIES[1]];
/// Longest name of a check, in bytes: that of a file.
const MAX_NAME_BYTES: usize = 255;

/// What the owner wants to know of a system before it is confirmed, and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Time after all required checks passed, after which they are run once more. Default 10 s.
    pub settle: Duration,
    /// Whether what fails is only reported.
    pub report_only: bool,
    /// Time after the confirmation in which required checks go on; zero: none.
    pub probation: Duration,
    /// What a required check that fails in that time leads to.
    pub late_failure: LateFailure,
    /// Where drop-ins are looked for: each has a `required.d` and a `wanted.d`. The first one with a name has it.
    pub directories: Vec<PathBuf>,
    /// What is not as usual with drop-ins, by name.
    pub(crate) drop_ins: BTreeMap<String, DropIn>,
    /// The checks that the file declares.
    pub(crate) checks: Vec<Check>,
}

/// What a late failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LateFailure {
    /// The owner is told.
    #[default]
    Report,
    /// The machine goes back, too.
    RollBack,
}

/// What is not as usual with a drop-in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DropIn {
    timeout_secs: Option<Timeout>,
    retries: Option<Retries>,
    interval_secs: Option<Interval>,
    pub(crate) needs_network: bool,
}

/// Seconds that one run may take.
pub(crate) type Timeout = Whole<1, 600>;
/// Runs after the first.
pub(crate) type Retries = Whole<0, 100>;
/// Seconds between two runs.
pub(crate) type Interval = Whole<0, 600>;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    settle_secs: Option<Whole<0, 600>>,
    report_only: bool,
    probation_secs: Whole<0, 604_800>,
    late_failure: LateFailure,
    directories: Option<Vec<PathBuf>>,
    check: BTreeMap<String, Declared>,
    drop_in: BTreeMap<String, DropIn>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(10),
            report_only: false,
            probation: Duration::ZERO,
            late_failure: LateFailure::default(),
            directories: DIRECTORIES.map(PathBuf::from).to_vec(),
            drop_ins: BTreeMap::new(),
            checks: Vec::new(),
        }
    }
}

/// What the owner chose; the defaults where there is no file.
///
/// # Errors
/// The file cannot be read, or says something that is not understood.
pub fn load(host: &dyn Host) -> Result<Settings, Error> {
    read(host, Path::new(PATH))
}

/// What the owner chose for a system that may not run yet.
///
/// # Errors
/// The file cannot be read, or says something that is not understood.
pub fn load_of(host: &dyn Host, toplevel: &Toplevel) -> Result<Settings, Error> {
    read(host, &Path::new(toplevel.as_str()).join(&PATH[1..]))
}

/// What the owner chose, in any case: a file that is not understood is a required check that has failed, for what the owner
/// needs of the system is not known. Drop-ins are run all the same.
#[must_use]
pub fn load_or_fail(host: &dyn Host) -> Settings {
    load(host).unwrap_or_else(|error| Settings {
        checks: vec![Check::broken(SETTINGS, Weight::Required, error.chain())],
        ..Settings::default()
    })
}

fn read(host: &dyn Host, path: &Path) -> Result<Settings, Error> {
    let file: File = settings::read(host, path)?.unwrap_or_default();
    file.settings().map_err(|problem| problem.of(path))
}

/// The settings that a text says.
///
/// # Errors
/// What is not understood.
pub fn parse(text: &str) -> Result<Settings, Problem> {
    settings::parse::<File>(text)?.settings()
}

impl File {
    fn settings(self) -> Result<Settings, Problem> {
        let usual = Settings::default();
        if self.check.len() >= MAX_CHECKS {
            let count = self.check.len();
            return Err(Problem::new(format!(
                "there are {count} checks, and fewer than {MAX_CHECKS} are possible"
            )));
        }
        let directories = self.directories.unwrap_or(usual.directories);
        if let Some(relative) = directories.iter().find(|directory| !directory.is_absolute()) {
            return Err(Problem::new(format!("directories: {} is not an absolute path", relative.display())));
        }
        for name in self.check.keys().chain(self.drop_in.keys()) {
            if name.trim().is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
                return Err(Problem::new(format!(
                    "{name:?} is no name for a check: it is one line of letters"
                )));
            }
        }
        let checks = self.check.into_iter().map(|(name, declared)| declared.check(name));
        Ok(Settings {
            settle: self.settle_secs.map_or(usual.settle, Whole::secs),
            report_only: self.report_only,
            probation: self.probation_secs.secs(),
            late_failure: self.late_failure,
            directories,
            drop_ins: self.drop_in,
            checks: checks.collect::<Result<_, _>>()?,
        })
    }
}

impl DropIn {
    /// Its timing; `usual` for each setting that is missing.
    pub(crate) fn timing(self, usual: Timing) -> Timing {
        timing(usual, self.timeout_secs, self.retries, self.interval_secs)
    }
}

/// The usual, but for what is said.
pub(crate) fn timing(
    usual: Timing,
    timeout: Option<Timeout>,
    retries: Option<Retries>,
    interval: Option<Interval>,
) -> Timing {
    Timing {
        timeout: timeout.map_or(usual.timeout, Whole::secs),
        retries: retries.map_or(usual.retries, Whole::count),
        interval: interval.map_or(usual.interval, Whole::secs),
    }
}
