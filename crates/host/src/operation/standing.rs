//! Whether a boot has to be ended, and how.

use std::path::{Path, PathBuf};

use golden_core::{Ledger, Loader, OneShot, Toplevel};

use super::{Options, see_loader};
use crate::execute::{RUNTIME, create_runtime_directory};
use crate::{Error, Host, Store, manager, system};

/// The state of a boot, for the programs that may have to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody ends it: it need not be confirmed, it is healthy, a person stays, or it is in safe mode.
    Free,
    /// It has to be confirmed, and is not yet.
    Watched,
    /// It is closed as failed, and still runs.
    Closed,
    /// It has to be confirmed, and the ledger does not know it: it could not be written or read when the boot began.
    Unrecorded,
}

/// The state of this boot.
///
/// # Errors
/// The boot ID cannot be read, or only a newer build may act on the ledger.
pub(super) fn standing(host: &dyn Host, options: &Options) -> Result<Standing, Error> {
    if stays(host) {
        return Ok(Standing::Free);
    }
    let ledger = match Store::new(host, &options.state_dir).read() {
        Ok(reading) => reading.known(),
        Err(error @ Error::LedgerTooNew { .. }) => return Err(error),
        // The ledger cannot be read: the word in `/run` counts.
        Err(_) if began_at(host).is_some() && system::runs_as_booted(host) => {
            return Ok(Standing::Unrecorded);
        }
        Err(error) => return Err(error),
    };
    let boot = system::boot(host)?;
    if let Some(ledger) = &ledger {
        if ledger.is_watched(&boot) {
            return Ok(Standing::Watched);
        }
        if system::runs_as_booted(host)
            && system::booted(host)?.is_some_and(|booted| ledger.is_closed(&boot, &booted))
        {
            return Ok(Standing::Closed);
        }
    }
    // Nothing was written since: neither that it began, nor anything that ended it.
    let revision = ledger.map_or(0, |ledger| ledger.revision);
    let is_unrecorded =
        began_at(host).is_some_and(|began_at| revision <= began_at) && system::runs_as_booted(host);
    Ok(if is_unrecorded { Standing::Unrecorded } else { Standing::Free })
}

/// The revision of the ledger when the boot check found that this boot has to be confirmed; `None` if it did not find that, or if an
/// older build wrote the word.
fn began_at(host: &dyn Host) -> Option<u64> {
    String::from_utf8(host.read(&word("attempt")).ok()?).ok()?.trim().parse().ok()
}

/// Whether [`stay`] was called in this boot.
pub(super) fn stays(host: &dyn Host) -> bool {
    host.size(&word("stays")).is_ok()
}

/// No program of ours ends this boot any more: a person stays, or it is healthy. The word is gone with the boot.
///
/// # Errors
/// It cannot be written.
pub(super) fn stay(host: &dyn Host) -> Result<(), Error> {
    let path = word("stays");
    create_runtime_directory(host)?;
    host.write(&path, b"").map_err(Error::io("write", path))
}

/// Go to safe mode, and stay there.
pub(crate) fn enter_safe_mode(host: &dyn Host) -> Result<(), Error> {
    manager::enter_safe_mode(host)?;
    if let Err(error) = stay(host) {
        host.complain(error.trouble(), &error.chain());
    }
    Ok(())
}

/// This boot is healthy, whether or not the ledger could be told so: no program of ours ends it any more, whatever becomes of the
/// ledger. Where it was closed as failed before, that stays.
pub(super) fn let_be(host: &dyn Host, options: &Options) {
    let left_alone = match standing(host, options) {
        Ok(Standing::Closed) | Err(_) => return,
        Ok(Standing::Watched) => stay(host),
        Ok(Standing::Free | Standing::Unrecorded) => Ok(()),
    };
    let path = word("attempt");
    let left_alone = left_alone.and_then(|()| match host.size(&path) {
        Ok(_) => host.remove(&path).map_err(Error::io("remove", path)),
        Err(_) => Ok(()),
    });
    if let Err(error) = left_alone {
        host.complain(error.trouble(), &error.chain());
    }
}

/// The default of the loader, if it is known to be good and another system runs. `None` also if a system is armed: nothing can be
/// armed in a boot that the ledger does not know. `None` as well if another loader started the machine: it would start this system
/// again, for ever, because nothing counts these reboots.
///
/// # Errors
/// The machine cannot be asked.
pub(super) fn way_out(
    host: &dyn Host,
    options: &Options,
    ledger: Option<&Ledger>,
) -> Result<Option<Toplevel>, Error> {
    let seen = system::see(host, ledger, see_loader(host, options))?;
    let is_obeyed = |loader: &Loader| loader.one_shot == OneShot::Clear && !loader.is_bypassed;
    let Some(loader) = seen.loader.filter(is_obeyed) else { return Ok(None) };
    let is_known_good = |default: &Toplevel| {
        // Either stands in for a trial.
        Some(default) == seen.golden.as_ref()
            || Some(default) == seen.kept.as_ref()
            || ledger.is_some_and(|ledger| ledger.is_confirmed(default))
    };
    let has_failed = |default: &Toplevel| {
        ledger.is_some_and(|ledger| ledger.is_quarantined(default) || ledger.is_failed_landing(default))
    };
    let runs_other = |default: &Toplevel| seen.booted.as_ref().is_some_and(|booted| booted != default);
    Ok(loader.default.filter(|default| {
        runs_other(default)
            && is_known_good(default)
            && !has_failed(default)
            && !loader.incomplete.contains(default)
    }))
}

fn word(name: &str) -> PathBuf {
    Path::new(RUNTIME).join(name)
}
