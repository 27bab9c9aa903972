//! What the programs do to boot partitions that owners and power cuts had their hands on.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{Machine, kernel, status, toplevel};

const BOOT_CHECK: &str = env!("CARGO_BIN_EXE_golden-boot-check");
const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");

/// `a` is known to be good; an installer has just made `b` the default.
fn deployed() -> Machine {
    let machine = Machine::installed();
    for system in ["a", "b"] {
        machine.put(&format!("{}/kernel-params", toplevel(system)), b"quiet");
    }
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    machine
}

fn mark(machine: &Machine) -> (i32, String) {
    status(&machine.run(MARK, &[&toplevel("b")]))
}

fn one_shot(machine: &Machine) -> Option<String> {
    machine.variable_text("LoaderEntryOneShot")
}

/// Every file below `/boot` but those that are the suite's to change.
fn owners(machine: &Machine) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![machine.at("/boot")];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if !path.ends_with("loader/loader.conf") {
                files.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn an_owners_entry_is_never_used_and_its_files_are_never_touched() {
    let machine = deployed();
    let (a, b) = (toplevel("a"), toplevel("b"));
    machine.put("/boot/vmlinuz-custom", b"the owner's kernel");
    machine.put("/boot/extra.img", b"the owner's initrd");
    machine.put(
        "/boot/loader/entries/a-mine.conf",
        format!(
            "linux /vmlinuz-custom\ninitrd /extra.img\noptions init={b}/init systemd.unit=rescue.target\n"
        )
        .as_bytes(),
    );
    machine.put(
        "/boot/loader/entries/debug-a.conf",
        format!(
            "linux /EFI/nixos/a-kernel.efi\ninitrd /EFI/nixos/a-initrd.efi\n\
             options init={a}/init quiet systemd.unit=rescue.target golden.disable=1\n"
        )
        .as_bytes(),
    );
    let before = owners(&machine);
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-b.conf"));
    assert!(machine.text("/boot/loader/loader.conf").contains("\ndefault nixos-a.conf\n"));
    assert_eq!(owners(&machine), before);
}

#[test]
fn a_system_that_has_only_an_owners_entry_has_none() {
    let machine = deployed();
    let b = toplevel("b");
    machine.put("/boot/vmlinuz", b"the owner's kernel");
    machine.put(
        "/boot/loader/entries/nixos-b.conf",
        format!("linux /vmlinuz\noptions init={b}/init quiet\n").as_bytes(),
    );
    let (code, said) = mark(&machine);
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("has no boot entry"), "{said}");
    assert_eq!(machine.text("/boot/vmlinuz"), "the owner's kernel");
}

#[test]
fn a_damaged_kernel_is_repaired_and_another_image_is_not() {
    let machine = deployed();
    let entry = machine.text("/boot/loader/entries/nixos-b.conf");
    machine.put("/boot/loader/entries/nixos-b.conf", format!("{entry}initrd /EFI/extra.img\n").as_bytes());
    machine.put("/boot/EFI/nixos/b-kernel.efi", b"damaged");
    let (code, said) = mark(&machine);
    assert_eq!(code, 74, "an image that is missing stops the loader: {said}");
    assert!(said.contains("extra.img") && one_shot(&machine).is_none(), "{said}");
    machine.put("/boot/EFI/extra.img", b"the owner's image");
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(fs::read(machine.at("/boot/EFI/nixos/b-kernel.efi")).unwrap(), kernel("b"));
    assert_eq!(machine.text("/boot/EFI/extra.img"), "the owner's image");
}

#[test]
fn a_landing_whose_kernel_is_missing_is_repaired_before_it_becomes_the_default() {
    let machine = deployed();
    fs::remove_file(machine.at("/boot/EFI/nixos/a-kernel.efi")).unwrap();
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(fs::read(machine.at("/boot/EFI/nixos/a-kernel.efi")).unwrap(), kernel("a"));
    assert!(machine.text("/boot/loader/loader.conf").contains("\ndefault nixos-a.conf\n"));
}

#[test]
fn parameters_that_an_owner_adds_to_every_entry_cost_nothing() {
    let machine = deployed();
    for system in ["a", "b"] {
        let path = format!("/boot/loader/entries/nixos-{system}.conf");
        let entry = machine.text(&path).replace(" quiet", " quiet panic=1");
        machine.put(&path, entry.as_bytes());
    }
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-b.conf"));
}

#[test]
fn with_xbootldr_the_default_is_set_where_the_loader_reads_it() {
    let machine = deployed();
    fs::create_dir_all(machine.at("/efi/loader")).unwrap();
    fs::rename(machine.at("/boot/loader/loader.conf"), machine.at("/efi/loader/loader.conf")).unwrap();
    assert_eq!(mark(&machine).0, 0);
    assert!(machine.text("/efi/loader/loader.conf").contains("\ndefault nixos-a.conf\n"));
    assert!(!machine.at("/boot/loader/loader.conf").exists());
}

#[test]
fn what_a_power_cut_left_of_loader_conf_does_not_hide_the_default() {
    for left in [&b""[..], &[0; 512], b"timeout 3\ndefault nixos-b.conf\n\0\0\0\0", b"\xff\xfe\0stale"] {
        let machine = deployed();
        machine.put("/boot/loader/loader.conf", left);
        assert_eq!(mark(&machine).0, 0, "{}", left.escape_ascii());
        let bytes = fs::read(machine.at("/boot/loader/loader.conf")).unwrap();
        let text = bytes.split(|&byte| byte == 0).next().unwrap();
        let text = String::from_utf8_lossy(text);
        assert!(text.lines().any(|line| line == "default nixos-a.conf"), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_default_that_the_loader_would_take_for_another_system_is_found_out() {
    let machine = deployed();
    // The same name on both partitions: the loader takes the one of the ESP, whose file is another system's.
    let b = machine.text("/boot/loader/entries/nixos-b.conf");
    machine.put("/efi/loader/entries/nixos-a.conf", b.as_bytes());
    machine.put("/efi/EFI/nixos/b-kernel.efi", &kernel("b"));
    machine.put("/efi/loader/loader.conf", b"default nixos-b.conf\n");
    let (code, said) = mark(&machine);
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("did not stick"), "{said}");
}

#[test]
fn nothing_is_preferred_to_the_default() {
    let default = |machine: &Machine| machine.text("/boot/loader/loader.conf");
    let is_a = |machine: &Machine| {
        default(machine).contains("default nixos-a.conf\n") && !default(machine).contains("preferred")
    };
    // As NixOS writes it where systemd-boot counts boots.
    let machine = deployed();
    machine.put("/boot/loader/loader.conf", b"timeout 3\npreferred nixos-b.conf\ndefault nixos-*\n");
    assert_eq!(mark(&machine).0, 0);
    assert!(is_a(&machine), "{}", default(&machine));
    // It preferred what it does not boot: the default is not what it seems.
    let machine = deployed();
    machine.put("/boot/loader/loader.conf", b"preferred nixos-b.conf\ndefault nixos-a.conf\n");
    assert_eq!(mark(&machine).0, 0);
    assert!(is_a(&machine), "{}", default(&machine));
    // A person preferred it in the menu.
    let machine = deployed();
    machine.set_variable("LoaderEntryPreferred", "nixos-b.conf");
    assert_eq!(mark(&machine).0, 0);
    let preferred = fs::read(machine.variable("LoaderEntryPreferred")).unwrap();
    assert_eq!(
        preferred[4..][..16],
        "nixos-a.".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    );
}

#[test]
fn a_directory_on_another_file_system_is_no_boot_partition() {
    let machine = deployed();
    machine.put("/efi/loader/loader.conf", b"default nixos-b.conf\n");
    machine.put("/efi/loader/entries/.keep", b"");
    machine.put(
        "/proc/self/mountinfo",
        b"30 1 253:0 / / rw shared:1 - ext4 /dev/vda2 rw\n41 30 253:1 / /boot rw shared:2 - vfat /dev/vda1 rw\n\
          42 30 253:0 /efi /efi rw shared:3 - ext4 /dev/vda2 rw\n\
          25 24 0:22 / /sys/firmware/efi/efivars rw shared:9 - efivarfs efivarfs rw\n",
    );
    assert_eq!(mark(&machine).0, 0);
    assert!(machine.text("/boot/loader/loader.conf").contains("\ndefault nixos-a.conf\n"));
    assert_eq!(machine.text("/efi/loader/loader.conf"), "default nixos-b.conf\n");
}

#[test]
fn an_installer_that_failed_costs_the_trial_before_it_nothing() {
    let machine = deployed();
    assert_eq!(mark(&machine).0, 0);
    machine.put("/nix/store/cccccccccccccccccccccccccccccccc-c/init", b"");
    let (code, said) = status(&machine.run(MARK, &["/nix/store/cccccccccccccccccccccccccccccccc-c"]));
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("has no boot entry"), "{said}");
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-b.conf"));
    assert!(machine.text(machine::LEDGER).contains(&toplevel("b")));
}

#[test]
fn a_system_that_keeps_its_state_elsewhere_is_not_counted_against() {
    let machine = deployed();
    let settings = format!("{}/etc/golden-generation/config.toml", toplevel("b"));
    machine.put(&settings, b"state_dir = \"/persist/golden\"\n");
    let (code, said) = mark(&machine);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("/persist/golden"), "{said}");
    assert!(one_shot(&machine).is_none());
    assert!(machine.text("/boot/loader/loader.conf").contains("default nixos-b.conf\n"));
    // The same place is no other place.
    machine.put(&settings, b"state_dir = \"/var/lib/golden-generation\"\n");
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-b.conf"));
}

#[test]
fn a_boot_partition_that_is_not_mounted_ends_no_trial() {
    let machine = deployed();
    assert_eq!(mark(&machine).0, 0);
    machine.boot(2, "b");
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    // The machine is started past the loader, whose one-shot stays: one that was consumed would be a second attempt that died.
    let boot_past_loader = |number| {
        let armed = one_shot(&machine).unwrap();
        machine.boot(number, "a");
        machine.set_variable("LoaderEntryOneShot", &armed);
    };
    // What is below the mount point: nothing, or what was once written there without the mount.
    boot_past_loader(3);
    let (entries, away) = (machine.at("/boot/loader/entries"), machine.at("/boot/away"));
    fs::rename(&entries, &away).unwrap();
    fs::create_dir(&entries).unwrap();
    let (code, said) = status(&machine.run(BOOT_CHECK, &[]));
    assert_eq!(code, 0, "{said}");
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(machine::LEDGER)).unwrap();
    assert_eq!(ledger["trial"]["toplevel"], toplevel("b"), "{ledger}");
    assert!(ledger["safe_mode"].is_null() && ledger["quarantine"] == serde_json::json!([]), "{ledger}");
    fs::remove_dir(&entries).unwrap();
    fs::rename(&away, &entries).unwrap();
    boot_past_loader(4);
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-b.conf"));
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(machine::LEDGER)).unwrap();
    assert_eq!(ledger["trial"]["attempts"].as_array().unwrap().len(), 1, "{ledger}");
}
