//! `golden-boot-check`: Says what this boot is. Started once per boot, before `sysinit.target`.

use std::process::ExitCode;

use clap::Parser;
use golden_host::command::{Common, finish, parse};
use golden_host::{Exit, operation};

/// Count this boot if it is an attempt of a trial, and roll back if there were too many
///
/// Run by golden-boot-check.service. Without a trial it reads one small file and ends. It may reboot the machine.
#[derive(Parser)]
#[command(name = "golden-boot-check", version, after_help = Exit::HELP)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let common = match parse::<Arguments>() {
        Ok(arguments) => arguments.common,
        Err(status) => return status,
    };
    let host = common.host();
    // Nearly every boot ends here. Where the unit says where the state is, the settings are not even read.
    let settled = match &common.state_dir {
        Some(state_dir) => operation::is_boot_settled(&host, state_dir),
        None => operation::is_boot_settled(&host, &common.options(&host).state_dir),
    };
    match settled {
        Ok(true) => Exit::Success.into(),
        Ok(false) => finish(&host, operation::boot_check(&host, &common.options(&host))),
        Err(error) => finish(&host, Err(error)),
    }
}
