//! `golden-probation`: Looks at what was confirmed for a while. Started after a confirmation, if the owner asks for it.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use golden_checks::{Assessor, LateFailure};
use golden_core::{Assessment, Baseline};
use golden_host::command::{self, Common};
use golden_host::operation::{self, Options};
use golden_host::{Error, Exit, Host, LinuxHost, activation};

/// Pause between two looks at the users and locks that a reboot waits for.
const HELD: Duration = Duration::from_secs(15);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(60);

/// Go on with the required checks of a system that was just confirmed
///
/// Run by golden-probation.service, for as long as `probation_secs` of checks.toml says. A late failure is told; with
/// `late_failure = "roll-back"` the machine goes back to a known-good system by a reboot, which waits for `reboot_hold_secs` of
/// config.toml at most while a user is logged in or a lock against a shutdown is held.
#[derive(Parser)]
#[command(name = "golden-probation", version, after_help = Exit::HELP)]
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
    command::run(
        |arguments: &Arguments| &arguments.common,
        |host, options, _| {
            let watched = watch(host, options);
            operation::end_hold(host);
            operation::end_probation(host);
            watched
        },
    )
}

fn watch(host: &LinuxHost, options: &Options) -> Result<(), Error> {
    let assessor = Assessor::new(host)?;
    let settings = assessor.settings();
    let end = host.monotonic() + settings.probation;
    let before = operation::failed_when_confirmed(host);
    let goes_back = settings.late_failure == LateFailure::RollBack && !settings.report_only;
    let mut was_held = false;
    loop {
        let left = end.saturating_sub(host.monotonic());
        // After a hold the checks are run once more, also if the probation is over.
        if left.is_zero() && !was_held || !operation::runs_as_booted(host) {
            return Ok(());
        }
        if let Some(assessment) = late_failure(host, &assessor, &before)? {
            if goes_back && operation::goes_back_late(host, options)? && is_held(host, options) {
                was_held = true;
                continue;
            }
            operation::fail_late(host, options, &assessment, goes_back)?;
            return Err(Error::Unhealthy(assessment.failed_required()));
        }
        operation::end_hold(host);
        was_held = false;
        thread::sleep(left.min(PAUSE));
    }
}

/// Wait for the users and locks that hold the reboot. Returns whether there was any wait: the system may have recovered in it.
fn is_held(host: &LinuxHost, options: &Options) -> bool {
    let mut has_waited = false;
    while let Some(left) = operation::hold_reboot(host, options) {
        thread::sleep(left.min(HELD));
        has_waited = true;
    }
    has_waited
}

/// What has failed, in two looks. A switch restarts what is looked at, and so does whoever goes back to what was booted: what fails
/// meanwhile says nothing.
fn late_failure(
    host: &LinuxHost,
    assessor: &Assessor,
    before: &Baseline,
) -> Result<Option<Assessment>, Error> {
    let is_left_alone = || Ok::<bool, Error>(operation::runs_as_booted(host) && activation::has_ended(host)?);
    for is_last in [false, true] {
        // Each look has its whole time, the last one too.
        let assessment = assessor.assess_required().excused(Some(before), &[]);
        if assessment.failed_required().is_empty() || !is_left_alone()? {
            return Ok(None);
        }
        if is_last {
            return Ok(Some(assessment));
        }
    }
    Ok(None)
}
