//! Exit statuses, after sysexits.h.

use std::process::ExitCode;

use crate::Error;
use crate::command::say;

/// How every program of the suite ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Success = 0,
    /// Wrong use of the command line.
    Usage = 64,
    /// The ledger cannot be used by this build.
    LedgerUnusable = 65,
    /// Required health checks failed.
    Unhealthy = 69,
    /// Reading or writing failed; the cause is on standard error.
    Io = 74,
    /// Another program of the suite holds the ledger; safe to try again.
    LockHeld = 75,
    /// The request is not granted.
    Refused = 77,
    /// A configuration file is wrong.
    Configuration = 78,
}

impl Exit {
    /// Every status with its meaning, for `--help` and the manual pages.
    pub const HELP: &str = "Exit status:\n  \
        0   done, or nothing to do\n  \
        64  wrong use of the command line\n  \
        65  the ledger cannot be used by this build\n  \
        69  required health checks failed\n  \
        74  reading or writing failed\n  \
        75  another program of the suite holds the ledger; safe to try again\n  \
        77  the request is refused\n  \
        78  a configuration file is wrong";

    /// Print the error with its causes and its hint, once, and give the status.
    #[must_use]
    pub fn report(error: &Error) -> ExitCode {
        say(&error.chain());
        if let Some(hint) = error.hint() {
            say(&format!("hint: {hint}"));
        }
        error.exit().into()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
