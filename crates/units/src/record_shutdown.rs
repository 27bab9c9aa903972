//! `golden-record-shutdown`: Records how an attempt ends. Started when the machine goes down.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::{Exit, operation};

/// Record how the machine goes down, if a trial runs
///
/// Run when golden-shutdown.service stops. An end that was asked for does not count as a failed attempt.
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
