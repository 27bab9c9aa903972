//! How the units are wired, on a real systemd.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::container::{Container, Down};
use crate::image::Image;

const LEDGER: &str = "/var/lib/golden-generation/ledger.json";

/// When units became active, in the order of the clock; then what a switch does to them.
const LOOK: &str = r#"
at() { systemctl show --property=ActiveEnterTimestampMonotonic --value "$1"; }
for unit in golden-boot-check.service sysinit.target multi-user.target golden-confirm.service; do
  echo "$(at $unit) $unit"
done | sort -n | cut -d' ' -f2 | tr '\n' ' '; echo
runs() { systemctl show --property=InvocationID --value golden-boot-check golden-confirm golden-shutdown; }
before=$(runs)
systemctl daemon-reload
systemctl start golden-boot-check golden-shutdown golden-confirm multi-user.target
[ "$before" = "$(runs)" ] && echo "ran once"
systemctl list-units --plain --no-legend --state=failed 'golden-*' | sed 's/^/failed: /'
journalctl --no-pager --quiet -o cat | grep -i 'ordering cycle' | sed 's/^/cycle: /'
# It says that there is no D-Bus, and does it all the same.
systemctl --no-block poweroff 2>/dev/null
"#;

pub(super) fn once_a_boot(image: &Image, name: &str) -> Result<usize> {
    let container = Container::new(image, name)?;
    let order = "golden-boot-check.service sysinit.target multi-user.target golden-confirm.service";
    for boot in ["first", "second"] {
        let said = container.boot_and_power_off("good-a", &[], LOOK)?;
        ensure!(said.trim() == format!("{order} \nran once"), "the {boot} boot said:\n{said}");
    }
    let ledger = ledger(&container)?;
    ensure!(ledger["revision"] == 1, "two boots wrote more than the first confirmation: {ledger}");
    Ok(2)
}

/// A trial without a loader that could arm it: `max_failures = 2`, counted from what each shutdown recorded.
pub(super) fn failure_action(image: &Image, name: &str) -> Result<usize> {
    let container = Container::new(image, name)?;
    let power_off = "systemctl start golden-confirm.service; systemctl --no-block poweroff";
    container.boot_and_power_off("good-a", &[], power_off)?;
    let system = fs::read_link(image.tree.join("nix/var/nix/gcroots/vm-broken-unit"))?;
    let mut marked = ledger(&container)?;
    let attempts = json!([]);
    marked["trial"] = json!({"toplevel": system, "origin": "marked", "arming": "idle", "attempts": attempts});
    fs::write(container.file(LEDGER), marked.to_string())?;
    // One attempt is allowed, so that nothing is to be armed: there is no firmware here to arm it in.
    let etc = container.file("/etc/golden-generation");
    fs::create_dir_all(&etc)?;
    fs::write(etc.join("config.toml"), "max_failures = 1\n")?;
    let (down, _) = container.boot("broken-unit", &[], "")?;
    ensure!(down == Down::Reboot, "the unit did not take the machine down");
    let failed = ledger(&container)?;
    let end = &failed["quarantine"][0]["attempts"][0]["end"];
    ensure!(end["cause"]["units"] == json!(["required.service"]), "the shutdown recorded: {failed}");
    Ok(2)
}

fn ledger(container: &Container) -> Result<Value> {
    let text = fs::read_to_string(container.file(LEDGER)).context("there is no ledger")?;
    serde_json::from_str(&text).context("the ledger is no JSON")
}
