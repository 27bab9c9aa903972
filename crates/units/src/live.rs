//! `golden-live`: Watches a switch of the running system. Started by the mark, before anything is activated.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, thread};

use clap::Parser;
use golden_checks::{Assessor, SETTINGS};
use golden_core::{Cause, Live, LivePhase, Toplevel};
use golden_host::activation::{self, Ending};
use golden_host::command::{self, Common};
use golden_host::operation::{self, Options, Proof};
use golden_host::{Error, Exit, Host, LinuxHost, Trouble, describe_cause};

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
/// How often it begins anew, where something kills it again and again.
const MOST_STARTS: u32 = 5;
/// Pause before the system profile is put back once more: the disk may be full.
const BEFORE_PROFILE: Duration = Duration::from_secs(60);

/// Watch a switch of the running system, and take it back if it fails
///
/// Started by golden-mark-pending through golden-live.service. Once the activation has ended, the required checks and the proof
/// that the owner asks for have the time `live.window_secs`. If one of them fails, the system that ran before is activated again,
/// without a reboot.
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
    let mut watched: Option<(Toplevel, u32)> = None;
    loop {
        let Some(live) = operation::live(host, options)? else {
            if operation::end_watch(host, options)? {
                return Ok(());
            }
            continue;
        };
        match live.phase {
            LivePhase::Proving => {
                // This process watches it once, however often it looks.
                let (_, starts) = match watched.take().filter(|(to, _)| *to == live.to) {
                    Some(same) => watched.insert(same),
                    None => watched.insert((live.to.clone(), operation::count_watch(host, &live))),
                };
                prove_itself(host, options, &live, *starts > MOST_STARTS)?;
            }
            LivePhase::GoingBack => {
                go_back(host, options, &live)?;
                // The machine reboots, or stays for a person to look at.
                if is_same(host, options, &live)? {
                    return Ok(());
                }
            }
        }
    }
}

/// Whether the ledger still says so. If not, somebody has switched meanwhile, and that is another story.
fn is_same(host: &LinuxHost, options: &Options, live: &Live) -> Result<bool, Error> {
    let now = operation::live(host, options)?;
    Ok(now.is_some_and(|now| now.to == live.to && now.phase == live.phase))
}

/// What became of a switch.
enum Verdict {
    Works,
    Fails(Cause),
    /// Something else runs, and well.
    Left,
}

/// `is_killed`: whatever watched it before was, again and again.
fn prove_itself(host: &LinuxHost, options: &Options, live: &Live, is_killed: bool) -> Result<(), Error> {
    let in_time = is_killed || wait_for_activation(host, options, live)?;
    if !in_time && !only_reports(host) {
        end_activation(host);
    }
    let judged = activation::running(host);
    let verdict = if is_killed {
        let proof = format!("whatever watched it was killed {MOST_STARTS} times");
        Verdict::Fails(Cause::Unproven { proof })
    } else {
        judge(host, options, live, in_time)?
    };
    // Who shuts down says what becomes of it, and what is stopped has not failed.
    while operation::goes_down(host)? {
        thread::sleep(PAUSE);
    }
    // What was activated meanwhile is looked at once that is over.
    if !is_same(host, options, live)? || !activation::has_ended(host)? || activation::running(host) != judged
    {
        thread::sleep(PAUSE);
        return Ok(());
    }
    match verdict {
        Verdict::Works => operation::pass_live(host, options),
        Verdict::Left => operation::leave_live(host, options),
        Verdict::Fails(cause) if only_reports(host) || is_not_understood(host, &cause) => {
            let why = describe_cause(&cause);
            host.complain(Trouble::Unhealthy, &format!("{} is not taken back, though {why}", live.to));
            operation::leave_live(host, options)
        }
        Verdict::Fails(cause) => fail(host, options, live, cause),
    }
}

/// Whether its owner wants to watch first.
fn only_reports(host: &LinuxHost) -> bool {
    Assessor::new(host).is_ok_and(|assessor| assessor.settings().report_only)
}

/// Whether all that is wrong is that its settings are not understood, by another version than its own: that one reads them in
/// its boot.
fn is_not_understood(host: &LinuxHost, cause: &Cause) -> bool {
    let is_theirs = |theirs: PathBuf| fs::canonicalize(theirs).ok() != env::current_exe().ok();
    matches!(cause, Cause::ChecksFailed { checks } if *checks == [SETTINGS])
        && operation::watcher(host).is_some_and(is_theirs)
}

/// Whether neither of the two runs: somebody has activated a third one.
fn is_somebody_elses(host: &LinuxHost, live: &Live) -> bool {
    activation::running(host).is_some_and(|running| running != live.from && running != live.to)
}

/// What cannot be recorded is done all the same: the disk may be full because of the switch.
fn fail(host: &LinuxHost, options: &Options, live: &Live, cause: Cause) -> Result<(), Error> {
    let failed = operation::fail_live(host, options, cause);
    if let Err(error) = &failed
        && matches!(error.trouble(), Trouble::NoSpace | Trouble::ReadOnly | Trouble::Io)
        && activation::is_running(host, &live.to)
    {
        operation::put_running_back(host, options, &live.from);
    }
    failed
}

/// After its activation, which ended `in_time` or was ended.
fn judge(host: &LinuxHost, options: &Options, live: &Live, in_time: bool) -> Result<Verdict, Error> {
    let failed = |why| Ok(Verdict::Fails(Cause::ActivationFailed { why }));
    if !in_time {
        return failed(format!("it took more than {} s", options.live.activation.as_secs()));
    }
    if is_somebody_elses(host, live) {
        return Ok(Verdict::Left);
    }
    // Who went back by himself, or was told that only a reboot helps, has broken nothing.
    let runs = activation::is_running(host, &live.to);
    let stays =
        !runs && (!operation::is_tried(host, options, live)? || !activation::has_begun(host, &live.to));
    let baseline = operation::baseline_of_trial(host, options)?;
    let ending = if stays { Ending::Well } else { activation::ending(host, &live.to) };
    if let Ending::HalfWay(why) = ending {
        return failed(why);
    }
    let end = host.monotonic() + options.live.window;
    let left = || end.saturating_sub(host.monotonic());
    let assessor = Assessor::new(host)?.excusing(options);
    loop {
        let assessment = operation::judge_live(host, options, assessor.assess(left(), true))?;
        // Units may recover, as what is checked may.
        let units = match ending {
            Ending::Units => activation::failed_units(host, baseline.as_ref(), &options.live.except)?,
            _ => None,
        };
        if assessment.is_healthy() && units.is_none() {
            return if stays { Ok(Verdict::Left) } else { prove(host, options, &assessor, left) };
        }
        if left() <= BETWEEN_CHECKS {
            if let (true, Some(units)) = (assessment.is_healthy(), units) {
                return failed(units);
            }
            let checks = assessment.failed_required();
            // What never ran is not condemned.
            let proof =
                || format!("nothing of it was activated, and required checks fail: {}", checks.join(", "));
            let cause =
                if stays { Cause::Unproven { proof: proof() } } else { Cause::ChecksFailed { checks } };
            return Ok(Verdict::Fails(cause));
        }
        // What was restarted may take its time.
        thread::sleep(BETWEEN_CHECKS);
    }
}

/// What hangs would keep what follows from its lock.
fn end_activation(host: &LinuxHost) {
    if let Err(error) = activation::end(host) {
        host.complain(error.trouble(), &error.chain());
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
        let has_changed = activation::running(host).as_ref() != Some(&live.from)
            || !operation::is_tried(host, options, live)?;
        if has_ended && (was_held || has_changed || took > UNLOCKED) {
            return Ok(true);
        }
        if took > options.live.activation {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
}

/// The proof that the owner asks for besides the checks. Who can say that it works needs no gateway for that, and one that was
/// out of reach before says nothing.
fn prove(
    host: &LinuxHost,
    options: &Options,
    assessor: &Assessor,
    left: impl Fn() -> Duration,
) -> Result<Verdict, Error> {
    let was_down = operation::baseline_of_trial(host, options)?.is_some_and(|before| before.network_down);
    let is_confirmed =
        || Ok::<bool, Error>(operation::live(host, options)?.is_none_or(|live| live.confirmed));
    let has_come = || match options.live.proof {
        Proof::None => Ok(true),
        Proof::Person => is_confirmed(),
        Proof::Gateway => Ok(was_down || is_confirmed()? || assessor.reaches_gateway()),
    };
    let proof = match options.live.proof {
        Proof::None => return Ok(Verdict::Works),
        Proof::Person => "nobody said `golden confirm`",
        Proof::Gateway => "the gateway does not answer",
    };
    while !has_come()? {
        if left().is_zero() {
            return Ok(Verdict::Fails(Cause::Unproven { proof: proof.to_owned() }));
        }
        thread::sleep(PAUSE);
    }
    Ok(Verdict::Works)
}

/// Activate what ran before; the ledger says so when it runs again.
fn go_back(host: &LinuxHost, options: &Options, live: &Live) -> Result<(), Error> {
    for _ in 0..TRIES {
        wait_until_free(host, options)?;
        if !is_same(host, options, live)? {
            return Ok(());
        }
        if is_somebody_elses(host, live) {
            break;
        }
        let done = operation::go_back(host, options);
        if activation::is_running(host, &live.from) {
            finish_profile(host, options, live, done)?;
            break;
        }
        if let Err(error) = done {
            host.complain(error.trouble(), &error.chain());
        }
        thread::sleep(BEFORE_NEXT_TRY);
    }
    if !is_same(host, options, live)? {
        return Ok(());
    }
    operation::end_going_back(host, options)?;
    // The next switch is judged by what was wrong before it, and not by what this one has failed of.
    if activation::is_running(host, &live.from) {
        operation::note(host, &Assessor::new(host)?.assess(options.live.window, false));
    }
    Ok(())
}

/// It runs again, and that is not done twice because the system profile cannot be set.
fn finish_profile(
    host: &LinuxHost,
    options: &Options,
    live: &Live,
    mut done: Result<(), Error>,
) -> Result<(), Error> {
    while let Err(error) = done {
        host.complain(error.trouble(), &error.chain());
        thread::sleep(BEFORE_PROFILE);
        if !is_same(host, options, live)? {
            return Ok(());
        }
        done = operation::put_profile_back(host, options);
    }
    Ok(())
}

/// Somebody may be switching to something else, and may hang.
fn wait_until_free(host: &LinuxHost, options: &Options) -> Result<(), Error> {
    let end = host.monotonic() + options.live.activation;
    while !activation::has_ended(host)? {
        if host.monotonic() >= end {
            end_activation(host);
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
