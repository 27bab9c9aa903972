//! `golden-deadline`: Ends a boot that nobody confirms in time. Started once per boot, if the boot has to be confirmed.

use std::process::ExitCode;
use std::thread;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::{Error, Exit, LinuxHost, operation};

/// Wait until this boot must be confirmed, and end it if it is not
///
/// Run by golden-deadline.service in an attempt of a trial, after a rollback, and at the end of a rehearsal. The time is `boot_deadline_secs` from
/// the start of userspace; sleep and a passphrase prompt in the initrd do not count.
#[derive(Parser)]
#[command(name = "golden-deadline", version, after_help = Exit::HELP)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(|arguments: &Arguments| &arguments.common, |host, options, _| wait(host, options))
}

fn wait(host: &LinuxHost, options: &operation::Options) -> Result<(), Error> {
    while let Some(left) = operation::time_left(host, options)? {
        if left.is_zero() {
            return operation::pass_deadline(host, options);
        }
        thread::sleep(left);
    }
    Ok(())
}
