//! The machine is going down: was that asked for?

use super::ladder::{self, Whither};
use super::{First, another_try, commit_and_arm, drill, live, rollback, with_trial};
use crate::{
    Arming, Attempts, Cause, End, Event, Evidence, Landing, Ledger, OneShot, Plan, Policy, Seen, Shutdown,
    ShutdownSeen,
};

/// Somebody else may have told the machine to start another system next. The loader is left alone then, and the ledger says that
/// nothing is armed: a one-shot that is gone later is no evidence of a boot. The next boot check arms the trial again.
pub(super) fn record(ledger: &Ledger, seen: &Seen, policy: &Policy, shutdown: &ShutdownSeen) -> Plan {
    if !is_sent_elsewhere(ledger, seen, shutdown) {
        return record_end(ledger, seen, policy, shutdown);
    }
    let unarmed = ledger.clone().disarmed();
    let plan = record_end(&unarmed, &Seen { loader: None, ..seen.clone() }, policy, shutdown);
    if plan.ledger().is_none() && unarmed != *ledger { plan.commit(&unarmed) } else { plan }
}

/// Whether the next start is somebody else's: an entry that is to be booted once and is none of ours, another boot option of the
/// firmware, or its set-up. A landing that runs is not armed any more.
fn is_sent_elsewhere(ledger: &Ledger, seen: &Seen, shutdown: &ShutdownSeen) -> bool {
    let landing_runs = ledger.landing.as_ref().is_some_and(|it| it.attempts.is_open_in(&seen.boot));
    let Some(loader) = seen.loader.as_ref().filter(|_| goes_through_loader(shutdown) && !landing_runs) else {
        return false;
    };
    let is_other = match &loader.one_shot {
        OneShot::Foreign => true,
        OneShot::Armed(armed) => !ledger.may_be_armed().any(|ours| ours == armed),
        // Taken back by a person. A running attempt is armed anew, and has none.
        OneShot::Clear => ledger.waits_armed() && !ledger.is_watched(&seen.boot),
    };
    is_other || shutdown.goes_elsewhere
}

fn record_end(ledger: &Ledger, seen: &Seen, policy: &Policy, shutdown: &ShutdownSeen) -> Plan {
    let is_this_boot = |attempts: &Attempts| attempts.is_open_in(&seen.boot);
    if let Some(drill) = ledger.drill.as_ref().filter(|it| it.is_open_in(&seen.boot)) {
        return drill::record(ledger, seen, policy, drill, shutdown);
    }
    if let Some(landing) = ledger.landing.as_ref().filter(|it| is_this_boot(&it.attempts)) {
        return record_landing(ledger, seen, policy, landing, shutdown);
    }
    // What fails counts at the next boot.
    if ledger.live.as_ref().is_some_and(|live| live.boot == seen.boot) && shutdown.failed_units.is_empty() {
        return live::leave(ledger, seen, policy);
    }
    let Some(mut trial) = ledger.trial.as_ref().filter(|it| is_this_boot(&it.attempts)).cloned() else {
        return another_try::record(ledger, seen, policy, shutdown);
    };
    let end = end_of(&trial.attempts, policy, shutdown);
    trial.attempts.close(end.clone(), &Evidence::default());
    let toplevel = trial.toplevel.clone();
    let event = match end {
        End::Failed { cause } => Event::AttemptFailed {
            toplevel,
            failures: trial.attempts.failures(),
            max_failures: policy.max_failures.get(),
            boot: Some(seen.boot.clone()),
            cause,
        },
        End::Innocent { .. } | End::Unknown(_) => {
            Event::AttemptInterrupted { toplevel, boot: seen.boot.clone(), shutdown: shutdown.kind }
        }
    };
    if trial.has_failed(policy) && seen.loader.is_some() && goes_through_loader(shutdown) {
        return rollback::begin(ledger, seen, policy, trial, vec![event], Whither::GoesDown);
    }
    let in_place = trial.arming == Arming::Armed && seen.is_armed(&trial.toplevel);
    let ledger = with_trial(ledger, &trial);
    if in_place && !trial.has_failed(policy) {
        return Plan::nothing().commit(&ledger).tell([event]);
    }
    commit_and_arm(First::Ledger, &ledger, seen, policy, !trial.has_failed(policy), vec![event])
}

fn record_landing(
    ledger: &Ledger,
    seen: &Seen,
    policy: &Policy,
    landing: &Landing,
    shutdown: &ShutdownSeen,
) -> Plan {
    match end_of(&landing.attempts, policy, shutdown) {
        End::Failed { cause } if goes_through_loader(shutdown) => {
            ladder::fail(ledger, seen, policy, landing, &cause, Whither::GoesDown)
        }
        end => {
            let mut landing = landing.clone();
            let events = match &end {
                End::Failed { cause } => ladder::close(&mut landing, cause.clone(), &Evidence::default()),
                End::Innocent { .. } | End::Unknown(_) => Vec::new(),
            };
            landing.attempts.close(end, &Evidence::default());
            Plan::nothing().commit(&Ledger { landing: Some(landing), ..ledger.clone() }).tell(events)
        }
    }
}

/// Whether something else can boot next. Past the loader the same system starts again: its boot check leaves it.
fn goes_through_loader(shutdown: &ShutdownSeen) -> bool {
    !matches!(shutdown.kind, Shutdown::Kexec | Shutdown::SoftReboot)
}

pub(super) fn end_of(attempts: &Attempts, policy: &Policy, shutdown: &ShutdownSeen) -> End {
    let times = attempts.interruptions_with_this();
    if !shutdown.failed_units.is_empty() {
        End::Failed { cause: Cause::UnitFailed { units: shutdown.failed_units.clone() } }
    } else if times >= policy.max_interruptions.get() {
        End::Failed { cause: Cause::Interrupted { times } }
    } else {
        End::Innocent { shutdown: shutdown.kind }
    }
}
