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
