//! The one function that decides.

mod another_try;
mod asked;
mod boot;
mod confirm;
mod crash;
mod drill;
mod fail;
mod ladder;
mod leave;
mod live;
mod mark;
mod probation;
mod quarantine;
mod rollback;
mod shutdown;
mod sleep;

use crate::{
    Arming, Event, Landing, Ledger, Moment, NotStartedBecause, OneShot, Origin, Plan, Policy, RebootCause,
    Seen, StartedBy, Step, Toplevel, Trial,
};

/// What to do at `moment`, from nothing but the arguments.
///
/// Every plan can be cut off after any step: deciding again, in the same boot or in the next, ends in the same
/// place.
#[must_use]
pub fn decide(ledger: &Ledger, seen: &Seen, policy: &Policy, moment: &Moment) -> Plan {
    match moment {
        Moment::Mark(toplevel) => mark::mark(ledger, seen, policy, toplevel),
        Moment::MarkLive { from, to } => mark::mark_live(ledger, seen, policy, from, to),
        Moment::LivePassed => live::pass(ledger, seen, policy),
        Moment::LiveFailed(cause) => live::fail(ledger, seen, policy, cause),
        Moment::LiveUnwatched => live::leave(ledger, seen, policy),
        Moment::LiveConfirmed => live::confirm(ledger, seen),
        Moment::MarkUnprotected(toplevel) => mark::unprotected(ledger, seen, policy, toplevel),
        Moment::BootCheck => boot::check(ledger, seen, policy),
        Moment::CrashKernel => crash::record(ledger, seen),
        Moment::Confirm => confirm::confirm(ledger, seen),
        Moment::Fail(cause) => fail::fail(ledger, seen, policy, cause),
        Moment::Close(cause) => fail::stay(ledger, seen, policy, cause),
        Moment::Leave => leave::as_it_is(ledger, seen),
        Moment::FailLate { cause, goes_back } => probation::fail(ledger, seen, policy, cause, *goes_back),
        Moment::Hibernate => sleep::hibernate(ledger, seen),
        Moment::Resume => sleep::resume(ledger, seen, policy),
        Moment::Drill(injection) => drill::begin(ledger, seen, policy, *injection),
        Moment::Shutdown(shutdown) => shutdown::record(ledger, seen, policy, shutdown),
        Moment::Pin { force } => confirm::pin(ledger, seen, *force),
        Moment::Check(toplevel) => quarantine::check(ledger, seen, policy, toplevel),
        Moment::Quarantine(named) => quarantine::add(ledger, seen, policy, named),
        Moment::Release(named) => quarantine::release(ledger, seen, named),
        Moment::RollBackNow(from) => asked::roll_back(ledger, seen, policy, from),
        Moment::RollBack => match &ledger.live {
            Some(live) => live::effects(ledger, seen, live),
            None => rollback::effects(ledger, seen),
        },
        Moment::RolledBack { running } => match &ledger.live {
            Some(live) => live::done(ledger, seen, policy, live, running.as_ref()),
            None => rollback::done(ledger, seen),
        },
    }
}

/// Whether a boot check has nothing to do, whatever the loader says. The answer on nearly every boot, from what
/// costs nothing to read.
#[must_use]
pub fn is_settled(ledger: &Ledger, booted: Option<&Toplevel>, golden: Option<&Toplevel>) -> bool {
    let known = |toplevel: &Toplevel| golden == Some(toplevel) || ledger.is_confirmed(toplevel);
    let idle = ledger.trial.is_none()
        && ledger.rollback.is_none()
        && ledger.landing.is_none()
        && ledger.drill.is_none()
        && ledger.live.is_none()
        && ledger.safe_mode.is_none();
    let nothing_is_known = golden.is_none() && ledger.confirmed.is_empty();
    idle && (nothing_is_known || booted.is_none_or(known))
}

/// The known-good generation that the machine comes back to: the first rung of the ladder that has not failed; if all
/// have, the first one, where the machine stays in safe mode.
#[must_use]
pub fn landing(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Toplevel) -> Option<Toplevel> {
    let rungs = ladder::rungs(ledger, seen, policy, trial);
    let works = |rung: &&Toplevel| !ledger.is_failed_landing(rung);
    rungs.iter().find(works).or(rungs.first()).cloned()
}

/// What boots by itself as long as a trial has yet to prove itself. Where the loader boots anything else by a one-shot only,
/// that is what was confirmed last: it ran here, and golden may be older. If golden does not get as far as its boot check,
/// the loader goes on by itself instead of booting it for ever.
fn stand_in(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Toplevel) -> Option<Toplevel> {
    let landing = landing(ledger, seen, policy, trial)?;
    let has_one_shot = seen.loader.as_ref().is_some_and(|loader| loader.consumes_one_shot);
    let works = |toplevel: &Toplevel| !ledger.is_failed_landing(toplevel);
    let confirmed = ladder::last_confirmed(ledger, seen, trial).filter(|last| has_one_shot && works(last));
    Some(confirmed.unwrap_or(landing))
}

/// The same for `trial`. What nobody marked has not kept anything from the garbage collector, and early in a boot nobody can:
/// then it is the landing, which a profile of its own holds where it is golden.
fn stand_in_of(ledger: &Ledger, seen: &Seen, policy: &Policy, trial: &Trial) -> Option<Toplevel> {
    match trial.origin {
        Origin::Marked => stand_in(ledger, seen, policy, &trial.toplevel),
        // The ledger was lost: the system that stands in may be newer than golden, and stays the default.
        Origin::Inferred if ledger.confirmed.is_empty() && seen.stands_in() => {
            seen.loader.as_ref()?.default.clone()
        }
        Origin::Inferred => landing(ledger, seen, policy, &trial.toplevel),
    }
}

fn is_known_good(ledger: &Ledger, seen: &Seen, toplevel: &Toplevel) -> bool {
    seen.golden.as_ref() == Some(toplevel) || ledger.is_confirmed(toplevel)
}

/// The ledger with `trial` in it; what `ledger` says besides stays.
fn with_trial(ledger: &Ledger, trial: &Trial) -> Ledger {
    Ledger { trial: Some(trial.clone()), ..ledger.clone() }
}

/// Which of the two is durable first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    /// For a trial that begins: power that goes in between loses the trial, and not the machine.
    Default,
    /// For a trial that goes on: the default is evidence of how the machine came here.
    Ledger,
}

/// Commit the trial, make sure of what boots by itself, and arm the trial's next attempt if `arm`.
fn commit_and_arm(
    first: First,
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    arm: bool,
    events: Vec<Event>,
) -> Plan {
    let Some(trial) = &ledger.trial else { return Plan::nothing() };
    let armed_at = seen.loader.as_ref().filter(|_| arm).and_then(|loader| loader.firmware_boots);
    let armed_by = if arm { seen.started_by() } else { StartedBy::default() };
    let with_arming = |arming| {
        let armed_by = armed_by.clone();
        with_trial(ledger, &Trial { arming, armed_at, armed_by, ..trial.clone() })
    };
    let default = stand_in_of(ledger, seen, policy, trial).filter(|default| !seen.is_default(default));
    let secure = |plan: Plan| default.iter().fold(plan, |plan, to| plan.then(Step::SetDefault(to.clone())));
    let intended = with_arming(if arm { Arming::Intended } else { Arming::Idle });
    let plan = match first {
        First::Default => secure(Plan::nothing()).commit(&intended).tell(events),
        First::Ledger => secure(Plan::nothing().commit(&intended).tell(events)),
    };
    if arm && seen.loader.is_some() {
        plan.then(Step::Arm(trial.toplevel.clone())).commit(&with_arming(Arming::Armed))
    } else {
        plan.then_if(seen.is_armed(&trial.toplevel), || Step::Disarm)
    }
}

fn is_budget_spent(ledger: &Ledger, policy: &Policy) -> bool {
    ledger.automatic_reboots >= policy.max_automatic_reboots
}

/// Reboot: the count is durable and history knows before it happens.
fn reboot(plan: Plan, ledger: &Ledger, cause: RebootCause, toplevel: &Toplevel) -> Plan {
    let automatic_reboots = ledger.automatic_reboots;
    let event = Event::Rebooting { cause, toplevel: toplevel.clone(), automatic_reboots };
    plan.tell([event]).then(Step::Reboot)
}

/// How often the firmware has started the machine since something was armed; negative where it has lost count.
fn starts_since(seen: &Seen, armed_at: Option<u32>) -> Option<i32> {
    let now = seen.loader.as_ref()?.firmware_boots?;
    armed_at.map(|then| now.wrapping_sub(then).cast_signed())
}

/// An armed system, and the state of the machine when it was armed.
#[derive(Clone, Copy)]
struct Armed<'a> {
    toplevel: &'a Toplevel,
    arming: Arming,
    at: Option<u32>,
    by: &'a StartedBy,
}

impl<'a> From<&'a Trial> for Armed<'a> {
    fn from(trial: &'a Trial) -> Self {
        let Trial { toplevel, arming, armed_at, armed_by, .. } = trial;
        Self { toplevel, arming: *arming, at: *armed_at, by: armed_by }
    }
}

impl<'a> From<&'a Landing> for Armed<'a> {
    fn from(landing: &'a Landing) -> Self {
        let Landing { toplevel, arming, armed_at, armed_by, .. } = landing;
        Self { toplevel, arming: *arming, at: *armed_at, by: armed_by }
    }
}

/// Why the armed system was not started, if the machine shows that; another system runs. Where the loader takes a one-shot back and
/// the firmware counts its starts, the one-shot shows it too: if it is gone after a single start, which was that of the running
/// system, it has started nothing.
fn not_started(seen: &Seen, armed: Armed<'_>) -> Option<NotStartedBecause> {
    let loader = seen.loader.as_ref().filter(|_| armed.arming == Arming::Armed)?;
    if let Some(because) = seen.started_elsewhere(armed.by) {
        return Some(because);
    }
    let starts =
        starts_since(seen, armed.at).filter(|_| loader.consumes_one_shot && seen.booted_by_default())?;
    let is_passed_over = loader.incomplete.contains(armed.toplevel);
    match &loader.one_shot {
        OneShot::Clear if starts == 1 && !is_passed_over => Some(NotStartedBecause::Forgotten),
        OneShot::Armed(toplevel) if starts > 0 && toplevel == armed.toplevel => {
            Some(NotStartedBecause::Ignored)
        }
        _ => None,
    }
}

/// Whether the loader consumed the one-shot that was to boot this toplevel, and started it or could not.
fn was_consumed<'a>(seen: &Seen, armed: impl Into<Armed<'a>>) -> bool {
    let armed = armed.into();
    let Some(loader) = &seen.loader else { return false };
    if not_started(seen, armed).is_some() {
        return false;
    }
    // Started never since it was armed: somebody took the one-shot back. Once: for what runs now, and a person picked
    // that, or the loader passed over what it could not start. Fewer times than then: the firmware has lost its memory, and
    // the one-shot with it.
    let starts = starts_since(seen, armed.at);
    let passed_over = loader.incomplete.contains(armed.toplevel);
    // Where the boot check takes it back, one that is gone says nothing: an installer may have set another default.
    loader.consumes_one_shot
        && armed.arming == Arming::Armed
        && loader.one_shot == OneShot::Clear
        && starts.is_none_or(|starts| starts > 1 || starts == 1 && passed_over)
}
