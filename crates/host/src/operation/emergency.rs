//! A boot that ends in `emergency.target` or `rescue.target`.

use golden_core::{Cause, Moment};

use super::fail::fail;
use super::{Options, act, boot_check, is_watched, see_loader};
use crate::{Error, Host, Reading, Store, manager, profile, system};

/// What a boot that ends in emergency mode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emergency {
    /// One that nobody watches: a person is needed, as without us.
    Unwatched,
    /// One that has to be confirmed: it has failed.
    Watched,
    /// The state cannot be reached, and the loader did not boot its default: that is golden, or what stands in for it while
    /// there is a trial, and counts it.
    WithoutState,
}

/// The boot has ended in `emergency.target` or `rescue.target`: what is it? The boot check may not have run.
///
/// # Errors
/// The machine cannot be asked.
pub fn emergency(host: &dyn Host, options: &Options) -> Result<Emergency, Error> {
    // What a panic started to save a dump ends by itself.
    if system::is_disabled(host) || system::is_crash_kernel(host) {
        return Ok(Emergency::Unwatched);
    }
    let store = Store::new(host, &options.state_dir);
    match store.read() {
        Ok(Reading::Whole(_)) => {}
        Err(error @ Error::LedgerTooNew { .. }) => return Err(error),
        // A file system that is not mounted looks like a machine on which nothing has happened yet.
        _ => return without_state(host, options),
    }
    boot_check(host, options)?;
    match store.read()? {
        Reading::Whole(ledger) if is_watched(host, &ledger)? => Ok(Emergency::Watched),
        _ => Ok(Emergency::Unwatched),
    }
}

fn without_state(host: &dyn Host, options: &Options) -> Result<Emergency, Error> {
    let seen = system::see(host, see_loader(host, options))?;
    let default = seen.loader.as_ref().and_then(|loader| loader.default.clone());
    // Either stands in for a trial; without a ledger nothing else is known to be good.
    let stands_in = default.is_some() && (default == seen.golden || default == profile::kept(host)?);
    let is_stray = stands_in && seen.booted.is_some() && seen.booted != default;
    Ok(if is_stray { Emergency::WithoutState } else { Emergency::Unwatched })
}

/// A person wants to look at it: it has failed all the same, and nobody reboots.
///
/// # Errors
/// It could not be recorded.
pub fn stay_in_emergency(host: &dyn Host, options: &Options, emergency: Emergency) -> Result<(), Error> {
    if emergency != Emergency::Watched {
        return Ok(());
    }
    let units = manager::missing(host).unwrap_or_default();
    act(host, options, &Moment::Close(Cause::Emergency { units }))
}

/// Close this boot as one that ended in emergency mode, and reboot.
///
/// # Errors
/// Not everything could be done.
pub fn leave_emergency(host: &dyn Host, options: &Options, emergency: Emergency) -> Result<(), Error> {
    match emergency {
        Emergency::Unwatched => Ok(()),
        Emergency::Watched => {
            let units = manager::missing(host).unwrap_or_default();
            fail(host, options, Cause::Emergency { units })
        }
        Emergency::WithoutState => host.reboot().map_err(Error::io("reboot", "/")),
    }
}
