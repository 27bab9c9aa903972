//! What the programs do to a machine with U-Boot, below a directory.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs::{self, File};
use std::process::Command;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{Machine, status, toplevel};

const BOOT_CHECK: &str = env!("CARGO_BIN_EXE_golden-boot-check");
const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");
const CONF: &str = "/boot/extlinux/extlinux.conf";

/// `a` is known to be good; an installer has just made `b` the default.
fn deployed() -> Machine {
    let machine = Machine::with_extlinux();
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine
}

fn mark(machine: &Machine) -> (i32, String) {
    status(&machine.run(MARK, &[&toplevel("b")]))
}

fn default_of(machine: &Machine) -> String {
    let text = machine.text(CONF);
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("DEFAULT ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines[0].trim().to_owned()
}

#[test]
fn the_trial_is_the_default_until_its_boot_check() {
    let machine = deployed();
    let labels = machine.text(CONF).split_once("LABEL").unwrap().1.to_owned();
    let length = machine.text(CONF).len();
    let (code, said) = mark(&machine);
    assert_eq!(code, 0, "{said}");
    assert_eq!(default_of(&machine), "nixos-2-default");
    machine.boot(2, "b");
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    assert_eq!(default_of(&machine), "nixos-1-default", "taken back by what it boots");
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    assert_eq!(default_of(&machine), "nixos-2-default");
    assert_eq!(machine.text(CONF).len(), length, "changed in its place");
    assert_eq!(machine.text(CONF).split_once("LABEL").unwrap().1, labels);
}

#[test]
fn a_trial_that_vanishes_twice_is_rolled_back_through_golden() {
    let machine = deployed();
    assert_eq!(mark(&machine).0, 0);
    machine.boot(2, "b");
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    assert_eq!(default_of(&machine), "nixos-1-default");
    machine.boot(3, "a");
    let _ = machine.run(BOOT_CHECK, &[]);
    assert_eq!(default_of(&machine), "nixos-2-default", "the next attempt");
    machine.boot(4, "b");
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    machine.boot(5, "a");
    let _ = machine.run(BOOT_CHECK, &[]);
    assert_eq!(default_of(&machine), "nixos-1-default");
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(machine::LEDGER)).unwrap();
    assert_eq!(ledger["quarantine"][0]["toplevel"], toplevel("b"), "{ledger}");
}

#[test]
fn files_are_compared_and_repaired() {
    let machine = deployed();
    fs::remove_file(machine.at("/boot/nixos/b-kernel")).unwrap();
    machine.put("/boot/nixos/a-initrd", b"damaged");
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(machine.text("/boot/nixos/b-kernel"), "kernel of b");
    assert_eq!(machine.text("/boot/nixos/a-initrd"), "initrd of a");
}

#[test]
fn an_owners_label_is_never_used() {
    let machine = deployed();
    let text = machine.text(CONF);
    let mine = format!(
        "\nLABEL mine\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND init={}/init quiet\n",
        toplevel("a")
    );
    machine.put(CONF, format!("{text}{mine}").as_bytes());
    assert_eq!(mark(&machine).0, 0);
    machine.boot(2, "b");
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    assert_eq!(default_of(&machine), "nixos-1-default");
}

type Make<'a> = &'a dyn Fn(&Machine);

#[test]
fn what_is_no_file_where_the_armed_one_is_kept_arms_nothing_and_keeps_nobody_waiting() {
    const ONE_SHOT: &str = "/var/lib/golden-generation/one-shot.json";
    let of_b = format!("{{\"armed\":\"{}\",\"default\":\"{}\"}}", toplevel("b"), toplevel("b"));
    let makes: [(&str, Make); 4] = [
        ("a FIFO", &|machine| {
            assert!(Command::new("mkfifo").arg(machine.at(ONE_SHOT)).status().unwrap().success());
        }),
        ("a directory", &|machine| fs::create_dir(machine.at(ONE_SHOT)).unwrap()),
        ("more than anybody reads", &|machine| {
            File::create(machine.at(ONE_SHOT)).unwrap().set_len(1 << 40).unwrap();
        }),
        ("more than anybody wrote", &|machine| {
            machine.put(ONE_SHOT, format!("{of_b}{}", " ".repeat(1 << 16)).as_bytes());
        }),
    ];
    for (what, make) in makes {
        let machine = deployed();
        assert_eq!(mark(&machine).0, 0);
        assert_eq!(default_of(&machine), "nixos-2-default");
        fs::remove_file(machine.at(ONE_SHOT)).unwrap();
        make(&machine);
        machine.boot(2, "b");
        let (code, said) = status(&machine.run(BOOT_CHECK, &[]));
        assert_eq!(code, 0, "{what}: {said}");
        assert_eq!(default_of(&machine), "nixos-1-default", "{what}: golden, and not what the file says");
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(machine::LEDGER)).unwrap();
        assert_eq!(ledger["trial"]["attempts"].as_array().unwrap().len(), 1, "{what}: {ledger}");
    }
}

/// The verdict of a glance at golden, which reads none of its files.
fn glance(machine: &Machine) -> Result<(), String> {
    let host = golden_host::LinuxHost::new(machine.root());
    let options = golden_host::operation::Options::default();
    golden_host::operation::glance_at_golden(&host, &options).map_err(|error| error.chain())
}

/// The same with a device tree for each label, as NixOS's installer leaves it with and without `hardware.deviceTree.name`.
fn with_device_trees(line: &str) -> Machine {
    let machine = Machine::with_extlinux();
    for system in ["a", "b"] {
        for (tree, text) in [("vendor/board.dtb", "board"), ("vendor/sub/other.dtb", "other")] {
            let text = format!("{text} of {system}");
            machine.put(&format!("/nix/store/dtbs-{system}/{tree}"), text.as_bytes());
            machine.put(&format!("/boot/nixos/dtbs-{system}/{tree}"), text.as_bytes());
        }
        machine.link(&format!("{}/dtbs", toplevel(system)), &format!("/nix/store/dtbs-{system}"));
    }
    let of =
        |system: &str| format!("{}/init quiet\n  {}\n", toplevel(system), line.replace("SYSTEM", system));
    let plain = |system: &str| format!("{}/init quiet\n", toplevel(system));
    let text = machine.text(CONF).replace(&plain("a"), &of("a")).replace(&plain("b"), &of("b"));
    machine.put(CONF, text.as_bytes());
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine
}

const BOARD: &str = "/boot/nixos/dtbs-b/vendor/board.dtb";

#[test]
fn a_device_tree_is_compared_and_repaired_as_the_kernel_is() {
    for line in [
        "FDT ../nixos/dtbs-SYSTEM/vendor/board.dtb",
        "FDTDIR ../nixos/dtbs-SYSTEM",
        "devicetreedir ../nixos/dtbs-SYSTEM/",
    ] {
        for damage in [Some(&b"damaged"[..]), Some(b""), None] {
            let machine = with_device_trees(line);
            fs::remove_dir_all(machine.at("/boot/nixos/dtbs-b")).unwrap();
            if let Some(bytes) = damage {
                machine.put(BOARD, bytes);
            }
            let (code, said) = mark(&machine);
            assert_eq!(code, 0, "{line}: {said}");
            assert_eq!(machine.text(BOARD), "board of b", "{line}");
            let others = machine.at("/boot/nixos/dtbs-b/vendor/sub/other.dtb");
            assert_eq!(
                others.exists(),
                !line.starts_with("FDT .."),
                "{line}: which one is the machine's is U-Boot's to know"
            );
            assert_eq!(default_of(&machine), "nixos-2-default", "{line}");
        }
    }
}

#[test]
fn a_label_whose_device_tree_nobody_has_is_never_the_default() {
    for line in ["FDT ../nixos/dtbs-SYSTEM/vendor/renamed.dtb", "devicetree ../nixos/dtbs-SYSTEM/renamed.dtb"]
    {
        let machine = with_device_trees(line);
        let (code, said) = mark(&machine);
        assert!(code == 74 && said.contains("renamed.dtb"), "{line}: {said}");
        let said = status(&machine.run(env!("CARGO_BIN_EXE_golden-verify"), &[]));
        assert!(said.0 != 0 && said.1.contains("renamed.dtb"), "{line}: {said:?}");
        let said = glance(&machine).unwrap_err();
        assert!(said.contains("could not be landed on"), "{line}: {said}");
    }
    glance(&with_device_trees("FDT ../nixos/dtbs-SYSTEM/vendor/board.dtb")).unwrap();
}

#[test]
fn device_trees_in_the_store_are_the_systems_own() {
    for (line, is_own) in [
        ("FDT /nix/store/dtbs-SYSTEM/vendor/board.dtb", true),
        ("FDTDIR /nix/store/dtbs-SYSTEM", true),
        ("FDT /nix/store/dtbs-SYSTEM/vendor/renamed.dtb", false),
        ("FDT /nix/store/dtbs-a/vendor/board.dtb", false),
        ("FDTDIR /nix/store/dtbs-a", false),
    ] {
        let machine = with_device_trees(line);
        let (code, said) = mark(&machine);
        assert_eq!(code == 0, is_own, "{line}: {said}");
    }
}

#[test]
fn a_device_tree_of_the_owners_has_to_be_there_and_is_left_as_it_is() {
    let machine = with_device_trees("FDT ../mine/board.dtb");
    machine.put("/boot/mine/board.dtb", b"the owner's");
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(machine.text("/boot/mine/board.dtb"), "the owner's");
    let machine = with_device_trees("FDT ../mine/board.dtb");
    let (code, said) = mark(&machine);
    assert!(code == 74 && said.contains("/boot/mine/board.dtb"), "{said}");
}

#[test]
fn a_label_whose_files_are_gone_keeps_no_other_label_of_its_system_from_being_used() {
    let machine = deployed();
    let copy =
        machine.text(CONF) + "\nLABEL copied\n  LINUX ../nixos/old-kernel\n  INITRD ../nixos/old-initrd\n";
    let copy = format!("{copy}  APPEND init={}/init quiet\n", toplevel("b"));
    machine.put(CONF, copy.as_bytes());
    let (code, said) = mark(&machine);
    assert!(code == 0 && said.contains("copied"), "{said}");
    assert_eq!(default_of(&machine), "nixos-2-default");
    assert!(!machine.at("/boot/nixos/old-kernel").exists(), "nothing is copied for it");
}
