//! The programs of the machine that ours run: exactly those, with exactly those arguments.

use std::io;
use std::path::Path;

use golden_core::Toplevel;

use super::host::SimulatedHost;
use super::installer::{install_loader, set_profile};
use crate::{Output, operation};

impl SimulatedHost {
    /// Anything that is not known here is a bug of the caller or a gap in the simulation: it fails loudly.
    pub(super) fn run_program(&self, program: &Path, arguments: &[&str]) -> io::Result<Output> {
        if let Some(toplevel) = switch_of(program) {
            return match arguments {
                ["boot" | "switch"] => self.switch_to_configuration(&toplevel),
                _ => Err(unknown(program, arguments)),
            };
        }
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        match (name.as_ref(), arguments) {
            ("nix-env", ["--profile", profile, "--set", toplevel]) => {
                let toplevel = toplevel.parse().map_err(io::Error::other)?;
                set_profile(self, Path::new(profile), &toplevel).map(|()| success(""))
            }
            _ => Err(unknown(program, arguments)),
        }
    }

    /// The installer of a generation, which marks at its end.
    fn switch_to_configuration(&self, toplevel: &Toplevel) -> io::Result<Output> {
        if !self.change(|world| world.has_built(toplevel)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        install_loader(self, toplevel)?;
        match operation::mark(self, &self.options(), toplevel) {
            Ok(()) => Ok(success("")),
            Err(error) => Ok(Output { success: false, stdout: String::new(), stderr: error.to_string() }),
        }
    }
}

fn switch_of(program: &Path) -> Option<Toplevel> {
    program.to_str()?.strip_suffix("/bin/switch-to-configuration")?.parse().ok()
}

fn success(stdout: &str) -> Output {
    Output { success: true, stdout: stdout.to_owned(), stderr: String::new() }
}

fn unknown(program: &Path, arguments: &[&str]) -> io::Error {
    io::Error::other(format!("the simulated machine has no {} {}", program.display(), arguments.join(" ")))
}
