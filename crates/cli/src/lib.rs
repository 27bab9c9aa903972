//! What a person types: `golden` and `pin-golden`.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic where nobody listens")]

mod announce;
mod check;
mod coverage;
mod drill;
pub mod golden;
mod history;
mod named;
pub mod pin_golden;
mod print;
mod publish;
mod quarantine;
mod rollback;
mod serve;
mod simulate;
mod status;
mod style;
mod summary;
mod totals;
mod why;

use clap::{Command, CommandFactory};

/// Their command lines, for the manual pages and for shells.
#[must_use]
pub fn commands() -> Vec<Command> {
    vec![golden::Arguments::command(), pin_golden::Arguments::command()]
}
