//! What is quarantined is not deployed, whoever deploys it.

use anyhow::{Result, ensure};

use super::Setting;
use crate::story::Story;

pub(super) fn refused(setting: &Setting, name: &str) -> Result<Story> {
    let mut story = setting.story(name)?;
    let (runs, refused) = (story.toplevel("good-a")?, story.toplevel("good-b")?);
    story.run(&format!("golden quarantine add {refused}"))?;
    let before = stands(&mut story)?;
    for action in ["boot", "switch"] {
        let said = story.refused("good-b", action)?;
        ensure!(said.contains("golden quarantine release"), "nobody says what to do: {said}");
        stays(&mut story, &before)?;
    }
    // A deployer that skips the checks before the switch: the loader's files are written, and the mark puts things right.
    let skips = format!(
        "nix-env --profile /nix/var/nix/profiles/system --set {refused}; \
         NIXOS_NO_CHECK=1 {refused}/bin/switch-to-configuration boot"
    );
    let (status, said) = story.guest()?.try_run(&skips)?;
    ensure!(status != 0 && said.contains("quarantined"), "the mark took it: {said}");
    stays(&mut story, &before)?;
    story.reboot()?;
    story.expect(&["boot good-a", "up good-a"])?;
    ensure!(story.profile()? == runs, "the profile is {}", story.profile()?);
    story.run(&format!("golden quarantine release {refused}"))?;
    story.deploy("good-b")?;
    story.reboot()?;
    story.expect(&["boot good-b", "up good-b"])?;
    ensure!(story.default()? == refused, "what was released was not confirmed");
    story.epilogue()?;
    Ok(story)
}

/// Profile, default and what is armed.
fn stands(story: &mut Story) -> Result<[String; 3]> {
    Ok([story.profile()?, story.default()?, story.one_shot()?])
}

fn stays(story: &mut Story, before: &[String; 3]) -> Result<()> {
    let now = stands(story)?;
    ensure!(now == *before, "{before:?} became {now:?}");
    Ok(())
}
