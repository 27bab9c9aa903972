//! A switch of the running system goes back by itself, without a reboot.

use anyhow::{Result, ensure};

use super::Setting;
use crate::machine::Options;
use crate::shell::free_port;
use crate::story::{Story, WITH_SUITE};

const RUNNING: &str = "readlink /run/current-system";
/// The only check of the systems with a network.
const GATEWAY: &str = "golden check";

/// A machine with a network, on `net-up`, which is confirmed.
fn connected(setting: &Setting, name: &str) -> Result<Story> {
    let options = Options { ssh_port: Some(free_port()?), ..WITH_SUITE };
    let mut story = setting.story_with(name, options)?;
    story.deploy("net-up")?;
    story.reboot()?;
    story.expect(&["boot net-up", "up net-up"])?;
    story.run(GATEWAY)?;
    Ok(story)
}

/// Nothing of a switch that failed is left.
fn is_back(story: &mut Story, to: &str, failed: &str) -> Result<()> {
    ensure!(story.run(RUNNING)? == to, "it is not what runs");
    ensure!(story.profile()? == to, "the profile is {}", story.profile()?);
    ensure!(story.default()? == to, "the default is {}", story.default()?);
    ensure!(story.one_shot()? != failed, "the failed one is armed");
    Ok(())
}

pub(super) fn cuts_network(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = connected(setting, name)?;
    story.configure("[live]\nwindow_secs = 20")?;
    let (up, cut) = (story.toplevel("net-up")?, story.toplevel("net-cut")?);
    let boots = story.boots()?;
    let status = story.switch_live("net-cut")?;
    ensure!(status == 0, "the switch exited with {status}");
    ensure!(story.guest()?.try_run(GATEWAY)?.0 != 0, "the network was not cut");
    let ledger = story.wait_for_verdict()?;
    is_back(&mut story, &up, &cut)?;
    story.run(GATEWAY)?;
    ensure!(ledger["quarantine"][0]["toplevel"] == cut, "it is not quarantined: {ledger}");
    ensure!(story.boots()? == boots, "the machine was rebooted");
    // It is not deployed again, and nothing of the attempt is left.
    story.refused("net-cut", "switch")?;
    is_back(&mut story, &up, &cut)?;
    story.epilogue()?;
    Ok(story)
}

pub(super) fn power_cut(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = connected(setting, name)?;
    let (up, cut) = (story.toplevel("net-up")?, story.toplevel("net-cut")?);
    story.switch_live("net-cut")?;
    ensure!(story.run(RUNNING)? == cut, "it does not run");
    story.cut_power()?;
    story.expect(&["boot net-up", "up net-up"])?;
    is_back(&mut story, &up, &cut)?;
    story.run(GATEWAY)?;
    let ledger = story.ledger()?;
    ensure!(ledger["undecided"][0]["toplevel"] == cut, "the failure is not remembered: {ledger}");
    ensure!(ledger["live"].is_null(), "it is not over: {ledger}");
    story.epilogue()?;
    Ok(story)
}

/// It works, a second one ends half-way, and one whose watcher is killed goes back all the same.
pub(super) fn works_or_not(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    story.configure("[live]\nwindow_secs = 20")?;
    let (a, b, half) = (story.toplevel("good-a")?, story.toplevel("good-b")?, story.toplevel("half-way")?);
    story.switch_live("half-way")?;
    let ledger = story.wait_for_verdict()?;
    is_back(&mut story, &a, &half)?;
    ensure!(ledger["undecided"][0]["toplevel"] == half, "the failure is not remembered: {ledger}");
    // The activation takes its time, and the watcher dies meanwhile.
    story.run("systemctl status golden-live >/dev/null 2>&1; true")?;
    story.switch_live("check-fails")?;
    story.run("systemctl kill --signal=KILL golden-live.service; true")?;
    let ledger = story.wait_for_verdict()?;
    let failed = story.toplevel("check-fails")?;
    is_back(&mut story, &a, &failed)?;
    ensure!(ledger["quarantine"][0]["toplevel"] == failed, "it is not quarantined: {ledger}");
    story.switch_live("good-b")?;
    story.wait_for_verdict()?;
    ensure!(story.run(RUNNING)? == b, "what works was taken back");
    ensure!(story.one_shot()? == b, "what works is not tried by the next boot");
    ensure!(story.default()? == a, "what was not booted is the default");
    story.reboot()?;
    story.expect(&["boot good-b", "up good-b"])?;
    ensure!(story.default()? == b, "it was not confirmed");
    story.epilogue()?;
    Ok(story)
}
