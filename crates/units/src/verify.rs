//! `golden-verify`: Finds a damaged golden before it is needed. Started by a timer.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::operation::Options;
use golden_host::{Error, Exit, Host, activation, operation};

/// Pause between two looks at an installer that runs.
const PAUSE: Duration = Duration::from_secs(1);

/// Make sure that golden could be booted now
///
/// Run by golden-verify.timer. Golden's kernel, initrd and device tree on the boot partition are compared with the store's and
/// repaired from it; every file of its closure is compared with the hash that Nix recorded when it was built. If another program
/// has removed golden's profile, the profile is put back.
#[derive(Parser)]
#[command(name = "golden-verify", version, after_help = Exit::HELP)]
pub struct Arguments {
    /// Only put golden's profile back: run before the boot loader's installer, which lists the profiles
    #[arg(long)]
    profile: bool,
    /// Put golden's profile back, and have its boot entry installed if the loader has lost it: run by
    /// golden-profile.service
    #[arg(long, conflicts_with = "profile")]
    entry: bool,
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(
        |arguments: &Arguments| &arguments.common,
        |host, options, arguments| {
            if arguments.profile {
                return operation::put_golden_back(host, options);
            }
            if arguments.entry {
                return put_back(host, options);
            }
            // A power cut in phase two may have taken it.
            operation::keep_post_mortem(host, options);
            operation::verify_golden(host, options)
        },
    )
}

fn put_back(host: &dyn Host, options: &Options) -> Result<(), Error> {
    operation::put_golden_back(host, options)?;
    // That installer lists golden.
    while !activation::has_ended(host)? {
        thread::sleep(PAUSE);
    }
    // A removal while this runs starts it no second time.
    operation::put_golden_back(host, options)?;
    operation::list_golden(host, options)
}
