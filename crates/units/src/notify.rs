//! `golden-notify`: Tells the owner what happened. Started at boot, when history grows, and by a timer while messages wait.

use std::process::ExitCode;

use clap::Parser;
use golden_host::Exit;
use golden_host::command::{Common, answer, finish, parse};

/// Tell the owner what happened: rollbacks, safe mode, failed checks
///
/// Run by golden-notify.service. It reads on in history and delivers what is new there to the targets that
/// /etc/golden-generation/notify.toml names. What cannot be delivered waits in the outbox and is tried again, at longer and
/// longer intervals; that is no failure of this program, and the journal says it.
#[derive(Parser)]
#[command(name = "golden-notify", version, after_help = Exit::HELP)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Send a test message to every target, and say what came out
    #[arg(long)]
    test: bool,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match parse::<Arguments>() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let host = arguments.common.host();
    let options = arguments.common.options(&host);
    if !arguments.test {
        return finish(&host, golden_notify::run(&host, &options));
    }
    match golden_notify::test(&host, &options) {
        Ok((said, all)) => {
            let printed = answer(&said);
            if all { printed } else { Exit::Io.into() }
        }
        // A person is there to read it: the journal need not be told.
        Err(error) => Exit::report(&error),
    }
}
