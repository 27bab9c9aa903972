//! What a person asks for.

use golden_core::{Event, Moment, Named, Seen, Step, Toplevel, decide};

use super::{Options, act, see_loader};
use crate::{Error, Host, Store, loader, source, system};

/// Put something into quarantine. Nothing changes if it is there already.
///
/// # Errors
/// The machine cannot do without it, or it could not be recorded.
pub fn quarantine(host: &dyn Host, options: &Options, named: Named) -> Result<(), Error> {
    act(host, options, &Moment::Quarantine(named))
}

/// Release something from quarantine. Nothing changes if it is not there.
///
/// # Errors
/// It could not be recorded.
pub fn release(host: &dyn Host, options: &Options, named: Named) -> Result<(), Error> {
    act(host, options, &Moment::Release(named))
}

/// What a rollback would leave now, and what it would come back to.
///
/// # Errors
/// It would be refused, or the machine cannot be asked.
pub fn foresee_rollback(host: &dyn Host, options: &Options) -> Result<(Toplevel, Toplevel), Error> {
    loader::detect(host, options)?.see()?;
    let ledger = Store::new(host, &options.state_dir).read()?.known().unwrap_or_default();
    let from = what_runs(host)?;
    let seen = system::see(host, Some(&ledger), see_loader(host, options))?;
    let seen = Seen { sources: source::sources(host, None, &[&from]), ..seen };
    let plan = decide(&ledger, &seen, &options.policy, &Moment::RollBackNow(from));
    let asked = plan.steps.into_iter().find_map(|step| match step {
        Step::Tell(Event::RollbackAsked { from, to }) => Some((from, to)),
        _ => None,
    });
    match (asked, plan.refusal) {
        (Some(asked), _) => Ok(asked),
        (None, Some(refusal)) => Err(Error::Refused(refusal)),
        (None, None) => Err(Error::NoLoader),
    }
}

/// Leave what runs, and reboot.
///
/// # Errors
/// It is refused, or not everything could be done: the next boot goes on with it.
pub fn roll_back_now(host: &dyn Host, options: &Options) -> Result<(), Error> {
    loader::detect(host, options)?.see()?;
    act(host, options, &Moment::RollBackNow(what_runs(host)?))
}

/// After a live switch that is not what was booted.
fn what_runs(host: &dyn Host) -> Result<Toplevel, Error> {
    let running = system::running(host).map_or_else(|| system::booted(host), |running| Ok(Some(running)))?;
    running.ok_or(Error::Refused(golden_core::Refusal::NothingBooted))
}
