//! The steps a decision asks for, in order.

use crate::{Event, Injection, Ledger, Revision, Seen, Toplevel};

/// One effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Make this the ledger, durably.
    Commit(Box<Ledger>),
    /// Put it into history and the journal.
    Tell(Event),
    /// Make an entry of this toplevel the loader's persistent default.
    SetDefault(Toplevel),
    /// Have the loader boot this toplevel once. Its boot files are compared with the store's before.
    Arm(Toplevel),
    /// Compare the boot files of this toplevel with the store's, and repair them: the machine is only sent to a system that can be
    /// booted.
    Check(Toplevel),
    /// Take back the one-shot.
    Disarm,
    /// Drop the loader's own boot counter from the entries of this toplevel.
    Bless(Toplevel),
    /// Keep the garbage collector from this toplevel, which is the default, and no longer from the one before.
    Keep(Toplevel),
    /// Point the golden profile at this toplevel and check that it can be landed on.
    PinProfile(Toplevel),
    /// Point the system profile at this toplevel, as its newest generation: installers list the newest ones.
    SetProfile(Toplevel),
    /// Point the system profile back at this toplevel after a deployer was refused: at the generation that names the toplevel
    /// already, if there is one. A deployer that tries again and again adds no generations.
    PutProfileBack(Toplevel),
    /// Have this toplevel install its boot loader configuration. Runs without the lock: it marks.
    InstallLoader(Toplevel),
    /// Watch the switch of the running system that is about to happen.
    WatchLive,
    /// Have the running system become this toplevel again. Runs without the lock, and marks nothing.
    Activate(Toplevel),
    /// Ask for phase two, which runs later in this boot.
    RequestRollback,
    /// This boot has to be confirmed: watch its deadline, and whether it ends in `emergency.target`.
    Watch,
    /// This boot was confirmed: look at it for a while.
    BeginProbation,
    /// Make this boot fail, later on.
    Inject(Injection),
    /// Go to `golden-safe-mode.target` and nowhere else.
    EnterSafeMode,
    /// Reboot. Nothing comes after it.
    Reboot,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// In this order; the first one that fails ends the plan.
    pub steps: Vec<Step>,
    /// Set when the caller must be told no; the steps are still to be taken.
    pub refusal: Option<Refusal>,
    /// Set where a working system is to be left: if anything fails before the reboot, the machine stays as it was.
    pub undo: Option<Undo>,
}

/// The state to which a plan goes back that could not be carried out. What the plan has armed is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Undo {
    /// The ledger that is committed then.
    pub ledger: Box<Ledger>,
    /// The loader's default before the plan, which is set again if the plan has changed it; `None` where it was unknown.
    pub default: Option<Toplevel>,
}

/// A request that is not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The toplevel failed on this host, or a person refused it.
    #[error("{0} is quarantined on this host")]
    Quarantined(Toplevel),
    /// A person refused everything of its source revision.
    #[error("{toplevel} was built from revision {revision}, which is quarantined on this host")]
    #[allow(missing_docs)]
    QuarantinedRevision { toplevel: Toplevel, revision: Revision },
    /// What the machine needs is not put into quarantine.
    #[error("not put into quarantine: {0}")]
    NoQuarantine(&'static str),
    /// There is no rollback to be asked for.
    #[error("no rollback now: {0}")]
    NoRollback(&'static str),
    /// Only what was confirmed here is pinned.
    #[error("{0} was never confirmed on this host")]
    NeverConfirmed(Toplevel),
    /// Nothing says which toplevel runs.
    #[error("cannot tell which toplevel is running: /run/booted-system does not name one")]
    NothingBooted,
    /// A rehearsal must end on golden, and nothing else may be under way.
    #[error("no rehearsal now: {0}")]
    NoDrill(&'static str),
}

impl Plan {
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    pub(crate) fn refuse(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::default() }
    }

    /// The ledger that the whole plan leaves, if it changes it.
    pub(crate) fn ledger(&self) -> Option<&Ledger> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Commit(ledger) => Some(&**ledger),
            _ => None,
        })
    }

    /// The same, where a working system is left for `to`: `to` is checked before anything is committed, and events are told after
    /// the loader has obeyed. If it does not obey, `undo` is committed.
    pub(crate) fn or_undone(self, seen: &Seen, to: &Toplevel, undo: &Ledger) -> Self {
        let (last, steps): (Vec<Step>, Vec<Step>) =
            self.steps.into_iter().partition(|step| matches!(step, Step::Tell(_) | Step::Reboot));
        let steps = std::iter::once(Step::Check(to.clone())).chain(steps).chain(last).collect();
        let default = seen.loader.as_ref().and_then(|loader| loader.default.clone());
        let undo = Some(Undo { ledger: Box::new(undo.clone()), default });
        Self { steps, undo, ..self }
    }

    pub(crate) fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn then_if(self, condition: bool, step: impl FnOnce() -> Step) -> Self {
        if condition { self.then(step()) } else { self }
    }

    pub(crate) fn commit(self, ledger: &Ledger) -> Self {
        self.then(Step::Commit(Box::new(ledger.clone())))
    }

    pub(crate) fn tell(self, events: impl IntoIterator<Item = Event>) -> Self {
        events.into_iter().fold(self, |plan, event| plan.then(Step::Tell(event)))
    }
}
