//! What follows when golden does not work either, people at the console, and rehearsals.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Setting;
use crate::machine::Options;
use crate::shell::free_port;
use crate::story::{Story, WITH_SUITE};

/// Longest until the network of a machine is up, after its console said everything else.
const NETWORK: Duration = Duration::from_secs(120);
/// Two boots, on a slow day: nothing may happen in this time.
const TWO_BOOTS: Duration = Duration::from_secs(90);

/// A machine whose golden is `good-a` and that runs `good-b`, confirmed too.
pub(super) fn two_good(setting: &Setting, name: &str, options: Options) -> Result<Story> {
    let mut story = setting.story_with(name, options)?;
    story.deploy("good-b")?;
    story.reboot()?;
    story.expect(&["boot good-b", "up good-b"])?;
    Ok(story)
}

/// From now on the required unit of these systems fails.
fn break_systems(story: &mut Story, names: &[&str]) -> Result<()> {
    let files: Vec<String> = names.iter().map(|name| format!("/var/lib/vm-fails/{name}")).collect();
    story.run(&format!("mkdir -p /var/lib/vm-fails; touch {}; sync", files.join(" "))).map(drop)
}

pub(super) fn golden_broken(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = two_good(setting, name, WITH_SUITE)?;
    break_systems(&mut story, &["good-a"])?;
    let (golden, confirmed) = (story.toplevel("good-a")?, story.toplevel("good-b")?);
    story.deploy("broken-unit")?;
    story.reboot()?;
    story.expect(&["boot broken-unit", "boot broken-unit", "boot good-a", "boot good-b", "up good-b"])?;
    ensure!(story.default()? == confirmed, "the default is not what was confirmed last");
    let pinned = story.run("readlink -f /nix/var/nix/profiles/system-profiles/golden")?;
    ensure!(pinned == golden, "a rollback pinned something: {pinned}");
    let named = story.attempts()?;
    ensure!(
        named.last().is_some_and(|line| line.contains("vm-required.service failed")),
        "golden why does not name what golden died of: {named:#?}"
    );
    story.epilogue()?;
    Ok(story)
}

pub(super) fn all_broken(setting: &Setting, name: &str) -> Result<Story> {
    let port = free_port()?;
    let mut story = two_good(setting, name, Options { ssh_port: Some(port), ..WITH_SUITE })?;
    break_systems(&mut story, &["good-a", "good-b"])?;
    story.deploy("broken-unit")?;
    story.reboot()?;
    story.expect(&["boot broken-unit", "boot broken-unit", "boot good-a"])?;
    // The last rung has as many attempts as a trial; then it boots into safe mode.
    story.expect(&["boot good-b", "boot good-b", "boot good-b"])?;
    ssh_answers(port)?;
    let boots = story.boots_since_reboot()?;
    let status = story.run("golden status")?;
    ensure!(status.starts_with("safe-mode\n"), "the status is:\n{status}");
    let safe = story.run("systemctl is-active golden-safe-mode.target")?;
    ensure!(safe == "active", "the target of safe mode is {safe}");
    story.stays_quiet(TWO_BOOTS)?;
    let later = story.boots_since_reboot()?;
    ensure!(boots == later, "the machine rebooted {} times in safe mode", later - boots);
    ssh_answers(port)?;
    Ok(story)
}

/// A disk that every system needs is gone: a mount in `/etc`, whatever their own tables say.
const DISK_IS_GONE: &str = r"
printf '%s\n' '[Unit]' Before=local-fs.target '[Mount]' What=/dev/disk/by-label/gone Where=/srv Type=ext4 \
  > /etc/systemd/system/srv.mount
mkdir -p /etc/systemd/system/local-fs.target.requires '/etc/systemd/system/dev-disk-by\x2dlabel-gone.device.d'
printf '%s\n' '[Unit]' JobRunningTimeoutSec=5s > '/etc/systemd/system/dev-disk-by\x2dlabel-gone.device.d/wait.conf'
ln -s ../srv.mount /etc/systemd/system/local-fs.target.requires/
sync
";

pub(super) fn all_broken_disk_gone(setting: &Setting, name: &str) -> Result<Story> {
    let port = free_port()?;
    let mut story = two_good(setting, name, Options { ssh_port: Some(port), ..WITH_SUITE })?;
    // How often each is tried is proved elsewhere, and each countdown takes its time.
    story.configure("max_failures = 1")?;
    story.deploy("mount-never")?;
    story.run(DISK_IS_GONE)?;
    story.reboot()?;
    for system in ["mount-never", "good-a", "good-b"] {
        story.expect(&[&format!("boot {system}")])?;
        story.wait_for("ended in emergency mode")?;
    }
    // The countdown of the last one is over, and there is nothing left to reboot into.
    story.wait_for("SAFE MODE")?;
    in_safe_mode_beside_emergency(&mut story, port)?;
    // A person reboots, and the disk is still gone.
    story.reboot()?;
    story.expect(&["boot good-b"])?;
    story.wait_for("SAFE MODE")?;
    in_safe_mode_beside_emergency(&mut story, port)?;
    Ok(story)
}

fn in_safe_mode_beside_emergency(story: &mut Story, port: u16) -> Result<()> {
    ssh_answers(port)?;
    let boots = story.boots_since_reboot()?;
    let status = story.run("golden status")?;
    ensure!(status.starts_with("safe-mode\n"), "the status is:\n{status}");
    story.stays_quiet(TWO_BOOTS)?;
    story.run("systemctl is-active emergency.target golden-safe-mode.target")?;
    let later = story.boots_since_reboot()?;
    ensure!(boots == later, "the machine rebooted {} times in safe mode", later - boots);
    ssh_answers(port)
}

/// Wait until an SSH server says what it is.
fn ssh_answers(port: u16) -> Result<()> {
    let deadline = Instant::now() + NETWORK;
    while Instant::now() < deadline {
        // QEMU accepts before the machine does, and hangs up if that does not.
        let said = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let mut banner = [0; 4];
            stream.read_exact(&mut banner).map(|()| banner)
        });
        if said.is_ok_and(|banner| &banner == b"SSH-") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    bail!("no SSH server answers")
}

pub(super) fn countdown_stopped(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    story.deploy("mount-never")?;
    story.reboot()?;
    story.expect(&["boot mount-never"])?;
    story.wait_for("ended in emergency mode")?;
    story.machine.type_line("stay")?;
    story.wait_for("no reboot")?;
    let boots = story.boots_since_reboot()?;
    story.stays_quiet(TWO_BOOTS)?;
    ensure!(story.boots_since_reboot()? == boots, "the machine rebooted although a person stopped it");
    let ledger = story.ledger()?;
    let end = &ledger["trial"]["attempts"][0]["end"];
    ensure!(end["cause"]["kind"] == "emergency", "the attempt is not closed: {ledger}");
    // The person is done, and the next attempt goes the way of all attempts.
    story.reboot()?;
    story.expect(&["boot mount-never"])?;
    story.wait_for("ended in emergency mode")?;
    story.expect(&["boot good-a", "up good-a"])?;
    story.epilogue()?;
    Ok(story)
}

pub(super) fn drill_unit(setting: &Setting, name: &str) -> Result<Story> {
    drill(setting, name, "unit", &["boot good-b", "boot good-b", "boot good-a", "up good-a"])
}

pub(super) fn drill_panic(setting: &Setting, name: &str) -> Result<Story> {
    // What is the default comes up after the second, and has golden booted.
    let boots = ["boot good-b", "boot good-b", "boot good-b", "boot good-a", "up good-a"];
    drill(setting, name, "panic", &boots)
}

fn drill(setting: &Setting, name: &str, injection: &str, boots: &[&str]) -> Result<Story> {
    let mut story = two_good(setting, name, WITH_SUITE)?;
    let rehearsed = story.toplevel("good-b")?;
    story.rebooted_by(&format!("golden drill {injection} --yes"))?;
    story.expect(boots)?;
    let history = story.run("golden history --json")?;
    let ended =
        history.lines().find(|line| line.contains("\"drill-ended\"")).context("no rehearsal ended")?;
    ensure!(ended.contains("\"passed\":true"), "the rehearsal did not pass: {ended}");
    ensure!(story.default()? == rehearsed, "what was the default is not it again");
    let ledger = story.ledger()?;
    ensure!(ledger["quarantine"].as_array().is_some_and(Vec::is_empty), "it was quarantined: {ledger}");
    story.epilogue()?;
    Ok(story)
}
