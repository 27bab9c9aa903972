//! What a person is told of failures that no ledger sees.

use std::path::{Path, PathBuf};

use super::Options;
use crate::loader::mounts::Mounts;
use crate::{Error, Host, SafetyNet, manager};

/// What the settings of the running machine say about failures that no ledger sees.
///
/// # Errors
/// systemd cannot be asked.
pub fn safety_net(host: &dyn Host) -> Result<SafetyNet, Error> {
    manager::safety_net(host)
}

/// Where the file system of the state directory is mounted, which a boot may end without; `None` where it is the root's.
#[must_use]
pub fn state_mount(host: &dyn Host, options: &Options) -> Option<PathBuf> {
    Mounts::read(host).holder_of(&options.state_dir).map(Path::to_owned)
}
