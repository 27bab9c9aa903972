//! `golden-mark-pending`: Makes a deployed system a trial. Started by the loader's installer, after it wrote its configuration.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use golden_core::{Live, Toplevel};
use golden_host::command::{self, Common};
use golden_host::operation::{Options, Proof, Switch};
use golden_host::{Error, Exit, Host, NO_MARK, operation};

/// Make the system that was just installed a trial
///
/// Run by the boot loader's installer after it has written its configuration. The loader's default goes back to a
/// known-good generation, and TOPLEVEL is booted once. A system that is golden or was confirmed here is no trial; a
/// quarantined one is refused, and the system profile put back.
///
/// `GOLDEN_REVISION` in the environment names the source revision of TOPLEVEL, for deployers whose systems do not say it
/// themselves (system.configurationRevision).
#[derive(Parser)]
#[command(name = "golden-mark-pending", version, after_help = Exit::HELP)]
pub struct Arguments {
    /// Store path of the system that was made the default
    // Parsed by the program: its installer has made it the default, and a known-good system has to become that.
    toplevel: String,
    #[command(flatten)]
    common: Common,
}

/// Set by `switch-to-configuration` for the installer. Source: NixOS, `switch-to-configuration-ng`.
const ACTION: &str = "NIXOS_ACTION";

fn switch() -> Switch {
    match std::env::var_os(ACTION) {
        Some(action) if action == "switch" => Switch::Live,
        _ => Switch::Boot,
    }
}

/// Who switches learns that it is watched.
fn announcement(live: &Live, options: &Options) -> String {
    let window = options.live.window.as_secs();
    let proof = match options.live.proof {
        Proof::None => "",
        Proof::Gateway => ", with the gateway in reach",
        Proof::Person => ", and somebody to say `golden confirm`",
    };
    format!(
        "golden-generation: once it is activated, this system has {window} s to pass its checks{proof}; otherwise {} runs again",
        live.from
    )
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(
        |arguments: &Arguments| &arguments.common,
        |host, options, arguments| match std::env::var_os(NO_MARK) {
            None => mark(host, options, &arguments.toplevel),
            // A rollback installs the loader of where it landed.
            Some(_) => Ok(()),
        },
    )
}

fn mark(host: &dyn Host, options: &Options, named: &str) -> Result<(), Error> {
    let Ok(toplevel) = named.parse::<Toplevel>() else {
        let why = "is not the store path of a system (/nix/store/HASH-NAME)".to_owned();
        let hint = "`readlink -f /nix/var/nix/profiles/system` prints one";
        let error = Error::NotNamed { named: named.to_owned(), why, hint };
        return Err(operation::mark_nothing(host, options, error));
    };
    let told = golden_host::told_by_deployer();
    operation::mark(host, options, &toplevel, switch(), told.as_ref())?;
    if let Some(live) = operation::live(host, options)?.filter(|live| live.to == toplevel) {
        let _ = writeln!(io::stderr(), "{}", announcement(&live, options));
    }
    Ok(())
}
