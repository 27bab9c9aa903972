//! A loader's installer has run.

use std::path::PathBuf;

use golden_core::{Moment, Revision, Seen, Toplevel, Verdict, verdict};

use super::fallback::fall_back;
use super::{Options, act_for, golden, put_golden_back};
use crate::config::load_options_of;
use crate::{Error, Host, Reading, Store, Trouble, loader, manager, source, system};

/// What a deployer does with a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// The next boot boots it.
    Boot,
    /// The same, and the running system becomes it.
    Live,
}

/// A system that a deployer has installed, and how.
#[derive(Clone, Copy)]
struct Deployment<'a> {
    toplevel: &'a Toplevel,
    switch: Switch,
    /// The source revision that its deployer names.
    told: Option<&'a Revision>,
}

/// A loader installer has just made `toplevel` the default: make it a trial, unless it is known. Before a live switch, golden-live
/// watches when this returns. `told` is the source revision that its deployer names.
///
/// # Errors
/// Nothing was marked, or not everything: the toplevel is quarantined, or reading or writing failed. A known-good system is the
/// default then, if one can be.
pub fn mark(
    host: &dyn Host,
    options: &Options,
    toplevel: &Toplevel,
    switch: Switch,
    told: Option<&Revision>,
) -> Result<(), Error> {
    if system::is_disabled(host) {
        // Without the suite, the installed system is the default.
        return loader::detect(host, options).map_or(Ok(()), |loader| loader.follow_installer(toplevel));
    }
    if let Err(error) = put_golden_back(host, options) {
        host.complain(error.trouble(), &error.chain());
    }
    let marked = mark_listed(host, options, Deployment { toplevel, switch, told });
    if let Err(error) = &marked {
        fall_back(host, options, Some(toplevel), error);
    }
    marked
}

/// A deployer named no system: `error` says why, and is returned. Its installer has made a system the default that is not marked:
/// a known-good one becomes the default.
pub fn mark_nothing(host: &dyn Host, options: &Options, error: Error) -> Error {
    if !system::is_disabled(host) {
        fall_back(host, options, None, &error);
    }
    error
}

fn mark_listed(host: &dyn Host, options: &Options, deployment: Deployment<'_>) -> Result<(), Error> {
    let Deployment { toplevel, told, .. } = deployment;
    let loader = loader::detect(host, options)?;
    let seen = loader.see()?;
    if let (true, Err(why)) = (seen.is_bypassed, loader.takes_default()) {
        host.complain(Trouble::NotMarked, &format!("{toplevel} will not be started: {why}"));
    }
    let is_listed = seen.listed.contains(toplevel);
    match elsewhere(host, options, toplevel) {
        _ if !is_listed && check(host, options, toplevel, told).is_ok() => {
            return not_listed(host, options, deployment);
        }
        Some(state_dir) => {
            let (new, old) = (state_dir.display(), options.state_dir.display());
            let text =
                format!("{toplevel} keeps its state in {new} and not in {old}: it is booted without a trial");
            host.complain(Trouble::NotMarked, &text);
            act_for(host, options, &Moment::MarkUnprotected(toplevel.clone()), told)?;
        }
        None => make_trial(host, options, deployment)?,
    }
    if is_trial(host, options, toplevel) { Ok(()) } else { loader.follow_installer(toplevel) }
}

/// Its installer has left it without a boot entry. If the system is not known here, its deployment has failed and the trial before
/// it still waits. If it is known to be good, it was chosen instead of that trial, which is over: NixOS's installers list only the
/// newest generations, so a person who switches to an older one can leave it without an entry.
fn not_listed(host: &dyn Host, options: &Options, deployment: Deployment<'_>) -> Result<(), Error> {
    let Deployment { toplevel, told, .. } = deployment;
    if is_known_good(host, options, toplevel)? {
        act_for(host, options, &Moment::Mark(toplevel.clone()), told)?;
    }
    Err(Error::NoEntry(toplevel.clone()))
}

fn is_known_good(host: &dyn Host, options: &Options, toplevel: &Toplevel) -> Result<bool, Error> {
    let is_golden = golden(host, options)?.as_ref() == Some(toplevel);
    let is_confirmed = match Store::new(host, &options.state_dir).read()? {
        Reading::Whole(ledger) => ledger.is_confirmed(toplevel),
        _ => false,
    };
    Ok(is_golden || is_confirmed)
}

fn make_trial(host: &dyn Host, options: &Options, deployment: Deployment<'_>) -> Result<(), Error> {
    let Deployment { toplevel, switch, told } = deployment;
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
    let Some(ledger) = Store::new(host, &options.state_dir).read()?.known() else { return Ok(()) };
    let nothing_refused = ledger.quarantine.is_empty() && ledger.quarantined_revisions.is_empty();
    if nothing_refused || system::is_disabled(host) {
        return Ok(());
    }
    let seen = system::see(host, Some(&ledger), None)?;
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
