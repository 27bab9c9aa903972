//! A boot that ends in `emergency.target` or `rescue.target`.

use golden_core::{Cause, Moment};

use super::fail::{fail, leave_unrecorded};
use super::standing::{Standing, standing, stay, stays, way_out};
use super::{Options, act, boot_check};
use crate::{Error, Host, Reading, Store, manager, system};

/// Stays active once it has looked at a boot.
const BOOT_CHECK: &str = "golden-boot-check.service";

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
    // A crash kernel saves a dump and reboots by itself.
    if system::is_disabled(host) || system::is_crash_kernel(host) || stays(host) {
        return Ok(Emergency::Unwatched);
    }
    let store = Store::new(host, &options.state_dir);
    match store.read() {
        Ok(Reading::Whole(_) | Reading::Partly(..)) => {}
        Err(error @ Error::LedgerTooNew { .. }) => return Err(error),
        // A file system that is not mounted looks like a machine on which nothing has happened yet.
        _ => return without_state(host, options),
    }
    // Once in a boot: what was armed since cannot have been started by it.
    if !manager::is_active(host, BOOT_CHECK)
        && let Err(error) = boot_check(host, options)
    {
        // The next boot check does the rest. A unit that fails is started again, and takes the console from the person who repairs
        // the disk.
        host.complain(error.trouble(), &error.chain());
    }
    match standing(host, options)? {
        // The program that closed the boot may have been killed before it rebooted the machine.
        Standing::Watched | Standing::Closed => Ok(Emergency::Watched),
        Standing::Unrecorded => without_state(host, options),
        Standing::Free => Ok(Emergency::Unwatched),
    }
}

fn without_state(host: &dyn Host, options: &Options) -> Result<Emergency, Error> {
    let ledger = Store::new(host, &options.state_dir).read().ok().and_then(Reading::known);
    let is_stray = way_out(host, options, ledger.as_ref())?.is_some();
    Ok(if is_stray { Emergency::WithoutState } else { Emergency::Unwatched })
}

/// A person wants to look at it: it has failed all the same, and nobody reboots.
///
/// # Errors
/// It could not be recorded.
pub fn stay_in_emergency(host: &dyn Host, options: &Options, emergency: Emergency) -> Result<(), Error> {
    if emergency == Emergency::Unwatched {
        return Ok(());
    }
    // First: if recording fails, the suite does not reboot the machine either.
    if let Err(error) = stay(host) {
        host.complain(error.trouble(), &error.chain());
    }
    if emergency == Emergency::WithoutState {
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
        Emergency::WithoutState => leave_unrecorded(host, options),
    }
}
