//! What decides how a machine goes on, and nothing that is only shown.

use std::fmt::Write as _;
use std::path::Path;

use golden_core::{Arming, Attempt, Attempts, BootId, Cause, End, Landing, Ledger, Toplevel, Trial};

use crate::explore::{LEDGER, ONE_SHOT, State, golden};
use crate::views::Views;

/// Two machines with the same key go on in the same way.
///
/// Left out are: the revision, history, evidence of quarantined trials, boot IDs but for "this boot", files that a
/// program left behind half written, which no program reads, and numbers of generations: programs find an entry by what it boots.
pub fn key(views: &mut Views, state: &State, max_failures: u32) -> String {
    let State { world, up, ghost, .. } = state;
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
    let golden = golden(world);
    let _ = write!(key, "|{once} {default} {} {}", foreseen.is_named, short(golden.as_ref()));
    for toplevel in views.bootable(world).iter() {
        let _ = write!(key, " {}", toplevel.short());
    }
    if let Ok(armed) = world.var.read(Path::new(ONE_SHOT)) {
        let _ = write!(key, "|{}", String::from_utf8_lossy(&armed));
    }
    if let Some(up) = up {
        let (due, asked, safe) = (world.phase_two_is_due(), world.reboot_asked, world.is_safe);
        let current = world.volatile.read_link(Path::new("/run/current-system"));
        let _ = write!(key, "|up {} {current:?} {due} {asked} {safe}", up.toplevel.short());
    }
    if let Some(ghost) = ghost {
        let _ = write!(key, "|{} {} {} {}", ghost.least, ghost.most, ghost.innocent, ghost.unseen);
    }
    key
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
    let mut quarantine: Vec<&str> = ledger.quarantine.iter().map(|one| one.toplevel.short()).collect();
    quarantine.sort_unstable();
    write!(key, "q{quarantine:?}")?;
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
        write!(key, "{}", has_cause(landing))?;
        write_attempts(key, &landing.attempts, boot)?;
    }
    let mut failed: Vec<&Landing> = ledger.failed_landings.iter().collect();
    failed.sort_unstable_by_key(|landing| landing.toplevel.short());
    for landing in failed {
        write_failed_landing(key, landing, max_failures, boot)?;
    }
    let toplevel = |toplevel: Option<&Toplevel>| toplevel.map_or("-", Toplevel::short).to_owned();
    let golden = toplevel(ledger.golden.as_ref().map(|golden| &golden.toplevel));
    let rollback = ledger.rollback.as_ref();
    let (from, to) = (toplevel(rollback.map(|it| &it.from)), toplevel(rollback.map(|it| &it.to)));
    let owed = toplevel(ledger.owed_default.as_ref());
    let (reboots, safe) = (ledger.automatic_reboots, ledger.safe_mode.is_some());
    write!(key, "g{golden}r{from}>{to}o{owed}n{reboots}s{safe}d{}", ledger.rolled_back.is_some())
}

fn write_trial(
    key: &mut String,
    trial: &Trial,
    boot: Option<&BootId>,
    firmware_boots: Option<u32>,
) -> std::fmt::Result {
    write!(key, "t{}{:?}{:?}", trial.toplevel.short(), trial.origin, trial.arming)?;
    write_attempts(key, &trial.attempts, boot)?;
    if trial.arming == Arming::Armed {
        let since = trial.armed_at.zip(firmware_boots).map(|(then, now)| now.wrapping_sub(then).min(2));
        write!(key, "f{since:?}")?;
    }
    Ok(())
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
    write!(key, "x{}", landing.toplevel.short())?;
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
