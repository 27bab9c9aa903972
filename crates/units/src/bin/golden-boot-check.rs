//! Says what this boot is. Started once per boot, before `sysinit.target`.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{Common, finish, parse};
use golden_host::{Exit, operation};

/// Count this boot if it is an attempt of a trial, and roll back if there were too many
///
/// Run by golden-boot-check.service. Without a trial it reads one small file and ends. It may reboot the machine.
#[derive(Parser)]
#[command(name = "golden-boot-check", version, after_help = Exit::HELP)]
struct Arguments {
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let common = match parse::<Arguments>() {
        Ok(arguments) => arguments.common,
        Err(status) => return status,
    };
    let host = common.host();
    // Nearly every boot ends here; the settings are not even read.
    match operation::is_boot_settled(&host, &common.state_dir) {
        Ok(true) => Exit::Success.into(),
        Ok(false) => finish(&host, operation::boot_check(&host, &common.options(&host))),
        Err(error) => finish(&host, Err(error)),
    }
}
