//! The machine goes down.

use golden_core::Moment;

use super::{Options, act, is_watched};
use crate::{Error, Host, Reading, Store, manager};

/// The machine may be going down: record how, if a trial runs, and where to, if something waits for its boot.
///
/// # Errors
/// Not everything could be recorded.
pub fn record_shutdown(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(()) };
    if !is_watched(host, &ledger)? && ledger.live.is_none() && !ledger.waits_armed() {
        return Ok(());
    }
    match manager::shutdown(host)? {
        Some(shutdown) => act(host, options, &Moment::Shutdown(shutdown)),
        None => Ok(()),
    }
}
