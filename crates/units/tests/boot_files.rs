//! The files that a loader loads: secrets in an initrd, device trees, and entries beside the
//! installer's whose files are gone.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;

use golden_host::simulated::efi_image;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{Machine, kernel, status, toplevel};

const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");
const VERIFY: &str = env!("CARGO_BIN_EXE_golden-verify");
const INITRD: &str = "/boot/EFI/nixos/b-initrd.efi";
const TREE: &str = "/boot/EFI/nixos/b-board.dtb.efi";

/// `a` is known to be good and runs; nothing is marked yet.
fn machine() -> Machine {
    let machine = Machine::installed();
    for system in ["a", "b"] {
        machine.put(&format!("{}/kernel-params", toplevel(system)), b"quiet\n");
    }
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine
}

fn mark(machine: &Machine) -> (i32, String) {
    status(&machine.run(MARK, &[&toplevel("b")]))
}

fn one_shot(machine: &Machine) -> Option<String> {
    machine.variable_text("LoaderEntryOneShot")
}

/// The script that NixOS gives to every system, for one that has secrets and for one that has none.
fn give_script(machine: &Machine, system: &str, has_secrets: bool) {
    let (ends, secrets) =
        if has_secrets { ("", "cp -a /key \"$tmp/.initrd-secrets//key\"\n") } else { ("exit 0", "") };
    let script = format!(
        "#!/nix/store/bbb-bash/bin/bash -e\nfunction usage {{\n  echo \"USAGE: $0 INITRD_FILE\" >&2\n}}\n\n\
         if [ $# -ne 1 ]; then\n  usage\n  exit 1\nfi\n\nif [ \"$1\"x = \"--helpx\" ]; then\n  usage\n  exit 0\nfi\n\n\
         {ends}\n\nexport PATH=/nix/store/ccc-coreutils/bin\n\ntmp=$(mktemp -d)\n\n{secrets}\n\
         (cd \"$tmp\" && find . | cpio -o -H newc | gzip) >> \"$1\"\n"
    );
    let store = format!("/nix/store/{system}-append-initrd-secrets/bin/append-initrd-secrets");
    machine.put(&store, script.as_bytes());
    machine.link(&format!("{}/append-initrd-secrets", toplevel(system)), &store);
}

#[test]
fn an_initrd_is_repaired_although_nixos_gives_every_system_a_script_that_appends_secrets() {
    for damage in [None, Some(&b"damaged"[..]), Some(b""), Some(b"initrd of b and more")] {
        let machine = machine();
        give_script(&machine, "b", false);
        match damage {
            Some(bytes) => machine.put(INITRD, bytes),
            None => fs::remove_file(machine.at(INITRD)).unwrap(),
        }
        let (code, said) = mark(&machine);
        assert_eq!(code, 0, "{damage:?}: {said}");
        assert_eq!(machine.text(INITRD), "initrd of b", "{damage:?}");
        assert_eq!(one_shot(&machine).as_deref(), Some("nixos-b.conf"), "{damage:?}");
    }
}

#[test]
fn an_initrd_with_secrets_is_kept_as_it_is_and_is_not_armed_once_it_is_damaged() {
    let machine = machine();
    give_script(&machine, "b", true);
    machine.put(INITRD, b"initrd of b and the owner's secrets");
    let (code, said) = mark(&machine);
    assert_eq!(code, 0, "{said}");
    assert_eq!(machine.text(INITRD), "initrd of b and the owner's secrets");
    for damage in [None, Some(&b"damaged"[..])] {
        let machine = self::machine();
        give_script(&machine, "b", true);
        match damage {
            Some(bytes) => machine.put(INITRD, bytes),
            None => fs::remove_file(machine.at(INITRD)).unwrap(),
        }
        let (code, said) = mark(&machine);
        assert!(code == 74 && said.contains("holds secrets"), "{damage:?}: {said}");
        assert!(one_shot(&machine).is_none(), "{damage:?}");
    }
}

#[test]
fn an_entry_whose_files_are_gone_keeps_no_whole_entry_of_its_system_from_being_used() {
    for system in ["a", "b"] {
        let machine = machine();
        for system in ["a", "b"] {
            give_script(&machine, system, true);
        }
        let copy = machine.text(&format!("/boot/loader/entries/nixos-{system}.conf"));
        let copy = copy.replace("/EFI/nixos/", "/EFI/nixos/gone-");
        machine.put("/boot/loader/entries/a-copy.conf", copy.as_bytes());
        // As an installer leaves it.
        machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
        let (code, said) = mark(&machine);
        assert!(code == 0 && said.contains("a-copy.conf"), "{system}: {said}");
        assert_eq!(one_shot(&machine).as_deref(), Some("nixos-b.conf"), "{system}");
        let conf = machine.text("/boot/loader/loader.conf");
        assert!(conf.contains("default nixos-a.conf"), "{system}: {conf}");
        assert!(
            !machine.at("/boot/EFI/nixos/gone-a-kernel.efi").exists(),
            "{system}: nothing is copied for it"
        );
        assert!(
            !machine.at("/boot/EFI/nixos/gone-b-kernel.efi").exists(),
            "{system}: nothing is copied for it"
        );
    }
}

#[test]
fn an_image_that_is_damaged_keeps_no_whole_image_of_its_system_from_being_used() {
    let machine = machine();
    fs::remove_file(machine.at("/boot/loader/entries/nixos-b.conf")).unwrap();
    let options = format!("init={}/init quiet", toplevel("b"));
    let whole =
        efi_image(&[(".cmdline", options.as_bytes()), (".linux", &kernel("b")), (".initrd", b"initrd of b")]);
    machine.put("/boot/EFI/Linux/nixos-1-old.efi", &whole[..whole.len() - 1]);
    machine.put("/boot/EFI/Linux/nixos-2-new.efi", &whole);
    let (code, said) = mark(&machine);
    assert!(code == 0 && said.contains("nixos-1-old.efi"), "{said}");
    assert_eq!(one_shot(&machine).as_deref(), Some("nixos-2-new.efi"));
}

/// The entry of `b` has a device tree, as systemd-boot's installer writes it with `installDeviceTree`.
fn with_device_tree(names_it: bool) -> Machine {
    let machine = machine();
    machine.put("/nix/store/dtbs-b/vendor/board.dtb", b"board of b");
    let spec = if names_it {
        r#"{"org.nixos.bootspec.v1": {}, "org.nixos.systemd-boot": {"devicetree": "/nix/store/dtbs-b/vendor/board.dtb"}}"#
    } else {
        r#"{"org.nixos.bootspec.v1": {}, "org.nixos.systemd-boot": {"sortKey": "nixos"}}"#
    };
    machine.put(&format!("{}/boot.json", toplevel("b")), spec.as_bytes());
    let entry = machine.text("/boot/loader/entries/nixos-b.conf") + "devicetree /EFI/nixos/b-board.dtb.efi\n";
    machine.put("/boot/loader/entries/nixos-b.conf", entry.as_bytes());
    machine.put(TREE, b"board of b");
    machine
}

#[test]
fn the_device_tree_of_an_entry_is_compared_and_repaired_as_its_kernel_is() {
    for damage in [None, Some(&b"damaged"[..]), Some(b"")] {
        let machine = with_device_tree(true);
        match damage {
            Some(bytes) => machine.put(TREE, bytes),
            None => fs::remove_file(machine.at(TREE)).unwrap(),
        }
        let (code, said) = mark(&machine);
        assert_eq!(code, 0, "{damage:?}: {said}");
        assert_eq!(machine.text(TREE), "board of b", "{damage:?}");
    }
}

#[test]
fn an_entry_whose_device_tree_is_gone_for_good_is_never_armed() {
    let machine = with_device_tree(true);
    fs::remove_file(machine.at(TREE)).unwrap();
    fs::remove_file(machine.at("/nix/store/dtbs-b/vendor/board.dtb")).unwrap();
    let (code, said) = mark(&machine);
    assert!(code == 74 && said.contains("board.dtb") && one_shot(&machine).is_none(), "{said}");
    // Nothing says where this one came from.
    let machine = with_device_tree(false);
    assert_eq!(mark(&machine).0, 0, "it is there");
    for damage in [None, Some(&b""[..])] {
        let machine = with_device_tree(false);
        match damage {
            Some(bytes) => machine.put(TREE, bytes),
            None => fs::remove_file(machine.at(TREE)).unwrap(),
        }
        let (code, said) = mark(&machine);
        assert!(code == 74 && said.contains("b-board.dtb.efi") && one_shot(&machine).is_none(), "{said}");
    }
}

/// GRUB's menu with a line more in every entry of `b`.
fn grub(line: &str) -> Machine {
    let machine = Machine::with_grub();
    let initrd = "  initrd ($drive1)/kernels/b-initrd\n";
    let cfg = machine.text("/boot/grub/grub.cfg").replace(initrd, &format!("{initrd}  {line}\n"));
    machine.put("/boot/grub/grub.cfg", cfg.as_bytes());
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine
}

#[test]
fn the_device_tree_of_a_menu_entry_has_to_be_there() {
    for line in ["devicetree ($drive1)/nix/store/dtbs/board.dtb", "devicetree ($drive1)/kernels/board.dtb"] {
        let machine = grub(line);
        let (code, said) = mark(&machine);
        assert!(code == 74 && said.contains("board.dtb"), "{line}: {said}");
        let machine = grub(line);
        machine.put("/nix/store/dtbs/board.dtb", b"board");
        machine.put("/boot/kernels/board.dtb", b"board");
        let (code, said) = mark(&machine);
        assert_eq!(code, 0, "{line}: {said}");
    }
    // Where this one is, only GRUB knows.
    assert_eq!(mark(&grub("devicetree (hd1,gpt1)/board.dtb")).0, 0);
}

#[test]
fn a_menu_entry_whose_files_are_gone_keeps_no_other_entry_of_its_system_from_being_used() {
    let machine = Machine::with_grub();
    let copy = format!(
        "menuentry \"copied\" {{\n  linux ($drive1)/kernels/gone-kernel init={}/init quiet\n  initrd ($drive1)/kernels/gone-initrd\n}}\n",
        toplevel("b")
    );
    let cfg = machine.text("/boot/grub/grub.cfg") + "submenu \"Mine\" {\n" + &copy + "}\n";
    machine.put("/boot/grub/grub.cfg", cfg.as_bytes());
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    let (code, said) = mark(&machine);
    assert!(code == 0 && said.contains("copied"), "{said}");
    let env = machine.text("/boot/grub/grubenv");
    assert!(env.contains("next_entry=NixOS - All configurations>NixOS - Configuration 2 (b)\n"), "{env}");
    assert!(!machine.at("/boot/kernels/gone-kernel").exists(), "nothing is copied for it");
}

#[test]
fn a_golden_whose_copied_entry_is_broken_is_whole() {
    let machine = machine();
    give_script(&machine, "a", true);
    let copy = machine.text("/boot/loader/entries/nixos-a.conf").replace("/EFI/nixos/", "/EFI/nixos/gone-");
    machine.put("/boot/loader/entries/a-copy.conf", copy.as_bytes());
    let (_, said) = status(&machine.run(VERIFY, &[]));
    assert!(!said.contains("could not be landed on") && said.contains("a-copy.conf is not used"), "{said}");
}
