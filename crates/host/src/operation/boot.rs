//! Early in a boot.

use std::path::Path;

use golden_core::{Ledger, Moment, Step, decide, is_settled};

use super::standing::{Standing, enter_safe_mode, standing};
use super::{Options, act, is_watched, see_loader, session};
use crate::evidence::Dumps;
use crate::{Error, Host, Reading, Store, golden, loader, system};

/// Whether the boot check has nothing to do in this boot. Reads one small file and two links. If golden is pinned and there is no
/// ledger, the ledger was lost.
///
/// # Errors
/// The ledger cannot be read or used.
pub fn is_boot_settled(host: &dyn Host, state_dir: &Path) -> Result<bool, Error> {
    let ledger = match Store::new(host, state_dir).read()? {
        Reading::Missing => Ledger::default(),
        Reading::Partly(..) | Reading::Corrupt(_) => return Ok(false),
        Reading::Whole(ledger) => *ledger,
    };
    let golden = golden::golden(host, Some(&ledger))?;
    Ok(is_settled(&ledger, system::booted(host)?.as_ref(), golden.as_ref()))
}

/// Early in a boot: count, arm, retry or roll back.
///
/// # Errors
/// Not everything could be done. The boot goes on all the same.
pub fn boot_check(host: &dyn Host, options: &Options) -> Result<(), Error> {
    // systemd starts what failed anew at every switch; that is no boot.
    if is_boot_settled(host, &options.state_dir)? || !system::runs_as_booted(host) {
        return Ok(());
    }
    if system::is_crash_kernel(host) {
        return act(host, options, &Moment::CrashKernel);
    }
    consume_one_shot(host, options)?;
    let checked = act(host, options, &Moment::BootCheck);
    if checked.is_err()
        && let Err(error) = guard_unrecorded(host, options)
    {
        host.complain(error.trouble(), &error.chain());
    }
    checked
}

/// Where the state cannot be locked, read or written, or the loader not be told, a boot that has to be confirmed is watched all the
/// same, and one that belongs into safe mode goes there.
fn guard_unrecorded(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let ledger = match Store::new(host, &options.state_dir).read() {
        Ok(reading) => reading.known().unwrap_or_default(),
        Err(error @ Error::LedgerTooNew { .. }) => return Err(error),
        Err(_) => Ledger::default(),
    };
    if standing(host, options).is_ok_and(|standing| standing != Standing::Free) {
        return Ok(());
    }
    let seen = system::see(host, Some(&ledger), see_loader(host, options))?;
    let plan = decide(&ledger, &seen, &options.policy, &Moment::BootCheck);
    if plan.steps.contains(&Step::EnterSafeMode) {
        return enter_safe_mode(host);
    }
    if plan.steps.contains(&Step::Watch) {
        return session(host, options, None, &ledger, &seen, &Dumps::new(host)).watch();
    }
    Ok(())
}

/// What cannot be taken back is said, and counted all the same. Once a boot: what an attempt armed belongs to the next one.
fn consume_one_shot(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let has_begun = match Store::new(host, &options.state_dir).read() {
        Ok(Reading::Whole(ledger)) => is_watched(host, &ledger)?,
        _ => false,
    };
    // Trouble with finding the loader is said by whoever asks it next.
    let (Ok(loader), Some(booted)) = (loader::detect(host, options), system::booted(host)?) else {
        return Ok(());
    };
    if let Some(Err(error)) = (!has_begun).then(|| loader.consume_one_shot(&booted)) {
        host.complain(error.trouble(), &error.chain());
    }
    Ok(())
}
