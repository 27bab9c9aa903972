//! The programs that systemd and a loader's installer run, a module each.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic where nobody listens")]

pub mod assess;
pub mod boot_check;
pub mod confirm;
pub mod deadline;
pub mod emergency;
pub mod hibernate;
pub mod live;
pub mod mark_pending;
pub mod notify;
pub mod probation;
pub mod record_shutdown;
pub mod rollback;
pub mod verify;

use clap::{Command, CommandFactory};

/// Their command lines, for the manual pages.
#[must_use]
pub fn commands() -> Vec<Command> {
    vec![
        mark_pending::Arguments::command(),
        boot_check::Arguments::command(),
        confirm::Arguments::command(),
        record_shutdown::Arguments::command(),
        rollback::Arguments::command(),
        deadline::Arguments::command(),
        emergency::Arguments::command(),
        hibernate::Arguments::command(),
        verify::Arguments::command(),
        assess::Arguments::command(),
        live::Arguments::command(),
        probation::Arguments::command(),
        notify::Arguments::command(),
    ]
}
