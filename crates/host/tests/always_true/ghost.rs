//! What the test itself counts, to hold against what the ledger counts.

use crate::explore::Configuration;
use golden_core::{Arming, Attempt, BootId, End, Ledger, Toplevel, Trial};
use golden_host::simulated::Lie;

/// The failed attempts that really happened since a trial began.
///
/// Nearly always `least == most`. They differ where the machine shows the same thing for two different pasts, and
/// only there: see [`Counted::nobody_saw`] and [`Counted::may_have_been_booted`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Counted {
    pub toplevel: Toplevel,
    pub least: u32,
    pub most: u32,
    /// Innocent ends in a row.
    pub innocent: u32,
    /// Attempts that died before a boot check could see them, and that the next boot check must count.
    pub unseen: u32,
    /// Whether the loader has consumed the trial's one-shot at the last power on, and a person picked something else.
    pub is_passed_over: bool,
}

impl Counted {
    /// What failed in live switches to it before goes on to count.
    fn new(trial: &Trial) -> Self {
        let failed = trial.attempts.failures();
        let toplevel = trial.toplevel.clone();
        Self { toplevel, least: failed, most: failed, innocent: 0, unseen: 0, is_passed_over: false }
    }

    /// A failed attempt that the ledger must count.
    pub fn failed(&mut self) {
        self.least += 1;
        self.most += 1;
        self.innocent = 0;
    }

    /// The attempt ended in an orderly way.
    pub fn interrupted(&mut self, max_interruptions: u32) {
        self.innocent += 1;
        if self.innocent >= max_interruptions {
            self.failed();
        }
    }

    /// A boot of `booted` died before its boot check left anything durable. If it was an attempt, the next boot check
    /// can see that only by the one-shot that is gone; so it cannot see it if the ledger did not say yet that it was
    /// there (the power was cut between arming and recording that), or if a person had picked the entry. If it
    /// was something else that a person picked, the one-shot is gone all the same.
    pub fn nobody_saw(
        &mut self,
        configuration: Configuration,
        ledger: &Ledger,
        booted: &Toplevel,
        picked: bool,
    ) {
        if !configuration.has_one_shot() {
            // Nothing is consumed that could be missed.
            if self.toplevel == *booted {
                self.may_have_been_booted();
            }
            return;
        }
        let armed = ledger.trial.as_ref().is_some_and(|trial| trial.arming == Arming::Armed);
        if self.toplevel != *booted {
            // A start more than the firmware would need hides that it has forgotten.
            let is_forgotten = armed && configuration.lie == Some(Lie::ForgetsVariables);
            if std::mem::take(&mut self.is_passed_over) || is_forgotten {
                self.may_have_been_booted();
            }
        } else if armed && !picked {
            self.unseen += 1;
        } else {
            self.may_have_been_booted();
        }
    }

    /// A boot check of another system has run. What it saw, it counted; a person's pick in the menu hides it.
    pub fn seen(&mut self, by_default: bool) {
        self.most += self.unseen;
        if by_default {
            self.least += self.unseen;
            self.innocent = if self.unseen > 0 { 0 } else { self.innocent };
        }
        self.unseen = 0;
        self.is_passed_over = false;
    }

    /// A boot check of another system did not see the loader. The next one that does counts what died; and it cannot tell a
    /// one-shot that a person's pick used up.
    pub fn looked_at_nothing(&mut self) {
        if std::mem::take(&mut self.is_passed_over) {
            self.may_have_been_booted();
        }
    }

    /// What happened looks like an attempt that died, and like none. A person who picks the default in the menu
    /// while the trial is armed is one such case, where the firmware does not count: the loader had consumed the
    /// one-shot by then.
    pub fn may_have_been_booted(&mut self) {
        self.most += 1;
    }

    /// Bounded, so that the states are.
    pub fn cap(&mut self, max: u32) {
        self.most = self.most.min(max + 2);
        self.least = self.least.min(max + 1);
        self.unseen = self.unseen.min(2);
    }
}

/// Follow the ledger: a trial begins, or is over.
pub fn follow(ghost: Option<Counted>, ledger: Option<&Ledger>) -> Option<Counted> {
    let trial = ledger.and_then(|ledger| ledger.trial.as_ref())?;
    ghost.filter(|counted| counted.toplevel == trial.toplevel).or_else(|| Some(Counted::new(trial)))
}

/// The attempt of this boot, in this ledger.
pub fn attempt_of<'a>(ledger: &'a Ledger, boot: &BootId) -> Option<&'a Attempt> {
    ledger.trial.as_ref()?.attempts.iter().find(|attempt| attempt.boot.as_ref() == Some(boot))
}

pub fn failures(attempts: &[Attempt]) -> u32 {
    let failed = |attempt: &&Attempt| matches!(attempt.end, Some(End::Failed { .. }));
    u32::try_from(attempts.iter().filter(failed).count()).unwrap_or(u32::MAX)
}
