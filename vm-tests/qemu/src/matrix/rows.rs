//! The rows, in the order of a boot.

use super::Proof::{NotCovered, Vm};
use super::{PASSED_OVER, Row, SEEN, UNSEEN};

const LOADER: &str = "loader";
const KERNEL: &str = "kernel and initrd";
const EARLY: &str = "early userspace";
const USERSPACE: &str = "userspace";

/// Why GRUB stays where it is.
const WAITS: &str = "GRUB waits at its menu; what is damaged before it is armed is repaired or not armed";
/// extlinux boots what is its default until the boot check puts that right.
const NO_ONE_SHOT: &str = "extlinux boots the same again: nothing of the suite ran";

pub(crate) const ROWS: &[Row] = &[
    Row {
        stage: LOADER,
        fault: "the kernel is gone from the boot partition (golden repairs it, the next boot tries it)",
        systemd_boot: Vm(&["kernel-missing"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered("U-Boot tries the next entry or stops, as it was built"),
        boots: PASSED_OVER,
    },
    Row {
        stage: LOADER,
        fault: "the kernel is gone from boot partition and store",
        systemd_boot: Vm(&["kernel-lost"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered("U-Boot tries the next entry or stops, as it was built"),
        boots: PASSED_OVER,
    },
    Row {
        stage: LOADER,
        fault: "the initrd is gone from the boot partition (golden repairs it, the next boot tries it)",
        systemd_boot: Vm(&["initrd-missing"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered("U-Boot tries the next entry or stops, as it was built"),
        boots: PASSED_OVER,
    },
    Row {
        stage: LOADER,
        fault: "the initrd is gone from boot partition and store",
        systemd_boot: Vm(&["initrd-lost"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered("U-Boot tries the next entry or stops, as it was built"),
        boots: PASSED_OVER,
    },
    Row {
        stage: KERNEL,
        fault: "the initrd is random bytes",
        systemd_boot: Vm(&["initrd-garbage"]),
        grub: Vm(&["grub-panic"]),
        extlinux: NotCovered(NO_ONE_SHOT),
        boots: UNSEEN,
    },
    Row {
        stage: KERNEL,
        fault: "the kernel panics",
        systemd_boot: Vm(&["panic", "older-panic"]),
        grub: Vm(&["grub-panic"]),
        extlinux: NotCovered(NO_ONE_SHOT),
        boots: UNSEEN,
    },
    Row {
        stage: EARLY,
        fault: "init ends",
        systemd_boot: Vm(&["init-crashes"]),
        grub: Vm(&["grub-panic"]),
        extlinux: NotCovered(NO_ONE_SHOT),
        boots: UNSEEN,
    },
    Row {
        stage: EARLY,
        fault: "a panic before the boot check",
        systemd_boot: Vm(&["panic-early"]),
        grub: Vm(&["grub-panic"]),
        extlinux: NotCovered(NO_ONE_SHOT),
        boots: UNSEEN,
    },
    Row {
        stage: EARLY,
        fault: "systemd hangs before the boot check, and the watchdog resets the machine",
        systemd_boot: Vm(&["hang-early"]),
        grub: Vm(&["grub-panic"]),
        extlinux: NotCovered(NO_ONE_SHOT),
        boots: UNSEEN,
    },
    Row {
        stage: EARLY,
        fault: "a panic after the boot check",
        systemd_boot: Vm(&["panic-later"]),
        grub: Vm(&["grub-broken-unit"]),
        extlinux: NotCovered(NO_ONE_SHOT),
        boots: SEEN,
    },
    Row {
        stage: USERSPACE,
        fault: "a required unit fails",
        systemd_boot: Vm(&["broken-unit"]),
        grub: Vm(&["grub-broken-unit"]),
        extlinux: NotCovered(NO_ONE_SHOT),
        boots: SEEN,
    },
];
