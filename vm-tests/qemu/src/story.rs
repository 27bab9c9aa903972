//! What a test does with a machine, in its own words.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::guest::Guest;
use crate::image::{Firmware, Image};
use crate::loaders;
use crate::machine::{Machine, Options};
use crate::shell::{cache, progress};

/// Longest from one line of the console to the next: at least four times what a boot takes, on a slow day.
const ONE_BOOT: Duration = Duration::from_secs(180);
/// A machine with us, and nothing else.
pub(crate) const WITH_SUITE: Options = Options { suite: true, ssh_port: None, reaches_host: false };
const STATE: &str = "/var/lib/golden-generation";

/// A machine whose console is listened to.
pub(crate) struct Story {
    pub machine: Machine,
    /// Boots of this test on machines before this one.
    pub earlier_boots: usize,
    /// Boots before the one that is looked at.
    looked_from: usize,
}

impl Story {
    /// A machine that `from` left behind, or a new one.
    pub fn begin(image: &Image, name: &str, from: Option<&Path>, options: Options) -> Result<Self> {
        let directory = cache().join("run").join(name);
        let mut machine = Machine::new(image, directory, from, options)?;
        machine.start()?;
        Ok(Self { machine, earlier_boots: 0, looked_from: 0 })
    }

    /// All boots so far.
    pub fn boots(&mut self) -> Result<usize> {
        Ok(self.earlier_boots + self.machine.boots()?)
    }

    /// Boots since the last orderly reboot that the test asked for, that one included.
    pub fn boots_since_reboot(&mut self) -> Result<usize> {
        Ok(self.machine.boots()? - self.looked_from)
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
        self.machine.next_line(ONE_BOOT)
    }

    /// Wait until the console says this, within the time of one boot.
    pub fn wait_for(&mut self, words: &str) -> Result<()> {
        self.machine.next_after(words, ONE_BOOT).map(drop)
    }

    /// The console says nothing of ours for that long.
    pub fn stays_quiet(&mut self, time: Duration) -> Result<()> {
        match self.machine.next_line(time) {
            Ok(line) => bail!("the console said `{line}` where nothing was expected"),
            Err(_) => Ok(()),
        }
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

    /// The same, and the running system changes too. Its exit status.
    pub fn switch_live(&mut self, name: &str) -> Result<i32> {
        let switch = deploy(name).replace("switch-to-configuration boot", "switch-to-configuration switch");
        Ok(self.guest()?.try_run(&format!("set -e; {switch}"))?.0)
    }

    /// What the deployer is told that deploys a system and is refused.
    pub fn refused(&mut self, name: &str, action: &str) -> Result<String> {
        let switch = deploy(name).replace("-configuration boot", &format!("-configuration {action}"));
        let (status, said) = self.guest()?.try_run(&switch)?;
        ensure!(status != 0, "{name} was not refused: {said}");
        Ok(said)
    }

    /// Wait until the ledger knows of no live switch any more.
    pub fn wait_for_verdict(&mut self) -> Result<Value> {
        let wait = format!(
            "for _ in $(seq 1200); do grep -q '\"live\"' {STATE}/ledger.json || exit 0; sleep 0.1; done; exit 1"
        );
        self.run(&wait).context("the live switch has no end")?;
        self.ledger()
    }

    /// Put lines into the owner's settings.
    pub fn configure(&mut self, lines: &str) -> Result<()> {
        let file = "/etc/golden-generation/config.toml";
        self.run(&format!("mkdir -p /etc/golden-generation; printf '%s\\n' '{lines}' >> {file}")).map(drop)
    }

    /// A person reboots in an orderly way.
    pub fn reboot(&mut self) -> Result<()> {
        self.rebooted_by("systemctl --no-block reboot")
    }

    /// Run a command that reboots the machine.
    pub fn rebooted_by(&mut self, command: &str) -> Result<()> {
        self.looked_from = self.machine.boots()?;
        self.run(command).map(drop)
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

    /// The attempts that `golden why` names. Below each it quotes the journal, which may say anything.
    pub fn attempts(&mut self) -> Result<Vec<String>> {
        let why = self.run("golden why")?;
        Ok(why.lines().filter(|line| line.starts_with("Attempt ")).map(str::to_owned).collect())
    }

    /// The store path of a system.
    pub fn toplevel(&mut self, name: &str) -> Result<String> {
        self.run(&format!("readlink -f /nix/var/nix/gcroots/vm-{name}"))
    }

    /// The system that the system profile names.
    pub fn profile(&mut self) -> Result<String> {
        self.run("readlink -f /nix/var/nix/profiles/system")
    }

    /// The system that the loader boots when nobody asks for another one.
    pub fn default(&mut self) -> Result<String> {
        self.run(match self.machine.firmware() {
            Firmware::Efi => loaders::SYSTEMD_BOOT_DEFAULT,
            Firmware::Bios => loaders::GRUB_DEFAULT,
        })
    }

    /// The system that is armed for the next boot; empty if none is.
    pub fn one_shot(&mut self) -> Result<String> {
        self.run(match self.machine.firmware() {
            Firmware::Efi => loaders::SYSTEMD_BOOT_ONE_SHOT,
            Firmware::Bios => loaders::GRUB_ONE_SHOT,
        })
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

const FIRMWARE_ENTRY: &str = "bootctl --esp-path=/boot install; bootctl --no-pager status";

/// Shell words that deploy a system.
pub(crate) fn deploy(name: &str) -> String {
    format!(
        "top=$(readlink -f /nix/var/nix/gcroots/vm-{name}); \
         nix-env --profile /nix/var/nix/profiles/system --set $top; $top/bin/switch-to-configuration boot"
    )
}

/// A machine that runs `good-a`, confirmed and pinned, switched off: most tests start from it.
pub(crate) fn pinned(image: &Image, name: &str) -> Result<PathBuf> {
    progress("booting the first generation and pinning it");
    let mut story = Story::begin(image, name, None, WITH_SUITE)?;
    story.expect(&["boot good-a", "up good-a"])?;
    if image.firmware == Firmware::Efi {
        // As `bootctl install`: two entries for the firmware, so that it has another one when the loader gives up.
        story.run(FIRMWARE_ENTRY)?;
    }
    story.run("pin-golden")?;
    story.power_off()?;
    Ok(story.machine.directory().to_owned())
}
