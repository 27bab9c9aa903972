//! `golden-live`: Watches a switch of the running system. Started by the mark, before anything is activated.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use golden_checks::Assessor;
use golden_core::{Cause, Live, LivePhase};
use golden_host::command::{self, Common};
use golden_host::operation::{self, Options, Proof};
use golden_host::{Error, Exit, Host, LinuxHost, activation};

/// Pause between two looks at what takes its time.
const PAUSE: Duration = Duration::from_secs(1);
/// Pause before failed checks are run again, as long as there is time.
const BETWEEN_CHECKS: Duration = Duration::from_secs(5);
/// Time for an activation that never held its lock to show that it happened.
const UNLOCKED: Duration = Duration::from_secs(60);
/// How often what ran before is activated again, if somebody else is activating something.
const TRIES: u32 = 3;
/// Pause between them.
const BEFORE_NEXT_TRY: Duration = Duration::from_secs(10);

/// Watch a switch of the running system, and take it back if it fails
///
/// Started by golden-mark-pending through golden-live.service. Once the activation has ended, the required checks and the proof
/// that the owner asks for have the time `live.window_secs`. Otherwise what ran before is activated again, without a reboot.
#[derive(Parser)]
#[command(name = "golden-live", version, after_help = Exit::HELP)]
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
    command::run(|arguments: &Arguments| &arguments.common, |host, options, _| watch(host, options))
}

fn watch(host: &LinuxHost, options: &Options) -> Result<(), Error> {
    while let Some(live) = operation::live(host, options)? {
        if live.phase == LivePhase::GoingBack {
            return go_back(host, options, &live);
        }
        let verdict = judge(host, options, &live)?;
        // Somebody has switched again meanwhile: that is another story.
        let is_same = |now: &Live| now.to == live.to && now.phase == live.phase;
        if operation::live(host, options)?.as_ref().is_some_and(is_same) {
            match verdict {
                None => return operation::pass_live(host, options),
                Some(cause) => operation::fail_live(host, options, cause)?,
            }
        }
    }
    Ok(())
}

/// Why the switch has failed; `None` if it works.
fn judge(host: &LinuxHost, options: &Options, live: &Live) -> Result<Option<Cause>, Error> {
    let failed = |why| Ok(Some(Cause::ActivationFailed { why }));
    if !wait_for_activation(host, options, live)? {
        return failed(format!("it took more than {} s", options.live.activation.as_secs()));
    }
    if let Some(why) =
        activation::failure(host, &live.to, operation::baseline_of_trial(host, options)?.as_ref())?
    {
        return failed(why);
    }
    let end = host.monotonic() + options.live.window;
    let left = || end.saturating_sub(host.monotonic());
    let assessor = Assessor::new(host)?.excusing(options);
    loop {
        let assessment = operation::judge_live(host, options, assessor.assess(left(), true))?;
        if assessment.is_healthy() {
            return prove(host, options, &assessor, left);
        }
        if left() <= BETWEEN_CHECKS {
            return Ok(Some(Cause::ChecksFailed { checks: assessment.failed_required() }));
        }
        // What was restarted may take its time.
        thread::sleep(BETWEEN_CHECKS);
    }
}

/// Whether it ended in its time.
fn wait_for_activation(host: &LinuxHost, options: &Options, live: &Live) -> Result<bool, Error> {
    let began = host.monotonic();
    let mut was_held = false;
    loop {
        let took = host.monotonic().saturating_sub(began);
        let has_ended = activation::has_ended(host)?;
        was_held |= !has_ended;
        if has_ended && (was_held || activation::is_running(host, &live.to) || took > UNLOCKED) {
            return Ok(true);
        }
        if took > options.live.activation {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
}

/// The proof that the owner asks for besides the checks.
fn prove(
    host: &LinuxHost,
    options: &Options,
    assessor: &Assessor,
    left: impl Fn() -> Duration,
) -> Result<Option<Cause>, Error> {
    let has_come = || match options.live.proof {
        Proof::None => Ok(true),
        Proof::Person => Ok(operation::live(host, options)?.is_none_or(|live| live.confirmed)),
        Proof::Gateway => Ok(assessor.reaches_gateway()),
    };
    let proof = match options.live.proof {
        Proof::None => return Ok(None),
        Proof::Person => "nobody said `golden confirm`",
        Proof::Gateway => "the gateway does not answer",
    };
    while !has_come()? {
        if left().is_zero() {
            return Ok(Some(Cause::Unproven { proof: proof.to_owned() }));
        }
        thread::sleep(PAUSE);
    }
    Ok(None)
}

/// Activate what ran before; the ledger says so when it runs again.
fn go_back(host: &LinuxHost, options: &Options, live: &Live) -> Result<(), Error> {
    for _ in 0..TRIES {
        wait_until_free(host, options)?;
        operation::go_back(host, options)?;
        if activation::is_running(host, &live.from) {
            break;
        }
        thread::sleep(BEFORE_NEXT_TRY);
    }
    operation::end_going_back(host, options)
}

/// Somebody may be switching to something else.
fn wait_until_free(host: &LinuxHost, options: &Options) -> Result<(), Error> {
    let end = host.monotonic() + options.live.activation;
    while !activation::has_ended(host)? && host.monotonic() < end {
        thread::sleep(PAUSE);
    }
    Ok(())
}
