//! What the machine shows at the moment of a decision.

use serde::{Deserialize, Serialize};

use crate::quarantine::Named;
use crate::{Baseline, BootId, Cause, Evidence, Injection, Revision, Shutdown, Toplevel};

/// Everything a decision may depend on, besides the ledger and the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The toplevel this boot started, from `/run/booted-system`; `None` where that names no system.
    pub booted: Option<Toplevel>,
    /// This boot.
    pub boot: BootId,
    /// What the golden profile points at.
    pub golden: Option<Toplevel>,
    /// The system that is kept from the garbage collector because it is, or was, the default of a trial.
    pub kept: Option<Toplevel>,
    /// What the golden profile pointed at before, the newest first.
    pub older_goldens: Vec<Toplevel>,
    /// What the system profile points at.
    pub profile: Option<Toplevel>,
    /// The specialisations of that system. A deployer that switches to one of them leaves the profile at their parent.
    pub specialisations: Vec<Toplevel>,
    /// What the loader says; `None` where it cannot be asked (the boot partition is not there). Then nothing of
    /// the loader is changed and nothing is concluded from it.
    pub loader: Option<Loader>,
    /// What is wrong on the machine, before anything of it changes; `None` where nobody looked.
    pub baseline: Option<Baseline>,
    /// What is found of an earlier boot that ended without a word.
    pub evidence: Evidence,
    /// Systems that cannot be booted now: found out by trying.
    pub damaged: Vec<Damage>,
    /// What systems say that they were built from, or their deployer: of those that the moment is about, and of what runs. There
    /// can be more than one for a system.
    pub sources: Vec<(Toplevel, Revision)>,
    /// How long this boot has been up, in seconds, without the time it slept.
    pub uptime_secs: u64,
}

/// Why a system was not started although it was armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotStartedBecause {
    /// Another loader started the machine.
    AnotherLoader,
    /// The loader was read from another partition.
    AnotherPartition,
    /// The one-shot is gone, and the firmware has started the machine no more than once.
    Forgotten,
    /// The one-shot is still there, although the firmware has started the machine.
    Ignored,
    /// A reason that only a newer build knows.
    #[serde(other)]
    Other,
}

/// Why a system cannot be booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which.
    pub toplevel: Toplevel,
    /// What is damaged.
    pub why: String,
    /// Whether it is beyond repair. If not, there was no room for that, or no right to write.
    pub is_lasting: bool,
}

/// The loader as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loader {
    /// Toplevels that are in the store and have a boot entry.
    pub listed: Vec<Toplevel>,
    /// Those of them whose kernel, initrd or device tree is not on the boot partition: the loader cannot start them.
    pub incomplete: Vec<Toplevel>,
    /// The toplevel that boots when nobody asks for another one; `None` where that is unknown.
    pub default: Option<Toplevel>,
    /// What is armed for the next boot.
    pub one_shot: OneShot,
    /// The toplevel whose entry the loader says it booted; `None` where it does not say.
    pub selected: Option<Toplevel>,
    /// Which loader started this boot, and from which partition.
    pub started_by: StartedBy,
    /// How often the firmware has started the machine; `None` where it does not count.
    pub firmware_boots: Option<u32>,
    /// Whether another loader than the configured one started this boot: nobody has read its default and its one-shot then.
    pub is_bypassed: bool,
    /// Whether it takes a one-shot back by itself, before it starts the kernel. Where it does not, the boot check does, and
    /// nothing may be armed while an attempt runs: a panic would boot it again, for ever.
    pub consumes_one_shot: bool,
}

/// Which loader started a boot, as far as that loader says so. A loader that was not configured, or one on another partition,
/// reads another default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StartedBy {
    /// Its name and version, such as `systemd-boot 257.9`. Source: `LoaderInfo` of the boot loader interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader: Option<String>,
    /// The identifier of the GPT entry of its partition, in lower case. Source: `LoaderDevicePartUUID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
}

/// A selection that the loader consumes at the next boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneShot {
    /// Nothing is armed.
    Clear,
    /// An entry of this toplevel is armed.
    Armed(Toplevel),
    /// Something that is none of our entries is armed, by somebody else.
    Foreign,
}

/// When a decision is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Moment {
    /// A loader installer has just made this toplevel the default.
    Mark(Toplevel),
    /// The same, and the running system is about to become `to` as well.
    MarkLive {
        /// What runs.
        from: Toplevel,
        /// What was installed.
        to: Toplevel,
    },
    /// A loader installer has just made this toplevel the default, and it is not to be tried.
    MarkUnprotected(Toplevel),
    /// Early in a boot, before `sysinit.target`.
    BootCheck,
    /// A crash kernel starts, early: a panic started it to save a dump. That is no boot.
    CrashKernel,
    /// The boot reached `multi-user.target` and passed its assessment.
    Confirm,
    /// The machine is going down.
    Shutdown(ShutdownSeen),
    /// This boot will not be confirmed: that is known before it ends.
    Fail(Cause),
    /// The same, and a person does not want it to be rebooted.
    Close(Cause),
    /// This boot was closed as failed, and what was to end it was cut off.
    Leave,
    /// A live switch has proved itself.
    LivePassed,
    /// A live switch has failed.
    LiveFailed(Cause),
    /// Nobody can watch a live switch.
    LiveUnwatched,
    /// A person says that the live switch works.
    LiveConfirmed,
    /// What was confirmed in this boot has failed since.
    FailLate {
        /// What of.
        cause: Cause,
        /// Whether the owner wants to be back on what worked before.
        goes_back: bool,
    },
    /// The machine is about to be hibernated.
    Hibernate,
    /// It runs again after that. No boot.
    Resume,
    /// The owner rehearses a failure on the running system.
    Drill(Injection),
    /// The owner pins what is running; `force` vouches for what was never confirmed here.
    Pin {
        /// Pin even what was never confirmed on this host.
        force: bool,
    },
    /// A deployer is about to switch to this toplevel.
    Check(Toplevel),
    /// A person says that something must not be deployed here.
    Quarantine(Named),
    /// A person says that it may.
    Release(Named),
    /// A person wants the machine back on what is known to be good; this is what runs.
    RollBackNow(Toplevel),
    /// Phase two of a rollback, or a live switch that is taken back, before the effects: what is there to do?
    RollBack,
    /// The same after the effects.
    RolledBack {
        /// What runs now.
        running: Option<Toplevel>,
    },
}

/// How the machine goes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownSeen {
    /// What was asked for.
    pub kind: Shutdown,
    /// Failed units whose `FailureAction=` or `StartLimitAction=` takes the machine down. Not innocent.
    pub failed_units: Vec<String>,
    /// Whether the firmware was told to start something else next than its loader: another boot option once, or its set-up.
    pub goes_elsewhere: bool,
}

impl StartedBy {
    /// Whether neither is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// The name without the version, which an update of the loader changes.
    fn name(&self) -> Option<&str> {
        self.loader.as_ref()?.split_whitespace().next()
    }

    /// Why this is another loader than `then`; `None` where it is the same, as far as either says.
    fn differs_from(&self, then: &Self) -> Option<NotStartedBecause> {
        let partitions = self.partition.as_ref().zip(then.partition.as_ref());
        if then.loader.is_some() && self.name() != then.name() {
            Some(NotStartedBecause::AnotherLoader)
        } else {
            partitions.filter(|(now, then)| now != then).map(|_| NotStartedBecause::AnotherPartition)
        }
    }
}

impl Seen {
    /// Why the loader of this boot is not `then`, the loader that was armed; `None` where it is, as far as either says.
    pub(crate) fn started_elsewhere(&self, then: &StartedBy) -> Option<NotStartedBecause> {
        let loader = self.loader.as_ref()?;
        let bypassed = loader.is_bypassed.then_some(NotStartedBecause::AnotherLoader);
        bypassed.or_else(|| loader.started_by.differs_from(then))
    }

    /// Whether the loader booted its default because nobody asked for anything else. A person's pick in the
    /// menu and an owner's one-shot boot something that is not the default.
    pub(crate) fn booted_by_default(&self) -> bool {
        self.loader.as_ref().is_some_and(|loader| {
            let selected = loader.selected.as_ref().or(self.booted.as_ref());
            selected.is_some() && selected == loader.default.as_ref()
        })
    }

    /// Whether the loader's default is golden, or the system that is kept from the garbage collector to stand in for it.
    pub(crate) fn stands_in(&self) -> bool {
        let default = self.loader.as_ref().and_then(|loader| loader.default.as_ref());
        default.is_some() && (default == self.golden.as_ref() || default == self.kept.as_ref())
    }

    /// Whether nobody can tell what the loader boots by itself: its configuration was torn, or names many systems.
    pub(crate) fn has_no_clear_default(&self) -> bool {
        self.loader.as_ref().is_some_and(|loader| loader.default.is_none())
    }

    /// Which loader started this boot, as far as that is known.
    pub(crate) fn started_by(&self) -> StartedBy {
        self.loader.as_ref().map(|loader| loader.started_by.clone()).unwrap_or_default()
    }

    pub(crate) fn runs(&self, toplevel: &Toplevel) -> bool {
        self.booted.as_ref() == Some(toplevel)
    }

    pub(crate) fn is_armed(&self, toplevel: &Toplevel) -> bool {
        self.loader.as_ref().is_some_and(|loader| loader.one_shot == OneShot::Armed(toplevel.clone()))
    }

    /// What it was built from, in the words of whoever deployed it, if he said so.
    #[must_use]
    pub fn source_of(&self, toplevel: &Toplevel) -> Option<&Revision> {
        self.sources.iter().find(|(of, _)| of == toplevel).map(|(_, revision)| revision)
    }

    /// Why this toplevel cannot be booted, if that was found out.
    #[must_use]
    pub fn damage_of(&self, toplevel: &Toplevel) -> Option<&Damage> {
        self.damaged.iter().find(|damage| damage.toplevel == *toplevel)
    }

    /// Whether this toplevel has a boot entry, is in the store, and its boot files are whole as far as is known.
    pub(crate) fn is_bootable(&self, toplevel: &Toplevel) -> bool {
        let listed = self.loader.as_ref().is_some_and(|loader| loader.listed.contains(toplevel));
        listed && self.damage_of(toplevel).is_none()
    }

    /// Whether the system profile was moved for this system: it names it, or the parent that it is a specialisation of.
    pub(crate) fn profile_was_moved_for(&self, toplevel: &Toplevel) -> bool {
        self.profile.as_ref() == Some(toplevel) || self.specialisations.contains(toplevel)
    }

    pub(crate) fn is_default(&self, toplevel: &Toplevel) -> bool {
        self.loader.as_ref().is_some_and(|loader| loader.default.as_ref() == Some(toplevel))
    }
}
