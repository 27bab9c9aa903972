//! The ledger: what must survive a crash. Fields of a newer build are kept at every level.

mod drill;
mod live;
mod trial;

use serde::{Deserialize, Serialize};

use crate::{Attempt, Attempts, Baseline, BootId, End, Kept, Revision, StartedBy, Toplevel};

pub use drill::{Drill, Injection};
pub use live::{Live, LivePhase};
pub use trial::{Arming, MAX_NOT_STARTED, NotStarted, Origin, Trial};

/// Format this build writes.
pub const FORMAT: u32 = 1;
/// Newest `min_reader` this build may act on.
pub const READER: u32 = 1;
/// Confirmed toplevels that are remembered; the oldest is forgotten first.
pub const MAX_CONFIRMED: usize = 64;
/// Quarantined toplevels that are remembered; the oldest is forgotten first.
pub const MAX_QUARANTINED: usize = 256;
/// Undecided trials that are remembered; the oldest is forgotten first.
pub const MAX_UNDECIDED: usize = 16;
/// Dumps of the kernel that are remembered.
pub const MAX_DUMPS: usize = 128;

/// The two fields that every format has, read before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Header {
    /// Format the writer wrote.
    pub format: u32,
    /// Oldest reader that may still act on it.
    pub min_reader: u32,
}

/// The state file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Format of the newest build that wrote it.
    pub format: u32,
    /// Oldest reader that may still act on it.
    pub min_reader: u32,
    /// Write counter.
    pub revision: u64,
    /// Toplevels that passed on this host, the most recently running one last. At most [`MAX_CONFIRMED`].
    #[serde(default)]
    pub confirmed: Vec<Confirmed>,
    /// What was pinned. The golden profile is the truth; this is a reference, so a lost ledger loses no golden.
    #[serde(default)]
    pub golden: Option<Golden>,
    /// The trial under way.
    #[serde(default)]
    pub trial: Option<Trial>,
    /// A rollback whose phase two is not done yet.
    #[serde(default)]
    pub rollback: Option<Rollback>,
    /// Where a rollback came back to, until that is confirmed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing: Option<Landing>,
    /// What did not work when a rollback came back to it, until it is confirmed again. At most [`MAX_CONFIRMED`]. In safe mode one
    /// that may have done nothing worse than lose its power is booted normally again: those boots are the last of its attempts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_landings: Vec<Landing>,
    /// A rehearsal under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// A switch of the running system that has yet to prove itself, or is being taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// Trials that ended with the live switch that began them, and without a verdict: their failures count if they are marked
    /// again. At most [`MAX_UNDECIDED`], the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undecided: Vec<Trial>,
    /// The last finished rollback, until a later generation is marked or confirmed.
    #[serde(default)]
    pub rolled_back: Option<RolledBack>,
    /// A confirmed toplevel that is still to be made the loader's default.
    #[serde(default)]
    pub owed_default: Option<Toplevel>,
    /// Toplevels that failed. At most [`MAX_QUARANTINED`], the newest last.
    #[serde(default)]
    pub quarantine: Vec<Quarantined>,
    /// Source revisions of which nothing is deployed: a person said so. At most [`MAX_QUARANTINED`], the newest last. A field
    /// of its own, because an older build expects a toplevel in each entry of `quarantine`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined_revisions: Vec<QuarantinedRevision>,
    /// Reboots that the suite caused since the last healthy boot. At most `max_automatic_reboots`.
    #[serde(default)]
    pub automatic_reboots: u32,
    /// Set at the end of the ladder: the suite causes no further reboot. What runs is tried again before, as long as each of its
    /// failures was one without a word and left nothing in pstore or the watchdog, and there are fewer than twice `max_failures` of
    /// them. A power cut in such a try counts as one. It is over when a boot is confirmed and no trial waits.
    #[serde(default)]
    pub safe_mode: Option<SafeMode>,
    /// What the kernel had left of panics when this was written: none of it says anything of a boot that ends later. At
    /// most [`MAX_DUMPS`], in the words of the host, which fills it in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_dumps: Vec<String>,
    /// Fields of a newer build.
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A toplevel that was confirmed on this host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Confirmed {
    pub toplevel: Toplevel,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// The pinned toplevel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Golden {
    pub toplevel: Toplevel,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A rollback that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Rollback {
    pub from: Toplevel,
    pub to: Toplevel,
    /// A trial that waited for its boot, and was called off with it: the system profile does not stay at it either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_off: Option<Toplevel>,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A rollback that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RolledBack {
    pub from: Toplevel,
    pub to: Toplevel,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A known-good system that a rollback came back to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Landing {
    /// The trial that failed.
    pub from: Toplevel,
    pub toplevel: Toplevel,
    /// Whether it is armed, because the loader's default is another one until it has proved itself.
    #[serde(default = "idle")]
    pub arming: Arming,
    /// What the firmware had counted when that was done; `None` where it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed_at: Option<u32>,
    /// Which loader ran when that was done.
    #[serde(default, skip_serializing_if = "StartedBy::is_unknown")]
    pub armed_by: StartedBy,
    /// Its boots since, the oldest first; only the last can be open.
    #[serde(default)]
    pub attempts: Attempts,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A toplevel that failed, with its evidence. Never made the default until released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Quarantined {
    pub toplevel: Toplevel,
    pub attempts: Attempts,
    /// What it was built from, as far as anybody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// A person put it here: it gets no second chance by itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_person: bool,
    /// How many of its trials have failed; 0 where nobody counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_trials: u32,
    /// How long it has waited for its second chance; `None` where the owner asked for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<Waited>,
    /// It may be deployed once more, because it has waited for that: it counts as quarantined again once that trial fails.
    #[serde(default, skip_serializing_if = "is_false")]
    pub second_chance: bool,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// A time that passed for certain, whatever any clock says: only what a boot has been up is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waited {
    /// Seconds that were counted so far.
    pub counted_secs: u64,
    /// The boot that counted last.
    pub boot: BootId,
    /// How long that had been up then, in seconds.
    pub at_secs: u64,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub unknown: Kept,
}

/// A source revision of which nothing is deployed until it is released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct QuarantinedRevision {
    pub revision: Revision,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// The end of the ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SafeMode {
    pub reason: SafeModeReason,
    #[serde(flatten)]
    pub unknown: Kept,
}

/// Why there is nothing left to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SafeModeReason {
    /// The budget of automatic reboots is spent.
    BudgetSpent,
    /// There is no known-good generation with a boot entry.
    NoLanding,
    /// Every known-good generation that the rollback came back to failed as well.
    LadderEnded,
    /// A reason that only a newer build knows.
    #[serde(untagged)]
    Unknown(Kept),
}

impl Default for Ledger {
    /// The ledger of a machine on which nothing has happened yet.
    fn default() -> Self {
        Self {
            format: FORMAT,
            min_reader: FORMAT,
            revision: 0,
            confirmed: Vec::new(),
            golden: None,
            trial: None,
            rollback: None,
            landing: None,
            failed_landings: Vec::new(),
            drill: None,
            live: None,
            undecided: Vec::new(),
            rolled_back: None,
            owed_default: None,
            quarantine: Vec::new(),
            quarantined_revisions: Vec::new(),
            automatic_reboots: 0,
            safe_mode: None,
            known_dumps: Vec::new(),
            unknown: Kept::new(),
        }
    }
}

impl Ledger {
    /// Whether this toplevel passed on this host.
    #[must_use]
    pub fn is_confirmed(&self, toplevel: &Toplevel) -> bool {
        self.confirmed.iter().any(|confirmed| confirmed.toplevel == *toplevel)
    }

    /// Whether this toplevel failed and was not released, and has no second chance now.
    #[must_use]
    pub fn is_quarantined(&self, toplevel: &Toplevel) -> bool {
        self.quarantined(toplevel).is_some_and(|quarantined| !quarantined.second_chance)
    }

    /// What is known of a toplevel that failed and was not released.
    #[must_use]
    pub fn quarantined(&self, toplevel: &Toplevel) -> Option<&Quarantined> {
        self.quarantine.iter().find(|quarantined| quarantined.toplevel == *toplevel)
    }

    /// Whether a rollback came back to this toplevel and it failed, and it was not confirmed since.
    #[must_use]
    pub fn is_failed_landing(&self, toplevel: &Toplevel) -> bool {
        self.failed_landings.iter().any(|landing| landing.toplevel == *toplevel)
    }

    /// The boots of everything that had to be confirmed and never was: those of the trial, of a rehearsal, and of what the
    /// machine came back to.
    pub fn watched(&self) -> impl Iterator<Item = &Attempts> {
        let drilled = self.drill.iter().flat_map(|drill| [&drill.trial].into_iter().chain(&drill.landing));
        let trials = self.trial.iter().chain(drilled).map(|trial| &trial.attempts);
        let landings = self.landing.iter().chain(&self.failed_landings).map(|landing| &landing.attempts);
        trials.chain(landings)
    }

    /// The same, to be changed.
    pub(crate) fn watched_mut(&mut self) -> impl Iterator<Item = &mut Attempts> {
        let drilled =
            self.drill.iter_mut().flat_map(|drill| [&mut drill.trial].into_iter().chain(&mut drill.landing));
        let trials = self.trial.iter_mut().chain(drilled).map(|trial| &mut trial.attempts);
        let landings = self.landing.iter_mut().chain(&mut self.failed_landings);
        trials.chain(landings.map(|landing| &mut landing.attempts))
    }

    /// Whether this boot has to be confirmed, and is not yet.
    #[must_use]
    pub fn is_watched(&self, boot: &BootId) -> bool {
        self.watched().any(|attempts| attempts.is_open_in(boot))
    }

    /// Whether this boot, of this system, was closed as failed while it ran.
    #[must_use]
    pub fn is_closed(&self, boot: &BootId, booted: &Toplevel) -> bool {
        let drilled = self.drill.iter().flat_map(|drill| [&drill.trial].into_iter().chain(&drill.landing));
        let trials = self.trial.iter().chain(drilled).map(|trial| (&trial.toplevel, &trial.attempts));
        let landings = self.landing.iter().chain(&self.failed_landings);
        let landings = landings.map(|landing| (&landing.toplevel, &landing.attempts));
        let quarantined = self.quarantine.iter().map(|failed| (&failed.toplevel, &failed.attempts));
        let of_this_boot = |attempt: &&Attempt| attempt.boot.as_ref() == Some(boot);
        let failed = |attempt: &Attempt| matches!(attempt.end, Some(End::Failed { .. }));
        let mut all = trials.chain(landings).chain(quarantined);
        !self.is_watched(boot)
            && all.any(|(toplevel, attempts)| {
                toplevel == booted && attempts.iter().rev().find(of_this_boot).is_some_and(failed)
            })
    }

    /// Whether the loader was told to boot something once, as far as this says.
    #[must_use]
    pub fn waits_armed(&self) -> bool {
        self.armings().any(|(_, arming)| arming == Arming::Armed)
    }

    /// The systems that the loader may have been told to boot once.
    pub fn may_be_armed(&self) -> impl Iterator<Item = &Toplevel> {
        self.armings().map(|(toplevel, _)| toplevel)
    }

    fn armings(&self) -> impl Iterator<Item = (&Toplevel, Arming)> {
        let drilled = self.drill.iter().flat_map(|drill| [&drill.trial].into_iter().chain(&drill.landing));
        let trials = self.trial.iter().chain(drilled).map(|trial| (&trial.toplevel, trial.arming));
        trials.chain(self.landing.iter().map(|landing| (&landing.toplevel, landing.arming)))
    }

    /// The same, and nothing is armed: a one-shot that is gone later is no evidence of a boot.
    pub(crate) fn disarmed(mut self) -> Self {
        self.trial = self.trial.map(Trial::disarmed);
        self.landing = self.landing.map(|it| Landing {
            arming: Arming::Idle,
            armed_at: None,
            armed_by: StartedBy::default(),
            ..it
        });
        self.drill = self.drill.map(|drill| Drill {
            trial: drill.trial.disarmed(),
            landing: drill.landing.map(Trial::disarmed),
            ..drill
        });
        self
    }

    /// Remember that the landing failed. The evidence stays with it.
    pub(crate) fn fail_landing(&mut self, landing: Landing) {
        self.failed_landings.retain(|failed| failed.toplevel != landing.toplevel);
        self.failed_landings.push(landing);
        let surplus = self.failed_landings.len().saturating_sub(MAX_CONFIRMED);
        self.failed_landings.drain(..surplus);
    }

    /// Remember that this toplevel passed, as the most recent one.
    pub(crate) fn confirm(&mut self, toplevel: &Toplevel) {
        self.quarantine.retain(|quarantined| quarantined.toplevel != *toplevel);
        self.failed_landings.retain(|failed| failed.toplevel != *toplevel);
        self.landing.take_if(|landing| landing.toplevel == *toplevel);
        self.undecided.retain(|trial| trial.toplevel != *toplevel);
        // What was booted and works has nothing left to prove.
        self.live.take_if(|live| live.to == *toplevel);
        let known = self.confirmed.iter().position(|confirmed| confirmed.toplevel == *toplevel);
        let entry = match known {
            Some(index) => self.confirmed.remove(index),
            None => Confirmed { toplevel: toplevel.clone(), unknown: Kept::new() },
        };
        self.confirmed.push(entry);
        let surplus = self.confirmed.len().saturating_sub(MAX_CONFIRMED);
        self.confirmed.drain(..surplus);
    }

    /// What had been wrong before anything ran that has yet to prove itself in this boot: its own faults excuse nobody.
    #[must_use]
    pub fn baseline_of(&self, boot: &BootId) -> Option<&Baseline> {
        match &self.live {
            Some(live) if live.boot == *boot => live.baseline.as_ref(),
            _ => self.trial.as_ref()?.baseline.as_ref(),
        }
    }

    /// A trial that begins: what it failed of before counts.
    pub(crate) fn begin_trial(&mut self, toplevel: &Toplevel) -> Trial {
        let before = self.undecided.iter().position(|trial| trial.toplevel == *toplevel);
        let attempts = before.map(|index| self.undecided.remove(index).attempts);
        Trial { attempts: attempts.unwrap_or_default(), ..Trial::new(toplevel.clone(), Origin::Marked) }
    }

    /// Remember a trial that is over without a verdict.
    pub(crate) fn leave_undecided(&mut self, trial: Trial) {
        self.undecided.retain(|other| other.toplevel != trial.toplevel);
        self.undecided.push(trial);
        let surplus = self.undecided.len().saturating_sub(MAX_UNDECIDED);
        self.undecided.drain(..surplus);
    }

    /// Remember that the trial failed. The evidence stays with it. Nobody comes back to it any more, so it is no landing either.
    pub(crate) fn quarantine(&mut self, trial: Trial, by_person: bool, waited: Option<Waited>) {
        self.undecided.retain(|other| other.toplevel != trial.toplevel);
        self.failed_landings.retain(|failed| failed.toplevel != trial.toplevel);
        let before = self.quarantined(&trial.toplevel).map_or(0, |earlier| earlier.failed_trials);
        self.quarantine.retain(|quarantined| quarantined.toplevel != trial.toplevel);
        self.quarantine.push(Quarantined {
            toplevel: trial.toplevel,
            attempts: trial.attempts,
            revision: trial.revision,
            by_person,
            failed_trials: before.saturating_add(1),
            waited,
            second_chance: false,
            unknown: trial.unknown,
        });
        let surplus = self.quarantine.len().saturating_sub(MAX_QUARANTINED);
        self.quarantine.drain(..surplus);
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn idle() -> Arming {
    Arming::Idle
}

impl Rollback {
    pub(crate) fn new(from: &Toplevel, to: &Toplevel) -> Self {
        Self { from: from.clone(), to: to.clone(), called_off: None, unknown: Kept::new() }
    }
}

impl Landing {
    pub(crate) fn new(from: &Toplevel, toplevel: &Toplevel) -> Self {
        let (from, toplevel) = (from.clone(), toplevel.clone());
        Self {
            from,
            toplevel,
            arming: Arming::Idle,
            armed_at: None,
            armed_by: StartedBy::default(),
            attempts: Attempts::default(),
            unknown: Kept::new(),
        }
    }
}
