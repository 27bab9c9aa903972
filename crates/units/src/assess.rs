//! `golden-assess`: Runs the health checks. Started once per boot, before `boot-complete.target`.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use golden_checks::{Check, Probe, Runner, Settings, Subject, Timing, Whom, Work};
use golden_core::{Assessment, Finding, Weight};
use golden_host::command::{self, Common};
use golden_host::operation::{self, Options, Verdict};
use golden_host::{Error, Exit, LinuxHost};

/// Time for the gateway to answer.
const GATEWAY: Duration = Duration::from_secs(5);
/// Time for all checks where nobody waits for a confirmation.
const UNWATCHED: Duration = Duration::from_secs(1800);
/// The verdict comes this much before the deadline of the boot, which knows less.
const BEFORE_DEADLINE: Duration = Duration::from_secs(10);

/// Run the health checks, and end this boot if a required one fails in an attempt
///
/// Run by golden-assess.service. All checks run at once, and all are reported. A boot that nobody has to confirm is never ended.
#[derive(Parser)]
#[command(name = "golden-assess", version, after_help = Exit::HELP)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(status) = golden_checks::answer() {
        return status;
    }
    command::run(|arguments: &Arguments| &arguments.common, |host, options, _| assess(host, options))
}

fn assess(host: &LinuxHost, options: &Options) -> Result<(), Error> {
    let left = operation::time_left(host, options)?;
    let settles = left.is_some();
    let time = left.map_or(UNWATCHED, |left| left.saturating_sub(BEFORE_DEADLINE));
    let assessment = Assessor::new(host)?.assess(time, settles);
    match operation::judge(host, options, assessment)? {
        Verdict::Healthy => Ok(()),
        Verdict::Unhealthy(checks) | Verdict::Failed(checks) => Err(Error::Unhealthy(checks)),
    }
}

/// The checks of the machine as it runs now.
pub(crate) struct Assessor<'a> {
    host: &'a LinuxHost,
    settings: Settings,
    checks: Vec<Check>,
    about: Subject,
}

impl<'a> Assessor<'a> {
    /// # Errors
    /// The boot cannot be told.
    pub fn new(host: &'a LinuxHost) -> Result<Self, Error> {
        let settings = golden_checks::load_or_fail(host);
        let checks = golden_checks::list(host, &settings);
        let (toplevel, boot) = operation::subject(host)?;
        Ok(Self { host, settings, checks, about: Subject { toplevel, boot } })
    }

    /// Run them all. If the required ones passed and it `settles`, they are run once more after a while.
    pub fn assess(&self, time: Duration, settles: bool) -> Assessment {
        let end = Instant::now() + time;
        let mut runner = Runner::new(self.host, self.about.clone());
        let mut findings = runner.run(&self.checks, end);
        let required = self.required();
        let failed = |finding: &&Finding| finding.weight == Weight::Required && !finding.passed;
        if settles && !required.is_empty() && !findings.iter().any(|finding| failed(&finding)) {
            thread::sleep(self.settings.settle.min(end.saturating_duration_since(Instant::now())));
            let again = runner.run(&required, end);
            findings.retain(|finding| finding.weight != Weight::Required);
            findings.splice(0..0, again);
        }
        runner.assessment(self.settings.report_only, findings)
    }

    /// What the owner chose.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Run the required ones once, with all their retries.
    pub fn assess_required(&self) -> Assessment {
        let mut runner = Runner::new(self.host, self.about.clone());
        let findings = runner.run(&self.required(), Instant::now() + UNWATCHED);
        runner.assessment(self.settings.report_only, findings)
    }

    fn required(&self) -> Vec<Check> {
        self.checks.iter().filter(|check| check.is_required()).cloned().collect()
    }

    /// Whether the default gateway answers.
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
