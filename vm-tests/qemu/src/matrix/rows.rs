//! The rows, in the order of a boot.

use super::Proof::{AsIn, NotCovered, Scenario, ScenarioIn, Vm};
use super::{LADDER_ENDED, LOST, NEVER, PASSED_OVER, REFUSED, REPAIRED, Row, SECOND_RUNG, SEEN, UNSEEN};

const LOADER: &str = "loader";
const KERNEL: &str = "kernel and initrd";
const EARLY: &str = "early userspace";
const USERSPACE: &str = "userspace";
const LANDING: &str = "after the rollback";

const DEFAULT_DIES: &str = "Golden is what the loader boots by itself then, and nothing of the suite runs. `golden-verify` finds damaged \
                            files before.";
const WAITS: &str = "GRUB waits at its menu for ever, and `fallback` of its configuration knows no submenus. What is damaged when it \
                     is to be armed is repaired or not armed.";
const U_BOOT: &str = "U-Boot stops, or does what it was built to do. What is damaged when it is to be armed is repaired or not armed.";
const AGAIN: &str =
    "extlinux boots the same again and again: nothing of the suite ran that could take it back.";

pub(crate) const ROWS: &[Row] = &[
    Row {
        stage: LOADER,
        fault: "the kernel is gone from the boot partition, and again after golden repaired it",
        systemd_boot: Vm(&["kernel-missing"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered(U_BOOT),
        boots: PASSED_OVER,
    },
    Row {
        stage: LOADER,
        fault: "the kernel is gone from the boot partition once: golden repairs it, and it is tried",
        systemd_boot: Vm(&["kernel-repaired"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered(U_BOOT),
        boots: REPAIRED,
    },
    Row {
        stage: LOADER,
        fault: "the kernel is gone from boot partition and store",
        systemd_boot: Vm(&["kernel-lost"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered(U_BOOT),
        boots: LOST,
    },
    Row {
        stage: LOADER,
        fault: "the initrd is gone from the boot partition, and again after golden repaired it",
        systemd_boot: Vm(&["initrd-missing"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered(U_BOOT),
        boots: PASSED_OVER,
    },
    Row {
        stage: LOADER,
        fault: "the same, where the firmware has no other entry but its shell, and that a `startup.nsh`",
        systemd_boot: Vm(&["initrd-missing-shell"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered(U_BOOT),
        boots: UNSEEN,
    },
    Row {
        stage: LOADER,
        fault: "the initrd is gone from the boot partition once: golden repairs it, and it is tried",
        systemd_boot: Vm(&["initrd-repaired"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered(U_BOOT),
        boots: REPAIRED,
    },
    Row {
        stage: LOADER,
        fault: "the initrd is gone from boot partition and store",
        systemd_boot: Vm(&["initrd-lost"]),
        grub: NotCovered(WAITS),
        extlinux: NotCovered(U_BOOT),
        boots: LOST,
    },
    Row {
        stage: LOADER,
        fault: "the kernel that is deployed is random bytes",
        systemd_boot: Vm(&["kernel-garbage"]),
        grub: AsIn("kernel-garbage"),
        extlinux: AsIn("kernel-garbage"),
        boots: REFUSED,
    },
    Row {
        stage: KERNEL,
        fault: "the initrd that is deployed is random bytes",
        systemd_boot: Vm(&["initrd-garbage"]),
        grub: AsIn("grub-panic"),
        extlinux: NotCovered(AGAIN),
        boots: UNSEEN,
    },
    Row {
        stage: KERNEL,
        fault: "the kernel panics",
        systemd_boot: Vm(&["panic", "older-panic"]),
        grub: Vm(&["grub-panic", "grub-saved-panic"]),
        extlinux: NotCovered(AGAIN),
        boots: UNSEEN,
    },
    Row {
        stage: EARLY,
        fault: "init ends",
        systemd_boot: Vm(&["init-crashes"]),
        grub: AsIn("grub-panic"),
        extlinux: NotCovered(AGAIN),
        boots: UNSEEN,
    },
    Row {
        stage: EARLY,
        fault: "a panic before the boot check",
        systemd_boot: Vm(&["panic-early"]),
        grub: AsIn("grub-panic"),
        extlinux: NotCovered(AGAIN),
        boots: UNSEEN,
    },
    Row {
        stage: EARLY,
        fault: "systemd hangs before the boot check: the watchdog resets the machine",
        systemd_boot: Vm(&["hang-early"]),
        grub: AsIn("grub-panic"),
        extlinux: NotCovered(AGAIN),
        boots: UNSEEN,
    },
    Row {
        stage: EARLY,
        fault: "a panic after the boot check",
        systemd_boot: Vm(&["panic-later"]),
        grub: Vm(&["grub-panic-later"]),
        extlinux: ScenarioIn("extlinux-vanishes-twice", UNSEEN),
        boots: SEEN,
    },
    Row {
        stage: EARLY,
        fault: "a mount never comes: emergency mode",
        systemd_boot: Vm(&["emergency"]),
        grub: AsIn("grub-broken-unit"),
        extlinux: AsIn("extlinux-unit-fails-twice"),
        boots: SEEN,
    },
    Row {
        stage: USERSPACE,
        fault: "a service hangs before multi-user.target: the deadline",
        systemd_boot: Vm(&["deadline"]),
        grub: AsIn("grub-broken-unit"),
        extlinux: AsIn("extlinux-unit-fails-twice"),
        boots: SEEN,
    },
    Row {
        stage: USERSPACE,
        fault: "a required unit fails",
        systemd_boot: Vm(&["broken-unit"]),
        grub: Vm(&["grub-broken-unit"]),
        extlinux: Scenario("extlinux-unit-fails-twice"),
        boots: SEEN,
    },
    Row {
        stage: USERSPACE,
        fault: "a required health check fails, or hangs",
        systemd_boot: Vm(&["check-fails", "check-hangs"]),
        grub: AsIn("grub-broken-unit"),
        extlinux: AsIn("extlinux-unit-fails-twice"),
        boots: SEEN,
    },
    Row {
        stage: LANDING,
        fault: "golden fails as well: what was confirmed last takes over",
        systemd_boot: Vm(&["golden-broken"]),
        grub: AsIn("golden-broken"),
        extlinux: AsIn("golden-broken"),
        boots: SECOND_RUNG,
    },
    Row {
        stage: LANDING,
        fault: "golden's own kernel or initrd dies, and something else was confirmed after it",
        systemd_boot: Vm(&["golden-panics"]),
        grub: AsIn("golden-panics"),
        extlinux: NotCovered(DEFAULT_DIES),
        boots: SECOND_RUNG,
    },
    Row {
        stage: LANDING,
        fault: "the same, and nothing else was",
        systemd_boot: NotCovered(DEFAULT_DIES),
        grub: NotCovered(DEFAULT_DIES),
        extlinux: NotCovered(DEFAULT_DIES),
        boots: NEVER,
    },
    Row {
        stage: LANDING,
        fault: "everything fails: safe mode, and no further reboot",
        systemd_boot: Vm(&["all-broken"]),
        grub: AsIn("all-broken"),
        extlinux: AsIn("all-broken"),
        boots: LADDER_ENDED,
    },
];
