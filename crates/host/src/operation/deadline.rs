//! A boot that has to be confirmed in time.

use std::time::Duration;

use golden_core::Cause;

use super::fail::fail;
use super::{Options, is_watched};
use crate::{Error, Host, Reading, Store, manager};

/// Time until this boot must be confirmed; `None` where it need not be.
///
/// # Errors
/// The ledger or systemd cannot be asked.
pub fn time_left(host: &dyn Host, options: &Options) -> Result<Option<Duration>, Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(None) };
    if !is_watched(host, &ledger)? {
        return Ok(None);
    }
    let now = host.monotonic();
    let began = manager::userspace_began(host)?.unwrap_or(now);
    Ok(Some((began + options.boot_deadline).saturating_sub(now)))
}

/// The deadline has passed: this boot has failed, unless it was confirmed.
///
/// # Errors
/// Not everything could be done.
pub fn pass_deadline(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let units = manager::unfinished(host).unwrap_or_default();
    fail(host, options, Cause::Deadline { secs: options.boot_deadline.as_secs(), units })
}
