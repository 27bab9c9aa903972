//! A switch that changes the running system, from its mark to its verdict.

use std::path::{Path, PathBuf};

use golden_core::{Cause, Ledger, Live, Moment, Step, Toplevel};

use super::{Options, act, rollback};
use crate::execute::create_runtime_directory;
use crate::{Error, Host, Reading, Store, durable, manager, profile, system};

/// The switch of this boot that has yet to prove itself, or is being taken back.
///
/// # Errors
/// The ledger cannot be read.
pub fn live(host: &dyn Host, options: &Options) -> Result<Option<Live>, Error> {
    let Some(ledger) = read(host, options)? else { return Ok(None) };
    let boot = system::boot(host)?;
    Ok(ledger.live.filter(|live| live.boot == boot))
}

fn read(host: &dyn Host, options: &Options) -> Result<Option<Ledger>, Error> {
    match Store::new(host, &options.state_dir).read()? {
        Reading::Whole(ledger) => Ok(Some(*ledger)),
        _ => Ok(None),
    }
}

/// Whether what was switched to is still what is tried: nobody has deployed anything else.
///
/// # Errors
/// The ledger cannot be read.
pub fn is_tried(host: &dyn Host, options: &Options, live: &Live) -> Result<bool, Error> {
    let trial = read(host, options)?.and_then(|ledger| ledger.trial);
    Ok(trial.is_some_and(|trial| trial.toplevel == live.to))
}

/// Whether there is nothing left to watch. Then the ledger is held until the calling program is gone: whoever marks a switch
/// in that moment would start a watcher that seems to run already.
///
/// # Errors
/// The ledger cannot be read.
pub fn end_watch(host: &dyn Host, options: &Options) -> Result<bool, Error> {
    // Without a place for the lock there is nobody who marks anything.
    let lock = Store::new(host, &options.state_dir).lock().ok();
    let is_over = live(host, options)?.is_none();
    if is_over {
        std::mem::forget(lock);
    }
    Ok(is_over)
}

/// Whether the machine is going down: what is stopped then has not failed.
///
/// # Errors
/// systemd cannot be asked.
pub fn goes_down(host: &dyn Host) -> Result<bool, Error> {
    Ok(manager::shutdown(host)?.is_some())
}

/// It has proved itself: the next boot tries it.
///
/// # Errors
/// It could not be recorded or armed.
pub fn pass_live(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act(host, options, &Moment::LivePassed)
}

/// Something else runs, so there is nothing to prove: the next boot tries it, if it is still what is tried.
///
/// # Errors
/// It could not be recorded or armed.
pub fn leave_live(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act(host, options, &Moment::LiveUnwatched)
}

/// It has failed: nothing of it is what boots next, and [`go_back`] is what is left to do.
///
/// # Errors
/// It could not be recorded.
pub fn fail_live(host: &dyn Host, options: &Options, cause: Cause) -> Result<(), Error> {
    act(host, options, &Moment::LiveFailed(cause))
}

/// Have what ran before run again: the first half, which takes its time and can be repeated.
///
/// # Errors
/// Not everything could be done.
pub fn go_back(host: &dyn Host, options: &Options) -> Result<(), Error> {
    rollback::take_effects(host, options, |_| true)
}

/// The same without an activation, once that has come to its end.
///
/// # Errors
/// The system profile could not be put back.
pub fn put_profile_back(host: &dyn Host, options: &Options) -> Result<(), Error> {
    rollback::take_effects(host, options, |step| !matches!(step, Step::Activate(_)))
}

/// The activation alone, where nothing can be recorded: a full disk must not keep the network cut.
pub fn put_running_back(host: &dyn Host, options: &Options, to: &Toplevel) {
    profile::activate(host, to, options.live.activation);
}

/// The second half: if it does not run by now, the machine is rebooted, for what boots by itself works.
///
/// # Errors
/// It could not be recorded.
pub fn end_going_back(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let ended = rollback::finish(host, options);
    rollback::keep_post_mortem(host, options);
    ended
}

/// A person says that it works.
///
/// # Errors
/// It could not be recorded.
pub fn confirm_live(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act(host, options, &Moment::LiveConfirmed)
}

/// What is watched, and how often somebody has begun to watch it in this boot.
const WATCHES: &str = "/run/golden-generation/live-watches";

/// Somebody begins to watch a switch: the how manieth time that is, from 1 on. Where it cannot be written down it is the first.
pub fn count_watch(host: &dyn Host, live: &Live) -> u32 {
    let path = Path::new(WATCHES);
    let before = host.read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let count = before.and_then(|text| text.trim().strip_prefix(live.to.as_str())?.trim().parse().ok());
    let count = count.unwrap_or(0_u32).saturating_add(1);
    let text = format!("{} {count}\n", live.to);
    let written = create_runtime_directory(host).and_then(|()| durable::replace(host, path, text.as_bytes()));
    if let Err(error) = written {
        host.complain(error.trouble(), &error.chain());
    }
    count
}

/// Another switch begins.
pub(super) fn forget_watches(host: &dyn Host) {
    let path = Path::new(WATCHES);
    if host.read(path).is_ok() {
        let _ = host.remove(path);
    }
}

/// The program that watches switches on the system that runs now; `None` where there is none.
#[must_use]
pub fn watcher(host: &dyn Host) -> Option<PathBuf> {
    manager::program_of(host, "golden-live.service")
}
