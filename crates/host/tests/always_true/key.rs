//! What decides how a machine goes on, and nothing that is only shown.

use std::fmt::Write as _;
use std::path::Path;

use golden_core::{
    Arming, Attempt, Attempts, BootId, Cause, End, Landing, Ledger, Quarantined, Toplevel, Trial,
};
use golden_host::simulated::{World, golden_profile, system_profile};

use crate::explore::{Configuration, GOLDEN_ROOT, Habit, LEDGER, ONE_SHOT, State, Up};
use crate::views::Views;

/// Where a boot keeps that it is looked at after its confirmation, and what its last checks found.
pub const PROBATION: &str = "/run/golden-generation/probation";
pub const ASSESSMENT: &str = "/run/golden-generation/assessment.json";

/// Two machines with the same key go on in the same way.
///
/// Left out are: the revision, history, boot IDs but for "this boot", files that a program left behind half written, which no
/// program reads, and numbers of generations of the system profile: programs find an entry by what it boots. Of the ledger:
///
/// - the reason for safe mode, and from where to where the last rollback went: that is only shown;
/// - `known_dumps` and evidence: no kernel of these machines leaves a dump;
/// - what a rehearsal makes fail: always a unit;
/// - whether a person said that a live switch works: only `golden-live` asks, and whatever it may say then is tried;
/// - how many trials of what is quarantined have failed: its second chance comes later for that, and never later than in the one
///   long time that passes here;
/// - of its attempts, everything but whether checks failed, which excuses them afterwards; and which revision it was built
///   from, for that is the system's own;
/// - of an undecided trial, everything but its failures: the last of its attempts is one.
pub fn key(views: &mut Views, state: &State, configuration: Configuration) -> String {
    let State { world, up, ghost, memory, .. } = state;
    let max_failures = configuration.max_failures;
    let mut key = String::with_capacity(256);
    // Writing to a string cannot fail.
    let _ = match views.ledger(world) {
        Some(ledger) => write_ledger(
            &mut key,
            &ledger,
            up.as_ref().map(|up| &up.boot),
            world.firmware_boots,
            max_failures,
        ),
        None => write!(key, "{:?}", world.var.read(Path::new(LEDGER)).ok()),
    };
    let foreseen = views.foresee(world);
    let short = |toplevel: Option<&Toplevel>| toplevel.map_or("-", Toplevel::short).to_owned();
    let (once, default) = (short(foreseen.once.as_ref()), short(foreseen.default.as_ref()));
    let _ = write!(key, "|{once} {default} {} {} ", foreseen.is_named, world.is_sent_elsewhere());
    write_profiles(&mut key, world, configuration);
    for toplevel in views.bootable(world).iter() {
        let _ = write!(key, " {}", toplevel.short());
    }
    if let Ok(armed) = world.var.read(Path::new(ONE_SHOT)) {
        let _ = write!(key, "|{}", String::from_utf8_lossy(&armed));
    }
    if let Some(up) = up {
        write_running(&mut key, world, up);
    }
    let waited: Vec<&str> = memory.waited.iter().map(Toplevel::short).collect();
    let _ = write!(key, "|{waited:?}{}", memory.asked);
    if let Some(ghost) = ghost {
        let _ = write!(key, "|{} {} {} {}", ghost.least, ghost.most, ghost.innocent, ghost.unseen);
    }
    key
}

/// What the system profile points at decides only where it points next: it counts where somebody looks at that.
fn write_profiles(key: &mut String, world: &World, configuration: Configuration) {
    let current = |profile| world.current(profile).map(|(_, toplevel)| toplevel);
    let (golden, system) = (current(&golden_profile()), current(&system_profile()));
    // What was golden before is a rung of the ladder, the newest first.
    let older = world.generations(&golden_profile());
    let system = system
        .filter(|_| configuration.has(Habit::Quarantine) || configuration.has(Habit::QuarantineRevisions));
    let root = world.nix.read_link(Path::new(GOLDEN_ROOT));
    let _ = write!(key, "{root:?} ");
    // Each once, as the programs see them: one that is pinned again and again is no other machine.
    let mut named: Vec<&Toplevel> = Vec::new();
    for toplevel in golden.iter().chain(older.iter().rev().map(|(_, toplevel)| toplevel)) {
        if !named.contains(&toplevel) {
            named.push(toplevel);
        }
    }
    for toplevel in named.into_iter().chain(&system) {
        key.push_str(toplevel.short());
        key.push(' ');
    }
}

fn write_running(key: &mut String, world: &World, up: &Up) {
    let (due, asked, safe) = (world.phase_two_is_due(), world.reboot_asked, world.is_safe);
    let current = world.volatile.read_link(Path::new("/run/current-system"));
    let is_watched_late = world.volatile.exists(Path::new(PROBATION));
    let last = world.volatile.read(Path::new(ASSESSMENT));
    let has_failed_checks =
        last.is_some_and(|bytes| String::from_utf8_lossy(bytes).contains("\"passed\": false"));
    let name = up.toplevel.short();
    // Writing to a string cannot fail.
    let _ = write!(
        key,
        "|up {name} {current:?} {due} {asked} {safe} {is_watched_late} {has_failed_checks} {} {}",
        up.long, world.lacks_boot_partition
    );
}

fn write_ledger(
    key: &mut String,
    ledger: &Ledger,
    boot: Option<&BootId>,
    firmware_boots: Option<u32>,
    max_failures: u32,
) -> std::fmt::Result {
    let since =
        |armed: Option<u32>| armed.zip(firmware_boots).map(|(then, now)| now.wrapping_sub(then).min(2));
    for confirmed in &ledger.confirmed {
        write!(key, "c{}", confirmed.toplevel.short())?;
    }
    // Both are lists of 256 for people; among the few here the order decides nothing.
    let mut quarantine: Vec<&Quarantined> = ledger.quarantine.iter().collect();
    quarantine.sort_unstable_by_key(|one| one.toplevel.short());
    for quarantined in quarantine {
        write_quarantined(key, quarantined, boot)?;
    }
    let mut revisions: Vec<&str> =
        ledger.quarantined_revisions.iter().map(|entry| entry.revision.as_str()).collect();
    revisions.sort_unstable();
    write!(key, "{revisions:?}")?;
    if let Some(trial) = &ledger.trial {
        write_trial(key, trial, boot, firmware_boots)?;
    }
    if let Some(drill) = &ledger.drill {
        write!(key, "d{}", drill.default.short())?;
        for next in [&drill.trial].into_iter().chain(&drill.landing) {
            write_trial(key, next, boot, firmware_boots)?;
        }
    }
    if let Some(live) = &ledger.live {
        let is_this_boot = Some(&live.boot) == boot;
        write!(key, "v{}<{}{:?}{is_this_boot}", live.to.short(), live.from.short(), live.phase)?;
        if let Some(replaced) = &live.replaced {
            write_trial(key, replaced, boot, firmware_boots)?;
        }
    }
    for undecided in &ledger.undecided {
        write!(key, "u{}{}", undecided.toplevel.short(), undecided.attempts.failures())?;
    }
    if let Some(landing) = &ledger.landing {
        write!(key, "l{}<{}{:?}", landing.toplevel.short(), landing.from.short(), landing.arming)?;
        if landing.arming == Arming::Armed {
            write!(key, "f{:?}", since(landing.armed_at))?;
        }
        let has_started = landing.attempts.iter().any(|attempt| attempt.boot.is_some());
        write!(key, "{}{has_started}", has_cause(landing))?;
        write_attempts(key, &landing.attempts, boot)?;
    }
    // In their order: the last one that started may be gone back to.
    for landing in &ledger.failed_landings {
        write_failed_landing(key, landing, max_failures, boot)?;
    }
    let toplevel = |toplevel: Option<&Toplevel>| toplevel.map_or("-", Toplevel::short).to_owned();
    let golden = toplevel(ledger.golden.as_ref().map(|golden| &golden.toplevel));
    let rollback = ledger.rollback.as_ref();
    let (from, to) = (toplevel(rollback.map(|it| &it.from)), toplevel(rollback.map(|it| &it.to)));
    let called_off = toplevel(rollback.and_then(|it| it.called_off.as_ref()));
    let owed = toplevel(ledger.owed_default.as_ref());
    let (reboots, safe) = (ledger.automatic_reboots, ledger.safe_mode.is_some());
    write!(key, "g{golden}r{from}>{to}!{called_off}o{owed}n{reboots}s{safe}d{}", ledger.rolled_back.is_some())
}

fn write_trial(
    key: &mut String,
    trial: &Trial,
    boot: Option<&BootId>,
    firmware_boots: Option<u32>,
) -> std::fmt::Result {
    write!(key, "t{}{:?}{:?}", trial.toplevel.short(), trial.origin, trial.arming)?;
    let failed_before = trial.baseline.as_ref().map(|before| &before.failed_checks);
    write!(key, "m{:?}", trial.not_started.as_ref().map(|missed| missed.times))?;
    write!(key, "{failed_before:?}{:?}{}", trial.revision.is_some(), has_failed_checks(&trial.attempts))?;
    write_attempts(key, &trial.attempts, boot)?;
    if trial.arming == Arming::Armed {
        let since = trial.armed_at.zip(firmware_boots).map(|(then, now)| now.wrapping_sub(then).min(2));
        write!(key, "f{since:?}")?;
    }
    Ok(())
}

/// Whether it may be deployed again by itself, and what its failures say of other systems.
fn write_quarantined(key: &mut String, one: &Quarantined, boot: Option<&BootId>) -> std::fmt::Result {
    let Quarantined { by_person, second_chance, revision, attempts, .. } = one;
    let (has_revision, failed_checks) = (revision.is_some(), has_failed_checks(attempts));
    write!(key, "q{}{by_person}{second_chance}{has_revision}{failed_checks}", one.toplevel.short())?;
    let Some(waited) = &one.waited else { return Ok(()) };
    let is_this_boot = Some(&waited.boot) == boot;
    write!(key, "w{}{}", waited.counted_secs > 0, is_this_boot && waited.at_secs > 0)
}

fn has_failed_checks(attempts: &Attempts) -> bool {
    let ends = attempts.iter().filter_map(|attempt| attempt.end.as_ref());
    ends.into_iter().any(|end| matches!(end, End::Failed { cause: Cause::ChecksFailed { .. } }))
}

/// Whether it is tried again in safe mode, and as what that would count. What never will be is as good as any other.
fn write_failed_landing(
    key: &mut String,
    landing: &Landing,
    max_failures: u32,
    boot: Option<&BootId>,
) -> std::fmt::Result {
    let is_this_boot = |attempt: &Attempt| attempt.boot.is_some() && attempt.boot.as_ref() == boot;
    // The next boot check of it closes what an earlier boot left open.
    let was_left = landing.attempts.open().is_some_and(|attempt| !is_this_boot(attempt));
    let failures = landing.attempts.failures() + u32::from(was_left);
    let has_started = landing.attempts.iter().any(|attempt| attempt.boot.is_some());
    write!(key, "x{}<{}{has_started}", landing.toplevel.short(), landing.from.short())?;
    if has_cause(landing) || failures >= 2 * max_failures {
        return write!(key, "!{}", landing.attempts.last().is_some_and(is_this_boot));
    }
    if was_left {
        write!(key, "{failures} 0 failedfalse")
    } else {
        write_attempts(key, &landing.attempts, boot)
    }
}

/// Whether anything but a loss of power is known against it.
fn has_cause(landing: &Landing) -> bool {
    let is_known = |cause: &Cause| !matches!(cause, Cause::Vanished | Cause::NeverReachedBootCheck);
    let mut ends = landing.attempts.iter().filter_map(|attempt| attempt.end.as_ref());
    ends.any(|end| matches!(end, End::Failed { cause } if is_known(cause)))
}

fn write_attempts(key: &mut String, attempts: &Attempts, boot: Option<&BootId>) -> std::fmt::Result {
    let innocent = |attempt: &&Attempt| matches!(attempt.end, Some(End::Innocent { .. }));
    let in_a_row = attempts.iter().rev().skip(usize::from(attempts.open().is_some())).take_while(innocent);
    let last = attempts.last();
    let this_boot = last.is_some_and(|attempt| attempt.boot.is_some() && attempt.boot.as_ref() == boot);
    let end = match last.map(|attempt| &attempt.end) {
        None => "none",
        Some(None) => "open",
        Some(Some(End::Innocent { .. })) => "innocent",
        Some(Some(_)) => "failed",
    };
    write!(key, "{} {} {end}{this_boot}", attempts.failures(), in_a_row.count())
}
