//! A deployed system could not be marked: a known-good system becomes the default boot entry.

use golden_core::{Ledger, Loader, OneShot, Policy, Seen, Toplevel, landing};

use super::Options;
use crate::loader::{self, BootLoader};
use crate::{Error, Host, Reading, Store, Trouble, system};

/// The installer of `deployed` has made it the default, and its mark has failed with the error `failed`. If it panicked, it would
/// be booted for ever: so a known-good system that has a boot entry becomes the default, and a one-shot that belongs to no trial is
/// taken back. `deployed` is `None` where the deployer named no system.
pub(super) fn fall_back(host: &dyn Host, options: &Options, deployed: Option<&Toplevel>, failed: &Error) {
    // Golden is known without a ledger.
    let ledger =
        Store::new(host, &options.state_dir).read().ok().and_then(Reading::known).unwrap_or_default();
    let outcome = outcome(&ledger, deployed, failed);
    let text = match secure(host, options, &ledger, deployed) {
        Ok(Secured::Already) => return,
        Ok(Secured::Now(default)) => format!("{outcome}{default} is the default boot entry"),
        Ok(Secured::Unverified(default, error)) => format!(
            "{outcome}{default} was to be the default boot entry, and whether it is one could not be verified: the next boot may \
             start a system that nothing protects: {}",
            error.chain()
        ),
        Err(error) => format!(
            "{outcome}no known-good system could be made the default boot entry, and the next boot may start a system that nothing \
             protects: {}",
            error.chain()
        ),
    };
    host.complain(Trouble::NotMarked, &text);
}

/// The default boot entry after that.
enum Secured {
    /// It was known to be good already: nothing has to be said.
    Already,
    /// This system is the default.
    Now(Toplevel),
    /// A variable could not be read or written: the loader's file may name this system already, and a variable goes before it.
    Unverified(Toplevel, Error),
}

fn outcome(ledger: &Ledger, deployed: Option<&Toplevel>, failed: &Error) -> String {
    match deployed {
        Some(deployed) if matches!(failed, Error::Refused(_)) => format!("{deployed} was refused: "),
        Some(deployed) if ledger.trial.as_ref().is_some_and(|trial| trial.toplevel == *deployed) => {
            format!("{deployed} is a trial, and could not be armed yet: ")
        }
        Some(deployed) => format!("{deployed} was not marked: "),
        None => "nothing was marked: ".to_owned(),
    }
}

/// Make the best of the known-good systems the default that can be.
fn secure(
    host: &dyn Host,
    options: &Options,
    ledger: &Ledger,
    deployed: Option<&Toplevel>,
) -> Result<Secured, Error> {
    let loader = loader::detect(host, options)?;
    let shown = loader.see().ok();
    let seen = system::see(host, Some(ledger), shown.clone())?;
    let good = known_good(ledger, &seen, &options.policy, deployed);
    if let Some(shown) = &shown {
        take_back(loader.as_ref(), shown, ledger, &good);
        let stays = shown.default.as_ref().filter(|default| good.contains(default));
        if let Some(stays) = stays.filter(|stays| shown.listed.contains(stays)) {
            let is_other = deployed.is_some_and(|deployed| deployed != stays);
            return Ok(if is_other { Secured::Now(stays.clone()) } else { Secured::Already });
        }
    }
    let mut damaged = None;
    for system in good {
        match loader.set_default(&system) {
            Ok(()) => return Ok(Secured::Now(system)),
            // The next one may have an entry, and whole boot files.
            Err(error) if matches!(error, Error::NoEntry(_)) || error.damage().is_some() => {
                damaged = damaged.or(Some(error));
            }
            Err(error @ (Error::EfiVariable { .. } | Error::DidNotStick(_))) => {
                return Ok(Secured::Unverified(system, error));
            }
            Err(error) => return Err(error),
        }
    }
    Err(damaged.unwrap_or(Error::NothingKnownGood))
}

/// Systems that may be the default, the best first: the deployed one if it is known to be good, the landing of a rollback, golden,
/// and the confirmed ones, the last one first.
fn known_good(ledger: &Ledger, seen: &Seen, policy: &Policy, deployed: Option<&Toplevel>) -> Vec<Toplevel> {
    let is_golden = |system: &Toplevel| seen.golden.as_ref() == Some(system);
    let is_good = |system: &&Toplevel| {
        is_golden(system) || ledger.is_confirmed(system) && !ledger.is_quarantined(system)
    };
    let itself = deployed.filter(is_good).cloned();
    let landing = deployed.and_then(|deployed| landing(ledger, seen, policy, deployed));
    let confirmed = ledger.confirmed.iter().rev().map(|confirmed| &confirmed.toplevel).filter(is_good);
    let rest = seen.golden.iter().chain(confirmed).chain(&seen.older_goldens).cloned();
    let mut good: Vec<Toplevel> = Vec::new();
    for system in itself.into_iter().chain(landing).chain(rest) {
        if !good.contains(&system) && !ledger.is_quarantined(&system) {
            good.push(system);
        }
    }
    good
}

/// An armed system that is in no trial would run and nobody would count its boots.
fn take_back(loader: &dyn BootLoader, shown: &Loader, ledger: &Ledger, good: &[Toplevel]) {
    if let OneShot::Armed(armed) = &shown.one_shot
        && !good.contains(armed)
        && !ledger.may_be_armed().any(|ours| ours == armed)
    {
        // If it stays armed, its own boot check still finds it.
        let _ = loader.disarm();
    }
}
