//! Whether what a scenario expects holds.

use golden_core::{Ledger, Toplevel};

use super::statement::{Expectation, System};
use crate::simulated::{World, foresee, golden_profile, system_profile};

/// The machine, as far as a scenario may expect something of it.
pub(super) struct Machine<'a> {
    pub(super) world: &'a World,
    pub(super) ledger: Option<&'a Ledger>,
    pub(super) running: Option<&'a Toplevel>,
    pub(super) boots: u32,
    pub(super) refused: bool,
}

impl Machine<'_> {
    /// What holds instead; `None` where the expectation is met.
    pub(super) fn misses(&self, expectation: &Expectation) -> Option<String> {
        let foreseen = foresee(self.world);
        let profile = |path| self.world.current(path).map(|(_, toplevel)| toplevel);
        let trial = self.ledger.and_then(|ledger| ledger.trial.as_ref());
        let holds = |holds: bool, otherwise: &str| (!holds).then(|| otherwise.to_owned());
        match expectation {
            Expectation::Running(system) => same(system.as_ref(), self.running, "runs"),
            Expectation::Default(system) => same(Some(system), foreseen.default.as_ref(), "is the default"),
            Expectation::OneShot(system) => same(system.as_ref(), foreseen.once.as_ref(), "is booted once"),
            Expectation::Golden(system) => {
                same(system.as_ref(), profile(&golden_profile()).as_ref(), "is golden")
            }
            Expectation::Profile(system) => {
                same(Some(system), profile(&system_profile()).as_ref(), "is what the profile points at")
            }
            Expectation::Trial(system) => {
                same(system.as_ref(), trial.map(|trial| &trial.toplevel), "is the trial")
            }
            Expectation::Failures(number) => {
                let failures = trial.map_or(0, |trial| trial.attempts.failures());
                holds(failures == *number, &format!("{failures} attempts failed"))
            }
            Expectation::Confirmed(system) => holds(
                self.ledger.is_some_and(|ledger| ledger.is_confirmed(&system.toplevel())),
                "the ledger does not say so",
            ),
            Expectation::Quarantined(system) => holds(
                self.ledger.is_some_and(|ledger| ledger.is_quarantined(&system.toplevel())),
                "the ledger does not say so",
            ),
            Expectation::Boots(number) => {
                holds(self.boots == *number, &format!("the machine booted {} times", self.boots))
            }
            Expectation::SafeMode(is_safe) => holds(
                self.ledger.is_some_and(|ledger| ledger.safe_mode.is_some()) == *is_safe,
                "the ledger says otherwise",
            ),
            Expectation::NoLedger => holds(self.ledger.is_none(), "there is one"),
            Expectation::InStore(system) => {
                holds(self.world.has_built(&system.toplevel()), "it is not in the store any more")
            }
            Expectation::Refused => holds(self.refused, "the last request was granted"),
        }
    }
}

fn same(expected: Option<&System>, found: Option<&Toplevel>, what: &str) -> Option<String> {
    if expected.map(System::toplevel).as_ref() == found {
        return None;
    }
    let found = found.map_or("nothing", Toplevel::short);
    Some(format!("{found} {what}"))
}
