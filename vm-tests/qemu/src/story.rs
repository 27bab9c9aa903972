//! What a test does with a machine, in its own words.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::guest::Guest;
use crate::image::Image;
use crate::machine::Machine;
use crate::shell::{cache, progress};

/// Longest from one line of the console to the next: at least four times what a boot takes, on a slow day.
const ONE_BOOT: Duration = Duration::from_secs(180);
const STATE: &str = "/var/lib/golden-generation";

/// A machine whose console is listened to.
pub(crate) struct Story {
    pub machine: Machine,
    /// Boots so far.
    pub boots: usize,
}

impl Story {
    /// A machine that `from` left behind, or a new one.
    pub fn begin(image: &Image, name: &str, from: Option<&Path>, with_suite: bool) -> Result<Self> {
        let directory = cache().join("run").join(name);
        let mut story = Self { machine: Machine::new(image, directory, from, with_suite)?, boots: 0 };
        story.machine.start()?;
        Ok(story)
    }

    /// The next lines of ours on the console are exactly these. `boot SYSTEM` when stage 2 starts, `up SYSTEM` after
    /// `multi-user.target` and the confirmation.
    pub fn expect(&mut self, lines: &[&str]) -> Result<()> {
        for &expected in lines {
            let line = self.next()?;
            ensure!(line == expected, "the console said `{line}` where `{expected}` was expected");
        }
        Ok(())
    }

    /// The next line of ours on the console.
    pub fn next(&mut self) -> Result<String> {
        let line = self.machine.next_line(ONE_BOOT)?;
        self.boots += usize::from(line.starts_with("boot ") || line == "panic");
        Ok(line)
    }

    /// Run a command that must succeed in the system that runs.
    pub fn run(&mut self, command: &str) -> Result<String> {
        self.guest()?.run(command)
    }

    pub fn guest(&mut self) -> Result<Guest> {
        self.machine.guest()
    }

    /// Deploy a system as every deployer does.
    pub fn deploy(&mut self, name: &str) -> Result<()> {
        self.run(&format!("set -e; {}", deploy(name))).map(drop)
    }

    /// A person reboots in an orderly way.
    pub fn reboot(&mut self) -> Result<()> {
        self.run("systemctl --no-block reboot").map(drop)
    }

    /// Switch off in an orderly way.
    pub fn power_off(&mut self) -> Result<()> {
        self.run("systemctl --no-block poweroff")?;
        self.machine.wait_off(ONE_BOOT)
    }

    /// Pull the plug and put it back.
    pub fn cut_power(&mut self) -> Result<()> {
        self.machine.cut_power();
        self.machine.start()
    }

    pub fn ledger(&mut self) -> Result<Value> {
        let text = self.run(&format!("cat {STATE}/ledger.json"))?;
        serde_json::from_str(&text).context("the ledger is no JSON")
    }

    /// Names of the events in history.
    pub fn history(&mut self) -> Result<Vec<String>> {
        let lines = self.run("golden history --json")?;
        let event = |line: &str| {
            let line: Value = serde_json::from_str(line).context("history is no JSON")?;
            Ok(line["event"].as_str().context("a line of history has no event")?.to_owned())
        };
        lines.lines().map(event).collect()
    }

    /// The store path of a system.
    pub fn toplevel(&mut self, name: &str) -> Result<String> {
        self.run(&format!("readlink -f /nix/var/nix/gcroots/vm-{name}"))
    }

    /// The system that the loader boots when nobody asks for another one.
    pub fn default(&mut self) -> Result<String> {
        self.run(
            "entry=$(sed -n 's/^default //p' /boot/loader/loader.conf | tail -n1); \
             sed -n 's|.*init=\\([^ ]*\\)/init.*|\\1|p' \"/boot/loader/entries/$entry\"",
        )
    }

    /// The entry that is armed for the next boot; empty if none is.
    pub fn one_shot(&mut self) -> Result<String> {
        self.run(
            "file=/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f; \
             if [ -e $file ]; then cat $file | tail -c +5 | tr -d '\\0'; fi",
        )
    }

    /// What holds after every boot of every test.
    pub fn epilogue(&mut self) -> Result<()> {
        let cycles = self.run("journalctl --quiet --no-pager | grep -ci 'ordering cycle' || true")?;
        ensure!(cycles == "0", "the journal speaks of {cycles} ordering cycles");
        let failed = self.run("systemctl list-units --plain --no-legend --state=failed 'golden-*'")?;
        ensure!(failed.is_empty(), "units of ours failed: {failed}");
        Ok(())
    }
}

/// Shell words that deploy a system.
pub(crate) fn deploy(name: &str) -> String {
    format!(
        "top=$(readlink -f /nix/var/nix/gcroots/vm-{name}); \
         nix-env --profile /nix/var/nix/profiles/system --set $top; $top/bin/switch-to-configuration boot"
    )
}

/// A machine that runs `good-a`, confirmed and pinned, switched off: most tests start from it.
pub(crate) fn pinned(image: &Image) -> Result<std::path::PathBuf> {
    progress("booting the first generation and pinning it");
    let mut story = Story::begin(image, "pinned", None, true)?;
    story.expect(&["boot good-a", "up good-a"])?;
    story.run("pin-golden")?;
    story.power_off()?;
    Ok(story.machine.directory().to_owned())
}
