//! Golden on the disk: a root of garbage collection that holds it, and a profile that lists it.

use std::io;
use std::path::Path;

use golden_core::{Ledger, Toplevel};

use crate::profile::{GOLDEN, generations, hold, link, target};
use crate::{Error, Host};

/// Holds golden. No other program removes entries of this directory, as some do with profiles.
const ROOT: &str = "/nix/var/nix/gcroots/golden-generation-golden";

/// Golden; `None` where nothing was pinned. `ledger` is `None` where it cannot be read.
///
/// # Errors
/// One of the links is there and cannot be read.
pub fn golden(host: &dyn Host, ledger: Option<&Ledger>) -> Result<Option<Toplevel>, Error> {
    let root = root(host)?;
    let pinned = ledger.and_then(|ledger| ledger.golden.as_ref()).map(|golden| &golden.toplevel);
    // So on nearly every boot: then the profile is not read.
    if root.is_some() && root.as_ref() == pinned {
        return Ok(root);
    }
    Ok(golden_core::golden(root.as_ref(), listed(host)?.as_ref(), pinned).cloned())
}

/// The system that the root holds.
pub(crate) fn root(host: &dyn Host) -> Result<Option<Toplevel>, Error> {
    target(host, Path::new(ROOT))
}

/// The system that the golden profile names.
pub(crate) fn listed(host: &dyn Host) -> Result<Option<Toplevel>, Error> {
    target(host, Path::new(GOLDEN))
}

/// Have the root hold this toplevel.
pub(crate) fn set_root(host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
    hold(host, ROOT, toplevel)
}

/// Whether a toplevel is in the store.
pub(crate) fn is_in_store(host: &dyn Host, toplevel: &Toplevel) -> bool {
    let kernel = Path::new(toplevel.as_str()).join("kernel");
    !matches!(host.read_link(&kernel), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Have the profile name this toplevel again, with the numbers that Nix would give its generations: installers list the newest
/// ones. Without a program of Nix, as [`hold`].
pub(crate) fn put_back(host: &dyn Host, toplevel: &Toplevel) -> Result<(), Error> {
    let profile = Path::new(GOLDEN);
    let newest = generations(host, profile)?.into_iter().next();
    let number = match newest {
        Some((number, newest)) if newest == *toplevel => number,
        newest => newest.map_or(1, |(number, _)| number.saturating_add(1)),
    };
    let generation = format!("golden-{number}-link");
    link(host, &profile.with_file_name(&generation), Path::new(toplevel.as_str()))?;
    link(host, profile, Path::new(&generation))
}
