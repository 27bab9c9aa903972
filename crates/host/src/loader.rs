//! Boot loaders: one trait, one file each.

pub mod entry;
pub mod loader_conf;
mod systemd_boot;

use golden_core::Toplevel;

use crate::{Error, Host};

pub use systemd_boot::SystemdBoot;

/// A loader that can boot something once.
pub trait BootLoader {
    /// What it says now.
    ///
    /// # Errors
    /// The boot partition or the firmware cannot be read.
    fn see(&self) -> Result<golden_core::Loader, Error>;
    /// Make an entry of this toplevel the persistent default, durably, and read it back. Its boot files are checked
    /// first, and repaired from the store.
    ///
    /// # Errors
    /// It has no entry, its boot files are damaged beyond repair, it cannot be written, or did not stick.
    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error>;
    /// Boot this toplevel once, at the next boot. Its boot files are checked first, and repaired from the store.
    ///
    /// # Errors
    /// It has no entry, its boot files are damaged beyond repair, or the firmware refuses.
    fn arm(&self, toplevel: &Toplevel) -> Result<(), Error>;
    /// Take the one-shot back. No error if there is none.
    ///
    /// # Errors
    /// The firmware refuses.
    fn disarm(&self) -> Result<(), Error>;
    /// Drop the loader's own boot counters from the entries of this toplevel.
    ///
    /// # Errors
    /// The boot partition cannot be written.
    fn bless(&self, toplevel: &Toplevel) -> Result<(), Error>;
    /// Make sure that the toplevel can be booted: it has an entry, and kernel and initrd are the store's.
    ///
    /// # Errors
    /// It cannot be booted, and was not repaired.
    fn check(&self, toplevel: &Toplevel) -> Result<(), Error>;
}

/// The loader of this machine.
///
/// # Errors
/// None of those that are known is installed.
pub fn detect(host: &dyn Host) -> Result<SystemdBoot<'_>, Error> {
    SystemdBoot::find(host).ok_or(Error::NoLoader)
}
