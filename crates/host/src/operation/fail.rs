//! This boot will not be confirmed.

use golden_core::{BootId, Cause, End, Ledger, Moment, decide};

use super::{Options, act, find_loader, is_watched, session};
use crate::evidence::Dumps;
use crate::{Error, Host, Reading, Store, Trouble, manager, system};

/// This boot has failed. What could not be armed or made the default is decided anew by the next boot, but there has to be
/// one: nobody comes back to a boot that is closed.
pub(super) fn fail(host: &dyn Host, options: &Options, cause: Cause) -> Result<(), Error> {
    let Err(error) = act(host, options, &Moment::Fail(cause)) else { return Ok(()) };
    match Store::new(host, &options.state_dir).read() {
        Ok(Reading::Whole(ledger)) if has_failed(&ledger, &system::boot(host)?) => {
            leave_closed(host, options, &ledger)?;
        }
        Ok(Reading::Whole(ledger)) if !is_watched(host, &ledger)? => {}
        // It cannot be closed: nobody may reboot then, and nobody has to wait.
        _ if matches!(error.trouble(), Trouble::NoSpace | Trouble::ReadOnly | Trouble::Io) => {
            host.complain(error.trouble(), &error.chain());
            return manager::enter_safe_mode(host);
        }
        _ => {}
    }
    Err(error)
}

/// Whether the ledger says so of this boot. One that was confirmed meanwhile has not failed.
fn has_failed(ledger: &Ledger, boot: &BootId) -> bool {
    let quarantined = ledger.quarantine.iter().map(|failed| &failed.attempts);
    ledger
        .watched()
        .chain(quarantined)
        .flat_map(|attempts| attempts.iter())
        .any(|attempt| attempt.boot.as_ref() == Some(boot) && matches!(attempt.end, Some(End::Failed { .. })))
}

/// A reboot that history cannot know does not happen: then it is safe mode.
fn leave_closed(host: &dyn Host, options: &Options, ledger: &Ledger) -> Result<(), Error> {
    let seen = system::see(host, None)?;
    let plan = decide(ledger, &seen, &options.policy, &Moment::Leave);
    let loader = find_loader(host, options);
    session(host, options, loader.as_deref(), ledger, &seen, &Dumps::new(host)).execute(&plan).or_else(
        |error| {
            host.complain(error.trouble(), &error.chain());
            manager::enter_safe_mode(host)
        },
    )
}
