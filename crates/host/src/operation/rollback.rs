//! Phase two of a rollback.

use golden_core::{Moment, decide};

use super::{Options, act, session};
use crate::evidence::Dumps;
use crate::{Error, Host, Reading, Store, system};

/// Phase two of a rollback, if one has begun and this is where it lands. Every part can be repeated.
///
/// # Errors
/// Not everything could be done; it is tried again at the next boot.
pub fn roll_back(host: &dyn Host, options: &Options) -> Result<(), Error> {
    take_effects(host, options)?;
    finish(host, options)
}

/// The part that takes its time, without the lock: who deploys meanwhile wins.
pub(super) fn take_effects(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(()) };
    let seen = system::see(host, None)?;
    let plan = decide(&ledger, &seen, &options.policy, &Moment::RollBack);
    session(host, options, &ledger, &seen, &Dumps::new(host)).execute(&plan)
}

/// The rest.
pub(super) fn finish(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act(host, options, &Moment::RolledBack { running: system::running(host) })
}
