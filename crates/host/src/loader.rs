//! Boot loaders: one trait, one file each.

pub mod authenticode;
pub mod entry;
pub mod kernel_image;
pub mod loader_conf;
mod mounts;
pub mod pe;
mod systemd_boot;
pub mod uki;
mod without_one_shot;

use golden_core::Toplevel;
use serde::Deserialize;

use crate::operation::Options;
use crate::{Error, Host};

use systemd_boot::SystemdBoot;
use without_one_shot::WithoutOneShot;

/// Which loader a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The one whose configuration is found.
    #[default]
    Auto,
    /// systemd-boot, and lanzaboote, which is systemd-boot with unified kernel images.
    SystemdBoot,
}

/// A loader that has a persistent default, and mostly can boot something else once.
pub trait BootLoader {
    /// Its name, as people know it.
    fn name(&self) -> &'static str;
    /// Whether it boots something once by itself: it takes the selection back before it starts the kernel.
    ///
    /// # Errors
    /// Why it cannot, as a part of a sentence.
    fn has_one_shot(&self) -> Result<(), String>;
    /// The first act of a boot check on `booted`: where the loader does not take a one-shot back by itself and this is what
    /// was armed, that is done now.
    ///
    /// # Errors
    /// The loader's configuration cannot be written.
    fn consume_one_shot(&self, booted: &Toplevel) -> Result<(), Error> {
        let _ = booted;
        Ok(())
    }
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

/// The loader of this machine. One that cannot boot something once is given that, as far as that can be done from the
/// system that it boots.
///
/// # Errors
/// None of those that are known is installed.
pub fn detect<'a>(host: &'a dyn Host, options: &'a Options) -> Result<Box<dyn BootLoader + 'a>, Error> {
    let loader = find(host, options)?;
    Ok(match loader.has_one_shot() {
        Ok(()) => loader,
        Err(why) => Box::new(WithoutOneShot::new(host, loader, why, &options.state_dir)),
    })
}

fn find<'a>(host: &'a dyn Host, options: &'a Options) -> Result<Box<dyn BootLoader + 'a>, Error> {
    let found: Option<Box<dyn BootLoader + 'a>> = match options.loader {
        Kind::Auto | Kind::SystemdBoot => SystemdBoot::find(host).map(|loader| Box::new(loader) as _),
    };
    found.ok_or(Error::NoLoader)
}
