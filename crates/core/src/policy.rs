//! What the owner chose.

use std::num::NonZeroU32;

use serde::Deserialize;

/// How patient the suite is. Every field has a default; an owner's file may set any of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Failed attempts of one trial after which the machine rolls back (1..). Default 2.
    pub max_failures: NonZeroU32,
    /// Innocent ends in a row that count as one failed attempt (1..). Default 5: a broken generation can reboot
    /// itself in an orderly way.
    pub max_interruptions: NonZeroU32,
    /// Reboots that the suite itself may cause, over all causes, until a boot is confirmed. Default 6.
    pub max_automatic_reboots: u32,
}

impl Default for Policy {
    fn default() -> Self {
        let some = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self { max_failures: some(2), max_interruptions: some(5), max_automatic_reboots: 6 }
    }
}
