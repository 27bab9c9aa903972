//! From power on to a kernel that starts, whichever loader the machine has.

use golden_core::Toplevel;

use super::world::{Loader, World};
use super::{extlinux, grub, systemd_boot};

/// What the loader did with the power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It started a kernel that goes on to this system.
    Booted(Choice),
    /// It started a kernel that cannot get to any system; the machine resets by itself.
    Panicked(Choice, &'static str),
    /// Nothing starts any more until somebody comes: `EFI` shell or an endless loop of exceptions.
    Stuck(&'static str),
}

/// The entry the loader took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name, without the counter.
    pub entry: String,
    /// The system it boots.
    pub toplevel: Toplevel,
    /// Why it was taken.
    pub why: Why,
}

/// Why the loader takes an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A person chose it in the menu.
    Menu,
    /// It is booted once.
    OneShot,
    /// Its configuration or the firmware names it.
    Default,
    /// Neither names an entry: the first in the loader's order.
    First,
}

/// Power on. A person may pick the entry of a system in the menu.
pub fn start(world: &mut World, pick: Option<&Toplevel>) -> Start {
    world.firmware_boots = world.firmware_boots.map(|boots| boots.wrapping_add(1));
    match world.loader {
        Loader::SystemdBoot => systemd_boot::start(world, pick),
        Loader::Grub { .. } => grub::start(world, pick),
        Loader::Extlinux => extlinux::start(world, pick),
    }
}

/// What the loader would do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Foreseen {
    /// What the one-shot boots, if it is set and names an entry.
    pub once: Option<Toplevel>,
    /// What boots without a one-shot.
    pub default: Option<Toplevel>,
    /// Whether that is so because something names it, not because it is the first.
    pub is_named: bool,
}

/// What would boot, if nobody touched the keyboard.
#[must_use]
pub fn foresee(world: &World) -> Foreseen {
    Menu::read(world).foresee(world)
}

/// The entries as the loader lists them, and what its configuration names.
#[derive(Debug)]
pub struct Menu(Read);

#[derive(Debug)]
enum Read {
    SystemdBoot(systemd_boot::Menu),
    Grub(grub::Menu),
    Extlinux(extlinux::Menu),
}

impl Menu {
    /// What the boot partition says. It does not depend on variables.
    #[must_use]
    pub fn read(world: &World) -> Self {
        Self(match world.loader {
            Loader::SystemdBoot => Read::SystemdBoot(systemd_boot::Menu::read(world)),
            Loader::Grub { .. } => Read::Grub(grub::Menu::read(world)),
            Loader::Extlinux => Read::Extlinux(extlinux::Menu::read(world)),
        })
    }

    /// What boots with these variables, if nobody touches the keyboard.
    #[must_use]
    pub fn foresee(&self, world: &World) -> Foreseen {
        match &self.0 {
            Read::SystemdBoot(menu) => menu.foresee(world),
            Read::Grub(menu) => menu.foresee(),
            Read::Extlinux(menu) => menu.foresee(),
        }
    }
}

/// What becomes of a kernel and an initrd that were found: each as it should be, or not.
pub(super) fn run(world: &World, choice: Choice, kernel_is_whole: bool, initrd_is_whole: bool) -> Start {
    if !kernel_is_whole {
        return Start::Stuck("the kernel is corrupt: nothing more is heard of it");
    }
    if !initrd_is_whole {
        return Start::Panicked(choice, "the initrd is missing or corrupt");
    }
    if !world.has_built(&choice.toplevel) {
        return Start::Panicked(choice, "its system is not in the store any more");
    }
    Start::Booted(choice)
}
