//! A switch that changes the running system, from its mark to its verdict.

use golden_core::{Cause, Live, Moment};

use super::{Options, act, rollback};
use crate::{Error, Host, Reading, Store, system};

/// The switch of this boot that has yet to prove itself, or is being taken back.
///
/// # Errors
/// The ledger cannot be read.
pub fn live(host: &dyn Host, options: &Options) -> Result<Option<Live>, Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(None) };
    let boot = system::boot(host)?;
    Ok(ledger.live.filter(|live| live.boot == boot))
}

/// It has proved itself: the next boot tries it.
///
/// # Errors
/// It could not be recorded or armed.
pub fn pass_live(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act(host, options, &Moment::LivePassed)
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
    rollback::take_effects(host, options)
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
