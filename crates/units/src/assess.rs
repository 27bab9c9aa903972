//! `golden-assess`: Runs the health checks. Started once per boot, before `boot-complete.target`, and before a switch by its mark.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use golden_checks::Assessor;
use golden_host::command::{self, Common};
use golden_host::operation::{self, Options, Verdict};
use golden_host::{Error, Exit, Host, LinuxHost};

/// Time for all checks where nobody waits for a confirmation.
const UNWATCHED: Duration = Duration::from_secs(1800);
/// Most time for all checks: the unit has an hour.
const LONGEST: Duration = Duration::from_secs(3500);
/// Time for all checks while a deployer waits.
const BEFORE_SWITCH: Duration = Duration::from_secs(20);
/// The verdict comes this much before the deadline of the boot, which knows less.
const BEFORE_DEADLINE: Duration = Duration::from_secs(10);

/// Run the health checks, and end this boot if a required one fails in an attempt
///
/// Run by golden-assess.service. All checks run at once, and all are reported. A boot that does not have to be confirmed is
/// never ended. In a switch of the running system no check is run: golden-live checks a switch.
#[derive(Parser)]
#[command(name = "golden-assess", version, after_help = Exit::HELP)]
pub struct Arguments {
    /// Run each check once and judge nothing: a check that fails before a switch is not held against the new system
    ///
    /// Run by golden-baseline.service, which a mark starts. It takes 20 s at most; a check that takes longer excuses nobody.
    #[arg(long)]
    baseline: bool,
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
        |host, options, arguments| {
            if arguments.baseline { look(host) } else { assess(host, options) }
        },
    )
}

fn look(host: &LinuxHost) -> Result<(), Error> {
    operation::keep_baseline(host, &Assessor::new(host)?.look(BEFORE_SWITCH))
}

fn assess(host: &LinuxHost, options: &Options) -> Result<(), Error> {
    // A boot that nobody can tell anything of is not ended, and its checks are run all the same.
    let left = operation::time_left(host, options).unwrap_or_else(|error| {
        host.complain(error.trouble(), &error.chain());
        None
    });
    if operation::is_assessed_elsewhere(host, options, left.is_some())? {
        return Ok(());
    }
    let settles = left.is_some();
    let time = left.map_or(UNWATCHED, |left| left.saturating_sub(BEFORE_DEADLINE).min(LONGEST));
    let assessment = Assessor::new(host)?.excusing(options).assess(time, settles);
    match operation::judge(host, options, assessment)? {
        Verdict::Healthy => Ok(()),
        Verdict::Unhealthy(checks) | Verdict::Failed(checks) => Err(Error::Unhealthy(checks)),
    }
}
