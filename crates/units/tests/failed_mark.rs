//! A mark that fails: its installer has made the new system the default already.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{LEDGER, Machine, kernel, status, toplevel};

const BOOT_CHECK: &str = env!("CARGO_BIN_EXE_golden-boot-check");
const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");
const CONF: &str = "/boot/loader/loader.conf";

/// A system with a boot entry.
fn add(machine: &Machine, system: &str) {
    let top = toplevel(system);
    machine.put(&format!("{top}/init"), b"");
    for (file, bytes) in [("kernel", kernel(system)), ("initrd", b"initrd".to_vec())] {
        machine.put(&format!("{top}/{file}"), &bytes);
        machine.put(&format!("/boot/EFI/nixos/{system}-{file}.efi"), &bytes);
    }
    let entry = format!(
        "title NixOS\nlinux /EFI/nixos/{system}-kernel.efi\ninitrd /EFI/nixos/{system}-initrd.efi\n\
         options init={top}/init quiet\n"
    );
    machine.put(&format!("/boot/loader/entries/nixos-{system}.conf"), entry.as_bytes());
}

/// The last act of an installer: this entry is the default.
fn install(machine: &Machine, system: &str) {
    machine.put(CONF, format!("timeout 3\ndefault nixos-{system}.conf\n").as_bytes());
}

/// `a` is golden and confirmed; the installer has made `b` the default.
fn deployed() -> Machine {
    let machine = Machine::installed();
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    install(&machine, "b");
    machine
}

/// `a` is golden, `b` was confirmed since and is the default.
fn confirmed() -> Machine {
    let machine = deployed();
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 0);
    machine.boot(2, "b");
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    assert_eq!(status(&machine.run(CONFIRM, &[])).0, 0);
    machine
}

/// `a` runs; `b` has failed twice and is quarantined.
fn quarantined() -> Machine {
    let machine = deployed();
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 0);
    for number in [2, 3] {
        machine.boot(number, "b");
        assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    }
    machine.boot(4, "a");
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    machine
}

/// The default boot entry: variables go before the loader's file.
fn default(machine: &Machine) -> Option<String> {
    let of_file = || {
        let text = machine.text(CONF);
        text.lines().rev().find_map(|line| line.strip_prefix("default ")).map(str::to_owned)
    };
    let set = |name: &str| machine.variable(name).is_file().then(|| machine.variable_text(name)).flatten();
    let entry = set("LoaderEntryPreferred").or_else(|| set("LoaderEntryDefault")).or_else(of_file)?;
    machine.at(&format!("/boot/loader/entries/{entry}")).exists().then_some(entry)
}

type Break = fn(&Machine);

#[test]
fn a_known_good_system_is_the_default_after_a_mark_that_failed_for_any_reason() {
    let faults: [(&str, Break, &str); 6] = [
        (
            "a variable cannot be read",
            |machine| fs::create_dir(machine.variable("LoaderEntryDefault")).unwrap(),
            "LoaderEntryDefault",
        ),
        (
            "the other one cannot",
            |machine| fs::create_dir(machine.variable("LoaderEntryPreferred")).unwrap(),
            "LoaderEntryPreferred",
        ),
        (
            "the one-shot cannot be read",
            |machine| fs::create_dir(machine.variable("LoaderEntryOneShot")).unwrap(),
            "LoaderEntryOneShot",
        ),
        (
            "the ledger cannot be written, and a variable names the new system",
            |machine| {
                machine.set_variable("LoaderEntryDefault", "nixos-b.conf");
                fs::rename(machine.at("/var/lib/golden-generation"), machine.at("/var/lib/away")).unwrap();
                machine.put("/var/lib/golden-generation", b"no directory");
            },
            "/var/lib/golden-generation",
        ),
        (
            "the new system has no entry, and a variable names it",
            |machine| {
                machine.set_variable("LoaderEntryPreferred", "nixos-b.conf");
                fs::remove_file(machine.at("/boot/loader/entries/nixos-b.conf")).unwrap();
            },
            "has no boot entry",
        ),
        (
            "the kernel of the new system is damaged",
            |machine| {
                for file in [format!("{}/kernel", toplevel("b")), "/boot/EFI/nixos/b-kernel.efi".to_owned()] {
                    machine.put(&file, b"damaged");
                }
            },
            "b-kernel.efi",
        ),
    ];
    for (what, make, said_of) in faults {
        let machine = deployed();
        make(&machine);
        let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
        assert_eq!(code, 74, "{what}: {said}");
        assert!(said.contains(said_of), "{what}: {said}");
        assert_eq!(default(&machine).as_deref(), Some("nixos-a.conf"), "{what}: {said}");
        assert!(!said.contains("no known-good system"), "{what}: {said}");
        assert!(!machine.variable("LoaderEntryOneShot").is_file(), "{what}: {said}");
    }
}

#[test]
fn a_quarantined_system_is_not_the_default_although_the_loader_cannot_be_asked() {
    let machine = quarantined();
    install(&machine, "b");
    fs::create_dir(machine.variable("LoaderEntryDefault")).unwrap();
    let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
    assert_ne!(code, 0, "{said}");
    assert_eq!(default(&machine).as_deref(), Some("nixos-a.conf"), "{said}");
}

#[test]
fn a_path_that_is_refused_does_not_leave_the_new_system_as_the_default() {
    for path in ["result", "/nix/store/../../etc", "/nix/var/nix/profiles/system"] {
        let machine = deployed();
        let (code, said) = status(&machine.run(MARK, &[path]));
        assert_eq!(code, 64, "{path}: {said}");
        assert!(said.contains(path) && said.contains("hint: "), "{path}: {said}");
        assert_eq!(default(&machine).as_deref(), Some("nixos-a.conf"), "{path}: {said}");
        // A default that is known to be good stays.
        let machine = confirmed();
        let before = machine.text(CONF);
        assert_eq!(status(&machine.run(MARK, &[path])).0, 64);
        assert_eq!(machine.text(CONF), before, "{path}");
    }
}

#[test]
fn a_directory_of_entries_that_cannot_be_read_is_not_called_a_missing_loader() {
    let machine = deployed();
    let entries = machine.at("/boot/loader/entries");
    fs::rename(&entries, machine.at("/boot/away")).unwrap();
    symlink("entries", &entries).unwrap();
    let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("cannot list /boot/loader/entries"), "{said}");
    assert!(!said.contains("no boot loader found"), "{said}");
    assert!(said.contains("no known-good system could be made the default"), "{said}");
}

#[test]
fn a_person_who_switches_to_a_confirmed_system_without_an_entry_gets_a_default_that_has_one() {
    // NixOS's installer lists the newest generations only: with `configurationLimit = 1` not the one that is switched to.
    let machine = confirmed();
    add(&machine, "c");
    install(&machine, "c");
    assert_eq!(status(&machine.run(MARK, &[&toplevel("c")])).0, 0);
    assert_eq!(machine.variable_text("LoaderEntryOneShot").as_deref(), Some("nixos-c.conf"));
    fs::remove_file(machine.at("/boot/loader/entries/nixos-b.conf")).unwrap();
    install(&machine, "b");
    let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("has no boot entry"), "{said}");
    assert!(said.contains(&format!("{} is the default boot entry", toplevel("a"))), "{said}");
    assert_eq!(default(&machine).as_deref(), Some("nixos-a.conf"), "{said}");
    // The person left `c`: it is not started, panics or not.
    assert_eq!(machine.variable_text("LoaderEntryOneShot"), None, "{said}");
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
    assert!(ledger["trial"].is_null(), "{ledger}");
    machine.boot(3, "a");
    assert_eq!(status(&machine.run(BOOT_CHECK, &[])).0, 0);
    assert_eq!(machine.variable_text("LoaderEntryOneShot"), None);
}

#[test]
fn a_one_shot_that_belongs_to_no_trial_is_taken_back() {
    let machine = deployed();
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 0);
    add(&machine, "c");
    install(&machine, "c");
    let ledger = machine.text(LEDGER);
    let newer = ledger
        .replace("\"min_reader\": 1", "\"min_reader\": 2")
        .replace("\"min_reader\":1", "\"min_reader\":2");
    assert_ne!(newer, ledger);
    machine.put(LEDGER, newer.as_bytes());
    let (code, said) = status(&machine.run(MARK, &[&toplevel("c")]));
    assert_eq!(code, 65, "{said}");
    assert_eq!(default(&machine).as_deref(), Some("nixos-a.conf"), "{said}");
    assert_eq!(machine.variable_text("LoaderEntryOneShot"), None, "{said}");
}

#[test]
fn a_trial_that_waits_stays_armed_where_a_later_mark_fails() {
    let machine = deployed();
    assert_eq!(status(&machine.run(MARK, &[&toplevel("b")])).0, 0);
    let (code, said) = status(&machine.run(MARK, &["/nix/store/no-system/../x"]));
    assert_eq!(code, 64, "{said}");
    assert_eq!(default(&machine).as_deref(), Some("nixos-a.conf"), "{said}");
    assert_eq!(machine.variable_text("LoaderEntryOneShot").as_deref(), Some("nixos-b.conf"), "{said}");
}

/// The programs of Nix, as far as a refusal runs them: each is written down.
const CHROOT: &str = r#"#!/bin/sh
root=$1 program=$2
shift 2
echo "$program $*" >>"$root/ran"
profile=$root$2
case "$program $3" in
"nix-env --set")
    n=1
    while [ -L "$profile-$n-link" ]; do n=$((n + 1)); done
    ln -s "$4" "$profile-$n-link"
    ln -sfn "system-$n-link" "$profile" ;;
"nix-env --switch-generation") ln -sfn "system-$4-link" "$profile" ;;
esac
"#;

fn names(machine: &Machine, profile: &str) -> String {
    let link = fs::read_link(machine.at(profile)).unwrap();
    let directory = machine.at(profile).parent().unwrap().to_owned();
    fs::read_link(directory.join(link)).unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_deployer_that_is_refused_again_and_again_adds_no_generations() {
    const PROFILE: &str = "/nix/var/nix/profiles/system";
    let machine = quarantined();
    machine.put("/stubs/chroot", CHROOT.as_bytes());
    fs::set_permissions(machine.at("/stubs/chroot"), fs::Permissions::from_mode(0o755)).unwrap();
    for (number, system) in [(1, "a"), (2, "b")] {
        machine.link(&format!("{PROFILE}-{number}-link"), &toplevel(system));
    }
    for _ in 0..3 {
        // `nix-env --set` takes the newest generation if it is this system already.
        let _ = fs::remove_file(machine.at(PROFILE));
        machine.link(PROFILE, "system-2-link");
        install(&machine, "b");
        let path = format!("{}:{}", machine.at("/stubs").display(), std::env::var("PATH").unwrap());
        let mut mark = Command::new(MARK);
        mark.arg("--root").arg(machine.root()).arg(toplevel("b")).env("PATH", path);
        let (code, said) = status(&mark.output().unwrap());
        assert_eq!(code, 77, "{said}");
        assert_eq!(names(&machine, PROFILE), toplevel("a"), "{said}");
    }
    assert!(!machine.at(&format!("{PROFILE}-3-link")).is_symlink(), "{}", machine.text("/ran"));
}

#[test]
fn a_trial_that_cannot_be_armed_is_told_once_in_history() {
    let machine = deployed();
    // A link to nowhere reads as no variable, and cannot be written.
    symlink("nowhere/nothing", machine.variable("LoaderEntryOneShot")).unwrap();
    let (code, said) = status(&machine.run(MARK, &[&toplevel("b")]));
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("could not be armed yet") && !said.contains("was not marked"), "{said}");
    for number in [2, 3] {
        machine.boot(number, "a");
        symlink("nowhere/nothing", machine.variable("LoaderEntryOneShot")).unwrap();
        machine.run(BOOT_CHECK, &[]);
    }
    let history = machine.text("/var/lib/golden-generation/history.jsonl");
    assert_eq!(history.matches("\"not-armed\"").count(), 1, "{history}");
    assert!(history.contains("LoaderEntryOneShot"), "{history}");
}
