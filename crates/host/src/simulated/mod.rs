//! A machine that is not there: its disks, its firmware, its loader, and everybody who acts on it.
//!
//! The real store, loader and operation code runs on it, through [`SimulatedHost`]. What a crash may leave is not
//! sampled: [`World::after_crash`] lists every state, so a test can go on from each.

mod boot;
mod disk;
mod effect;
mod extlinux;
mod files;
mod grub;
mod host;
mod installer;
mod kernel;
mod machine;
mod programs;
pub mod scenario;
mod systemd_boot;
mod tree;
mod world;

pub use boot::{Choice, Foreseen, Menu, Start, Why, foresee, start};
pub use disk::{Bytes, Disk, Rules};
pub use effect::{Effect, Fate, Said, Snapshot};
pub use host::{Answer, Meanwhile, SimulatedHost};
pub use installer::{collect_store, forget_generations, golden_profile, system_profile, tidy_profiles};
pub use kernel::{efi_image, kernel_image};
pub use machine::{Failure, Program, boot_id, collect, install};
pub use tree::Tree;
pub use world::{ESP, GoingDown, Lie, Loader, PROFILES, VAR, World};
