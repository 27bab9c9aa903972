//! The programs of the machine that ours run: exactly those, with exactly those arguments.

use std::io;
use std::path::Path;
use std::sync::Arc;

use golden_core::Toplevel;

use super::effect::Effect;
use super::host::SimulatedHost;
use super::installer::{install_loader, set_profile, switch_generation};
use super::world::World;
use crate::operation::Switch;
use crate::{NO_MARK, Output, operation};

impl SimulatedHost {
    /// Anything that is not known here is a bug of the caller or a gap in the simulation: it fails loudly.
    pub(super) fn run_program(&self, program: &Path, arguments: &[&str]) -> io::Result<Output> {
        if let Some(toplevel) = switch_of(program) {
            return match arguments {
                ["boot"] => self.install(&toplevel, Some(Switch::Boot)),
                ["switch"] => {
                    let installed = self.install(&toplevel, Some(Switch::Live))?;
                    if !installed.success {
                        return Ok(installed);
                    }
                    self.activate(&toplevel).map(|()| success(""))
                }
                _ => Err(unknown(program, arguments)),
            };
        }
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        if let Some(answer) = self.answer(&name, arguments) {
            return answer;
        }
        // The daemon answers from the database.
        let arguments = match (name.as_ref(), arguments) {
            ("nix-store", ["--store", "daemon", rest @ ..]) => rest,
            _ => arguments,
        };
        match (name.as_ref(), arguments) {
            ("env", [quiet, program, "boot"]) if quiet.strip_suffix("=1") == Some(NO_MARK) => {
                let Some(toplevel) = switch_of(Path::new(program)) else {
                    return Err(unknown(Path::new(program), arguments));
                };
                self.install(&toplevel, None)
            }
            ("env", [quiet, program, "test"]) if quiet.strip_suffix("=1") == Some(NO_MARK) => {
                let Some(toplevel) = switch_of(Path::new(program)) else {
                    return Err(unknown(Path::new(program), arguments));
                };
                self.activate(&toplevel).map(|()| success(""))
            }
            (
                "systemctl",
                ["--no-block", "start", "golden-live.service"] | ["start", "golden-baseline.service"],
            ) => Ok(success("")),
            ("nix-env", ["--profile", profile, "--set", toplevel]) => {
                let toplevel: Toplevel = toplevel.parse().map_err(io::Error::other)?;
                if !self.change(|world| world.has_built(&toplevel)) {
                    return Ok(failure(format!("error: path '{toplevel}' is not valid")));
                }
                if self.change(|world| world.forgets) {
                    return Ok(success(""));
                }
                set_profile(self, Path::new(profile), &toplevel).map(|()| success(""))
            }
            ("nix-env", ["--profile", profile, "--switch-generation", number]) => {
                let number = number.parse().map_err(io::Error::other)?;
                switch_generation(self, Path::new(profile), number).map(|()| success(""))
            }
            ("nix-store", ["--query", "--requisites", toplevel]) => {
                let toplevel = toplevel.parse().map_err(io::Error::other)?;
                Ok(success(&self.change(|world| world.requisites(&toplevel)).join("\n")))
            }
            ("systemctl", ["--no-block", "isolate", "golden-safe-mode.target"]) => {
                let enter = |world: &mut World| {
                    world.is_safe = true;
                    Ok(success(""))
                };
                self.effect(|| Effect::EnterSafeMode, enter)
            }
            ("systemctl", arguments) => match self.change(|world| systemctl(world, arguments)) {
                Some(answer) => Ok(success(&answer)),
                None => Err(unknown(program, arguments)),
            },
            _ => Err(unknown(program, arguments)),
        }
    }

    /// The installer of a generation, which marks at its end unless it is told not to.
    fn install(&self, toplevel: &Toplevel, marks: Option<Switch>) -> io::Result<Output> {
        if !self.change(|world| world.has_built(toplevel)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let Some(switch) = marks else {
            return install_loader(self, toplevel, true).map(|()| success(""));
        };
        // The module runs it before the installer, and goes on if it fails.
        let _ = operation::put_golden_back(self, &self.options());
        install_loader(self, toplevel, true)?;
        match operation::mark(self, &self.options(), toplevel, switch, None) {
            Ok(()) => Ok(success("")),
            Err(error) => Ok(Output { success: false, stdout: String::new(), stderr: error.to_string() }),
        }
    }
}

impl SimulatedHost {
    /// The running system becomes this one, unless its activation fails half-way.
    fn activate(&self, toplevel: &Toplevel) -> io::Result<()> {
        if !self.change(|world| world.has_built(toplevel)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.effect(
            || Effect::Activate,
            |world| {
                Arc::make_mut(&mut world.volatile).link("/run/current-system", toplevel.as_str());
                Ok(())
            },
        )
    }
}

fn switch_of(program: &Path) -> Option<Toplevel> {
    program.to_str()?.strip_suffix("/bin/switch-to-configuration")?.parse().ok()
}

fn success(stdout: &str) -> Output {
    Output { success: true, stdout: stdout.to_owned(), stderr: String::new() }
}

fn failure(stderr: String) -> Output {
    Output { success: false, stdout: String::new(), stderr }
}

/// What systemd says about the way down; `None` where nobody taught this one the question.
fn systemctl(world: &World, arguments: &[&str]) -> Option<String> {
    let going_down = world.going_down.as_ref();
    match arguments {
        ["is-system-running"] => {
            Some(if going_down.is_some() { "stopping\n" } else { "running\n" }.to_owned())
        }
        ["list-jobs", "--no-legend", "--plain"] => {
            let target = going_down.map(|down| format!("12 {} start waiting\n", down.target));
            let hanging = world.hanging_unit.iter().map(|unit| format!("13 {unit} start running\n"));
            Some(target.into_iter().chain(hanging).collect())
        }
        ["show", properties, "*"]
            if properties.starts_with("--property=Id,ActiveState,Result,FailureAction") =>
        {
            let units = going_down.map(|down| down.failed_units.as_slice()).unwrap_or_default();
            let show = |unit: &String| {
                format!(
                    "Id={unit}\nActiveState=failed\nResult=exit-code\nFailureAction=reboot\nStartLimitAction=none\n"
                )
            };
            Some(units.iter().map(show).collect::<Vec<_>>().join("\n"))
        }
        ["list-units", "--state=failed", ..] => {
            let units = going_down.map(|down| down.failed_units.as_slice()).unwrap_or_default();
            let show = |unit: &String| format!("{unit} loaded failed failed\n");
            Some(units.iter().map(show).collect::<Vec<_>>().concat())
        }
        ["show", "--property=Requires", "--value", target] => {
            let needed = world.hanging_unit.as_deref().filter(|_| *target == "local-fs.target");
            Some(format!("{}\n", needed.unwrap_or_default()))
        }
        ["show", "--property=Id,ActiveState", units @ ..] => {
            let show = |unit: &&str| format!("Id={unit}\nActiveState=inactive\n");
            Some(units.iter().map(show).collect::<Vec<_>>().join("\n"))
        }
        ["show", "--property=UserspaceTimestampMonotonic", "--value"] => Some("1000000\n".to_owned()),
        _ => None,
    }
}

fn unknown(program: &Path, arguments: &[&str]) -> io::Error {
    io::Error::other(format!("the simulated machine has no {} {}", program.display(), arguments.join(" ")))
}
