//! Systems that fail twice, until golden is up.

use anyhow::{Result, ensure};

use super::Setting;
use crate::story::Story;

/// A system that fails, and how that looks.
pub(super) struct Fault {
    /// What is deployed.
    system: &'static str,
    /// Shell words that the running system is given after that.
    then: &'static str,
    /// Lines of the owner's settings.
    settings: &'static str,
    /// What the console says until golden is up.
    console: &'static [&'static str],
    /// How `golden why` names the end of each attempt.
    cause: &'static str,
    /// Times that the watchdog has to help.
    watchdog_resets: usize,
    pub boots: Boots,
}

/// Boots from the first failure until golden is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Boots {
    pub failed: usize,
    /// Where nothing of the suite runs in an attempt, only golden can arm the next one.
    pub through_golden: usize,
    pub landing: usize,
    /// Of these, those that share a pass through the firmware with the one before: the loader moves on by itself.
    pub shared: usize,
}

impl Boots {
    /// Passes through the firmware, and so what the machine is down for.
    pub const fn total(self) -> usize {
        self.failed + self.through_golden + self.landing - self.shared
    }
}

/// The boot check of each attempt arms the next.
const SEEN: Boots = Boots { failed: 2, through_golden: 0, landing: 1, shared: 0 };
/// Golden arms the second attempt.
const UNSEEN: Boots = Boots { failed: 2, through_golden: 1, landing: 1, shared: 0 };

const NOTHING: Fault =
    Fault { system: "", then: "", settings: "", console: &[], cause: "", watchdog_resets: 0, boots: UNSEEN };


pub(super) const BROKEN_UNIT: Fault = Fault {
    system: "broken-unit",
    console: &["boot broken-unit", "boot broken-unit", "boot good-a", "up good-a"],
    cause: "required.service failed",
    boots: SEEN,
    ..NOTHING
};

pub(super) const PANIC: Fault = Fault {
    system: "panic",
    console: &["panic", "boot good-a", "panic", "boot good-a", "up good-a"],
    cause: "died before the boot check",
    ..NOTHING
};

pub(super) const KERNEL_LOST: Fault = Fault {
    system: "own-files",
    then: "rm /boot/EFI/nixos/*-kernel-own-*; rm $(readlink -f /nix/var/nix/gcroots/vm-own-files/kernel); sync",
    console: &["boot good-a", "boot good-a", "up good-a"],
    cause: "died before the boot check",
    ..NOTHING
};

pub(super) const INITRD_LOST: Fault = Fault {
    system: "own-files",
    then: "rm /boot/EFI/nixos/*-initrd-own-*; rm $(readlink -f /nix/var/nix/gcroots/vm-own-files/initrd); sync",
    console: &["boot good-a", "boot good-a", "up good-a"],
    cause: "died before the boot check",
    ..NOTHING
};

pub(super) const INITRD_GARBAGE: Fault = Fault {
    system: "initrd-garbage",
    console: &["boot good-a", "boot good-a", "up good-a"],
    cause: "died before the boot check",
    ..NOTHING
};

pub(super) const INIT_CRASHES: Fault = Fault {
    system: "init-crashes",
    console: &["boot init-crashes", "boot good-a", "boot init-crashes", "boot good-a", "up good-a"],
    cause: "died before the boot check",
    ..NOTHING
};

pub(super) const PANIC_EARLY: Fault = Fault {
    system: "panic-early",
    console: &["boot panic-early", "boot good-a", "boot panic-early", "boot good-a", "up good-a"],
    cause: "died before the boot check",
    ..NOTHING
};

pub(super) const PANIC_LATER: Fault = Fault {
    system: "panic-later",
    console: &["boot panic-later", "boot panic-later", "boot good-a", "up good-a"],
    cause: "stopped without a word",
    boots: SEEN,
    ..NOTHING
};

pub(super) const HANG_EARLY: Fault = Fault {
    system: "hang-early",
    console: &["boot hang-early", "boot good-a", "boot hang-early", "boot good-a", "up good-a"],
    cause: "died before the boot check",
    watchdog_resets: 2,
    ..NOTHING
};

/// Deploy it, watch it fail twice, and look at what golden says.
pub(super) fn prove(setting: &Setting, name: &str, fault: &Fault) -> Result<Story> {
    let mut story = setting.story(name)?;
    let failed = story.toplevel(fault.system)?;
    story.configure(fault.settings)?;
    story.deploy(fault.system)?;
    story.run(&format!("true; {}", fault.then))?;
    story.reboot()?;
    story.expect(fault.console)?;
    let boots = story.boots_since_reboot()?;
    ensure!(boots == fault.boots.total(), "golden was up after {boots} boots, not {}", fault.boots.total());
    let resets = story.machine.watchdog_resets()?;
    ensure!(resets == fault.watchdog_resets, "the watchdog reset the machine {resets} times");
    let ledger = story.ledger()?;
    let quarantined = &ledger["quarantine"][0];
    ensure!(quarantined["toplevel"] == failed, "it is not quarantined: {ledger}");
    let attempts = quarantined["attempts"].as_array().map_or(0, Vec::len);
    ensure!(attempts == fault.boots.failed, "there were {attempts} attempts: {ledger}");
    let why = story.run("golden why")?;
    let named = why.matches(fault.cause).count();
    ensure!(named == attempts, "golden why does not name the causes:\n{why}");
    let history = story.history()?;
    let told = |event: &str| history.iter().filter(|told| *told == event).count();
    ensure!(told("attempt-failed") == attempts, "history does not know the attempts: {history:?}");
    story.epilogue()?;
    Ok(story)
}
