//! Checks that are files: `required.d` and `wanted.d` of every directory that the owner named, and greenboot's.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use golden_core::Weight;
use golden_host::{Host, LinuxHost};

use crate::check::{Check, Work};
use crate::greenboot;
use crate::settings::Settings;

const KINDS: [(&str, Weight); 2] = [("required.d", Weight::Required), ("wanted.d", Weight::Wanted)];
/// How deep greenboot's scripts are looked for below these.
const MAX_DEPTH: usize = 4;
/// A link to this takes a check away that a later directory has. Source: `systemd.unit(5)`, "masked".
const MASK: &str = "/dev/null";

/// Add the drop-ins to the checks that are declared, which go first where a name is there twice.
pub(crate) fn add(host: &LinuxHost, settings: &Settings, checks: &mut Vec<Check>) {
    let disabled = greenboot::disabled(host);
    let declared = checks.iter().map(|check| check.name.clone());
    let mut search =
        Search { host, settings, taken: declared.chain(disabled.iter().cloned()).collect(), checks };
    for directory in &settings.directories {
        for (kind, weight) in KINDS {
            search.directory(&directory.join(kind), "", weight, 0);
        }
    }
    let Search { taken, checks, .. } = search;
    for name in settings.drop_ins.keys().filter(|name| !taken.contains(*name)) {
        let why = format!("the settings have drop_in.{name}, and there is no such check in any directory");
        checks.push(Check::broken(name, Weight::Wanted, why));
    }
}

struct Search<'a> {
    host: &'a LinuxHost,
    settings: &'a Settings,
    taken: BTreeSet<String>,
    checks: &'a mut Vec<Check>,
}

impl Search<'_> {
    fn directory(&mut self, directory: &Path, prefix: &str, weight: Weight, depth: usize) {
        let mut names = match self.host.list(directory) {
            Ok(names) => names,
            // Nobody has to have one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let why = format!("cannot list {}: {error}", directory.display());
                self.checks.push(Check::broken(&directory.display().to_string(), weight, why));
                return;
            }
        };
        names.sort();
        for name in names {
            let path = directory.join(&name);
            let name = format!("{prefix}{}", printable(&name.to_string_lossy()));
            self.entry(&path, &name, weight, depth);
        }
    }

    fn entry(&mut self, path: &Path, name: &str, weight: Weight, depth: usize) {
        let link = self.host.read_link(path).ok();
        let found = self.host.size(path);
        let is_directory = matches!(&found, Err(error) if error.kind() == io::ErrorKind::IsADirectory);
        if is_directory {
            // As `find` does, which greenboot looks with: through no link.
            if link.is_none() && depth < MAX_DEPTH {
                self.directory(path, &format!("{name}/"), weight, depth + 1);
            }
            return;
        }
        // Below the directory itself there is what scripts need, and greenboot's scripts.
        if is_no_check(name) || depth > 0 && !is_for_bash(path) || !self.taken.insert(name.to_owned()) {
            return;
        }
        let work =
            match (found, link) {
                (_, Some(target)) if target == Path::new(MASK) => return,
                (Ok(_), _) => Work::Script(path.to_owned()),
                (Err(error), Some(target)) if error.kind() == io::ErrorKind::NotFound => Work::Broken(
                    format!("{} is a link to {}, which is not there", path.display(), target.display()),
                ),
                (Err(error), _) => Work::Broken(format!("cannot read {}: {error}", path.display())),
            };
        let other = self.settings.drop_ins.get(name).copied().unwrap_or_default();
        self.checks.push(Check {
            name: name.to_owned(),
            weight,
            timing: other.timing(),
            needs_network: other.needs_network,
            work,
        });
    }
}

/// What editors and package managers leave, and what is for people.
fn is_no_check(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.starts_with('.') || file.ends_with('~') || file == "README" || file.starts_with("README.")
}

/// Whether it is a script for bash whatever its mode: greenboot's own are not executable.
pub(crate) fn is_for_bash(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sh")
}

/// A name in one line of a report.
fn printable(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Where a script is for us.
pub(crate) fn outside(host: &LinuxHost, path: &Path) -> PathBuf {
    host.resolve(path).unwrap_or_else(|_| path.to_owned())
}
