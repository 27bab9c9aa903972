//! Nix profiles: what the system profile and golden point at.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use golden_core::Toplevel;

use crate::{Error, Host, Limits};

const PROFILES: &str = "/nix/var/nix/profiles";
/// A profile of its own, so that NixOS's installers list it and garbage collection spares it.
pub(crate) const GOLDEN: &str = "/nix/var/nix/profiles/system-profiles/golden";
const SYSTEM: &str = "/nix/var/nix/profiles/system";
/// Holds what boots by itself while a trial runs, where that is not golden.
pub(crate) const KEPT: &str = "/nix/var/nix/gcroots/golden-generation-default";
/// Set in the environment of an installer that must not mark.
pub const NO_MARK: &str = "GOLDEN_GENERATION_NO_MARK";
/// Mode of the directories of profiles, as NixOS makes them.
const PUBLIC: u32 = 0o755;

/// What the golden profile pointed at before, the newest first; each once.
pub(crate) fn older_goldens(host: &dyn Host, golden: Option<&Toplevel>) -> Result<Vec<Toplevel>, Error> {
    let mut older = Vec::new();
    for (_, toplevel) in generations(host, Path::new(GOLDEN))? {
        older.extend(Some(toplevel).filter(|one| golden != Some(one) && !older.contains(one)));
    }
    Ok(older)
}

/// The generations of a profile that name a system, the newest first.
pub(crate) fn generations(host: &dyn Host, profile: &Path) -> Result<Vec<(u32, Toplevel)>, Error> {
    let directory = profile.parent().unwrap_or(Path::new(PROFILES));
    let prefix = format!("{}-", profile.file_name().unwrap_or_default().to_string_lossy());
    let number = |name: &str| name.strip_prefix(&prefix)?.strip_suffix("-link")?.parse::<u32>().ok();
    let mut numbers: Vec<u32> =
        names(host, directory)?.iter().filter_map(|name| number(name.to_str()?)).collect();
    numbers.sort_unstable_by(|left, right| right.cmp(left));
    let mut generations = Vec::new();
    for number in numbers {
        let link = read_link(host, &directory.join(format!("{prefix}{number}-link")))?;
        let toplevel: Option<Toplevel> = link.and_then(|path| path.to_str()?.parse().ok());
        generations.extend(toplevel.map(|toplevel| (number, toplevel)));
    }
    Ok(generations)
}

fn names(host: &dyn Host, directory: &Path) -> Result<Vec<OsString>, Error> {
    match host.list(directory) {
        Ok(names) => Ok(names),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(Error::io("list", directory)(error)),
    }
}

/// The specialisations of a system. One that cannot be read is left out.
pub(crate) fn specialisations(host: &dyn Host, toplevel: Option<&Toplevel>) -> Vec<Toplevel> {
    let Some(directory) = toplevel.map(|it| Path::new(it.as_str()).join("specialisation")) else {
        return Vec::new();
    };
    let link = |name: OsString| host.read_link(&directory.join(name)).ok()?.to_str()?.parse().ok();
    host.list(&directory).unwrap_or_default().into_iter().filter_map(link).collect()
}

/// Names of profiles besides `system` and golden that name this system or its parent: those of comin, and of
/// `nixos-rebuild --profile-name`. A profile that cannot be read is left out.
#[must_use]
pub fn others_that_name(host: &dyn Host, toplevel: &Toplevel) -> Vec<String> {
    let directory = Path::new(GOLDEN).parent().unwrap_or(Path::new(PROFILES));
    let names = host.list(directory).unwrap_or_default();
    let names = names.into_iter().filter_map(|name| name.into_string().ok());
    let is_other = |name: &String| {
        // `comin`, and not the generations of it.
        !name.ends_with("-link") && directory.join(name) != Path::new(GOLDEN)
    };
    let names_it = |name: &String| {
        let points_at = target(host, &directory.join(name)).ok().flatten();
        points_at.as_ref() == Some(toplevel) || specialisations(host, points_at.as_ref()).contains(toplevel)
    };
    let mut found: Vec<String> = names.filter(is_other).filter(names_it).collect();
    found.sort();
    found
}

/// What the system profile points at.
///
/// # Errors
/// The profile is there and cannot be read.
pub fn system(host: &dyn Host) -> Result<Option<Toplevel>, Error> {
    target(host, Path::new(SYSTEM))
}

/// `profile -> profile-N-link -> toplevel`.
pub(crate) fn target(host: &dyn Host, profile: &Path) -> Result<Option<Toplevel>, Error> {
    let Some(link) = read_link(host, profile)? else { return Ok(None) };
    let link = profile.parent().unwrap_or(Path::new("/")).join(link);
    let toplevel = read_link(host, &link)?.unwrap_or(link);
    Ok(toplevel.to_str().and_then(|path| path.parse().ok()))
}

fn read_link(host: &dyn Host, path: &Path) -> Result<Option<PathBuf>, Error> {
    match host.read_link(path) {
        Ok(target) => Ok(Some(target)),
        // Not there, or not a link.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Point the system profile at this toplevel.
pub(crate) fn set_system(host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
    set(host, Path::new(SYSTEM), toplevel)
}

/// Point the system profile back at this toplevel, by the newest generation that names it already.
pub(crate) fn put_system_back(host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
    let profile = Path::new(SYSTEM);
    let known = generations(host, profile)?.into_iter().find(|(_, known)| known == toplevel);
    let Some((number, _)) = known.filter(|_| target(host, profile).ok().flatten().as_ref() != Some(toplevel))
    else {
        return set(host, profile, toplevel);
    };
    run(host, "nix-env", &["--profile", SYSTEM, "--switch-generation", &number.to_string()])?;
    sync_links(host, profile)
}

/// Point the golden profile at this toplevel.
pub(crate) fn set_golden(host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
    let directory = Path::new(GOLDEN).parent().unwrap_or(Path::new(PROFILES));
    host.create_directory(directory, PUBLIC).map_err(Error::io("create", directory))?;
    set(host, Path::new(GOLDEN), toplevel)
}

fn set(host: &dyn Host, profile: &Path, toplevel: &Toplevel) -> Result<(), Error> {
    if target(host, profile)?.as_ref() != Some(toplevel) {
        let path = profile.to_string_lossy();
        run(host, "nix-env", &["--profile", &path, "--set", toplevel.as_str()])?;
    }
    sync_links(host, profile)
}

/// Nix does not sync the links that it makes.
fn sync_links(host: &dyn Host, profile: &Path) -> Result<(), Error> {
    let directory = profile.parent().unwrap_or(Path::new("/"));
    host.sync_directory(directory).map_err(Error::io("sync", directory))
}

/// Hold the default by a root of garbage collection, which holds the default before it no longer.
pub(crate) fn keep(host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
    hold(host, KEPT, toplevel)
}

/// Have a root of garbage collection name this toplevel, durably. Nix follows the links below `gcroots` itself, so no program
/// of Nix is needed: one opens the store for writing, which a sandbox forbids.
pub(crate) fn hold(host: &dyn Host, root: &str, toplevel: &Toplevel) -> Result<(), Error> {
    link(host, Path::new(root), Path::new(toplevel.as_str()))
}

/// Have a link name `target`, durably.
pub(crate) fn link(host: &dyn Host, path: &Path, target: &Path) -> Result<(), Error> {
    if read_link(host, path)?.as_deref() == Some(target) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    host.create_directory(directory, PUBLIC).map_err(Error::io("create", directory))?;
    host.link(target, path).map_err(Error::io("link", path))?;
    host.sync_directory(directory).map_err(Error::io("sync", directory))
}

/// The toplevel that is held so.
pub(crate) fn kept(host: &dyn Host) -> Result<Option<Toplevel>, Error> {
    target(host, Path::new(KEPT))
}

/// Run the toplevel's own installer: it writes every boot entry anew. It does not mark: somebody else may do so
/// meanwhile, and that is the later switch.
pub(crate) fn install_loader(host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
    let quiet = format!("{NO_MARK}=1");
    run(host, "env", &[&quiet, &format!("{toplevel}/bin/switch-to-configuration"), "boot"]).map(drop)
}

/// Have the running system become this toplevel. Nothing of the loader is touched. Whoever asked for it looks at what runs then;
/// what hangs is ended, for nobody comes to help.
pub(crate) fn activate(host: &dyn Host, toplevel: &Toplevel, time: Duration) {
    let limits = Limits { time, output_bytes: 1 << 26 };
    let (quiet, program) = (format!("{NO_MARK}=1"), format!("{toplevel}/bin/switch-to-configuration"));
    let error = match host.run_within(limits, Path::new("env"), &[&quiet, &program, "test"]) {
        Ok(ended) if ended.status == Some(0) => return,
        Ok(ended) => Error::Program { program, stderr: ended.stderr },
        Err(error) => Error::io("run", program)(error),
    };
    host.complain(error.trouble(), &error.chain());
}

fn run(host: &dyn Host, program: &str, arguments: &[&str]) -> Result<String, Error> {
    let output = host.run(Path::new(program), arguments).map_err(Error::io("run", program))?;
    if output.success {
        Ok(output.stdout)
    } else {
        Err(Error::Program { program: program.to_owned(), stderr: output.stderr })
    }
}
