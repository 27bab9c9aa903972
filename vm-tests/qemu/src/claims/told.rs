//! What the owner is told.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Setting;
use crate::machine::Options;
use crate::server::Server;
use crate::story::{Story, WITH_SUITE};

const DELIVER: &str = "systemctl start golden-notify.service";
const PUBLISHED: &str = "cat /run/golden-generation-public/status.json";

/// Both systems have a network: the one that fails could tell as well.
pub(super) fn once(setting: &Setting, name: &str) -> Result<Story> {
    let server = Server::start()?;
    let mut story = setting.story_with(name, Options { reaches_host: true, ..WITH_SUITE })?;
    story.deploy("net-up")?;
    story.reboot()?;
    story.expect(&["boot net-up", "up net-up"])?;
    story.run("pin-golden")?;
    let (golden, failed) = (story.toplevel("net-up")?, story.toplevel("net-broken")?);
    let target = format!("[target.server]\nkind = \"webhook\"\nurl = \"http://10.0.2.2:{}/\"", server.port());
    story.run(&format!("printf '%s\\n' '{target}' > /etc/golden-generation/notify.toml; {DELIVER}"))?;
    ensure!(server.received()?.is_empty(), "there was nothing to tell: {:?}", server.received()?);
    story.deploy("net-broken")?;
    story.reboot()?;
    story.expect(&["boot net-broken", "boot net-broken", "boot net-up"])?;
    ensure!(server.received()?.is_empty(), "it was told before it was done: {:?}", server.received()?);
    story.expect(&["up net-up"])?;
    // Nobody starts the delivery.
    let received = server.wait_for_one()?;
    let boot = story.run("tr -d - < /proc/sys/kernel/random/boot_id")?;
    let expected = [("kind", "rolled-back"), ("failed", &failed), ("runs", &golden), ("boot", &boot)];
    for (field, value) in expected {
        ensure!(received[field] == value, "{field} is not {value}: {received}");
    }
    let attempts = received["attempts"].as_array().map_or(0, Vec::len);
    ensure!(attempts == 2, "{attempts} attempts are told: {received}");
    shown(&mut story)?;
    // Neither the next look, nor the next boot, tells it again.
    story.run(DELIVER)?;
    story.reboot()?;
    story.expect(&["boot net-up", "up net-up"])?;
    story.run(DELIVER)?;
    let received = server.received()?;
    ensure!(received.len() == 1, "it was told {} times: {received:?}", received.len());
    story.epilogue()?;
    Ok(story)
}

/// Who logs in, and who looks from outside, sees it as well.
fn shown(story: &mut Story) -> Result<()> {
    story.run("systemctl start golden-publish.service")?;
    let greeting = story.run("cat /run/motd.d/*")?;
    ensure!(greeting.contains("golden why"), "the login does not tell it: {greeting}");
    let published: Value = serde_json::from_str(&story.run(PUBLISHED)?).context("what is published")?;
    ensure!(published["status"]["state"] == "rolled-back", "what is published: {published}");
    Ok(())
}
