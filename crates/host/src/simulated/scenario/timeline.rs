//! What a machine looks like in one line.

use golden_core::{
    Arming, Attempt, Cause, Drill, End, Landing, Ledger, Live, LivePhase, SafeModeReason, Shutdown, Toplevel,
    Trial,
};

use crate::describe;
use crate::simulated::{Said, World, foresee, golden_profile, system_profile};

/// What a program told the journal, without the part of a store path that says nothing to a reader.
pub(super) fn said(said: &Said) -> String {
    short(&match said {
        Said::Told(event) => describe(event),
        Said::Complained(_, text) | Said::Reported(_, text) => text.clone(),
    })
}

/// The text with systems by their names instead of their store paths.
pub(super) fn short(text: &str) -> String {
    const STORE: &str = "/nix/store/";
    let mut parts = text.split(STORE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('-').map_or(part, |(_, name)| name))
}

/// The ledger in one line.
pub(super) fn ledger(ledger: &Ledger) -> String {
    let list =
        |toplevels: Vec<&Toplevel>| toplevels.into_iter().map(Toplevel::short).collect::<Vec<_>>().join(" ");
    let confirmed = list(ledger.confirmed.iter().map(|one| &one.toplevel).collect());
    let entries = |again| ledger.quarantine.iter().filter(move |one| one.second_chance == again);
    let quarantined = list(entries(false).map(|one| &one.toplevel).collect());
    let tried_again = list(entries(true).map(|one| &one.toplevel).collect());
    let revisions: Vec<&str> =
        ledger.quarantined_revisions.iter().map(|entry| entry.revision.as_str()).collect();
    let failed = list(ledger.failed_landings.iter().map(|one| &one.toplevel).collect());
    let undecided = ledger.undecided.iter().map(trial).collect::<Vec<_>>().join(", ");
    let parts = [
        (!confirmed.is_empty()).then(|| format!("confirmed {confirmed}")),
        ledger.golden.as_ref().map(|golden| format!("golden {}", golden.toplevel.short())),
        ledger.trial.as_ref().map(trial),
        ledger.rollback.as_ref().map(|one| format!("rollback {} to {}", one.from.short(), one.to.short())),
        ledger.landing.as_ref().map(landing),
        (!failed.is_empty()).then(|| format!("failed landings {failed}")),
        ledger.drill.as_ref().map(drill),
        ledger.live.as_ref().map(live),
        (!undecided.is_empty()).then(|| format!("undecided {undecided}")),
        ledger.owed_default.as_ref().map(|owed| format!("owes default {}", owed.short())),
        (!quarantined.is_empty()).then(|| format!("quarantined {quarantined}")),
        (!tried_again.is_empty()).then(|| format!("second chance {tried_again}")),
        (!revisions.is_empty()).then(|| format!("quarantined revisions {}", revisions.join(" "))),
        (ledger.automatic_reboots > 0).then(|| format!("automatic reboots {}", ledger.automatic_reboots)),
        ledger.safe_mode.as_ref().map(|mode| format!("safe mode ({})", safe_mode(&mode.reason))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "empty".to_owned() } else { parts.join(", ") }
}

fn trial(trial: &Trial) -> String {
    let arming = match trial.arming {
        Arming::Idle => "not armed",
        Arming::Intended => "to be armed",
        Arming::Armed => "armed",
    };
    let attempts: Vec<String> = trial.attempts.iter().map(attempt).collect();
    let attempts = if attempts.is_empty() { "no attempt yet".to_owned() } else { attempts.join("; ") };
    format!("trial {} ({arming}: {attempts})", trial.toplevel.short())
}

fn drill(drill: &Drill) -> String {
    let golden = drill.landing.iter().map(|golden| format!(", then golden as {}", trial(golden)));
    std::iter::once(format!("drill of {}", trial(&drill.trial))).chain(golden).collect()
}

fn live(live: &Live) -> String {
    let phase = match live.phase {
        LivePhase::Proving => "to prove itself",
        LivePhase::GoingBack => "going back",
    };
    format!("live {} instead of {} ({phase})", live.to.short(), live.from.short())
}

fn landing(landing: &Landing) -> String {
    let attempts: Vec<String> = landing.attempts.iter().map(attempt).collect();
    let attempts = if attempts.is_empty() { "no attempt yet".to_owned() } else { attempts.join("; ") };
    format!("landing {} ({attempts})", landing.toplevel.short())
}

fn attempt(attempt: &Attempt) -> String {
    match &attempt.end {
        None => "running".to_owned(),
        Some(End::Innocent { shutdown }) => format!("innocent {}", kind(*shutdown)),
        Some(End::Failed { cause: why }) => cause(why),
        Some(End::Unknown(_)) => "unknown end".to_owned(),
    }
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::NeverReachedBootCheck => "never reached the boot check".to_owned(),
        Cause::Vanished => "vanished".to_owned(),
        Cause::UnitFailed { units } => format!("{} failed", units.join(" ")),
        Cause::Interrupted { times } => format!("interrupted {times} times in a row"),
        Cause::Deadline { units, .. } => format!("not confirmed in time ({})", units.join(" ")),
        Cause::Emergency { units } => format!("emergency mode ({})", units.join(" ")),
        Cause::NotBootable { .. } => "could not be started".to_owned(),
        Cause::AskedByPerson => "rolled back by a person".to_owned(),
        Cause::ChecksFailed { checks } => format!("checks failed ({})", checks.join(" ")),
        Cause::ActivationFailed { .. } => "activation failed".to_owned(),
        Cause::Unproven { .. } => "unproven".to_owned(),
        Cause::Unknown(_) => "unknown cause".to_owned(),
    }
}

fn kind(shutdown: Shutdown) -> &'static str {
    match shutdown {
        Shutdown::Reboot => "reboot",
        Shutdown::Poweroff => "poweroff",
        Shutdown::Halt => "halt",
        Shutdown::Kexec => "kexec",
        Shutdown::SoftReboot => "soft-reboot",
        Shutdown::Other => "shutdown",
    }
}

fn safe_mode(reason: &SafeModeReason) -> &'static str {
    match reason {
        SafeModeReason::BudgetSpent => "the budget of automatic reboots is spent",
        SafeModeReason::NoLanding => "nothing known to be good has a boot entry",
        SafeModeReason::LadderEnded => "every landing failed",
        SafeModeReason::Unknown(_) => "unknown reason",
    }
}

/// What boots next, and the two profiles.
pub(super) fn loader(world: &World) -> String {
    let name = |toplevel: Option<Toplevel>| {
        toplevel.map_or_else(|| "nothing".to_owned(), |toplevel| toplevel.short().to_owned())
    };
    let foreseen = foresee(world);
    let profile = |path| name(world.current(path).map(|(_, toplevel)| toplevel));
    format!(
        "default {}, once {}; profile system {}, golden {}",
        name(foreseen.default),
        name(foreseen.once),
        profile(&system_profile()),
        profile(&golden_profile()),
    )
}
