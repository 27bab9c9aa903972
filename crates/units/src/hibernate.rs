//! `golden-hibernate`: Keeps a trial that waits out of hibernation. Started on the way to sleep, stopped after it.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::{Exit, operation};

/// Have the loader start this system's kernel once, for it has to read the memory back
///
/// Run by golden-hibernate.service. Without a trial that waits it does nothing.
#[derive(Parser)]
#[command(name = "golden-hibernate", version, after_help = Exit::HELP)]
pub struct Arguments {
    /// The machine is awake again: arm the trial as it was
    #[arg(long)]
    awake: bool,
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(
        |arguments: &Arguments| &arguments.common,
        |host, options, arguments| {
            if arguments.awake {
                operation::resume(host, options)
            } else {
                operation::hibernate(host, options)
            }
        },
    )
}
