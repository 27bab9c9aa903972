//! What the programs do: read, decide, take the steps. A file for each moment at which one of them is run.

mod asked;
mod assess;
mod boot;
mod confirm;
mod coverage;
mod deadline;
mod drill;
mod emergency;
mod fail;
mod fallback;
mod golden;
mod hold;
mod live;
mod mark;
mod rollback;
mod shutdown;
mod sleep;
mod standing;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use golden_core::{
    Baseline, BootId, Evidence, Ledger, Moment, Named, Policy, Revision, Seen, Toplevel, decide,
};

use crate::evidence::{self, Dumps};
use crate::execute::Session;
use crate::loader::BootLoader;
use crate::{Error, Host, Store, loader, manager, network_is_down, source, system};

use serde::Deserialize;

pub use asked::{foresee_rollback, quarantine, release, roll_back_now};
pub use assess::{
    Verdict, baseline_of_trial, end_probation, excused, fail_late, failed_when_confirmed, goes_back_late,
    is_assessed_elsewhere, judge, judge_live, keep_baseline, last_assessment, note,
};
pub use boot::{boot_check, is_boot_settled};
pub use confirm::{confirm, pin};
pub use coverage::{safety_net, state_mount};
pub use deadline::{pass_deadline, time_left};
pub use drill::{drill, injected};
pub use emergency::{Emergency, emergency, leave_emergency, stay_in_emergency};
pub use golden::{glance_at_golden, golden, list_golden, put_golden_back, verify_golden};
pub use hold::{end_hold, held_reboot, hold_reboot};
pub use live::{
    confirm_live, count_watch, end_going_back, end_watch, fail_live, go_back, goes_down, is_tried,
    leave_live, live, pass_live, put_profile_back, put_running_back, watcher,
};
pub use mark::{Switch, check, mark, mark_nothing};
pub use rollback::{keep_post_mortem, roll_back};
pub use shutdown::record_shutdown;
pub use sleep::{hibernate, resume};
pub(crate) use standing::enter_safe_mode;

/// Where the state directory is unless told otherwise.
pub const STATE_DIR: &str = "/var/lib/golden-generation";

/// How the programs are configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// What the owner chose.
    pub policy: Policy,
    /// Time from the start of userspace until a trial must be confirmed, on the monotonic clock.
    pub boot_deadline: Duration,
    /// How a switch of the running system is watched.
    pub live: LiveOptions,
    /// Longest time that a reboot waits, if it can, for a person who is logged in or a lock that is held; zero: none.
    pub reboot_hold: Duration,
    /// The loader of this machine.
    pub loader: loader::Kind,
    /// The owner's command that knows the loader, where that is none of ours. Source: `docs/external-loader.md`.
    pub loader_command: Option<PathBuf>,
    /// Mount points of other boot partitions from which the firmware may start the loader. The loader's files are kept alike on all
    /// of them.
    pub mirrors: Vec<PathBuf>,
}

/// How a switch of the running system is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveOptions {
    /// Whether it is.
    pub enable: bool,
    /// Time that the activation may take.
    pub activation: Duration,
    /// Time after it in which everything that is required has to be proved.
    pub window: Duration,
    /// What is required besides the checks.
    pub proof: Proof,
    /// Units that may fail in it, by their whole names.
    pub except: Vec<String>,
}

/// What a switch of the running system has to prove, besides the required checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Nothing.
    #[default]
    None,
    /// The default gateway answers.
    Gateway,
    /// A person says `golden confirm`: who can log in and say so has not been cut off.
    Person,
}

/// Whether the system that was booted is still the one that runs.
#[must_use]
pub fn runs_as_booted(host: &dyn Host) -> bool {
    system::runs_as_booted(host)
}

/// What runs, and in which boot.
///
/// # Errors
/// The boot cannot be told.
pub fn subject(host: &dyn Host) -> Result<(Option<Toplevel>, BootId), Error> {
    Ok((system::running(host), system::boot(host)?))
}

/// Read, decide and take the steps, alone on this machine.
fn act(host: &dyn Host, options: &Options, moment: &Moment) -> Result<(), Error> {
    act_for(host, options, moment, None)
}

/// The same for a deployer, who may know what the system that the moment is about was built from.
fn act_for(
    host: &dyn Host,
    options: &Options,
    moment: &Moment,
    told: Option<&Revision>,
) -> Result<(), Error> {
    let store = Store::new(host, &options.state_dir);
    let _lock = store.lock()?;
    let goes_on = matches!(
        moment,
        Moment::BootCheck
            | Moment::Fail(_)
            | Moment::Close(_)
            | Moment::Shutdown(_)
            | Moment::FailLate { .. }
            | Moment::RollBackNow(_)
    );
    let dumps = Dumps::new(host);
    let mut damaged = Vec::new();
    // One loader for all rounds: it reads the boot partition once.
    let (loader, absent) = find_loader(host, options);
    loop {
        let ledger = store.open()?;
        let asked = loader.as_deref().and_then(|loader| ask(host, loader));
        let seen = system::see(host, Some(&ledger), asked)?;
        let evidence = match moment {
            Moment::BootCheck => evidence::gather(host, &dumps, &ledger.known_dumps),
            _ => Evidence::default(),
        };
        let baseline = matches!(moment, Moment::Mark(_) | Moment::MarkLive { .. }).then(|| baseline(host));
        let sources = source::sources(host, told, &spoken_of(&seen, moment));
        let seen = Seen { evidence, baseline, damaged: damaged.clone(), sources, ..seen };
        let plan = decide(&ledger, &seen, &options.policy, moment);
        let session = session(host, options, loader.as_deref(), &ledger, &seen, &dumps);
        match session.execute(&plan) {
            // What cannot be booted is no place to go to: it is decided anew, without it.
            Err(error)
                if goes_on && error.damage().is_some_and(|it| seen.damage_of(&it.toplevel).is_none()) =>
            {
                if !session.has_told_error.get() {
                    host.complain(error.trouble(), &error.chain());
                }
                damaged.extend(error.damage());
            }
            done => {
                let done = with_reason(done, absent);
                let Some(refusal) = plan.refusal else { return done };
                // No is no, whatever else could not be done.
                if let Err(error) = done {
                    host.complain(error.trouble(), &error.chain());
                }
                return Err(Error::Refused(refusal));
            }
        }
    }
}

/// What is wrong before a switch is no evidence against what it brings.
fn baseline(host: &dyn Host) -> Baseline {
    let failed_units = manager::failed_units(host).unwrap_or_default();
    let failed_checks = assess::failed_before(host);
    let network_down = network_is_down(host);
    Baseline { failed_units, failed_checks, network_down, ..Baseline::default() }
}

/// The systems whose source revision may decide something: what the moment is about, then what runs.
fn spoken_of<'a>(seen: &'a Seen, moment: &'a Moment) -> Vec<&'a Toplevel> {
    let of = match moment {
        Moment::Mark(toplevel) | Moment::MarkUnprotected(toplevel) | Moment::Check(toplevel) => {
            Some(toplevel)
        }
        Moment::MarkLive { to, .. } => Some(to),
        Moment::Quarantine(Named::Toplevel(toplevel)) | Moment::RollBackNow(toplevel) => Some(toplevel),
        Moment::BootCheck => None,
        _ => return Vec::new(),
    };
    of.into_iter().chain(&seen.booted).collect()
}

/// Whether this boot has to be confirmed and is not yet: it is an attempt of a trial, a landing or a rehearsal.
fn is_watched(host: &dyn Host, ledger: &Ledger) -> Result<bool, Error> {
    Ok(ledger.is_watched(&system::boot(host)?))
}

fn session<'a>(
    host: &'a dyn Host,
    options: &'a Options,
    loader: Option<&'a dyn BootLoader>,
    ledger: &Ledger,
    seen: &Seen,
    dumps: &'a Dumps<'a>,
) -> Session<'a> {
    Session {
        host,
        state_dir: &options.state_dir,
        loader,
        activation: options.live.activation,
        boot: seen.boot.clone(),
        revision: Cell::new(ledger.revision),
        dumps,
        has_told_error: Cell::new(false),
    }
}

/// The loader, or why there is none. The ledger's part of the work goes on without one, so the error is said here.
fn find_loader<'a>(
    host: &'a dyn Host,
    options: &'a Options,
) -> (Option<Box<dyn BootLoader + 'a>>, Option<Error>) {
    match loader::detect(host, options) {
        Ok(loader) => (Some(loader), None),
        Err(error) => {
            host.complain(error.trouble(), &error.chain());
            (None, Some(error))
        }
    }
}

/// A step that needs the loader fails for the reason why there is none.
fn with_reason(done: Result<(), Error>, absent: Option<Error>) -> Result<(), Error> {
    match (done, absent) {
        (Err(Error::NoLoader), Some(why)) => Err(why),
        (done, _) => done,
    }
}

/// The loader's part of the state; `None` where it cannot be asked, which is said here.
fn ask(host: &dyn Host, loader: &dyn BootLoader) -> Option<golden_core::Loader> {
    match loader.see() {
        // A partition that is not mounted leaves an empty directory, or an old one: nothing is concluded from that.
        Ok(loader) if loader.listed.is_empty() => None,
        Ok(loader) => Some(loader),
        Err(error) => {
            host.complain(error.trouble(), &error.chain());
            None
        }
    }
}

fn see_loader(host: &dyn Host, options: &Options) -> Option<golden_core::Loader> {
    ask(host, find_loader(host, options).0?.as_ref())
}
