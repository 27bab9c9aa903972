//! Whether golden is there for when it is needed.

use golden_core::{Event, Ledger, OneShot, Toplevel, relists};

use super::Options;
use crate::loader::BootLoader;
use crate::{
    Error, Host, Reading, Store, closure, golden as links, history, loader, manager, profile, system,
};

/// Golden; `None` where nothing was pinned.
///
/// # Errors
/// The ledger or a link cannot be read.
pub fn golden(host: &dyn Host, options: &Options) -> Result<Option<Toplevel>, Error> {
    links::golden(host, ledger(host, options)?.as_ref())
}

fn ledger(host: &dyn Host, options: &Options) -> Result<Option<Ledger>, Error> {
    match Store::new(host, &options.state_dir).read()? {
        Reading::Whole(ledger) => Ok(Some(*ledger)),
        _ => Ok(None),
    }
}

/// Hold golden by its root, and put its profile back where another program has removed it or pointed it elsewhere. The owner is
/// told once: after that there is nothing to put back. Where there is nothing to do, a few links are read.
///
/// # Errors
/// A link cannot be read or made.
pub fn put_golden_back(host: &dyn Host, options: &Options) -> Result<(), Error> {
    if system::is_disabled(host) || loosened(host, options)?.is_none() {
        return Ok(());
    }
    let _lock = Store::new(host, &options.state_dir).lock()?;
    // A pin may have been under way.
    let Some(golden) = loosened(host, options)? else { return Ok(()) };
    let found = links::listed(host)?;
    links::set_root(host, &golden)?;
    if found.as_ref() == Some(&golden) {
        return Ok(());
    }
    links::put_back(host, &golden)?;
    tell(host, options, &Event::GoldenPutBack { toplevel: golden, found })
}

/// Golden, if its root or its profile names another system, or is gone. A system that is not in the store any more cannot be put back.
fn loosened(host: &dyn Host, options: &Options) -> Result<Option<Toplevel>, Error> {
    let Some(golden) = golden(host, options)? else { return Ok(None) };
    let names = |link: Option<Toplevel>| link.as_ref() == Some(&golden);
    let is_whole = names(links::root(host)?) && names(links::listed(host)?);
    Ok(Some(golden).filter(|golden| !is_whole && links::is_in_store(host, golden)))
}

fn tell(host: &dyn Host, options: &Options, event: &Event) -> Result<(), Error> {
    let written = history::append(host, &options.state_dir, &system::boot(host)?, event);
    host.tell(event);
    written
}

/// Have the boot entry of golden installed again, where the loader has lost it. No installer may be at work: it would list golden
/// by itself.
///
/// # Errors
/// Golden has no boot entry all the same.
pub fn list_golden(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Some(golden) = golden(host, options)?.filter(|_| !system::is_disabled(host)) else { return Ok(()) };
    let before = loader::detect(host, options)?.see()?;
    let ledger = ledger(host, options)?.unwrap_or_default();
    if let Some(installed) = relists(&ledger, &before, &golden) {
        profile::install_loader(host, installed)?;
        // A loader reads its entries once, and these are others.
        restore(loader::detect(host, options)?.as_ref(), &before)?;
    }
    if loader::detect(host, options)?.see()?.listed.contains(&golden) {
        return Ok(());
    }
    Err(Error::GoldenDamaged(golden.clone(), Box::new(Error::NoEntry(golden))))
}

/// Restore the default and the one-shot that were set before an installer ran. The installer may have renamed the entries.
fn restore(loader: &dyn BootLoader, before: &golden_core::Loader) -> Result<(), Error> {
    let now = loader.see()?;
    if let Some(default) = before.default.as_ref().filter(|_| now.default != before.default) {
        loader.set_default(default)?;
    }
    match &before.one_shot {
        OneShot::Armed(toplevel) if now.one_shot != before.one_shot => loader.arm(toplevel),
        _ => Ok(()),
    }
}

/// Make sure that golden could be landed on now: its boot entry and files, and its whole closure.
///
/// # Errors
/// It could not, and was not repaired; or Nix's database cannot be read, and nothing is known.
pub fn verify_golden(host: &dyn Host, options: &Options) -> Result<(), Error> {
    if let Err(error) = put_golden_back(host, options) {
        host.complain(error.trouble(), &error.chain());
    }
    let Some(golden) = golden(host, options)? else { return Ok(()) };
    let check = || loader::detect(host, options).and_then(|loader| loader.check(&golden));
    let verified = match check() {
        // An installer does not run in this unit.
        Err(Error::NoEntry(_)) => manager::list_golden(host, manager::Wait::UntilDone).and_then(|()| check()),
        checked => checked,
    };
    let verified = verified.and_then(|()| closure::verify(host, &golden));
    verified.map_err(|error| {
        // Nothing is known of golden then.
        if matches!(error, Error::Database(_)) {
            return error;
        }
        record_damage(host, options, &golden, &error);
        Error::GoldenDamaged(golden, Box::new(error))
    })
}

/// The journal has it from whoever gives up; history is what the owner is told from.
fn record_damage(host: &dyn Host, options: &Options, golden: &Toplevel, error: &Error) {
    let event = Event::GoldenDamaged { toplevel: golden.clone(), why: error.chain() };
    let append = || {
        let _lock = Store::new(host, &options.state_dir).lock()?;
        history::append(host, &options.state_dir, &system::boot(host)?, &event)
    };
    if let Err(error) = append() {
        host.complain(error.trouble(), &error.chain());
    }
}

/// The same by what costs nothing: it has a boot entry, and is in the store.
///
/// # Errors
/// It could not be landed on.
pub fn glance_at_golden(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Some(golden) = golden(host, options)? else { return Ok(()) };
    let loader = loader::detect(host, options)?.see()?;
    let error = match links::is_in_store(host, &golden) {
        false => Error::Closure { toplevel: golden.clone(), missing: golden.to_string() },
        _ if !loader.listed.contains(&golden) => Error::NoEntry(golden.clone()),
        _ if loader.incomplete.contains(&golden) => Error::BootFiles {
            toplevel: golden.clone(),
            why: "not all of them are on the boot partition".to_owned(),
        },
        _ => return Ok(()),
    };
    Err(Error::GoldenDamaged(golden, Box::new(error)))
}
