//! The machines that are walked through.

use golden_core::RollbackTarget::{Golden, LastConfirmed};
use golden_host::simulated::{Lie, Loader};

use crate::explore::{Configuration, People};

/// The system that is installed, and one more.
const TWO: Configuration = Configuration {
    loader: Loader::SystemdBoot,
    lie: None,
    max_failures: 2,
    pinned: true,
    firmware_counts: true,
    rollback_target: Golden,
    systems: 2,
    people: People::Deploy,
};
/// Golden, what was confirmed after it, and a third one that is switched to.
const NEWER: Configuration =
    Configuration { max_failures: 1, systems: 3, people: People::DeployTheThird, ..TWO };
const GRUB: Configuration =
    Configuration { loader: Loader::Grub { writes: true }, firmware_counts: false, ..TWO };
const EXTLINUX: Configuration = Configuration { loader: Loader::Extlinux, firmware_counts: false, ..TWO };

pub const CONFIGURATIONS: &[Configuration] = &[
    Configuration { max_failures: 3, pinned: false, ..TWO },
    Configuration { max_failures: 2, ..NEWER },
    Configuration { rollback_target: LastConfirmed, ..NEWER },
    TWO,
    Configuration { max_failures: 3, firmware_counts: false, ..TWO },
    Configuration { pinned: false, ..TWO },
    Configuration { firmware_counts: false, ..TWO },
    Configuration { rollback_target: LastConfirmed, ..TWO },
    Configuration { max_failures: 1, pinned: false, ..TWO },
    Configuration { max_failures: 1, firmware_counts: false, ..TWO },
    GRUB,
    Configuration { max_failures: 1, pinned: false, ..GRUB },
    Configuration { loader: Loader::Grub { writes: false }, ..GRUB },
    EXTLINUX,
    Configuration { max_failures: 1, pinned: false, ..EXTLINUX },
    Configuration { lie: Some(Lie::KeepsOneShots), ..TWO },
    Configuration { lie: Some(Lie::IgnoresWrites), ..TWO },
    Configuration { lie: Some(Lie::KeepsOneShots), ..GRUB },
    Configuration { lie: Some(Lie::IgnoresWrites), ..EXTLINUX },
    Configuration { people: People::SwitchLive, ..TWO },
    Configuration { people: People::SwitchLive, ..EXTLINUX },
    Configuration { max_failures: 1, people: People::Rehearse, ..TWO },
    Configuration { max_failures: 1, people: People::Rehearse, ..EXTLINUX },
];

/// More machines than one waits for: `GOLDEN_WALK=wide` walks through these, for half an hour each.
pub const WIDE: [Configuration; 2] = [
    Configuration { systems: 3, ..TWO },
    Configuration { max_failures: 1, pinned: false, firmware_counts: false, systems: 3, ..TWO },
];
