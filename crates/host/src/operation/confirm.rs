//! The boot is healthy: it is confirmed, and may be pinned.

use golden_core::Moment;

use super::standing::let_be;
use super::{Options, act, glance_at_golden, put_golden_back};
use crate::manager::{self, Wait};
use crate::{Error, Host, loader, system};

/// The boot is healthy: confirm what runs.
///
/// # Errors
/// Not everything could be done; the next healthy boot does the rest.
pub fn confirm(host: &dyn Host, options: &Options) -> Result<(), Error> {
    if !system::runs_as_booted(host) {
        return Ok(());
    }
    let confirmed = act(host, options, &Moment::Confirm);
    // A boot that the disk refuses to confirm works all the same, and is not rebooted.
    let_be(host, options);
    confirmed?;
    // Found before it is needed; the boot is healthy all the same.
    let looked_at = put_golden_back(host, options).and_then(|()| glance_at_golden(host, options));
    match looked_at {
        Err(Error::GoldenDamaged(_, why))
            if matches!(*why, Error::NoEntry(_)) && manager::list_golden(host, Wait::No).is_ok() => {}
        Err(error) => host.complain(error.trouble(), &error.chain()),
        Ok(()) => {}
    }
    Ok(())
}

/// Pin what runs as golden.
///
/// # Errors
/// What runs was never confirmed here and nobody forces it, or it cannot be landed on.
pub fn pin(host: &dyn Host, options: &Options, force: bool) -> Result<(), Error> {
    loader::detect(host, options)?.see()?;
    act(host, options, &Moment::Pin { force })
}
