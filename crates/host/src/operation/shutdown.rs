//! The machine goes down.

use golden_core::Moment;

use super::{Options, act, is_watched};
use crate::{Error, Host, Reading, Store, manager};

/// The machine may be going down. Record how, if a trial runs; and whether it is sent elsewhere, if a system is armed.
///
/// # Errors
/// Not everything could be recorded.
pub fn record_shutdown(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(()) };
    let has_an_end = is_watched(host, &ledger)? || ledger.live.is_some();
    if !has_an_end && !ledger.waits_armed() {
        return Ok(());
    }
    let shutdown = match manager::shutdown(host) {
        Ok(Some(shutdown)) => shutdown,
        // The variables say what starts next, whatever systemd says.
        _ if !has_an_end => manager::next_start(host),
        unsaid => return unsaid.map(drop),
    };
    act(host, options, &Moment::Shutdown(shutdown))
}
