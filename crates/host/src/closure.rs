//! The closure of a system: every store path that it needs, compared with Nix's database.

use std::io;
use std::path::Path;

use golden_core::Toplevel;

use crate::{Error, Host, Output};

/// Where Nix's daemon listens.
const SOCKETS: &str = "/nix/var/nix/daemon-socket";

/// Most paths in the arguments of one program, which the kernel bounds. Source: `execve(2)`, "Limits on size of arguments and
/// environment".
const PATHS_AT_ONCE: usize = 1000;

/// A closure, as Nix's database has it.
struct Closure {
    access: Access,
    paths: Vec<String>,
}

/// How Nix's database is read.
///
/// Root reads it directly unless it is told otherwise, and for that Nix mounts the store writable: on NixOS the store is a
/// read-only mount, and no unit of ours may mount anything. A client of the daemon mounts nothing, and reads the store
/// itself. Source: `LocalStore::makeStoreWritable` and `UDSRemoteStore::narFromPath` of Nix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Daemon,
    Direct,
}

impl Access {
    fn run(self, host: &dyn Host, arguments: &[&str]) -> Result<Output, Error> {
        let store: &[&str] = match self {
            Self::Daemon => &["--store", "daemon"],
            Self::Direct => &[],
        };
        let arguments = [store, arguments].concat();
        host.run(Path::new("nix-store"), &arguments)
            .map_err(|error| Error::Database(Error::io("run", "nix-store")(error).chain()))
    }
}

/// Every store path that this toplevel needs is there.
///
/// # Errors
/// [`Error::Closure`] names one that is not there; [`Error::Database`]: Nix does not answer.
pub(crate) fn check(host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
    Closure::of(host, toplevel)?.check(host, toplevel)
}

/// The same, and every byte of the closure is unchanged since it was built. Reads the whole closure.
///
/// # Errors
/// As [`check`], and [`Error::ClosureChanged`].
pub(crate) fn verify(host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
    let closure = Closure::of(host, toplevel)?;
    closure.check(host, toplevel)?;
    closure.paths.chunks(PATHS_AT_ONCE).try_for_each(|paths| {
        let paths = paths.iter().map(String::as_str);
        let verify: Vec<&str> = std::iter::once("--verify-path").chain(paths).collect();
        let verified = closure.access.run(host, &verify)?;
        if verified.success { Ok(()) } else { Err(Error::not_verified(toplevel, verified.stderr)) }
    })
}

impl Closure {
    /// By the daemon where there is one; directly where that does not answer.
    fn of(host: &dyn Host, toplevel: &Toplevel) -> Result<Self, Error> {
        let has_daemon = host.list(Path::new(SOCKETS)).is_ok_and(|names| !names.is_empty());
        let by_daemon = has_daemon.then(|| Self::by(host, Access::Daemon, toplevel));
        match by_daemon {
            Some(Ok(closure)) => Ok(closure),
            Some(Err(error)) => Self::by(host, Access::Direct, toplevel).map_err(|_| error),
            None => Self::by(host, Access::Direct, toplevel),
        }
    }

    fn by(host: &dyn Host, access: Access, toplevel: &Toplevel) -> Result<Self, Error> {
        let output = access.run(host, &["--query", "--requisites", toplevel.as_str()])?;
        if !output.success {
            return Err(Error::not_known(toplevel, output.stderr));
        }
        Ok(Self { access, paths: output.stdout.lines().map(str::to_owned).collect() })
    }

    fn check(&self, host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
        let is_missing = |path: &&String| matches!(host.read_link(Path::new(path)), Err(error) if error.kind() == io::ErrorKind::NotFound);
        match self.paths.iter().find(is_missing) {
            Some(missing) => Err(Error::Closure { toplevel: toplevel.clone(), missing: missing.clone() }),
            None => Ok(()),
        }
    }
}
