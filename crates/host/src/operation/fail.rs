//! This boot will not be confirmed.

use golden_core::{BootId, Cause, End, Event, Ledger, Moment, RebootCause};

use super::{Options, act, is_watched};
use crate::{Error, Host, Reading, Store, Trouble, history, manager, system};

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

/// The reboot was counted when the boot was closed. One that history cannot know does not happen: then it is safe mode.
fn leave_closed(host: &dyn Host, options: &Options, ledger: &Ledger) -> Result<(), Error> {
    let next = match ledger {
        Ledger { safe_mode: Some(_), .. } => None,
        Ledger { rollback: Some(rollback), .. } => Some((RebootCause::RollBack, &rollback.to)),
        Ledger { trial: Some(trial), .. } => Some((RebootCause::Retry, &trial.toplevel)),
        Ledger { drill: Some(drill), .. } => Some((RebootCause::Drill, drill.next())),
        Ledger { landing: Some(landing), .. } => Some((RebootCause::LandAgain, &landing.toplevel)),
        _ => return Ok(()),
    };
    let is_known = next.is_some_and(|(cause, toplevel)| {
        let automatic_reboots = ledger.automatic_reboots;
        let event = Event::Rebooting { cause, toplevel: toplevel.clone(), automatic_reboots };
        let boot = system::boot(host);
        let written = boot.and_then(|boot| history::append(host, &options.state_dir, &boot, &event));
        host.tell(&event);
        written.is_ok()
    });
    if is_known { host.reboot().map_err(Error::io("reboot", "/")) } else { manager::enter_safe_mode(host) }
}
