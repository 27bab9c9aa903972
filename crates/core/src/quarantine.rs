//! What is not deployed again, and until when.

use crate::{
    Kept, Ledger, MAX_QUARANTINED, Policy, Quarantined, QuarantinedRevision, Refusal, Revision, Seen,
    Toplevel, Waited,
};

/// Doublings of the time until a second chance; after that it stays what it is.
const MAX_DOUBLINGS: u32 = 16;

/// Something that a person puts into quarantine or releases from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// One system, whatever it was built from.
    Toplevel(Toplevel),
    /// Every system that was built from this.
    Revision(Revision),
}

/// Whether a system may be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is known against it.
    Free,
    /// It failed, and has waited long enough for another trial.
    SecondChance,
    /// It may not.
    Refused(Refusal),
}

/// Whether `toplevel` may be deployed. What failed is refused whatever it is said to be built from; what a person refuses by its
/// revision is refused whatever it is. Golden never is.
#[must_use]
pub fn verdict(ledger: &Ledger, seen: &Seen, policy: &Policy, toplevel: &Toplevel) -> Verdict {
    if seen.golden.as_ref() == Some(toplevel) {
        return Verdict::Free;
    }
    if let Some(revision) = refused_revision(ledger, seen, toplevel) {
        let (toplevel, revision) = (toplevel.clone(), revision.clone());
        return Verdict::Refused(Refusal::QuarantinedRevision { toplevel, revision });
    }
    match ledger.quarantined(toplevel) {
        Some(quarantined) if quarantined.second_chance => Verdict::Free,
        Some(quarantined) if second_chance_in_secs(quarantined, seen, policy) == Some(0) => {
            Verdict::SecondChance
        }
        Some(_) => Verdict::Refused(Refusal::Quarantined(toplevel.clone())),
        None => Verdict::Free,
    }
}

/// Whether nobody deploys it, by itself or by what it was built from; whether it has waited for a second chance says nothing as long
/// as nobody gives it that.
pub(crate) fn is_refused(ledger: &Ledger, seen: &Seen, toplevel: &Toplevel) -> bool {
    ledger.is_quarantined(toplevel) || refused_revision(ledger, seen, toplevel).is_some()
}

/// The entry that refuses what this system was built from.
fn refused_revision<'a>(ledger: &'a Ledger, seen: &Seen, toplevel: &Toplevel) -> Option<&'a Revision> {
    let refused = ledger.quarantined_revisions.iter().map(|entry| &entry.revision);
    let mut refused = refused.filter(|refused| is_of(ledger, seen, toplevel, refused));
    refused.next()
}

/// Whether anybody says that `toplevel` was built from `revision`: itself, its deployer, or the ledger.
pub(crate) fn is_of(ledger: &Ledger, seen: &Seen, toplevel: &Toplevel, revision: &Revision) -> bool {
    let said = seen.sources.iter().filter(|(of, _)| of == toplevel).map(|(_, revision)| revision);
    let trial = ledger.trial.iter().filter(|trial| trial.toplevel == *toplevel);
    let quarantined = ledger.quarantined(toplevel).and_then(|entry| entry.revision.as_ref());
    let mut all = said.chain(trial.filter_map(|trial| trial.revision.as_ref())).chain(quarantined);
    all.any(|said| revision.names(said))
}

/// Seconds until it may be deployed once more; `None` if it never may by itself. Twice as long after each trial that failed.
///
/// Only the time that boots were up counts, as far as somebody looked: the wall clock may say anything, so this is never too
/// short, and longer where the machine is off or reboots often.
#[must_use]
pub fn second_chance_in_secs(quarantined: &Quarantined, seen: &Seen, policy: &Policy) -> Option<u64> {
    let first = policy.second_chance_after_secs;
    let waited = quarantined.waited.as_ref().filter(|_| first > 0 && !quarantined.by_person)?;
    let doublings = quarantined.failed_trials.saturating_sub(1).min(MAX_DOUBLINGS);
    Some((u64::from(first) << doublings).saturating_sub(so_far(waited, seen)))
}

/// A boot that is another one began after the last count, so all of its time counts.
fn so_far(waited: &Waited, seen: &Seen) -> u64 {
    let since = if waited.boot == seen.boot { waited.at_secs } else { 0 };
    waited.counted_secs.saturating_add(seen.uptime_secs.saturating_sub(since))
}

impl Waited {
    /// From now on, if the owner asked for second chances.
    pub(crate) fn begin(seen: &Seen, policy: &Policy) -> Option<Self> {
        (policy.second_chance_after_secs > 0).then(|| Self::at(0, seen))
    }

    fn at(counted_secs: u64, seen: &Seen) -> Self {
        Self { counted_secs, boot: seen.boot.clone(), at_secs: seen.uptime_secs, unknown: Kept::new() }
    }
}

impl Ledger {
    /// What the waiting has come to by now, so that a reboot does not take it away; `None` where little is new, because every
    /// deployer that tries again brings us here.
    pub(crate) fn counting(&self, seen: &Seen, toplevel: &Toplevel) -> Option<Self> {
        const WORTH_WRITING_SECS: u64 = 600;
        let waited = self.quarantined(toplevel)?.waited.as_ref()?;
        let now = so_far(waited, seen);
        if now.saturating_sub(waited.counted_secs) < WORTH_WRITING_SECS {
            return None;
        }
        let mut after = self.clone();
        let entry = after.quarantine.iter_mut().find(|entry| entry.toplevel == *toplevel)?;
        entry.waited = Some(Waited { unknown: waited.unknown.clone(), ..Waited::at(now, seen) });
        Some(after)
    }

    pub(crate) fn with_second_chance(&self, toplevel: &Toplevel) -> Self {
        let mut after = self.clone();
        let entries = after.quarantine.iter_mut().filter(|entry| entry.toplevel == *toplevel);
        entries.for_each(|entry| entry.second_chance = true);
        after
    }

    pub(crate) fn quarantine_revision(&mut self, revision: &Revision) {
        self.quarantined_revisions.retain(|entry| entry.revision != *revision);
        let entry = QuarantinedRevision { revision: revision.clone(), unknown: Kept::new() };
        self.quarantined_revisions.push(entry);
        let surplus = self.quarantined_revisions.len().saturating_sub(MAX_QUARANTINED);
        self.quarantined_revisions.drain(..surplus);
    }
}
