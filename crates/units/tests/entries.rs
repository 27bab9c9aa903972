//! What the programs do with entries of every kind: counted by the loader, on two partitions, images that are signed, and
//! where nothing can be armed.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;

use golden_host::loader::loader_conf::matches;
use golden_host::simulated::{efi_image, kernel_image};
use sha2::{Digest as _, Sha256};

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{LEDGER, Machine, VARIABLES, kernel, status, toplevel};

const BOOT_CHECK: &str = env!("CARGO_BIN_EXE_golden-boot-check");
const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");
const CONF: &str = "/boot/loader/loader.conf";

/// `a` is known to be good and runs; nothing is marked yet.
fn machine() -> Machine {
    let machine = Machine::installed();
    for system in ["a", "b"] {
        machine.put(&format!("{}/kernel-params", toplevel(system)), b"quiet\n");
    }
    confirm(&machine);
    machine
}

fn confirm(machine: &Machine) {
    let (code, said) = status(&machine.run(CONFIRM, &[]));
    assert_eq!(code, 0, "{said}");
}

fn mark(machine: &Machine) -> (i32, String) {
    status(&machine.run(MARK, &[&toplevel("b")]))
}

fn boot_check(machine: &Machine) {
    let (code, said) = status(&machine.run(BOOT_CHECK, &[]));
    assert_eq!(code, 0, "{said}");
}

fn one_shot(machine: &Machine) -> Option<String> {
    machine.variable_text("LoaderEntryOneShot")
}

fn default(machine: &Machine) -> String {
    let text = machine.text(CONF);
    text.lines().rev().find_map(|line| line.strip_prefix("default ")).unwrap().to_owned()
}

fn ledger(machine: &Machine) -> serde_json::Value {
    serde_json::from_str(&machine.text(LEDGER)).unwrap()
}

/// Give the entry of a system another name.
fn rename(machine: &Machine, from: &str, to: &str) {
    let entries = machine.at("/boot/loader/entries");
    fs::rename(entries.join(from), entries.join(to)).unwrap();
}

#[test]
fn counted_entries_are_armed_confirmed_and_blessed_whatever_the_loader_calls_them() {
    // Before 259 the loader's name of an entry has its counters, later it has not.
    for spelled in ["nixos-b+2-1.conf", "nixos-b.conf"] {
        let machine = machine();
        rename(&machine, "nixos-a.conf", "nixos-a+3.conf");
        rename(&machine, "nixos-b.conf", "nixos-b+3.conf");
        machine.put(CONF, b"timeout 3\ndefault nixos-b+3.conf\n");
        assert_eq!(mark(&machine).0, 0);
        let armed = one_shot(&machine).unwrap();
        for name in ["nixos-b+3.conf", "nixos-b+2-1.conf", "nixos-b.conf"] {
            assert!(matches(&armed, name), "{armed} {name}");
            let landing = name.replace("nixos-b", "nixos-a");
            assert!(matches(&default(&machine), &landing) && !matches(&default(&machine), name));
        }
        // The loader counts, then boots it.
        rename(&machine, "nixos-b+3.conf", "nixos-b+2-1.conf");
        machine.boot(2, "b");
        machine.set_variable("LoaderEntrySelected", spelled);
        boot_check(&machine);
        assert_eq!(ledger(&machine)["trial"]["attempts"].as_array().unwrap().len(), 1, "{spelled}");
        confirm(&machine);
        assert!(machine.at("/boot/loader/entries/nixos-b.conf").exists(), "its counters are dropped");
        assert!(machine.at("/boot/loader/entries/nixos-a+3.conf").exists(), "and nobody else's");
        assert!(matches(&default(&machine), "nixos-b.conf"), "{}", default(&machine));
        assert!(ledger(&machine)["trial"].is_null() && one_shot(&machine).is_none());
    }
}

#[test]
fn a_default_that_the_loader_spells_otherwise_is_set_anew() {
    let (plain, counted) = ("nixos-a.conf", "nixos-a+1-2.conf");
    for (info, written, stays) in [
        ("systemd-boot 252.39", counted, true),
        ("systemd-boot 252.39", plain, false),
        ("systemd-boot 257.9", counted, false),
        ("systemd-boot 260", counted, false),
        ("systemd-boot 260", plain, true),
        ("systemd-boot 257.9", "nixos-a[+.]*conf", true),
    ] {
        let machine = machine();
        rename(&machine, plain, counted);
        machine.set_variable("LoaderInfo", info);
        machine.put(CONF, format!("default {written}\n").as_bytes());
        assert_eq!(mark(&machine).0, 0, "{info}");
        let expected = if stays { written } else { "nixos-a[+.]*conf" };
        assert_eq!(default(&machine), expected, "{info}: {written}");
        assert_eq!(one_shot(&machine).as_deref(), Some("nixos-b.conf"), "{info}");
    }
}

#[test]
fn a_counted_out_trial_that_the_loader_passed_over_is_an_attempt_of_its_own() {
    let machine = machine();
    rename(&machine, "nixos-b.conf", "nixos-b+1-1.conf");
    assert_eq!(mark(&machine).0, 0);
    rename(&machine, "nixos-b+1-1.conf", "nixos-b+0-2.conf");
    machine.boot(2, "a");
    // It wants the next attempt at once, and this machine cannot be rebooted.
    let (code, said) = status(&machine.run(BOOT_CHECK, &[]));
    assert!(code == 74 && said.contains("cannot reboot"), "{said}");
    let attempts = ledger(&machine)["trial"]["attempts"].as_array().unwrap().len();
    assert_eq!(attempts, 1, "it was consumed, and golden runs");
    assert!(matches(&one_shot(&machine).unwrap(), "nixos-b+0-2.conf"), "a one-shot asks for no tries");
}

#[test]
fn with_xbootldr_entries_of_both_partitions_are_used_where_they_are() {
    let machine = machine();
    // The ESP has the loader and the entry of `a`; XBOOTLDR, on `/boot`, has that of `b`.
    for file in [
        "loader/loader.conf",
        "loader/entries/nixos-a.conf",
        "EFI/nixos/a-kernel.efi",
        "EFI/nixos/a-initrd.efi",
    ] {
        let (from, to) = (machine.at(&format!("/boot/{file}")), machine.at(&format!("/efi/{file}")));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(from, to).unwrap();
    }
    machine.put("/efi/loader/loader.conf", b"default nixos-b.conf\n");
    machine.put("/efi/EFI/nixos/a-kernel.efi", b"damaged");
    assert_eq!(mark(&machine).0, 0);
    assert!(machine.text("/efi/loader/loader.conf").contains("default nixos-a.conf\n"));
    assert_eq!(fs::read(machine.at("/efi/EFI/nixos/a-kernel.efi")).unwrap(), kernel("a"), "repaired there");
    assert!(!machine.at("/boot/EFI/nixos/a-kernel.efi").exists());
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-b.conf"));
    rename(&machine, "nixos-b.conf", "nixos-b+2-1.conf");
    machine.boot(2, "b");
    boot_check(&machine);
    confirm(&machine);
    assert!(machine.at("/boot/loader/entries/nixos-b.conf").exists(), "blessed there");
    assert!(machine.text("/efi/loader/loader.conf").contains("default nixos-b"));
}

/// lanzaboote's image of a system, unsigned, with what its kernel and its initrd hash to.
fn image(system: &str, options: &str) -> Vec<u8> {
    let hash = |bytes: &[u8]| Sha256::digest(bytes).to_vec();
    let options = format!("init={}/init {options}", toplevel(system));
    efi_image(&[
        (".osrel", b"ID=lanza\n"),
        (".cmdline", options.as_bytes()),
        (".initrd", format!("\\EFI\\nixos\\initrd-{system}.efi").as_bytes()),
        (".linux", format!("\\EFI\\nixos\\kernel-{system}.efi").as_bytes()),
        (".initrdh", &hash(format!("initrd of {system}").as_bytes())),
        (".linuxh", &hash(&kernel(system))),
        (".sbat", b"sbat,1\n"),
    ])
}

/// The same machine, installed by lanzaboote.
fn lanzaboote() -> Machine {
    let machine = machine();
    fs::remove_dir_all(machine.at("/boot/loader/entries")).unwrap();
    fs::remove_dir_all(machine.at("/boot/EFI/nixos")).unwrap();
    for system in ["a", "b"] {
        machine.put(&format!("/boot/EFI/Linux/nixos-generation-{system}-x.efi"), &image(system, "quiet"));
        machine.put(&format!("/boot/EFI/nixos/kernel-{system}.efi"), &kernel(system));
        machine
            .put(&format!("/boot/EFI/nixos/initrd-{system}.efi"), format!("initrd of {system}").as_bytes());
    }
    machine.put(CONF, b"timeout 3\ndefault nixos-*\n");
    machine.boot(2, "a");
    machine.set_variable("LoaderEntrySelected", "nixos-generation-a-x.efi");
    machine
}

const B_IMAGE: &str = "/boot/EFI/Linux/nixos-generation-b-x.efi";

#[test]
fn an_image_of_lanzabootes_is_tried_and_confirmed() {
    let machine = lanzaboote();
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-generation-b-x.efi"));
    assert_eq!(default(&machine), "nixos-generation-a-x.efi");
    fs::rename(machine.at(B_IMAGE), machine.at("/boot/EFI/Linux/nixos-generation-b-x+2-1.efi")).unwrap();
    machine.boot(3, "b");
    machine.set_variable("LoaderEntrySelected", "nixos-generation-b-x.efi");
    boot_check(&machine);
    confirm(&machine);
    assert!(machine.at(B_IMAGE).exists(), "its counters are dropped");
    assert!(matches(&default(&machine), "nixos-generation-b-x.efi"), "{}", default(&machine));
}

#[test]
fn a_switch_to_what_is_known_is_followed_where_the_installer_names_every_system() {
    let machine = lanzaboote();
    let (code, said) = status(&machine.run(MARK, &[&toplevel("a")]));
    assert_eq!((code, default(&machine).as_str()), (0, "nixos-generation-a-x.efi"), "{said}");
    assert!(one_shot(&machine).is_none());
}

#[test]
fn what_an_image_names_is_repaired_and_the_image_is_not() {
    let machine = lanzaboote();
    machine.put("/boot/EFI/nixos/kernel-b.efi", b"damaged");
    fs::remove_file(machine.at("/boot/EFI/nixos/initrd-b.efi")).unwrap();
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(fs::read(machine.at("/boot/EFI/nixos/kernel-b.efi")).unwrap(), kernel("b"));
    assert_eq!(machine.text("/boot/EFI/nixos/initrd-b.efi"), "initrd of b");

    let whole = image("b", "quiet");
    let machine = lanzaboote();
    machine.put(B_IMAGE, &whole[..whole.len() - 1]);
    let (code, said) = mark(&machine);
    assert!(code == 74 && said.contains("is cut off") && one_shot(&machine).is_none(), "{said}");
    assert_eq!(default(&machine), "nixos-generation-a-x.efi", "and what is known to be good boots next");
    assert_eq!(fs::read(machine.at(B_IMAGE)).unwrap().len(), whole.len() - 1);
}

#[test]
fn an_initrd_that_the_store_has_no_copy_of_is_not_repaired() {
    let machine = lanzaboote();
    // As with an owner's secrets in it: it hashes to what no file of the store does.
    machine.put(&format!("{}/initrd", toplevel("b")), b"without secrets");
    assert_eq!(mark(&machine).0, 0, "what is on the boot partition is what was signed");
    let machine = lanzaboote();
    machine.put(&format!("{}/initrd", toplevel("b")), b"without secrets");
    machine.put("/boot/EFI/nixos/initrd-b.efi", b"damaged");
    let (code, said) = mark(&machine);
    assert!(code == 74 && said.contains("has no other copy"), "{said}");
    assert_eq!(machine.text("/boot/EFI/nixos/initrd-b.efi"), "damaged");
}

#[test]
fn an_image_that_is_not_what_was_signed_is_not_armed() {
    let mut signed = image("b", "quiet");
    let size = u32::try_from(signed.len()).unwrap();
    let signature =
        [&b"\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"[..], &[0; 32]].concat();
    // The fifth directory of the header, as a signer fills it.
    let at = 0x40 + 24 + 112 + 4 * 8;
    signed[at..at + 4].copy_from_slice(&size.to_le_bytes());
    signed[at + 4..at + 8].copy_from_slice(&u32::try_from(signature.len()).unwrap().to_le_bytes());
    // All but the checksum, that directory and the signature is hashed.
    let checksum = 0x40 + 24 + 64;
    let parts = [&signed[..checksum], &signed[checksum + 4..at], &signed[at + 8..]].concat();
    let hash = Sha256::digest(parts);
    signed.extend(&signature[..17]);
    signed.extend(hash);

    let machine = lanzaboote();
    machine.put(B_IMAGE, &signed);
    let (code, said) = mark(&machine);
    assert_eq!(code, 0, "{said}");
    let osrel = signed.windows(8).position(|window| window == b"ID=lanza").unwrap();
    signed[osrel] ^= 1;
    let machine = lanzaboote();
    machine.put(B_IMAGE, &signed);
    let (code, said) = mark(&machine);
    assert!(code == 74 && said.contains("is not what was signed"), "{said}");
    assert!(one_shot(&machine).is_none());
}

#[test]
fn an_owners_image_is_never_used() {
    let b = toplevel("b");
    let options = format!("init={b}/init quiet");
    let elsewhere =
        efi_image(&[(".cmdline", options.as_bytes()), (".linux", b"\\vmlinuz"), (".linuxh", &[0; 32])]);
    for (name, bytes) in [("mine.efi", image("b", "quiet")), ("nixos-mine.efi", elsewhere)] {
        let machine = lanzaboote();
        fs::remove_file(machine.at(B_IMAGE)).unwrap();
        machine.put(&format!("/boot/EFI/Linux/{name}"), &bytes);
        let (code, said) = mark(&machine);
        assert!(code == 74 && said.contains("has no boot entry"), "{name}: {said}");
    }
    // Beside the installer's, one with other parameters is passed over.
    let machine = lanzaboote();
    machine.put("/boot/EFI/Linux/nixos-a-rescue.efi", &image("b", "quiet rescue"));
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-generation-b-x.efi"));
}

#[test]
fn an_image_goes_before_a_text_that_was_left_from_before_secure_boot() {
    let machine = lanzaboote();
    let options = format!("options init={}/init quiet\n", toplevel("b"));
    let text = format!("linux /EFI/nixos/b-kernel.efi\ninitrd /EFI/nixos/b-initrd.efi\n{options}");
    machine.put("/boot/loader/entries/a-nixos-b.conf", text.as_bytes());
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-generation-b-x.efi"));
}

#[test]
fn a_kernel_that_firmware_cannot_start_is_never_armed_although_it_is_the_stores() {
    let x86 = || {
        let mut kernel = kernel_image(&"x".repeat(0x300));
        kernel[0x44..0x46].copy_from_slice(&0x8664_u16.to_le_bytes());
        kernel
    };
    for (kernel, initrd, why) in [
        (b"no kernel".to_vec(), &b"initrd"[..], "the kernel is no EFI image"),
        (Vec::new(), b"initrd", "the kernel is empty"),
        (x86(), b"initrd", "the kernel is no Linux kernel"),
        (self::kernel("b"), b"", "the initrd is empty"),
    ] {
        let machine = machine();
        for (file, bytes) in [("kernel", kernel.as_slice()), ("initrd", initrd)] {
            machine.put(&format!("{}/{file}", toplevel("b")), bytes);
            machine.put(&format!("/boot/EFI/nixos/b-{file}.efi"), bytes);
        }
        let (code, said) = mark(&machine);
        assert!(code == 74 && said.contains(why), "{why}: {said}");
        assert!(one_shot(&machine).is_none());
        assert_eq!(default(&machine), "nixos-a.conf", "what is known to be good boots next");
    }
}

#[test]
fn variables_that_can_only_be_read_or_are_not_there_arm_by_the_default() {
    const BOOT: &str = "41 30 253:1 / /boot rw shared:2 - vfat /dev/vda1 rw\n";
    for mount in [
        "",
        "25 24 0:22 / /sys/firmware/efi/efivars ro,nosuid shared:9 - efivarfs efivarfs rw\n",
        "25 24 0:22 / /sys/firmware/efi/efivars rw,nosuid shared:9 - efivarfs efivarfs ro\n",
        "25 24 0:22 / /sys/firmware/efi/efivars rw shared:9 - efivarfs efivarfs rw\n\
         26 25 0:22 / /sys/firmware/efi/efivars ro shared:9 - efivarfs efivarfs rw\n",
    ] {
        let machine = machine();
        machine.put("/proc/self/mountinfo", format!("{BOOT}{mount}").as_bytes());
        if mount.is_empty() {
            fs::remove_dir_all(machine.at(VARIABLES)).unwrap();
            machine.put(VARIABLES, b"");
        }
        assert_eq!(mark(&machine).0, 0, "{mount}");
        assert!(one_shot(&machine).is_none(), "{mount}");
        assert_eq!(default(&machine), "nixos-b.conf", "{mount}");
    }
    let machine = machine();
    let mount = "25 24 0:22 / /sys/firmware/efi/efivars rw shared:9 - efivarfs efivarfs rw\n";
    machine.put("/proc/self/mountinfo", format!("{BOOT}{mount}").as_bytes());
    assert_eq!(mark(&machine).0, 0);
    assert_eq!(
        (one_shot(&machine).as_deref(), default(&machine).as_str()),
        (Some("nixos-b.conf"), "nixos-a.conf")
    );
}
