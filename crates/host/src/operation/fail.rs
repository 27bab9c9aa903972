//! This boot will not be confirmed.

use golden_core::{Cause, Event, Ledger, Moment, RebootCause, decide};

use super::standing::{Standing, enter_safe_mode, standing, way_out};
use super::{Options, act, ask, boot_check, find_loader, session};
use crate::evidence::Dumps;
use crate::{Error, Host, Store, Trouble, history, system};

/// This boot has failed: close it if that is not done yet, and leave it. Nobody comes back to a boot that is closed.
pub(super) fn fail(host: &dyn Host, options: &Options, cause: Cause) -> Result<(), Error> {
    match standing_by_now(host, options)? {
        Standing::Free => return Ok(()),
        Standing::Unrecorded => return leave_unrecorded(host, options),
        Standing::Watched | Standing::Closed => {}
    }
    let Err(error) = act(host, options, &Moment::Fail(cause)) else { return Ok(()) };
    match standing(host, options) {
        Ok(Standing::Closed) => leave_closed(host, options)?,
        Ok(Standing::Free) => {}
        // It cannot be closed: nobody may reboot then, and nobody has to wait.
        _ if matches!(error.trouble(), Trouble::NoSpace | Trouble::ReadOnly | Trouble::Io) => {
            host.complain(error.trouble(), &error.chain());
            return enter_safe_mode(host);
        }
        _ => {}
    }
    Err(error)
}

/// The attempt that the boot check could not record may be recordable by now.
fn standing_by_now(host: &dyn Host, options: &Options) -> Result<Standing, Error> {
    let found = standing(host, options)?;
    if found != Standing::Unrecorded {
        return Ok(found);
    }
    if let Err(error) = boot_check(host, options) {
        host.complain(error.trouble(), &error.chain());
    }
    standing(host, options)
}

/// The loader cannot be told everything, so the boot is left as the loader stands. A reboot that history cannot know does not
/// happen: then it is safe mode.
fn leave_closed(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let ledger = read(host, options).unwrap_or_default();
    let (loader, _) = find_loader(host, options);
    let asked = loader.as_deref().and_then(|loader| ask(host, loader));
    let seen = system::see(host, Some(&ledger), asked)?;
    let plan = decide(&ledger, &seen, &options.policy, &Moment::Leave);
    let dumps = Dumps::new(host);
    session(host, options, loader.as_deref(), &ledger, &seen, &dumps).execute(&plan).or_else(|error| {
        host.complain(error.trouble(), &error.chain());
        enter_safe_mode(host)
    })
}

/// The ledger does not know this boot, so no later boot counts it. It is left only if the default is another system that is known to
/// be good and has not failed; else the machine goes to safe mode.
pub(super) fn leave_unrecorded(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let ledger = read(host, options);
    let Some(to) = way_out(host, options, ledger.as_ref())? else {
        let why = "this boot was not confirmed in time and could not be recorded, and the default boot entry is no other system \
                   that is known to be good: the machine goes to safe mode";
        host.complain(Trouble::Io, why);
        return enter_safe_mode(host);
    };
    let why = format!(
        "this boot was not confirmed and could not be recorded: the machine reboots to {to}, the loader's default"
    );
    host.complain(Trouble::Io, &why);
    let automatic_reboots = ledger.map_or(0, |ledger| ledger.automatic_reboots);
    let event = Event::Rebooting { cause: RebootCause::Retry, toplevel: to, automatic_reboots };
    // The disk may be why: the journal has it in any case.
    let written = history::append(host, &options.state_dir, &system::boot(host)?, &event);
    host.tell(&event);
    if let Err(error) = written {
        host.complain(error.trouble(), &error.chain());
    }
    host.reboot().map_err(Error::io("reboot", "/"))
}

fn read(host: &dyn Host, options: &Options) -> Option<Ledger> {
    Store::new(host, &options.state_dir).read().ok()?.known()
}
