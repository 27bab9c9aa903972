//! `pin-golden`: pins what runs as golden.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::{Error, Exit, operation};

/// Pin the running system as golden, the last resort of every rollback
///
/// The booted system is pinned, whichever system the system profile names, and only if it was confirmed on this host. Golden survives
/// garbage collection, the limit of boot entries, and programs that remove its profile.
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
        |_, _, arguments| {
            let _ = command::answer(&pin(&arguments.common, arguments.force)?);
            Ok(())
        },
    )
}

/// Pin what runs, and say it.
pub(crate) fn pin(common: &Common, force: bool) -> Result<String, Error> {
    let host = common.host();
    let options = common.options(&host);
    operation::pin(&host, &options, force)?;
    let golden = operation::golden(&host, &options)?;
    Ok(golden.map_or(String::new(), |golden| format!("{golden} is golden\n")))
}
