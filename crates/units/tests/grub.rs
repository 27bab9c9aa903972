//! What the programs do to a machine with GRUB, below a directory.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{Machine, status, toplevel};

const BOOT_CHECK: &str = env!("CARGO_BIN_EXE_golden-boot-check");
const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");
const CFG: &str = "/boot/grub/grub.cfg";
const ENV: &str = "/boot/grub/grubenv";
const A: &str = "NixOS - Profile 'golden'>NixOS - Configuration 1 (a)";
const B: &str = "NixOS - All configurations>NixOS - Configuration 2 (b)";

/// `a` is known to be good; an installer has just put `b` at the top of the menu.
fn deployed() -> Machine {
    let machine = Machine::with_grub();
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine
}

fn mark(machine: &Machine, system: &str) -> (i32, String) {
    status(&machine.run(MARK, &[&toplevel(system)]))
}

/// A variable of the environment block.
fn variable(machine: &Machine, name: &str) -> Option<String> {
    let text = machine.text(ENV);
    assert_eq!(text.len(), 1024);
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")))?;
    Some(value.to_owned())
}

fn change(machine: &Machine, from: &str, to: &str) {
    let text = machine.text(CFG);
    assert!(text.contains(from), "{from}");
    machine.put(CFG, text.replace(from, to).as_bytes());
}

fn boot_check(machine: &Machine) -> (i32, String) {
    status(&machine.run(BOOT_CHECK, &[]))
}

#[test]
fn a_trial_is_booted_once_and_golden_by_itself() {
    let machine = deployed();
    let before = fs::metadata(machine.at(ENV)).unwrap();
    let (code, said) = mark(&machine, "b");
    assert_eq!(code, 0, "{said}");
    assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(A));
    assert_eq!(variable(&machine, "next_entry").as_deref(), Some(B));
    assert_eq!(variable(&machine, "owners").as_deref(), Some("value"), "what is an owner's stays");
    let after = fs::metadata(machine.at(ENV)).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino;
    assert_eq!(inode(&before), inode(&after), "GRUB finds it by its place on the disk");
}

#[test]
fn a_confirmed_trial_becomes_the_default_and_a_switch_back_is_followed() {
    let machine = deployed();
    assert_eq!(mark(&machine, "b").0, 0);
    machine.grub_boots(2, "b");
    assert_eq!(boot_check(&machine).0, 0);
    assert_eq!(
        variable(&machine, "next_entry").as_deref(),
        Some(B),
        "the next attempt is armed while we can"
    );
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(B));
    assert_eq!(variable(&machine, "next_entry"), None);
    // `nixos-rebuild boot --rollback`: no trial, and what was installed is what boots.
    assert_eq!(mark(&machine, "a").0, 0);
    assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(A));
}

#[test]
fn switched_off_the_suite_leaves_what_was_installed_as_the_default() {
    let machine = deployed();
    assert_eq!(mark(&machine, "b").0, 0);
    machine.put("/proc/cmdline", b"golden.disable=1\n");
    assert_eq!(mark(&machine, "b").0, 0);
    assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(B));
}

#[test]
fn a_configuration_with_a_default_of_its_own_is_not_believed() {
    let machine = deployed();
    change(&machine, "set default=\"${saved_entry}\"", "set default=0");
    let (code, said) = mark(&machine, "b");
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("saved_entry of GRUB's environment block is not obeyed"), "{said}");
    assert!(said.contains("nothing protects"), "{said}");
    assert_eq!(variable(&machine, "next_entry"), None);
}

#[test]
fn where_grub_cannot_write_the_default_is_the_trial_until_its_boot_check() {
    for (mounts, device) in [
        ("40 1 0:35 / /boot rw - btrfs /dev/vda2 rw\n", ""),
        ("40 1 253:0 / /boot rw - ext4 /dev/mapper/vg-boot rw\n", ""),
        ("40 1 9:127 / /boot rw - ext4 /dev/disk rw\n", "../../devices/virtual/block/md127"),
    ] {
        let machine = deployed();
        machine.put("/proc/self/mountinfo", mounts.as_bytes());
        if !device.is_empty() {
            machine.link("/sys/dev/block/9:127", device);
        }
        let (code, said) = mark(&machine, "b");
        assert_eq!(code, 0, "{mounts}: {said}");
        assert_eq!(variable(&machine, "next_entry"), None, "GRUB would never take it back");
        assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(B));
        machine.grub_boots(2, "b");
        assert_eq!(boot_check(&machine).0, 0);
        assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(A));
    }
}

#[test]
fn a_configuration_that_does_not_clear_the_one_shot_is_not_believed_to() {
    let machine = deployed();
    change(&machine, "save_env next_entry", "true");
    assert_eq!(mark(&machine, "b").0, 0);
    assert_eq!(variable(&machine, "next_entry"), None);
    assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(B));
}

#[test]
fn a_one_shot_that_is_still_there_after_a_kexec_says_nothing_about_grub() {
    for (cmdline, stays) in [("init=/x quiet", false), ("BOOT_IMAGE=(hd0)/kernels/b init=/x", true)] {
        let machine = deployed();
        assert_eq!(mark(&machine, "b").0, 0);
        machine.boot(2, "b");
        machine.put("/proc/cmdline", cmdline.as_bytes());
        assert_eq!(boot_check(&machine).0, 0);
        assert_eq!(variable(&machine, "golden_one_shot").is_some(), stays, "{cmdline}");
        assert_eq!(variable(&machine, "next_entry").is_some(), !stays, "{cmdline}");
    }
}

#[test]
fn a_one_shot_that_grub_did_not_take_back_is_found_out_and_never_used_again() {
    let machine = deployed();
    assert_eq!(mark(&machine, "b").0, 0);
    machine.boot(2, "b");
    let (code, said) = boot_check(&machine);
    assert_eq!(code, 0, "the boot goes on: {said}");
    assert!(said.contains("did not take the one-shot back"), "{said}");
    assert_eq!(variable(&machine, "next_entry"), None);
    assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(A));
    assert_eq!(variable(&machine, "golden_one_shot").as_deref(), Some("stays"));
    // What it armed itself in this boot is no evidence.
    let machine = deployed();
    assert_eq!(mark(&machine, "b").0, 0);
    machine.grub_boots(2, "b");
    for _ in 0..2 {
        let (code, said) = boot_check(&machine);
        assert_eq!((code, said.contains("did not take")), (0, false), "{said}");
    }
    assert_eq!(variable(&machine, "next_entry").as_deref(), Some(B));
}

#[test]
fn without_a_block_nothing_is_promised() {
    for (block, why) in [(None, "is missing"), (Some(&b"short"[..]), "is not 1024 bytes long")] {
        let machine = deployed();
        match block {
            None => fs::remove_file(machine.at(ENV)).unwrap(),
            Some(bytes) => machine.put(ENV, bytes),
        }
        let (code, said) = mark(&machine, "b");
        assert_eq!(code, 74, "{said}");
        assert!(said.contains(why) && said.contains("grub-editenv"), "{said}");
    }
}

#[test]
fn a_block_that_a_power_cut_left_torn_is_written_anew() {
    let machine = deployed();
    for torn in [vec![0; 1024], [vec![0; 512], vec![b'#'; 512]].concat()] {
        machine.put(ENV, &torn);
        assert_eq!(mark(&machine, "b").0, 0);
        assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(A));
        assert_eq!(variable(&machine, "next_entry").as_deref(), Some(B));
    }
}

#[test]
fn an_owners_entry_is_never_used() {
    let machine = deployed();
    let (a, b) = (toplevel("a"), toplevel("b"));
    let text = machine.text(CFG);
    let mine = format!(
        "menuentry \"mine\" {{\n  linux ($drive1)/vmlinuz init={b}/init quiet\n}}\n\
         menuentry \"debug\" {{\n  linux ($drive1)/kernels/a-kernel init={a}/init quiet rescue\n  \
         initrd ($drive1)/kernels/a-initrd\n}}\n"
    );
    machine.put(CFG, format!("{text}submenu \"more\" {{\n{mine}}}\n").as_bytes());
    assert_eq!(mark(&machine, "b").0, 0);
    assert_eq!(variable(&machine, "saved_entry").as_deref(), Some(A));
    assert_eq!(variable(&machine, "next_entry").as_deref(), Some(B));
}

#[test]
fn a_damaged_copy_is_repaired_and_what_is_missing_in_the_store_is_not_armed() {
    let machine = deployed();
    machine.put("/boot/kernels/b-initrd", b"damaged");
    fs::remove_file(machine.at("/boot/kernels/a-kernel")).unwrap();
    assert_eq!(mark(&machine, "b").0, 0);
    assert_eq!(machine.text("/boot/kernels/b-initrd"), "initrd of b");
    assert_eq!(machine.text("/boot/kernels/a-kernel"), "kernel of a");
    // Straight from the store there is nothing to repair.
    for missing in ["kernel", "initrd"] {
        let machine = deployed();
        let b = toplevel("b");
        change(&machine, "/kernels/b-kernel", &format!("/nix{}/kernel", &b[4..]));
        change(&machine, "/kernels/b-initrd", &format!("/nix{}/initrd", &b[4..]));
        assert_eq!(mark(&machine, "b").0, 0);
        fs::remove_file(machine.at(&format!("{b}/{missing}"))).unwrap();
        let (code, said) = mark(&machine, "b");
        assert_eq!(code, 74, "{said}");
        assert!(said.contains("not whole"), "{said}");
    }
}

#[test]
fn grub_is_found_before_what_another_loader_left() {
    let machine = deployed();
    machine.put("/boot/loader/loader.conf", b"default nixos-b.conf\n");
    machine.put("/boot/loader/entries/.keep", b"");
    machine.set_variable("LoaderInfo", "GRUB 2.12");
    assert_eq!(mark(&machine, "b").0, 0);
    assert_eq!(variable(&machine, "next_entry").as_deref(), Some(B));
}
