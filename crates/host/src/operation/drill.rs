//! An owner's rehearsal.

use golden_core::{Injection, Moment};

use super::{Options, act};
use crate::{Error, Host, Reading, Store, loader, system};

/// Boot what runs once more, with a failure on purpose.
///
/// # Errors
/// It would not end on golden, something else is under way, or not everything could be done.
pub fn drill(host: &dyn Host, options: &Options, injection: Injection) -> Result<(), Error> {
    loader::detect(host, options)?.see()?;
    act(host, options, &Moment::Drill(injection))
}

/// What a rehearsal wants to fail in this boot; `None` where none is under way.
///
/// # Errors
/// The ledger cannot be read.
pub fn injected(host: &dyn Host, options: &Options) -> Result<Option<Injection>, Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(None) };
    let boot = system::boot(host)?;
    let drill = ledger.drill.filter(|drill| drill.trial.attempts.is_open_in(&boot));
    Ok(drill.map(|drill| drill.injection))
}
