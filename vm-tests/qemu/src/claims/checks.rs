//! Booting is not working: what health checks decide.

use anyhow::{Result, ensure};

use super::Setting;
use crate::story::Story;

pub(super) fn wanted(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let system = story.toplevel("wanted-fails")?;
    story.deploy("wanted-fails")?;
    story.reboot()?;
    story.expect(&["boot wanted-fails", "up wanted-fails"])?;
    let ledger = story.ledger()?;
    ensure!(story.default()? == system, "it was not confirmed: {ledger}");
    let history = story.run("golden history --json")?;
    let told = |line: &&str| line.contains("checks-failed") && line.contains("nice-to-have");
    ensure!(history.lines().filter(told).count() == 1, "history does not tell it once:\n{history}");
    story.epilogue()?;
    Ok(story)
}

/// The same unit fails before the switch and after it; then the same check.
pub(super) fn failed_before(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let system = story.toplevel("odd-unit")?;
    story.run("systemctl start odd.service 2>/dev/null; cp /nix/var/nix/gcroots/vm-odd-unit/etc/systemd/system/odd.service /run/systemd/system/; \
        systemctl daemon-reload; systemctl start odd.service || systemctl is-failed odd.service")?;
    story.deploy("odd-unit")?;
    let ledger = story.ledger()?;
    ensure!(
        ledger["trial"]["baseline"]["failed_units"] == serde_json::json!(["odd.service"]),
        "the baseline does not have it: {ledger}"
    );
    story.reboot()?;
    story.expect(&["boot odd-unit", "up odd-unit"])?;
    ensure!(story.default()? == system, "it was not confirmed");
    // It fails since a moment ago: what it said in the boot is not what counts.
    let checks = story.run("cat /nix/var/nix/gcroots/vm-check-fails/etc/golden-generation/checks.toml")?;
    story.run(&format!("echo '{checks}' > /etc/golden-generation/checks.toml"))?;
    story.deploy("check-fails")?;
    let ledger = story.ledger()?;
    let failed = &ledger["trial"]["baseline"]["failed_checks"];
    ensure!(*failed == serde_json::json!(["web"]), "the baseline does not have it: {ledger}");
    story.reboot()?;
    story.expect(&["boot check-fails", "up check-fails"])?;
    ensure!(story.default()? == story.toplevel("check-fails")?, "it was not confirmed");
    story.epilogue()?;
    Ok(story)
}

/// It is confirmed, and what it is for breaks while it is on probation.
pub(super) fn late(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let (golden, late) = (story.toplevel("good-a")?, story.toplevel("fails-late")?);
    story.deploy("fails-late")?;
    story.reboot()?;
    story.expect(&["boot fails-late", "up fails-late"])?;
    ensure!(story.default()? == late, "it was not confirmed");
    story.rebooted_by("touch /run/broken")?;
    story.expect(&["boot good-a", "up good-a"])?;
    ensure!(story.default()? == golden, "the default is {}", story.default()?);
    ensure!(story.profile()? == golden, "the profile is {}", story.profile()?);
    let ledger = story.ledger()?;
    ensure!(ledger["quarantine"][0]["toplevel"] == late, "it is not quarantined: {ledger}");
    let history = story.history()?;
    let told = history.iter().filter(|event| *event == "failed-late").count();
    ensure!(told == 1, "history tells it {told} times: {history:?}");
    let why = story.run("golden why")?;
    ensure!(why.contains("web"), "golden why does not name the check:\n{why}");
    story.epilogue()?;
    Ok(story)
}
