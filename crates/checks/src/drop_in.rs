//! Checks that are files: `required.d` and `wanted.d` of every directory that the owner named, and greenboot's.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use golden_core::Weight;
use golden_host::{Host, LinuxHost};

use crate::check::{Check, Timing, Work};
use crate::greenboot;
use crate::settings::Settings;

const KINDS: [(&str, Weight); 2] = [("required.d", Weight::Required), ("wanted.d", Weight::Wanted)];
/// How deep greenboot's scripts are looked for below these.
const MAX_DEPTH: usize = 4;
/// A link to this takes a check away that a later directory has. Source: `systemd.unit(5)`, "masked".
const MASK: &str = "/dev/null";
/// Links that are followed to see that. Source: `path_resolution(7)`.
const MAX_LINKS: u32 = 40;

/// Add the drop-ins to the checks that are declared, which go first where a name is there twice, but for those that
/// `greenboot_conf` disables.
pub(crate) fn add(host: &LinuxHost, settings: &Settings, greenboot_conf: &Path, checks: &mut Vec<Check>) {
    let disabled = greenboot::disabled(host, greenboot_conf).unwrap_or_else(|why| {
        checks.push(Check::broken(&greenboot_conf.display().to_string(), Weight::Wanted, why));
        Vec::new()
    });
    let taken = checks.iter().map(|check| check.name.clone()).collect();
    let mut search = Search { host, settings, disabled, taken, usual: Timing::default(), checks };
    for directory in &settings.directories {
        search.usual = usual(directory);
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

/// The timing of a drop-in in a directory, unless the owner says otherwise. The `/etc` of a system that does not run yet is in its
/// toplevel.
fn usual(directory: &Path) -> Timing {
    let mut usual = Timing::default();
    if greenboot::DIRECTORIES.iter().any(|its| directory.ends_with(its.trim_start_matches('/'))) {
        usual.timeout = greenboot::TIMEOUT;
    }
    usual
}

struct Search<'a> {
    host: &'a LinuxHost,
    settings: &'a Settings,
    /// Names of files in any directory, as greenboot has them.
    disabled: Vec<String>,
    taken: BTreeSet<String>,
    /// The timing of a check in the directory that is searched.
    usual: Timing,
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
        if let Some(why) = open_to_everybody(self.host, directory) {
            self.checks.push(Check::broken(&directory.display().to_string(), weight, why));
            return;
        }
        names.sort();
        for name in names {
            let path = directory.join(&name);
            let name = format!("{prefix}{}", printable(&name));
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
        if self.disabled.iter().any(|disabled| disabled == file_name(name)) {
            return;
        }
        let work =
            match (found, link) {
                (_, Some(_)) if self.is_masked(path) => return,
                (Ok(_), _) => match open_to_everybody(self.host, path) {
                    Some(why) => Work::Broken(why),
                    None => Work::Script(path.to_owned()),
                },
                (Err(error), Some(target)) if error.kind() == io::ErrorKind::NotFound => Work::Broken(
                    format!("{} is a link to {}, which is not there", path.display(), target.display()),
                ),
                (Err(error), _) => Work::Broken(format!("cannot read {}: {error}", path.display())),
            };
        let other = self.settings.drop_ins.get(name).copied().unwrap_or_default();
        self.checks.push(Check {
            name: name.to_owned(),
            weight,
            timing: other.timing(self.usual),
            needs_network: other.needs_network,
            work,
        });
    }

    /// Whether it is a link to that, which may go through others: everything in `/etc` is one on NixOS.
    fn is_masked(&self, path: &Path) -> bool {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let Ok(target) = self.host.read_link(&path) else { return false };
            if target == Path::new(MASK) {
                return true;
            }
            path = path.parent().unwrap_or(Path::new("/")).join(target);
        }
        false
    }
}

/// Why nothing of it is run, if everybody may write to it: checks are run as root, and judge.
pub(crate) fn open_to_everybody(host: &LinuxHost, path: &Path) -> Option<String> {
    const OTHERS_WRITE: u32 = 0o002;
    let mode = fs::metadata(outside(host, path)).ok()?.permissions().mode();
    (mode & OTHERS_WRITE != 0)
        .then(|| format!("everybody may write to {}, and it is run as root (chmod o-w)", path.display()))
}

/// What editors and package managers leave, and what is for people.
fn is_no_check(name: &str) -> bool {
    let file = file_name(name);
    file.starts_with('.') || file.ends_with('~') || file == "README" || file.starts_with("README.")
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether it is a script for bash whatever its mode: greenboot's own are not executable.
pub(crate) fn is_for_bash(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sh")
}

/// A name in one line of a report; two that differ stay so, or only one of them would be run.
fn printable(name: &OsStr) -> String {
    let mut text = String::new();
    for part in name.as_encoded_bytes().utf8_chunks() {
        for letter in part.valid().chars() {
            if letter.is_control() { text.extend(letter.escape_default()) } else { text.push(letter) }
        }
        text.extend(part.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Where a script is for us.
pub(crate) fn outside(host: &LinuxHost, path: &Path) -> PathBuf {
    host.resolve(path).unwrap_or_else(|_| path.to_owned())
}
