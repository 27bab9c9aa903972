//! Machines that the firmware starts from another partition, and a kernel that was not started by the firmware.

use anyhow::{Result, ensure};

use super::Setting;
use crate::story::{Story, WITH_SUITE};

/// The partition that the firmware started the loader from, and the second ESP.
const STARTED_FROM: &str = "cat /sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f | \
    tail -c +5 | tr -d '\\0' | tr A-F a-f";
const SECOND_ESP: &str =
    "sed -n 's/^E:ID_PART_ENTRY_UUID=//p' /run/udev/data/b$(cat /sys/class/block/vda3/dev)";
/// The last line of each `loader.conf` that names a default.
const DEFAULTS: &str =
    "for esp in /boot /boot2; do sed -n 's/^default //p' $esp/loader/loader.conf | tail -n1; done | uniq";

/// The owner copies the ESP to a second disk, which comes first for the firmware from the next boot on.
pub(super) fn second_esp(setting: &Setting, name: &str) -> Result<Story> {
    let image = setting.image.with_second_esp()?;
    let mut story = Story::begin(&image, name, None, WITH_SUITE)?;
    story.expect(&["boot good-a", "up good-a"])?;
    story.configure("mirrored_boot_partitions = [\"/boot2\"]")?;
    story.run("for esp in /boot /boot2; do bootctl --esp-path=$esp install; done")?;
    story.run("pin-golden")?;
    let golden = story.toplevel("good-a")?;
    let second = story.run(SECOND_ESP)?;
    ensure!(story.run(STARTED_FROM)? != second, "the firmware starts from the second ESP already");

    story.deploy("panic")?;
    keeps_both_alike(&mut story)?;
    story.reboot()?;
    story.expect(&["panic", "boot good-a", "panic", "boot good-a", "up good-a"])?;
    ensure!(story.run(STARTED_FROM)? == second, "the firmware does not start from the second ESP");
    let ledger = story.ledger()?;
    ensure!(
        ledger["quarantine"].as_array().is_some_and(|all| all.len() == 1),
        "nothing is quarantined: {ledger}"
    );
    ensure!(story.default()? == golden, "the default is not golden");
    keeps_both_alike(&mut story)?;

    story.deploy("good-b")?;
    story.reboot()?;
    story.expect(&["boot good-b", "up good-b"])?;
    ensure!(story.boots_since_reboot()? == 1, "good-b was not up at once");
    let confirmed = story.toplevel("good-b")?;
    ensure!(story.default()? == confirmed, "the default is not what was confirmed");
    keeps_both_alike(&mut story)?;
    story.epilogue()?;
    Ok(story)
}

fn keeps_both_alike(story: &mut Story) -> Result<()> {
    let defaults = story.run(DEFAULTS)?;
    ensure!(
        !defaults.is_empty() && !defaults.contains('\n'),
        "the two ESPs have these defaults:\n{defaults}"
    );
    story
        .run("diff -r /boot/loader/entries /boot2/loader/entries; diff -r /boot/EFI/nixos /boot2/EFI/nixos")
        .map(drop)
}

/// The units of the suite in a crash kernel whose rescue shell is up: the result of each condition, and each unit that runs.
const LEFT_ALONE: &str = "systemctl show -P ConditionResult golden-emergency.service golden-deadline.service; \
    systemctl list-units --plain --no-legend --state=active,activating,failed 'golden-*.service' | grep -v boot-check; true";

/// Two panics of one trial, each with a dump that takes as long as it takes.
pub(super) fn crash_dump(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    story.deploy("crash-dump")?;
    story.reboot()?;
    for number in 1..=2 {
        story.expect(&["boot crash-dump", "boot crash-dump", "saves"])?;
        let left_alone = story.run(LEFT_ALONE)?;
        ensure!(left_alone.split_whitespace().all(|word| word == "no"), "the crash kernel runs {left_alone}");
        let open = &story.ledger()?["trial"]["attempts"];
        ensure!(
            open.as_array().is_some_and(|all| all.len() == number),
            "panic {number} has these attempts: {open}"
        );
        story.run("touch /run/go-on")?;
        story.expect(&["saved"])?;
    }
    story.expect(&["boot good-a", "up good-a"])?;
    let named = story.attempts()?;
    ensure!(
        named.len() == 2 && named.iter().all(|line| line.contains("Kernel panic")),
        "golden why does not name two panics: {named:#?}"
    );
    let dumps = story.run("stat -c %s /var/dump-*")?;
    ensure!(dumps == "8388608\n8388608", "the dumps have these sizes:\n{dumps}");
    story.epilogue()?;
    Ok(story)
}
