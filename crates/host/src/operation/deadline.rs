//! A boot that has to be confirmed in time.

use std::time::Duration;

use golden_core::Cause;

use super::Options;
use super::fail::fail;
use super::standing::{Standing, standing};
use crate::{Error, Host, manager};

/// Time until this boot must be confirmed; `None` where it need not be. None is left to one that is closed as failed already.
///
/// # Errors
/// The ledger or systemd cannot be asked.
pub fn time_left(host: &dyn Host, options: &Options) -> Result<Option<Duration>, Error> {
    match standing(host, options)? {
        Standing::Free => return Ok(None),
        Standing::Closed => return Ok(Some(Duration::ZERO)),
        Standing::Watched | Standing::Unrecorded => {}
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
