//! Phase two of a rollback.

use golden_core::{Moment, Step, decide};

use super::deadline::time_left;
use super::{Options, act, find_loader, put_golden_back, session, with_reason};
use crate::evidence::Dumps;
use crate::{Error, Host, Reading, Store, postmortem, system};

/// Phase two of a rollback, if one has begun and this is where it lands. Every part can be repeated.
///
/// # Errors
/// Not everything could be done; it is tried again at the next boot.
pub fn roll_back(host: &dyn Host, options: &Options) -> Result<(), Error> {
    // On a machine on which nothing has happened yet nothing is left behind.
    if matches!(Store::new(host, &options.state_dir).read()?, Reading::Missing) {
        return Ok(());
    }
    // Before the installer, which lists the systems that have a profile.
    if let Err(error) = put_golden_back(host, options) {
        host.complain(error.trouble(), &error.chain());
    }
    let rolled_back = take_effects(host, options, |_| true).and_then(|()| finish(host, options));
    // Last, and whatever became of the rest: somebody will ask why, and why it did not work.
    keep_post_mortem(host, options);
    rolled_back
}

/// The part that takes its time, without the lock: who deploys meanwhile wins.
pub(super) fn take_effects(
    host: &dyn Host,
    options: &Options,
    is_due: impl Fn(&Step) -> bool,
) -> Result<(), Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(()) };
    let seen = system::see(host, Some(&ledger), None)?;
    let mut plan = decide(&ledger, &seen, &options.policy, &Moment::RollBack);
    plan.steps.retain(is_due);
    let (loader, absent) = find_loader(host, options);
    let dumps = Dumps::new(host);
    let done = session(host, options, loader.as_deref(), &ledger, &seen, &dumps).execute(&plan);
    with_reason(done, absent)
}

/// The rest.
pub(super) fn finish(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act(host, options, &Moment::RolledBack { running: system::running(host) })
}

/// Keep what is known of the last rollback, if that was not done yet: it came to here, or the power went before.
pub fn keep_post_mortem(host: &dyn Host, options: &Options) {
    let Ok(Reading::Whole(ledger)) = Store::new(host, &options.state_dir).read() else { return };
    // The confirmation waits meanwhile, and what it comes back to must not fail because a journal hangs.
    let left = time_left(host, options).ok().flatten().map(|left| left / 2);
    if let Err(error) = postmortem::collect(host, &options.state_dir, &ledger, left) {
        host.complain(error.trouble(), &format!("no post-mortem is kept: {}", error.chain()));
    }
}
