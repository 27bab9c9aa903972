//! Golden, and a machine without us.

use anyhow::{Result, ensure};

use super::Setting;
use super::ladder::two_good;
use crate::machine::Options;
use crate::story::{Story, WITH_SUITE};

pub(super) fn after_rollback(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let (golden, failed) = (story.toplevel("good-a")?, story.toplevel("broken-unit")?);
    story.deploy("broken-unit")?;
    // Only the failed generation's own link keeps its closure now.
    story.run("rm /nix/var/nix/gcroots/vm-broken-unit")?;
    story.reboot()?;
    story.expect(&["boot broken-unit", "boot broken-unit", "boot good-a", "up good-a"])?;
    ensure!(story.profile()? == golden, "the system profile points at {}", story.profile()?);
    ensure!(story.default()? == golden, "the default is not golden");
    let ledger = story.ledger()?;
    ensure!(ledger["quarantine"][0]["toplevel"] == failed, "it is not quarantined: {ledger}");
    ensure!(ledger["rollback"].is_null(), "phase two is not done: {ledger}");
    story.run(&format!("nix-store --check-validity {failed}; test -e {failed}/init"))?;
    let history = story.history()?;
    let failures = history.iter().filter(|event| *event == "attempt-failed").count();
    ensure!(failures == 2, "history names {failures} failed attempts: {history:?}");
    let status = story.run("golden status")?;
    ensure!(status.starts_with("rolled-back\n"), "the status is:\n{status}");
    let again = format!("{failed}/bin/switch-to-configuration boot");
    let (refused, said) = story.guest()?.try_run(&again)?;
    ensure!(
        refused != 0 && said.contains("quarantined"),
        "the quarantined system was deployed again: {said}"
    );
    ensure!(story.default()? == golden, "a quarantined system became the default");
    story.epilogue()?;
    Ok(story)
}

/// As comin tidies up after a deployment: every profile that it did not make goes. Nothing else holds golden here, for a newer
/// system was confirmed, and the store is cleaned before the trial boots.
pub(super) fn tidied_away(setting: &Setting, name: &str) -> Result<Story> {
    const TIDY: &str = "cd /nix/var/nix/profiles; rm -f system-profiles/golden system-profiles/golden-*-link system-1-link \
        /nix/var/nix/gcroots/vm-good-a";
    const PUT_BACK: &str = "for _ in $(seq 600); do \
        systemctl -q is-active golden-profile.service || { readlink -e /nix/var/nix/profiles/system-profiles/golden && exit; }; \
        sleep 0.1; done; exit 1";
    let mut story = setting.story(name)?;
    let golden = story.toplevel("good-a")?;
    story.deploy("good-b")?;
    story.reboot()?;
    story.expect(&["boot good-b", "up good-b"])?;
    story.run(TIDY)?;
    story.run("nix-collect-garbage >/dev/null 2>&1")?;
    story.run(&format!("test -e {golden}/init; nix-store --check-validity {golden}"))?;
    let back = story.run(PUT_BACK)?;
    ensure!(back == golden, "golden's profile names {back}");
    story.deploy("broken-unit")?;
    let pinned = story.run("readlink -f /nix/var/nix/profiles/system-profiles/golden")?;
    ensure!(pinned == golden, "golden's profile names {pinned} after a switch");
    story.run(&format!("grep -l 'init={golden}/init' /boot/loader/entries/*"))?;
    // Once more, and the machine goes down before anybody can put it back.
    story.run("systemctl stop golden-profile.path")?;
    story.run(TIDY)?;
    story.reboot()?;
    story.expect(&["boot broken-unit", "boot broken-unit", "boot good-a", "up good-a"])?;
    ensure!(story.default()? == golden, "the default is not golden");
    let pinned = story.run("readlink -f /nix/var/nix/profiles/system-profiles/golden")?;
    ensure!(pinned == golden, "golden's profile names {pinned} after the rollback");
    let status = story.run("golden status")?;
    ensure!(status.contains(&golden), "golden is not in the status:\n{status}");
    story.epilogue()?;
    Ok(story)
}

pub(super) fn pin(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let golden = story.toplevel("good-a")?;
    story.deploy("slow")?;
    story.reboot()?;
    story.expect(&["boot slow", "waits"])?;
    let (status, said) = story.guest()?.try_run("pin-golden")?;
    ensure!(status == 77, "pin-golden exited with {status}: {said}");
    ensure!(said.contains("never confirmed"), "pin-golden does not say why: {said}");
    story.run("touch /run/go-on")?;
    story.expect(&["up slow"])?;
    story.run("rm /nix/var/nix/gcroots/vm-good-a; nix-collect-garbage -d >/dev/null 2>&1")?;
    story.run("/nix/var/nix/profiles/system/bin/switch-to-configuration boot")?;
    story.run(&format!("test -e {golden}/init; nix-store --check-validity {golden}"))?;
    let entries = story.run(&format!("grep -l 'init={golden}/init' /boot/loader/entries/*.conf"))?;
    ensure!(entries.contains("golden"), "golden has no boot entry: {entries}");
    ensure!(
        story.run("ls /nix/var/nix/profiles")?.matches("system-1-link").count() == 0,
        "nothing was collected"
    );
    story.epilogue()?;
    Ok(story)
}

/// Golden is older than what was confirmed last, and dies in its initrd: nothing of the suite runs there.
pub(super) fn golden_panics(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = two_good(setting, name, WITH_SUITE)?;
    let (golden, confirmed) = (story.toplevel("good-a")?, story.toplevel("good-b")?);
    story.deploy("broken-unit")?;
    ensure!(story.default()? == confirmed, "the default is not what was confirmed last");
    let roots = story.run(&format!("nix-store --query --roots {confirmed}"))?;
    ensure!(
        roots.contains("golden-generation-default"),
        "a collection of garbage would take the default: {roots}"
    );
    story.run(&format!(
        "sed -i '/^options.*{}/s/$/ golden.vm-panic/' /boot/loader/entries/nixos-*.conf; sync",
        golden.trim_start_matches("/nix/store/")
    ))?;
    story.reboot()?;
    story.expect(&["boot broken-unit", "boot broken-unit", "panic", "boot good-b", "up good-b"])?;
    ensure!(story.boots_since_reboot()? == 4, "golden was not tried");
    ensure!(story.default()? == confirmed, "the default is not what took over");
    let ledger = story.ledger()?;
    ensure!(ledger["failed_landings"][0]["toplevel"] == golden, "golden did not fail: {ledger}");
    let pinned = story.run("readlink -f /nix/var/nix/profiles/system-profiles/golden")?;
    ensure!(pinned == golden, "a rollback pinned something: {pinned}");
    story.epilogue()?;
    Ok(story)
}

pub(super) fn disabled(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    story.deploy("disabled")?;
    let before = story.run("sha256sum /var/lib/golden-generation/*")?;
    story.reboot()?;
    story.expect(&["boot disabled", "up disabled"])?;
    ensure!(story.run("sha256sum /var/lib/golden-generation/*")? == before, "something of ours ran");
    let ran =
        story.run("journalctl -b --no-pager _COMM=golden-boot-che + _COMM=golden-confirm -o cat | wc -l")?;
    ensure!(ran == "0", "something of ours spoke");
    for unit in ["golden-boot-check", "golden-confirm", "golden-rollback", "golden-shutdown"] {
        let state = story.run(&format!("systemctl show -P ConditionResult {unit}"))?;
        ensure!(state == "no", "{unit} was started: {state}");
    }
    story.epilogue()?;
    Ok(story)
}

pub(super) fn without_us(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = Story::begin(&setting.image, name, None, Options::default())?;
    story.expect(&["boot good-a", "up good-a"])?;
    story.deploy("good-b")?;
    let b = story.toplevel("good-b")?;
    ensure!(story.default()? == b, "the installer of the test does not work");
    let without = story.run("cat /boot/loader/loader.conf; ls /boot/loader/entries")?;
    story.power_off()?;
    drop(story);
    // The same with the suite and no ledger: the switch and the boot leave the loader exactly as it was without.
    let mut story = Story::begin(&setting.image, name, None, WITH_SUITE)?;
    story.expect(&["boot good-a"])?;
    story.expect(&["up good-a"])?;
    story.run("rm -r /var/lib/golden-generation")?;
    story.deploy("good-b")?;
    let with = story.run("cat /boot/loader/loader.conf; ls /boot/loader/entries")?;
    ensure!(with == without, "the loader differs:\n{with}\n--\n{without}");
    ensure!(story.one_shot()?.is_empty(), "something is armed");
    story.reboot()?;
    story.expect(&["boot good-b", "up good-b"])?;
    story.epilogue()?;
    Ok(story)
}
