//! `golden-rollback`: Finishes a rollback. Started on the generation it landed on, after `sysinit.target`.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::{Exit, operation};

/// Finish a rollback on the generation it landed on
///
/// Run by golden-rollback.service. The system profile and the boot entries follow the running system. Can be repeated.
#[derive(Parser)]
#[command(name = "golden-rollback", version, after_help = Exit::HELP)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(
        |arguments: &Arguments| &arguments.common,
        |host, options, _| operation::roll_back(host, options),
    )
}
