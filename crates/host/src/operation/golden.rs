//! Whether golden is there for when it is needed.

use std::io;
use std::path::Path;

use golden_core::{Event, Toplevel};

use super::Options;
use crate::{Error, Host, Store, closure, history, loader, profile, system};

/// Make sure that golden could be landed on now: its boot entry and files, and its whole closure.
///
/// # Errors
/// It could not, and was not repaired; or Nix's database cannot be read, and nothing is known.
pub fn verify_golden(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Some(golden) = profile::golden(host)? else { return Ok(()) };
    let verified = loader::detect(host, options)
        .and_then(|loader| loader.check(&golden))
        .and_then(|()| closure::verify(host, &golden));
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
    let Some(golden) = profile::golden(host)? else { return Ok(()) };
    let loader = loader::detect(host, options)?.see()?;
    let error = match host.read_link(&Path::new(golden.as_str()).join("kernel")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Error::Closure { toplevel: golden.clone(), missing: golden.to_string() }
        }
        _ if !loader.listed.contains(&golden) => Error::NoEntry(golden.clone()),
        _ if loader.incomplete.contains(&golden) => Error::BootFiles {
            toplevel: golden.clone(),
            why: "not all of them are on the boot partition".to_owned(),
        },
        _ => return Ok(()),
    };
    Err(Error::GoldenDamaged(golden, Box::new(error)))
}
