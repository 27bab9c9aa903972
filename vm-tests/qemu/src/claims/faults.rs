//! Systems that fail twice, until golden is up.

use anyhow::{Result, ensure};

use super::Setting;
use crate::image::Firmware;
use crate::matrix::Boots;
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
    /// What it says besides where there is a firmware that keeps it.
    evidence: &'static str,
    /// Times that the watchdog has to help.
    watchdog_resets: usize,
}

const NOTHING: Fault =
    Fault { system: "", then: "", settings: "", console: &[], cause: "", evidence: "", watchdog_resets: 0 };

/// From pstore. Every panic here is asked for in the same way.
const LAST_WORDS: &str = "Kernel panic - not syncing: sysrq triggered crash";

pub(super) const BROKEN_UNIT: Fault = Fault {
    system: "broken-unit",
    console: &["boot broken-unit", "boot broken-unit", "boot good-a", "up good-a"],
    cause: "required.service failed",
    ..NOTHING
};

pub(super) const PANIC: Fault = Fault {
    system: "panic",
    console: &["panic", "boot good-a", "panic", "boot good-a", "up good-a"],
    cause: "died before the boot check",
    evidence: LAST_WORDS,
    ..NOTHING
};

/// As PANIC, with entries that make themselves GRUB's default unless they are booted once.
pub(super) const PANIC_SAVED_BY_GRUB: Fault = Fault {
    then: "touch /etc/vm-grub-saves; /nix/var/nix/profiles/system/bin/switch-to-configuration boot; \
           grep -qx savedefault /boot/grub/grub.cfg",
    ..PANIC
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
    evidence: LAST_WORDS,
    ..NOTHING
};

pub(super) const PANIC_LATER: Fault = Fault {
    system: "panic-later",
    console: &["boot panic-later", "boot panic-later", "boot good-a", "up good-a"],
    cause: "stopped without a word",
    evidence: LAST_WORDS,
    ..NOTHING
};

pub(super) const HANG_EARLY: Fault = Fault {
    system: "hang-early",
    console: &["boot hang-early", "boot good-a", "boot hang-early", "boot good-a", "up good-a"],
    cause: "died before the boot check",
    evidence: "watchdog had reset the machine",
    watchdog_resets: 2,
    ..NOTHING
};

pub(super) const HANGS: Fault = Fault {
    system: "hangs",
    settings: "boot_deadline_secs = 60",
    console: &["boot hangs", "boot hangs", "boot good-a", "up good-a"],
    cause: "hangs.service",
    ..NOTHING
};

pub(super) const MOUNT_NEVER: Fault = Fault {
    system: "mount-never",
    console: &["boot mount-never", "boot mount-never", "boot good-a", "up good-a"],
    cause: "srv.mount",
    ..NOTHING
};

pub(super) const CHECK_FAILS: Fault = Fault {
    system: "check-fails",
    console: &["boot check-fails", "boot check-fails", "boot good-a", "up good-a"],
    cause: "required checks failed: web",
    ..NOTHING
};

pub(super) const CHECK_HANGS: Fault = Fault {
    system: "check-hangs",
    console: &["boot check-hangs", "boot check-hangs", "boot good-a", "up good-a"],
    cause: "required checks failed: web",
    ..NOTHING
};

/// Deploy it, watch it fail twice, and look at what golden says.
pub(super) fn prove(setting: &Setting, name: &str, fault: &Fault, boots: Boots) -> Result<Story> {
    let mut story = setting.story(name)?;
    let failed = story.toplevel(fault.system)?;
    story.configure(fault.settings)?;
    story.deploy(fault.system)?;
    story.run(&format!("true; {}", fault.then))?;
    story.reboot()?;
    story.expect(fault.console)?;
    let resets = story.machine.watchdog_resets()?;
    ensure!(resets == fault.watchdog_resets, "the watchdog reset the machine {resets} times");
    let ledger = story.ledger()?;
    let quarantined = &ledger["quarantine"][0];
    ensure!(quarantined["toplevel"] == failed, "it is not quarantined: {ledger}");
    let attempts = quarantined["attempts"].as_array().map_or(0, Vec::len);
    ensure!(attempts == boots.failed, "there were {attempts} attempts: {ledger}");
    let named = story.attempts()?;
    ensure!(
        named.len() == attempts && named.iter().all(|line| line.contains(fault.cause)),
        "golden why does not name the causes: {named:#?}"
    );
    let keeps_evidence = story.machine.firmware() == Firmware::Efi;
    ensure!(
        !keeps_evidence || named.iter().all(|line| line.contains(fault.evidence)),
        "golden why does not name the evidence: {named:#?}"
    );
    let history = story.history()?;
    let told = |event: &str| history.iter().filter(|told| *told == event).count();
    ensure!(told("attempt-failed") == attempts, "history does not know the attempts: {history:?}");
    story.epilogue()?;
    Ok(story)
}
