//! `golden-record-shutdown`: Records how an attempt ends, and whether an armed trial starts next. Started when the machine goes down.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::{Exit, operation};

/// Record how the machine goes down, if a trial runs or waits
///
/// Run when golden-shutdown.service stops. An end that was asked for does not count as a failed attempt. If somebody sends the
/// machine elsewhere first (another boot entry once, the firmware's set-up), a trial goes on waiting for its boot.
#[derive(Parser)]
#[command(name = "golden-record-shutdown", version, after_help = Exit::HELP)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(
        |arguments: &Arguments| &arguments.common,
        |host, options, _| operation::record_shutdown(host, options),
    )
}
