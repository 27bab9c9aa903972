//! What of a system's checks cannot pass whatever the system does, said before it is booted.

use std::path::{Path, PathBuf};

use golden_core::{Toplevel, Weight};
use golden_host::{Error, LinuxHost, operation};
use rustix::fs::{Access, access};

use crate::check::{Check, Work};
use crate::drop_in::{self, is_for_bash, outside};
use crate::{SETTINGS, greenboot, load_of};

/// Where a system is that does not run yet, in its toplevel.
const ETC: &str = "/etc";

/// Whether each boot of a system would fail its required checks, for they are broken: settings that are not understood, or a
/// drop-in that cannot be run. One that fails now as well would be excused, and is none of that.
///
/// # Errors
/// The first one that would fail, and why.
pub fn foresee(host: &LinuxHost, toplevel: &Toplevel) -> Result<(), Error> {
    let fails_now = operation::last_assessment(host).ok().flatten().map(|last| last.failed());
    let fails_now = fails_now.unwrap_or_default();
    let broken = broken(host, toplevel);
    let counts = |(check, _): &(String, String)| !fails_now.contains(check);
    broken
        .into_iter()
        .find(counts)
        .map_or(Ok(()), |(check, why)| Err(Error::WouldFail { toplevel: toplevel.clone(), check, why }))
}

/// Names of the required checks that are broken, and why they are.
fn broken(host: &LinuxHost, toplevel: &Toplevel) -> Vec<(String, String)> {
    let mut settings = match load_of(host, toplevel) {
        Ok(settings) => settings,
        Err(error) => return vec![(SETTINGS.to_owned(), error.chain())],
    };
    if settings.report_only {
        return Vec::new();
    }
    for directory in &mut settings.directories {
        *directory = of(toplevel, directory);
    }
    let mut checks = settings.checks.clone();
    drop_in::add(host, &settings, &of(toplevel, Path::new(greenboot::PATH)), &mut checks);
    let required = checks.into_iter().filter(|check| check.weight == Weight::Required);
    required.filter_map(|check| Some((check.name.clone(), why(host, &check)?))).collect()
}

/// Where a path of a system is before it runs. What is not below `/etc` is the machine's.
fn of(toplevel: &Toplevel, path: &Path) -> PathBuf {
    path.strip_prefix(ETC)
        .map_or_else(|_| path.to_owned(), |rest| Path::new(toplevel.as_str()).join(&ETC[1..]).join(rest))
}

fn why(host: &LinuxHost, check: &Check) -> Option<String> {
    match &check.work {
        Work::Broken(why) => Some(why.clone()),
        Work::Script(path) if !is_for_bash(path) && access(outside(host, path), Access::EXEC_OK).is_err() => {
            Some(format!("{} is not executable (chmod +x)", path.display()))
        }
        _ => None,
    }
}
