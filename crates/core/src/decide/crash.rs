//! A panic has started a crash kernel, which saves a dump and reboots.

use crate::{Ledger, Plan, Seen};

/// Evidence of the panic until the next boot finds the kernel's own words.
const WORDS: &str = "Kernel panic: a crash kernel was started";

/// The open attempt of the boot that panicked gets its evidence. It stays open: the next boot check closes it, so that one panic
/// counts once.
pub(super) fn record(ledger: &Ledger, seen: &Seen) -> Plan {
    let mut after = ledger.clone();
    after.watched_mut().filter(|attempts| !attempts.is_open_in(&seen.boot)).for_each(|attempts| {
        attempts.has_panicked(WORDS);
    });
    if after == *ledger { Plan::nothing() } else { Plan::nothing().commit(&after) }
}
