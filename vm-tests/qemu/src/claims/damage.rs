//! Power cuts and files that are not what they were.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Setting;
use crate::story::{Story, deploy};

/// When the plug is pulled, after the switch began to mark: around the time that the mark's writes take.
const CUTS_MILLIS: [u64; 4] = [0, 40, 120, 300];

pub(super) fn power_cut(setting: &Setting, name: &str) -> Result<Story> {
    let mut boots = 0;
    for cut in CUTS_MILLIS {
        boots += power_cut_after(setting, name, Duration::from_millis(cut))
            .with_context(|| format!("the power was cut {cut} ms after the mark began"))?
            .boots()?;
    }
    let mut story = setting.story(name)?;
    story.earlier_boots = boots;
    Ok(story)
}

/// A switch to `good-b`, whose mark says so on the console right before it starts to write. What its installer wrote is on the
/// disk by then: `sync -f` leaves what is on vfat in the disk's own cache, and power that goes before it is emptied costs an
/// ESP, with us or without.
fn power_cut_after(setting: &Setting, name: &str, cut: Duration) -> Result<Story> {
    const ANNOUNCE: &str = "mv /usr/bin/golden-mark-pending /run/real; \
        printf '%s\\n' '#!/bin/bash' 'sync /boot/loader/loader.conf' 'echo golden-vm: marks > /dev/ttyS0' 'exec /run/real \"$@\"' > /run/mark; \
        chmod +x /run/mark; ln -s /run/mark /usr/bin/golden-mark-pending; ";
    let mut story = setting.story(name)?;
    let mut guest = story.guest()?;
    guest.send(&format!("{ANNOUNCE}{}", deploy("good-b")))?;
    story.expect(&["marks"])?;
    std::thread::sleep(cut);
    story.cut_power()?;
    drop(guest);
    let booted = story.next()?;
    ensure!(booted == "boot good-a" || booted == "boot good-b", "{booted} is none of the legal ones");
    story.expect(&[&booted.replace("boot", "up")])?;
    story.ledger()?;
    let known =
        story.run("cat /boot/EFI/other/other.efi; grep -c 'Another OS' /boot/loader/entries/other.conf")?;
    ensure!(known == "not ours\n1", "somebody else's boot entry was touched: {known}");
    let (booted, default) = (story.run("readlink /run/booted-system")?, story.default()?);
    let golden = story.toplevel("good-a")?;
    ensure!(default == booted || default == golden, "the default is {default} while {booted} runs");
    story.epilogue()?;
    Ok(story)
}

pub(super) fn damaged_ledger(setting: &Setting, name: &str) -> Result<Story> {
    const LEDGER: &str = "/var/lib/golden-generation/ledger.json";
    let mut story = setting.story(name)?;
    let golden = story.toplevel("good-a")?;
    for (number, damage) in ["printf '{\"format\": 1, \"conf'", "printf ''"].into_iter().enumerate() {
        story.run(&format!("{damage} > {LEDGER}; sync"))?;
        story.reboot()?;
        story.expect(&["boot good-a", "up good-a"])?;
        let kept = story.run("ls /var/lib/golden-generation/ | grep -c '^ledger.corrupt-'")?;
        ensure!(kept == (number + 1).to_string(), "the corrupt ledger was not kept: {kept}");
        let said = story.run("journalctl -b --no-pager -o cat | grep -c 'was not readable' || true")?;
        ensure!(said != "0", "the journal does not say that the ledger was corrupt");
        ensure!(story.ledger()?["confirmed"][0]["toplevel"] == golden, "what runs was not learnt anew");
    }
    let newer = r#"{"format": 9, "min_reader": 9, "revision": 7, "of": "the future"}"#;
    story.run(&format!("printf '%s' '{newer}' > {LEDGER}; sync"))?;
    story.reboot()?;
    story.expect(&["boot good-a", "up good-a"])?;
    ensure!(story.run(&format!("cat {LEDGER}"))? == newer, "a ledger of a newer build was changed");
    let said = story.run("journalctl -b --no-pager -o cat | grep -c 'newer build' || true")?;
    ensure!(said != "0", "the journal does not say that the ledger is too new");
    let pinned = story.run("readlink -f /nix/var/nix/profiles/system-profiles/golden")?;
    ensure!(pinned == golden, "golden was lost");
    Ok(story)
}

pub(super) fn kernel_missing(setting: &Setting, name: &str) -> Result<Story> {
    missing(setting, name, "kernel")
}

pub(super) fn initrd_missing(setting: &Setting, name: &str) -> Result<Story> {
    missing(setting, name, "initrd")
}

/// A boot file is lost after the trial was armed; the store still has it. Nobody can tell that from a person who picks golden
/// in the menu, so golden stays up, repairs the entry, and the trial waits for the next boot.
fn missing(setting: &Setting, name: &str, file: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let trial = story.toplevel("own-files")?;
    story.deploy("own-files")?;
    story.run(&format!("rm /boot/EFI/nixos/*-{file}-own-*; sync"))?;
    story.reboot()?;
    story.expect(&["boot good-a", "up good-a"])?;
    ensure!(story.boots_since_reboot()? == 1, "the firmware did not move on by itself");
    story.run(&format!("cmp {trial}/{file} /boot/EFI/nixos/*-{file}-own-*"))?;
    ensure!(story.one_shot()? == trial, "the trial is not armed again");
    story.reboot()?;
    story.expect(&["boot own-files", "up own-files"])?;
    ensure!(story.default()? == trial, "the default is not what was confirmed");
    story.epilogue()?;
    Ok(story)
}

pub(super) fn kernel_lost(setting: &Setting, name: &str) -> Result<Story> {
    lost(setting, name, "kernel")
}

pub(super) fn initrd_lost(setting: &Setting, name: &str) -> Result<Story> {
    lost(setting, name, "initrd")
}

/// The store has lost it too: what cannot be repaired is never armed, and each boot of golden counts that as an attempt.
fn lost(setting: &Setting, name: &str, file: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let trial = story.toplevel("own-files")?;
    story.deploy("own-files")?;
    story.run(&format!("rm /boot/EFI/nixos/*-{file}-own-*; rm $(readlink -f {trial}/{file}); sync"))?;
    for failures in 1..=2 {
        story.reboot()?;
        story.expect(&["boot good-a", "up good-a"])?;
        ensure!(story.one_shot()?.is_empty(), "what cannot boot was armed");
        let why = story.run("golden why")?;
        let named = why.matches("could not be started").count();
        ensure!(named == failures, "golden why does not name the causes:\n{why}");
    }
    let ledger = story.ledger()?;
    ensure!(ledger["quarantine"][0]["toplevel"] == trial, "it is not quarantined: {ledger}");
    // Its installer cannot write an entry for what is gone, so phase two has to wait for whoever mends the store.
    let golden = story.toplevel("good-a")?;
    ensure!(story.default()? == golden, "the default is not golden");
    Ok(story)
}

pub(super) fn kernel_garbage(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let (golden, garbage) = (story.toplevel("good-a")?, story.toplevel("kernel-garbage")?);
    let (_, said) = story.guest()?.try_run(&format!("set -e; {}", deploy("kernel-garbage")))?;
    ensure!(said.contains(&garbage), "the mark does not say what is not armed: {said}");
    ensure!(story.one_shot()?.is_empty(), "a kernel of random bytes was armed");
    ensure!(story.default()? == golden, "a kernel of random bytes is the default");
    story.reboot()?;
    story.expect(&["boot good-a", "up good-a"])?;
    Ok(story)
}
