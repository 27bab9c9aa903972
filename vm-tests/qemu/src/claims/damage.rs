//! Power cuts and files that are not what they were.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Setting;
use crate::matrix::LOST;
use crate::story::{Story, WITH_SUITE, deploy};

/// When the plug is pulled, after the switch began to mark: around the time that the mark's writes take.
const CUTS_MILLIS: [u64; 2] = [40, 200];

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

/// How `golden why` names the end of an attempt that the loader passed over.
const PASSED_OVER: &str = "could not be started: its boot files were not whole";

/// A boot partition that loses the same file whenever it is unmounted, after everything of ours that repairs it.
const LOSES: &str = r#"
printf '%s\n' '[Unit]' DefaultDependencies=no RequiresMountsFor=/boot Before=golden-boot-check.service \
  Conflicts=shutdown.target Before=shutdown.target '[Service]' Type=oneshot RemainAfterExit=yes ExecStart=/bin/true \
  'ExecStop=/bin/sh -c "rm /boot/EFI/nixos/*-FILE-own-*"' > /etc/systemd/system/loses.service
mkdir -p /etc/systemd/system/sysinit.target.wants
ln -s ../loses.service /etc/systemd/system/sysinit.target.wants/
systemctl daemon-reload; systemctl start loses.service
"#;

/// A firmware whose only entry of the disk is the loader that gives up: its shell resets the machine.
pub(super) fn initrd_missing_shell(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = Story::begin(&setting.image, name, None, WITH_SUITE)?;
    story.expect(&["boot good-a", "up good-a"])?;
    story.run("pin-golden; echo reset > /boot/startup.nsh")?;
    missing_twice(story, "initrd")
}

fn missing(setting: &Setting, name: &str, file: &str) -> Result<Story> {
    missing_twice(setting.story(name)?, file)
}

/// A boot file is lost after the trial was armed, and once more after golden repaired it.
fn missing_twice(mut story: Story, file: &str) -> Result<Story> {
    let trial = story.toplevel("own-files")?;
    story.deploy("own-files")?;
    story.run(&LOSES.replace("FILE", file))?;
    story.reboot()?;
    story.expect(&["boot good-a", "boot good-a", "up good-a"])?;
    ended_on_golden(&mut story, &trial, [PASSED_OVER; 2])?;
    let ledger = story.ledger()?;
    ensure!(ledger["rollback"].is_null(), "phase two is not done: {ledger}");
    story.epilogue()?;
    Ok(story)
}

pub(super) fn kernel_repaired(setting: &Setting, name: &str) -> Result<Story> {
    repaired(setting, name, "kernel")
}

pub(super) fn initrd_repaired(setting: &Setting, name: &str) -> Result<Story> {
    repaired(setting, name, "initrd")
}

/// A boot file is lost once. Golden comes up in the same start of the machine, repairs the entry from the store and goes on.
fn repaired(setting: &Setting, name: &str, file: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let trial = story.toplevel("own-files")?;
    story.deploy("own-files")?;
    story.run(&format!("rm /boot/EFI/nixos/*-{file}-own-*; sync"))?;
    story.reboot()?;
    story.expect(&["boot good-a", "boot own-files", "up own-files"])?;
    story.run(&format!("cmp {trial}/{file} /boot/EFI/nixos/*-{file}-own-*"))?;
    ensure!(story.default()? == trial, "the default is not what was confirmed");
    let history = story.history()?;
    let failures = history.iter().filter(|event| *event == "attempt-failed").count();
    ensure!(failures == 1, "history names {failures} failed attempts: {history:?}");
    story.epilogue()?;
    Ok(story)
}

pub(super) fn kernel_lost(setting: &Setting, name: &str) -> Result<Story> {
    lost(setting, name, "kernel")
}

pub(super) fn initrd_lost(setting: &Setting, name: &str) -> Result<Story> {
    lost(setting, name, "initrd")
}

/// The store has lost it too. That the loader passed over it is one failed attempt; that it can never be armed again is the
/// other one, for another boot would change nothing.
fn lost(setting: &Setting, name: &str, file: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let (golden, trial) = (story.toplevel("good-a")?, story.toplevel("own-files")?);
    story.deploy("own-files")?;
    story.run(&format!("rm /boot/EFI/nixos/*-{file}-own-*; sync"))?;
    in_store(&mut story, &format!("rm $(readlink -f {trial}/{file}); sync"))?;
    story.reboot()?;
    story.expect(&["boot good-a", "up good-a"])?;
    let why = format!("could not be started: cannot copy {trial}/{file}");
    ended_on_golden(&mut story, &trial, [PASSED_OVER, &why])?;
    ensure!(story.one_shot()?.is_empty(), "what cannot boot was armed");
    // NixOS's installer, as the one here, stops at a generation whose files are gone: phase two waits until a person has repaired
    // the store, and says so.
    let status = story.run("golden status")?;
    ensure!(status.contains(&format!("rollback: to {golden} is not finished")), "the status is:\n{status}");
    story.run("systemctl is-failed golden-rollback.service")?;
    let boots = story.boots_since_reboot()?;
    ensure!(boots == LOST.total(), "the machine was up after {boots} boots");
    story.reboot()?;
    story.expect(&["boot good-a", "up good-a"])?;
    ensure!(story.default()? == golden, "the default is not golden");
    Ok(story)
}

/// Do something to the store, which is mounted read-only.
fn in_store(story: &mut Story, command: &str) -> Result<()> {
    story
        .run(&format!("unshare --mount sh -ec 'mount -o remount,rw,bind /nix/store; {command}'"))
        .map(drop)
        .with_context(|| format!("cannot change the store: {command}"))
}

/// The unit as it is shipped, on the store as NixOS mounts it. Every system has NixOS's script that appends secrets.
pub(super) fn verify(setting: &Setting, name: &str) -> Result<Story> {
    const INITRD: &str = "/boot/EFI/nixos/*-initrd-initrd.efi";
    let mut story = setting.story(name)?;
    let golden = story.toplevel("good-a")?;
    let (touched, said) = story.guest()?.try_run("touch /nix/store/x")?;
    ensure!(touched != 0 && said.contains("Read-only file system"), "the store is not read-only: {said}");
    story
        .run("systemctl start golden-verify.service")
        .context("golden-verify fails on a golden that is whole")?;
    story.run(&format!(
        "rm {INITRD}; sync; systemctl start golden-verify.service; cmp {golden}/initrd {INITRD}"
    ))?;
    story.run(&format!(
        "printf x >> {INITRD}; sync; systemctl start golden-verify.service; cmp {golden}/initrd {INITRD}"
    ))?;
    let events = story.history()?;
    ensure!(
        !events.iter().any(|event| event == "golden-damaged"),
        "a golden that is whole is damaged: {events:?}"
    );
    in_store(&mut story, &format!("printf x | dd of={golden}/etc/fstab bs=1 conv=notrunc; sync"))?;
    let (status, _) = story.guest()?.try_run("systemctl start golden-verify.service")?;
    ensure!(status != 0, "a byte that changed in golden was not found");
    let said = story.run("journalctl -b --no-pager -o cat -u golden-verify.service")?;
    ensure!(said.contains("was modified"), "the journal does not say what changed: {said}");
    let events = story.history()?;
    ensure!(events.iter().any(|event| event == "golden-damaged"), "the owner is not told: {events:?}");
    story.run("systemctl reset-failed golden-verify.service")?;
    story.epilogue()?;
    Ok(story)
}

/// The trial is quarantined after two failed attempts with these causes, and golden is what boots.
fn ended_on_golden(story: &mut Story, trial: &str, causes: [&str; 2]) -> Result<()> {
    let ledger = story.ledger()?;
    ensure!(ledger["quarantine"][0]["toplevel"] == trial, "it is not quarantined: {ledger}");
    let named = story.attempts()?;
    ensure!(
        named.len() == 2 && named.iter().zip(causes).all(|(line, cause)| line.contains(cause)),
        "golden why does not name the causes {causes:?}: {named:#?}"
    );
    let golden = story.toplevel("good-a")?;
    ensure!(story.default()? == golden, "the default is not golden");
    Ok(())
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
