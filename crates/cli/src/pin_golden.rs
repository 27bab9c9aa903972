//! `pin-golden`: pins what runs as golden.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::{Exit, operation};

/// Pin the running system as golden, the last resort of every rollback
///
/// What is pinned is the booted system, not what the system profile happens to point at, and only if it was confirmed
/// on this host. It survives garbage collection and the limit of boot entries.
#[derive(Parser)]
#[command(name = "pin-golden", version, after_help = Exit::HELP)]
pub struct Arguments {
    /// Vouch for a system that was never confirmed on this host
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(
        |arguments: &Arguments| &arguments.common,
        |host, options, arguments| {
            operation::pin(host, options, arguments.force)?;
            if let Some(golden) = golden_host::golden(host)? {
                let _ = command::answer(&format!("{golden} is golden\n"));
            }
            Ok(())
        },
    )
}
