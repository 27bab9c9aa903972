//! Boot loaders: one trait, one file each.

pub mod authenticode;
mod boot_files;
mod bootspec;
pub mod entry;
mod external;
mod extlinux;
pub mod grub;
mod interface;
pub mod kernel_image;
pub mod loader_conf;
mod mirrored;
pub(crate) mod mounts;
mod partitions;
pub mod pe;
mod systemd_boot;
pub mod uki;
mod without_one_shot;

use golden_core::Toplevel;
use serde::Deserialize;

use crate::operation::Options;
use crate::{Error, Host};

use external::External;
use extlinux::Extlinux;
use grub::Grub;
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
    /// GRUB, on BIOS and EFI.
    Grub,
    /// U-Boot, and whatever else reads an `extlinux.conf`.
    Extlinux,
    /// One that a command of the owner's knows.
    External,
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
    /// Whether what boots by itself can be set at all. Where it cannot, nothing is tried: a trial would be booted again and
    /// again.
    ///
    /// # Errors
    /// Why it cannot, as a part of a sentence.
    fn takes_default(&self) -> Result<(), String> {
        Ok(())
    }
    /// Why this loader cannot be relied on: a sentence each, for the owner.
    fn doubts(&self) -> Vec<String> {
        Vec::new()
    }
    /// Another program has written to the boot partition: it is read anew.
    fn forget(&self) {}
    /// The first act of a boot check on `booted`: where the loader does not take a one-shot back by itself and this is what
    /// was armed, that is done now.
    ///
    /// # Errors
    /// The loader's configuration cannot be written.
    fn consume_one_shot(&self, booted: &Toplevel) -> Result<(), Error> {
        let _ = booted;
        Ok(())
    }
    /// An installer has made this toplevel what boots by itself, and it is to stay that: where the loader keeps its default
    /// apart from what installers write, it is set now.
    ///
    /// # Errors
    /// As of [`BootLoader::set_default`].
    fn follow_installer(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let _ = toplevel;
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
    type Found<'a> = Result<Option<Box<dyn BootLoader + 'a>>, Error>;
    let systemd_boot = || -> Found<'a> { SystemdBoot::find(host, &options.mirrors) };
    let grub = || -> Found<'a> { Ok(Grub::find(host, &options.mirrors)) };
    let extlinux = || -> Found<'a> { Ok(Extlinux::find(host).map(|it| Box::new(it) as _)) };
    let external = || -> Found<'a> {
        let command = options.loader_command.as_deref();
        Ok(command.map(|command| Box::new(External::new(host, command)) as _))
    };
    let first = |some: &[&dyn Fn() -> Found<'a>]| -> Found<'a> {
        some.iter().map(|find| find()).find(|found| !matches!(found, Ok(None))).unwrap_or(Ok(None))
    };
    let found = match options.loader {
        Kind::Auto if options.loader_command.is_some() => external(),
        Kind::Auto if is_booted_by_grub(host) => first(&[&grub, &systemd_boot, &extlinux]),
        Kind::Auto => first(&[&systemd_boot, &grub, &extlinux]),
        Kind::SystemdBoot => systemd_boot(),
        Kind::Grub => grub(),
        Kind::Extlinux => extlinux(),
        Kind::External => external(),
    };
    found?.ok_or(Error::NoLoader)
}

/// Whether the loader of this boot says that it is GRUB; what another one left on the boot partition means nothing then.
/// Source: GRUB manual, "bli".
fn is_booted_by_grub(host: &dyn Host) -> bool {
    interface::started_by(host).loader.is_some_and(|loader| loader.starts_with("GRUB"))
}
