//! A loader's installer has run.

use std::path::PathBuf;

use golden_core::{Ledger, Moment, Revision, Seen, Toplevel, Verdict, landing, verdict};

use super::{Options, act_for};
use crate::config::load_options_of;
use crate::loader::{self, BootLoader};
use crate::{Error, Host, Reading, Store, Trouble, manager, source, system};

/// What a deployer does with a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// The next boot boots it.
    Boot,
    /// The same, and the running system becomes it.
    Live,
}

/// A loader installer has just made `toplevel` the default: make it a trial, unless it is known. Before a live switch, whatever
/// watches it runs when this returns. `told` is what its deployer says that it was built from.
///
/// # Errors
/// Nothing was marked, or not everything: the toplevel is quarantined, or reading or writing failed.
pub fn mark(
    host: &dyn Host,
    options: &Options,
    toplevel: &Toplevel,
    switch: Switch,
    told: Option<&Revision>,
) -> Result<(), Error> {
    if system::is_disabled(host) {
        // Without us, what was installed is what boots.
        return loader::detect(host, options).map_or(Ok(()), |loader| loader.follow_installer(toplevel));
    }
    let loader = loader::detect(host, options)?;
    let seen = loader.see()?;
    if let (true, Err(why)) = (seen.is_bypassed, loader.takes_default()) {
        host.complain(Trouble::NotMarked, &format!("{toplevel} will not be started: {why}"));
    }
    let is_listed = seen.listed.contains(toplevel);
    let marked = match elsewhere(host, options, toplevel) {
        // Its installer failed. What was deployed before it is still what is tried next.
        _ if !is_listed && check(host, options, toplevel, told).is_ok() => {
            Err(Error::NoEntry(toplevel.clone()))
        }
        Some(state_dir) => {
            let (new, old) = (state_dir.display(), options.state_dir.display());
            let text =
                format!("{toplevel} keeps its state in {new} and not in {old}: it is booted without a trial");
            host.complain(Trouble::NotMarked, &text);
            act_for(host, options, &Moment::MarkUnprotected(toplevel.clone()), told)
        }
        None => make_trial(host, options, toplevel, switch, told),
    };
    match &marked {
        Ok(()) if !is_trial(host, options, toplevel) => return loader.follow_installer(toplevel),
        // Not marked on purpose.
        Ok(()) | Err(Error::Refused(_)) => {}
        Err(_) => stay_on_golden(host, options, loader.as_ref(), toplevel),
    }
    marked
}

fn make_trial(
    host: &dyn Host,
    options: &Options,
    toplevel: &Toplevel,
    switch: Switch,
    told: Option<&Revision>,
) -> Result<(), Error> {
    let from = system::running(host).filter(|_| options.live.enable);
    let moment = match (switch, from) {
        (Switch::Live, Some(from)) => Moment::MarkLive { from, to: toplevel.clone() },
        _ => Moment::Mark(toplevel.clone()),
    };
    super::live::forget_watches(host);
    if let Err(error) = manager::take_baseline(host) {
        host.complain(error.trouble(), &error.chain());
    }
    match act_for(host, options, &moment, told) {
        // The switch goes on all the same, and its trial is the next boot's.
        Err(error @ Error::NotWatched(_)) => {
            host.complain(error.trouble(), &error.chain());
            act_for(host, options, &Moment::LiveUnwatched, None)
        }
        marked => marked,
    }
}

/// Whether the ledger says so now.
fn is_trial(host: &dyn Host, options: &Options, toplevel: &Toplevel) -> bool {
    match Store::new(host, &options.state_dir).read() {
        Ok(Reading::Whole(ledger)) => ledger.trial.is_some_and(|trial| trial.toplevel == *toplevel),
        _ => false,
    }
}

/// Where this system keeps its state, if not where we do: then the two would count against each other.
fn elsewhere(host: &dyn Host, options: &Options, toplevel: &Toplevel) -> Option<PathBuf> {
    let theirs = load_options_of(host, toplevel)?.state_dir;
    (theirs != options.state_dir).then_some(theirs)
}

/// What could not be marked must not be what boots next: if it panics, nobody is there to help. Golden is known
/// without a ledger.
fn stay_on_golden(host: &dyn Host, options: &Options, loader: &dyn BootLoader, toplevel: &Toplevel) {
    let ledger = match Store::new(host, &options.state_dir).read() {
        Ok(Reading::Whole(ledger)) => *ledger,
        _ => Ledger::default(),
    };
    let Ok(seen) = system::see(host, loader.see().ok()) else { return };
    if ledger.is_confirmed(toplevel) || seen.golden.as_ref() == Some(toplevel) {
        return;
    }
    let stays = landing(&ledger, &seen, &options.policy, toplevel);
    let text = match stays.filter(|stays| loader.set_default(stays).is_ok()) {
        Some(stays) => format!("{toplevel} was not marked and is not booted: {stays} is what boots next"),
        None => {
            format!("{toplevel} was not marked: it is what boots next, and nothing protects from a panic")
        }
    };
    host.complain(Trouble::NotMarked, &text);
}

/// Whether a deployer may make this toplevel what boots next; `told` is what he says that it was built from. If not, a system
/// profile that names it already is put back.
///
/// # Errors
/// It is quarantined, or the ledger cannot be read.
pub fn check(
    host: &dyn Host,
    options: &Options,
    toplevel: &Toplevel,
    told: Option<&Revision>,
) -> Result<(), Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(()) };
    let nothing_refused = ledger.quarantine.is_empty() && ledger.quarantined_revisions.is_empty();
    if nothing_refused || system::is_disabled(host) {
        return Ok(());
    }
    let seen = system::see(host, None)?;
    let seen = Seen { sources: source::sources(host, told, &[toplevel]), ..seen };
    let Verdict::Refused(refusal) = verdict(&ledger, &seen, &options.policy, toplevel) else { return Ok(()) };
    match act_for(host, options, &Moment::Check(toplevel.clone()), told) {
        // Whoever holds the ledger, or a disk that is full, makes nothing of it that may be deployed.
        Err(error) if !matches!(error, Error::Refused(_)) => {
            host.complain(error.trouble(), &error.chain());
            Err(Error::Refused(refusal))
        }
        checked => checked,
    }
}
