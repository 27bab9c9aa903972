//! Switches that work and that do not.

use anyhow::{Result, ensure};

use super::Setting;
use crate::story::Story;

/// Everything that a healthy reboot must leave alone. The loader itself renews its random seed.
const UNTOUCHED: &str = "cd /; stat -c '%n %i %s %Y' /var/lib/golden-generation/ledger.json; \
    sha256sum /var/lib/golden-generation/ledger.json; \
    find /boot -type f ! -name 'random-seed' -printf '%p %s %T@\\n' | sort; \
    find /boot -type f ! -name 'random-seed' -exec sha256sum {} + | sort";

pub(super) fn good_switch(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let (a, b) = (story.toplevel("good-a")?, story.toplevel("good-b")?);
    story.deploy("good-b")?;
    let ledger = story.ledger()?;
    ensure!(ledger["trial"]["toplevel"] == b, "good-b was not marked: {ledger}");
    ensure!(ledger["trial"]["arming"] == "armed", "good-b was not armed: {ledger}");
    ensure!(story.default()? == a, "the default is not golden while the trial waits");
    ensure!(story.one_shot()? == b, "the one-shot is {}", story.one_shot()?);
    story.reboot()?;
    story.expect(&["boot good-b", "up good-b"])?;
    let ledger = story.ledger()?;
    ensure!(ledger["trial"].is_null(), "the trial is not over: {ledger}");
    ensure!(
        ledger["confirmed"].as_array().and_then(|all| all.last()).is_some_and(|last| last["toplevel"] == b)
    );
    ensure!(story.default()? == b, "the default is not what was confirmed");
    ensure!(story.one_shot()?.is_empty(), "something is still armed: {}", story.one_shot()?);
    let before = story.run(UNTOUCHED)?;
    for _ in 0..2 {
        story.reboot()?;
        story.expect(&["boot good-b", "up good-b"])?;
    }
    let after = story.run(UNTOUCHED)?;
    ensure!(before == after, "two reboots changed something:\n{before}\n--\n{after}");
    story.epilogue()?;
    Ok(story)
}

pub(super) fn person_reboots(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let slow = story.toplevel("slow")?;
    story.deploy("slow")?;
    story.reboot()?;
    let mut armed_at = Vec::new();
    for _ in 0..3 {
        story.expect(&["boot slow", "waits"])?;
        armed_at.push(story.ledger()?["trial"]["armed_at"].as_u64());
        story.reboot()?;
    }
    story.expect(&["boot slow", "waits"])?;
    let ledger = story.ledger()?;
    let first = armed_at[0];
    let one_each = (0..3).map(|boots| first.map(|first| first + boots));
    ensure!(
        first.is_some() && one_each.eq(armed_at.iter().copied()),
        "the firmware's counter does not count boots: {armed_at:?}"
    );
    let attempts = ledger["trial"]["attempts"].as_array().cloned().unwrap_or_default();
    let innocent = attempts.iter().filter(|attempt| attempt["end"]["kind"] == "innocent").count();
    ensure!(
        (attempts.len(), innocent) == (4, 3),
        "the attempts are not three innocent ones and one: {ledger}"
    );
    story.run("touch /run/go-on")?;
    story.expect(&["up slow"])?;
    ensure!(story.default()? == slow, "the default is not what was confirmed");
    story.epilogue()?;
    Ok(story)
}

/// As many as `max_interruptions`: the last one counts as one failure, and one is not enough.
pub(super) fn five_reboots(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let slow = story.toplevel("slow")?;
    story.deploy("slow")?;
    for _ in 0..5 {
        story.reboot()?;
        story.expect(&["boot slow", "waits"])?;
    }
    story.reboot()?;
    story.expect(&["boot slow", "waits"])?;
    story.run("touch /run/go-on")?;
    story.expect(&["up slow"])?;
    ensure!(story.default()? == slow, "the default is not what was confirmed");
    story.epilogue()?;
    Ok(story)
}
