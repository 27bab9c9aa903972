//! `cargo xtask demo`: a machine comes back, told while it happens.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::image::prepare;
use crate::story::{Story, WITH_SUITE, pinned};

/// Tell the story. `Ok(true)` if it ended as it should.
///
/// # Errors
/// The machine did not come back.
pub fn run() -> Result<bool> {
    let image = prepare()?;
    let pinned = pinned(&image, "pinned")?;
    let teller = Teller::new();
    teller.say("power on: a machine whose golden generation is pinned");
    let mut story = Story::begin(&image, "demo", Some(&pinned), WITH_SUITE)?;
    story.expect(&["boot good-a", "up good-a"])?;
    teller.good("good-a is up, confirmed and golden");
    teller.say("somebody deploys broken-unit: its main service fails and takes the machine down");
    story.deploy("broken-unit")?;
    teller.detail(
        "the loader boots it once; its default stays golden:",
        &story.run("golden status | head -n5")?,
    );
    teller.say("reboot");
    story.reboot()?;
    for (line, meaning) in [
        ("boot broken-unit", "the loader takes the one-shot: attempt 1 of broken-unit"),
        ("boot broken-unit", "it failed; armed again: attempt 2 of broken-unit"),
        ("boot good-a", "it failed again; nothing is armed, the loader's default boots: golden"),
    ] {
        story.expect(&[line])?;
        if line == "boot good-a" { teller.good(meaning) } else { teller.bad(meaning) }
    }
    story.expect(&["up good-a"])?;
    teller.good("golden is up, the rollback is done");
    teller.detail("golden why", &story.run("golden why")?);
    teller.detail("golden history", &story.run("golden history")?);
    let status = story.run("golden status")?;
    teller.detail("golden status", &status);
    ensure!(status.starts_with("rolled-back\n"), "the machine did not roll back");
    story.power_off()?;
    teller.good("nobody had to drive there");
    Ok(true)
}

/// Says what happens, in colour where somebody looks.
struct Teller {
    began: Instant,
    colour: bool,
}

impl Teller {
    fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { began: Instant::now(), colour: std::io::stdout().is_terminal() && !plain }
    }

    fn say(&self, text: &str) {
        self.line("0", text);
    }

    fn good(&self, text: &str) {
        self.line("32", text);
    }

    fn bad(&self, text: &str) {
        self.line("31", text);
    }

    fn line(&self, colour: &str, text: &str) {
        let after = self.began.elapsed().as_secs();
        let mut out = std::io::stdout().lock();
        // A reader that went away does not stop the story.
        let _ = if self.colour {
            writeln!(out, "\x1b[2m{after:>4} s\x1b[0m  \x1b[{colour}m{text}\x1b[0m")
        } else {
            writeln!(out, "{after:>4} s  {text}")
        };
    }

    fn detail(&self, title: &str, text: &str) {
        self.say(title);
        for line in text.lines() {
            println!("        {line}");
        }
    }
}
