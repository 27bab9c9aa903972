//! `golden-confirm`: Records a healthy boot. Started once per boot, after `boot-complete.target`.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::{Exit, operation};

/// Record that the booted generation is healthy
///
/// Run by golden-confirm.service. A trial is confirmed and becomes the loader's default. If another program has
/// removed golden's profile, the profile is put back.
#[derive(Parser)]
#[command(name = "golden-confirm", version, after_help = Exit::HELP)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(
        |arguments: &Arguments| &arguments.common,
        |host, options, _| operation::confirm(host, options),
    )
}
