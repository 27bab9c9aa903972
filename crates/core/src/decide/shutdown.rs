//! The machine is going down: was that asked for?

use super::{First, commit_and_arm, with_trial};
use crate::{Arming, Cause, End, Event, Ledger, Plan, Policy, Seen, ShutdownSeen, Trial};

pub(super) fn record(ledger: &Ledger, seen: &Seen, policy: &Policy, shutdown: &ShutdownSeen) -> Plan {
    let this_boot =
        |trial: &&Trial| trial.open().is_some_and(|attempt| attempt.boot.as_ref() == Some(&seen.boot));
    let Some(mut trial) = ledger.trial.as_ref().filter(this_boot).cloned() else {
        return Plan::nothing();
    };
    let end = end_of(&trial, policy, shutdown);
    trial.close(end.clone());
    let toplevel = trial.toplevel.clone();
    let event = match end {
        End::Failed { cause } => Event::AttemptFailed {
            toplevel,
            failures: trial.failures(),
            max_failures: policy.max_failures.get(),
            boot: Some(seen.boot.clone()),
            cause,
        },
        End::Innocent { .. } | End::Unknown(_) => {
            Event::AttemptInterrupted { toplevel, boot: seen.boot.clone(), shutdown: shutdown.kind }
        }
    };
    let in_place = trial.arming == Arming::Armed && seen.is_armed(&trial.toplevel);
    let ledger = with_trial(ledger, &trial);
    if in_place && !trial.has_failed(policy) {
        return Plan::nothing().commit(&ledger).tell([event]);
    }
    commit_and_arm(First::Ledger, &ledger, seen, policy, !trial.has_failed(policy), vec![event])
}

fn end_of(trial: &Trial, policy: &Policy, shutdown: &ShutdownSeen) -> End {
    let times = trial.interruptions_with_this();
    if !shutdown.failed_units.is_empty() {
        End::Failed { cause: Cause::UnitFailed { units: shutdown.failed_units.clone() } }
    } else if times >= policy.max_interruptions.get() {
        End::Failed { cause: Cause::Interrupted { times } }
    } else {
        End::Innocent { shutdown: shutdown.kind }
    }
}
