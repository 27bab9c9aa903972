//! The machines that are walked through.

use golden_core::RollbackTarget::{Golden, LastConfirmed};
use golden_host::simulated::{Lie, Loader};

use crate::explore::Configuration;
use crate::explore::Habit::{
    Assess, BootElsewhere, DamageBootFiles, FailLate, LoseBootPartition, Pin, Quarantine,
    QuarantineRevisions, Rehearse, RollBack, SwitchLive, Tidy, Wait,
};

/// The system that is installed, and one more.
const TWO: Configuration = Configuration {
    loader: Loader::SystemdBoot,
    lie: None,
    max_failures: 2,
    pinned: true,
    firmware_counts: true,
    rollback_target: Golden,
    systems: 2,
    third: false,
    habits: &[Pin],
};
/// Golden, what was confirmed after it, and a third one that is switched to.
const NEWER: Configuration =
    Configuration { max_failures: 1, firmware_counts: false, systems: 3, third: true, habits: &[], ..TWO };
const GRUB: Configuration =
    Configuration { loader: Loader::Grub { writes: true }, firmware_counts: false, ..TWO };
const EXTLINUX: Configuration = Configuration { loader: Loader::Extlinux, firmware_counts: false, ..TWO };

/// Everything that can be asked for, at every moment, multiplies: the rest is as small as it can be.
const ASKED: Configuration = Configuration { max_failures: 1, firmware_counts: false, ..TWO };
const ASKED_GRUB: Configuration = Configuration { max_failures: 1, ..GRUB };
const ASKED_EXTLINUX: Configuration = Configuration { max_failures: 1, ..EXTLINUX };

pub const CONFIGURATIONS: &[Configuration] = &[
    Configuration { rollback_target: LastConfirmed, ..NEWER },
    TWO,
    Configuration { max_failures: 3, firmware_counts: false, ..TWO },
    Configuration { firmware_counts: false, ..TWO },
    Configuration { firmware_counts: false, rollback_target: LastConfirmed, ..TWO },
    Configuration { max_failures: 1, pinned: false, ..TWO },
    Configuration { max_failures: 1, firmware_counts: false, ..TWO },
    GRUB,
    Configuration { max_failures: 1, pinned: false, ..GRUB },
    Configuration { loader: Loader::Grub { writes: false }, ..GRUB },
    EXTLINUX,
    Configuration { max_failures: 1, pinned: false, ..EXTLINUX },
    Configuration { lie: Some(Lie::KeepsOneShots), firmware_counts: false, ..TWO },
    Configuration { lie: Some(Lie::IgnoresWrites), firmware_counts: false, ..TWO },
    Configuration { lie: Some(Lie::KeepsOneShots), ..GRUB },
    Configuration { lie: Some(Lie::IgnoresWrites), ..EXTLINUX },
    Configuration { habits: &[Pin, SwitchLive], ..EXTLINUX },
    Configuration { max_failures: 1, firmware_counts: false, habits: &[Rehearse], ..TWO },
    Configuration { max_failures: 1, habits: &[Rehearse], ..EXTLINUX },
    // What people ask for, and what checks find.
    Configuration { habits: &[RollBack, Quarantine], ..ASKED },
    Configuration { habits: &[RollBack, Quarantine], ..ASKED_GRUB },
    Configuration { habits: &[RollBack, Quarantine], ..ASKED_EXTLINUX },
    Configuration { habits: &[RollBack, SwitchLive], ..ASKED },
    Configuration { habits: &[QuarantineRevisions], ..ASKED },
    Configuration { habits: &[Quarantine, Wait], ..ASKED },
    Configuration { max_failures: 2, habits: &[Assess, FailLate], ..ASKED },
    // The firmware forgets its variables, which its counter shows, or which it says.
    Configuration { lie: Some(Lie::ForgetsVariables), ..TWO },
    Configuration { lie: Some(Lie::SaysItForgets), firmware_counts: false, ..TWO },
    // Somebody else's one-shots.
    Configuration { habits: &[BootElsewhere], ..TWO },
    Configuration { firmware_counts: false, habits: &[BootElsewhere], ..TWO },
    Configuration { firmware_counts: false, habits: &[DamageBootFiles], ..TWO },
    // The boot partition is not mounted, in any boot.
    Configuration { firmware_counts: false, habits: &[LoseBootPartition], ..TWO },
    Configuration { habits: &[LoseBootPartition], ..ASKED_GRUB },
    Configuration { habits: &[LoseBootPartition], ..ASKED_EXTLINUX },
    Configuration { habits: &[DamageBootFiles], ..NEWER },
    Configuration { habits: &[DamageBootFiles], ..ASKED_GRUB },
    Configuration { habits: &[DamageBootFiles], ..ASKED_EXTLINUX },
    Configuration { pinned: false, firmware_counts: false, ..TWO },
    Configuration { firmware_counts: false, habits: &[Pin, SwitchLive], ..TWO },
    // Other programs tidy the profiles.
    Configuration { habits: &[Tidy], ..ASKED },
];

/// More machines than one waits for: `GOLDEN_WALK=wide` walks through these, the first two for half an hour each.
pub const WIDE: [Configuration; 15] = [
    Configuration { systems: 3, ..TWO },
    Configuration { max_failures: 1, pinned: false, firmware_counts: false, systems: 3, ..TWO },
    Configuration { max_failures: 1, habits: &[Pin, Rehearse], ..TWO },
    Configuration { max_failures: 1, habits: &[Pin, Rehearse], ..EXTLINUX },
    Configuration { firmware_counts: false, habits: &[RollBack, Quarantine], ..NEWER },
    Configuration { firmware_counts: false, habits: &[RollBack, Quarantine], ..TWO },
    Configuration { habits: &[Pin, RollBack, Quarantine], ..ASKED },
    Configuration { habits: &[RollBack, Quarantine, SwitchLive], ..ASKED },
    Configuration { habits: &[RollBack, Quarantine, Wait, Assess, FailLate], ..ASKED },
    Configuration { max_failures: 3, pinned: false, firmware_counts: false, ..TWO },
    Configuration { max_failures: 2, ..NEWER },
    Configuration { pinned: false, habits: &[RollBack, Quarantine], ..ASKED },
    Configuration { habits: &[Assess, FailLate], ..NEWER },
    Configuration { habits: &[LoseBootPartition], ..TWO },
    // Nothing but its own root and profile holds golden.
    Configuration { habits: &[Tidy], ..NEWER },
];
