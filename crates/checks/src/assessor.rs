//! The checks of the machine that runs, from its settings to an assessment.

use std::thread;
use std::time::{Duration, Instant};

use golden_core::{Assessment, Finding, Weight};
use golden_host::operation::{self, Options};
use golden_host::{Error, LinuxHost};

use crate::family::MARK;
use crate::{Check, Probe, Runner, Settings, Subject, Timing, Whom, Work, list, load_or_fail};

/// Time for the gateway to answer.
const GATEWAY: Duration = Duration::from_secs(5);
/// Time for all checks where nobody waits for them.
const LONGEST: Duration = Duration::from_secs(1800);

/// The checks of the machine as it runs now.
pub struct Assessor<'a> {
    host: &'a LinuxHost,
    settings: Settings,
    checks: Vec<Check>,
    about: Subject,
    excuses: Option<&'a Options>,
}

impl<'a> Assessor<'a> {
    /// # Errors
    /// The boot cannot be told, or it is one of the checks that asks.
    pub fn new(host: &'a LinuxHost) -> Result<Self, Error> {
        if let Some(check) = std::env::var_os(MARK) {
            return Err(Error::CheckInCheck(check.to_string_lossy().into_owned()));
        }
        let settings = load_or_fail(host);
        let checks = list(host, &settings);
        let (toplevel, boot) = operation::subject(host)?;
        Ok(Self { host, settings, checks, about: Subject { toplevel, boot }, excuses: None })
    }

    /// What was wrong before a switch keeps nobody from looking again after the settle time.
    #[must_use]
    pub fn excusing(self, options: &'a Options) -> Self {
        Self { excuses: Some(options), ..self }
    }

    /// Run them all. If the required ones passed and it `settles`, they are run once more after a while: half of the time is
    /// kept for that, or a wanted one that hangs, or a long settle time, would fail those that passed.
    #[must_use]
    pub fn assess(&self, time: Duration, settles: bool) -> Assessment {
        let began = Instant::now();
        let end = began + time;
        let mut runner = Runner::new(self.host, self.about.clone());
        if settles {
            runner = runner.with_wanted_until(began + time / 2);
        }
        let mut findings = runner.run(&self.checks, end);
        let required = self.required();
        if settles && !required.is_empty() && self.is_well(runner.assessment(false, findings.clone())) {
            let left = end.saturating_duration_since(Instant::now());
            thread::sleep(self.settings.settle.min(left / 2));
            let again = runner.run(&fitting(required, &findings, end), end);
            let is_replaced = |finding: &Finding| again.iter().any(|new| new.check == finding.check);
            findings.retain(|finding| !is_replaced(finding));
            findings.splice(0..0, again);
        }
        runner.assessment(self.settings.report_only, findings)
    }

    /// Run each of them once. What was not over in that time is not known to have failed, if it may take longer, and is left out.
    #[must_use]
    pub fn look(&self, time: Duration) -> Assessment {
        let once = |check: &Check| Check { timing: Timing { retries: 0, ..check.timing }, ..check.clone() };
        let checks: Vec<Check> = self.checks.iter().map(once).collect();
        let mut runner = Runner::new(self.host, self.about.clone());
        let mut findings = runner.run(&checks, Instant::now() + time);
        let is_known = |finding: &Finding| {
            let of_it = checks.iter().find(|check| check.name == finding.check);
            finding.passed
                || Duration::from_millis(finding.millis) < time
                || of_it.is_some_and(|check| check.timing.timeout <= time)
        };
        findings.retain(is_known);
        runner.assessment(self.settings.report_only, findings)
    }

    /// Whether no required one has failed that has no excuse.
    fn is_well(&self, found: Assessment) -> bool {
        let excused = |options| operation::excused(self.host, options, found.clone()).ok();
        self.excuses.and_then(excused).unwrap_or(found).failed_required().is_empty()
    }

    /// What the owner chose.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Run the required ones once, with all their retries.
    #[must_use]
    pub fn assess_required(&self) -> Assessment {
        let mut runner = Runner::new(self.host, self.about.clone());
        let findings = runner.run(&self.required(), Instant::now() + LONGEST);
        runner.assessment(self.settings.report_only, findings)
    }

    fn required(&self) -> Vec<Check> {
        self.checks.iter().filter(|check| check.is_required()).cloned().collect()
    }

    /// Whether the default gateway answers.
    #[must_use]
    pub fn reaches_gateway(&self) -> bool {
        let check = Check {
            name: "gateway".to_owned(),
            weight: Weight::Required,
            timing: Timing { timeout: GATEWAY, retries: 0, ..Timing::default() },
            needs_network: true,
            work: Work::Probe(Probe::Ping { whom: Whom::Gateway }),
        };
        let findings = Runner::new(self.host, self.about.clone()).run(&[check], Instant::now() + GATEWAY);
        findings.iter().all(|finding| finding.passed)
    }
}

/// The checks that can be run again before `end`: one that takes longer than the time that is left would fail for that alone.
fn fitting(mut checks: Vec<Check>, findings: &[Finding], end: Instant) -> Vec<Check> {
    let left = end.saturating_duration_since(Instant::now());
    let took = |check: &Check| {
        let its = findings.iter().find(|finding| finding.check == check.name);
        Duration::from_millis(its.map_or(0, |finding| finding.millis))
    };
    // A run takes longer at one time than at another.
    checks.retain(|check| took(check).saturating_mul(2) <= left);
    checks
}
