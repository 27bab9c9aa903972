//! `golden-verify`: Finds a damaged golden before it is needed. Started by a timer.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::{Exit, operation};

/// Make sure that golden could be booted now
///
/// Run by golden-verify.timer. Kernel and initrd on the boot partition are compared with the store's and repaired from
/// it; every file of golden's closure is compared with what was built.
#[derive(Parser)]
#[command(name = "golden-verify", version, after_help = Exit::HELP)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(
        |arguments: &Arguments| &arguments.common,
        |host, options, _| {
            // A power cut in phase two may have taken it.
            operation::keep_post_mortem(host, options);
            operation::verify_golden(host, options)
        },
    )
}
