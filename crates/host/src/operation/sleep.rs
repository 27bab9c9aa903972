//! Hibernation.

use golden_core::Moment;

use super::{Options, act};
use crate::{Error, Host, Reading, Store};

/// The machine is about to be hibernated.
///
/// # Errors
/// Not everything could be done; the machine may come back with another kernel.
pub fn hibernate(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act_if_something_waits(host, options, &Moment::Hibernate)
}

/// The machine runs again after a hibernation.
///
/// # Errors
/// The trial that waited is not armed again; the next boot check does it.
pub fn resume(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act_if_something_waits(host, options, &Moment::Resume)
}

fn act_if_something_waits(host: &dyn Host, options: &Options, moment: &Moment) -> Result<(), Error> {
    match Store::new(host, &options.state_dir).read()? {
        Reading::Whole(ledger) if ledger.trial.is_some() || ledger.landing.is_some() => {
            act(host, options, moment)
        }
        _ => Ok(()),
    }
}
