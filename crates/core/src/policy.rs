//! What the owner chose.

use std::num::NonZeroU32;

use serde::Deserialize;

/// How patient the suite is, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Failed attempts of one trial after which the machine rolls back (1..). Default 2.
    pub max_failures: NonZeroU32,
    /// Innocent ends in a row that count as one failed attempt (1..). Default 5: a broken generation can reboot
    /// itself in an orderly way.
    pub max_interruptions: NonZeroU32,
    /// Reboots that the suite itself may cause, over all causes, until a boot is confirmed. Default 6.
    pub max_automatic_reboots: u32,
    /// What the machine comes back to first. Default golden.
    pub rollback_target: RollbackTarget,
    /// Time that what failed waits before it may be deployed once more, in seconds; twice as long after each trial of it that
    /// fails. 0, the default: it never may by itself.
    pub second_chance_after_secs: u32,
}

/// Where a rollback lands, if it can be booted; else on the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RollbackTarget {
    /// What the owner pinned.
    #[default]
    Golden,
    /// What was confirmed last on this host, besides the trial.
    LastConfirmed,
}

impl Default for Policy {
    fn default() -> Self {
        let some = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            max_failures: some(2),
            max_interruptions: some(5),
            max_automatic_reboots: 6,
            rollback_target: RollbackTarget::default(),
            second_chance_after_secs: 0,
        }
    }
}
