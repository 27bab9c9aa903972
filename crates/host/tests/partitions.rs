//! The partition that the loader reads, and the files that are written there.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use golden_core::{OneShot, Toplevel};
use golden_host::loader::detect;
use golden_host::operation::{Options, Switch, boot_check, confirm, mark};
use golden_host::simulated::{Loader, SimulatedHost, World, install};
use golden_host::{Error, LinuxHost, Output};

mod machine;

use machine::{Machine, toplevel};

/// The root and the firmware's variables, as the kernel lists them.
const ROOT: &str = "30 1 253:0 / / rw shared:1 - ext4 /dev/vda3 rw\n\
                    25 24 0:22 / /sys/firmware/efi/efivars rw shared:9 - efivarfs efivarfs rw\n";
const FIRST: &str = "11111111-2222-4333-8444-555555555555";
const SECOND: &str = "22222222-2222-4333-8444-555555555555";

fn system(name: &str) -> Toplevel {
    toplevel(name).parse().unwrap()
}

fn host(machine: &Machine) -> LinuxHost {
    LinuxHost::new(machine.root())
}

fn mounted(machine: &Machine, lines: &[&str]) {
    machine.put("/proc/self/mountinfo", format!("{ROOT}{}\n", lines.join("\n")).as_bytes());
}

/// `a` was confirmed, and an installer has made `b` the default of the loader at `esp`.
fn deployed(machine: &Machine, esp: &str, options: &Options) {
    confirm(&host(machine), options).unwrap();
    machine.put(&format!("{esp}/loader/loader.conf"), b"timeout 3\ndefault nixos-b.conf\n");
}

fn marked(machine: &Machine, options: &Options) -> Result<(), Error> {
    mark(&host(machine), options, &system("b"), Switch::Boot, None)
}

/// The last line of `loader.conf` that says something.
fn default_at(machine: &Machine, esp: &str) -> String {
    let text = machine.text(&format!("{esp}/loader/loader.conf"));
    text.lines().rev().find(|line| line.starts_with("default ")).unwrap().to_owned()
}

fn mirrored(places: &[&str]) -> Options {
    Options { mirrors: places.iter().map(PathBuf::from).collect(), ..Options::default() }
}

/// The ESP at `/efi`, with `loader.conf` and no entries.
fn with_separate_esp(machine: &Machine) {
    std::fs::remove_file(machine.at("/boot/loader/loader.conf")).unwrap();
    machine.put("/efi/loader/loader.conf", b"timeout 3\ndefault nixos-a.conf\n");
}

#[test]
fn entries_are_read_from_an_xbootldr_of_any_file_system_and_the_default_is_written_to_the_esp() {
    for file_system in ["ext4", "vfat", "btrfs"] {
        let machine = Machine::installed();
        with_separate_esp(&machine);
        let boot = format!("42 30 253:2 / /boot rw - {file_system} /dev/vda2 rw");
        mounted(&machine, &["41 30 253:1 / /efi rw - vfat /dev/vda1 rw", &boot]);
        deployed(&machine, "/efi", &Options::default());
        marked(&machine, &Options::default()).unwrap();
        assert_eq!(default_at(&machine, "/efi"), "default nixos-a.conf", "{file_system}");
        assert!(!machine.at("/boot/loader/loader.conf").exists(), "{file_system}");
        assert_eq!(machine.variable_text("LoaderEntryOneShot").as_deref(), Some("nixos-b.conf"));
    }
}

#[test]
fn nothing_is_written_where_a_boot_partition_is_not_mounted_and_the_trial_stays_one() {
    let idle = "40 30 0:44 / /efi rw - autofs systemd-1 rw";
    let boot = "42 30 253:2 / /boot rw - vfat /dev/vda2 rw";
    let esp = "41 30 253:1 / /efi rw - vfat /dev/vda1 rw";
    let bound = "41 30 253:0 /boot /boot rw - ext4 /dev/vda3 rw";
    for (what, lines) in [
        ("an automount of the ESP that does not come", &[idle, boot][..]),
        (
            "an automount of XBOOTLDR that does not come",
            &[esp, "39 30 0:45 / /boot rw - autofs systemd-1 rw"],
        ),
        ("a directory of the root file system", &[]),
        ("the same, bound to itself for a unit", &[bound]),
    ] {
        let machine = Machine::installed();
        with_separate_esp(&machine);
        mounted(&machine, &[esp, boot]);
        deployed(&machine, "/efi", &Options::default());
        marked(&machine, &Options::default()).unwrap();
        machine.boot(2, "b");
        mounted(&machine, lines);
        let host = host(&machine);
        let error = detect(&host, &Options::default()).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::BootPartition(_)), "{what}: {error}");
        golden_host::operation::boot_check(&host, &Options::default()).unwrap();
        let error = golden_host::operation::confirm(&host, &Options::default()).unwrap_err();
        assert!(matches!(error, Error::BootPartition(_)), "{what}: {error}");
        let ledger = machine.text(machine::LEDGER);
        assert!(ledger.contains("\"trial\"") && ledger.contains(&toplevel("b")), "{what}: {ledger}");
        assert!(!machine.at("/boot/loader/loader.conf").exists(), "{what}");
        assert_eq!(default_at(&machine, "/efi"), "default nixos-a.conf", "{what}");
    }
}

#[test]
fn an_idle_automount_is_mounted_before_anything_is_read_from_it() {
    let host = SimulatedHost::new(World::with_loader(Loader::SystemdBoot), Options::default());
    for name in ["a", "b"] {
        install(&host, &system(name)).unwrap();
    }
    let put = |world: &mut World, bytes: &[u8]| {
        Arc::make_mut(&mut world.volatile).write("/proc/self/mountinfo", bytes);
    };
    let mounts = |file_system: &str| {
        format!("{ROOT}41 30 253:1 / /boot rw - {file_system} /dev/vda1 rw\n").into_bytes()
    };
    host.change(|world| put(world, &mounts("autofs")));
    let looked = mounts("vfat");
    host.teach(
        "ls",
        Box::new(move |host, arguments| {
            assert_eq!(arguments, ["-d", "/boot/."]);
            host.change(|world| put(world, &looked));
            Ok(Output { success: true, stdout: String::new(), stderr: String::new() })
        }),
    );
    let options = Options::default();
    let loader = detect(&host, &options).unwrap();
    loader.set_default(&system("b")).unwrap();
    assert_eq!(loader.see().unwrap().default, Some(system("b")));
}

#[test]
fn of_several_partitions_the_esp_is_the_one_that_the_firmware_started_the_loader_from() {
    type Tell = fn(&Machine);
    let by_link: Tell = |machine| {
        machine.link(&format!("/dev/disk/by-partuuid/{FIRST}"), "../../vda1");
        machine.link(&format!("/dev/disk/by-partuuid/{SECOND}"), "../../vda2");
    };
    // A unit with devices of its own.
    let by_udev: Tell = |machine| {
        machine.put("/run/udev/data/b253:1", format!("E:ID_PART_ENTRY_UUID={FIRST}\n").as_bytes());
        machine.put("/run/udev/data/b253:2", format!("E:ID_PART_ENTRY_UUID={SECOND}\n").as_bytes());
    };
    let by_kernel: Tell = |machine| {
        machine.put("/sys/dev/block/253:1/uevent", format!("DEVNAME=vda1\nPARTUUID={FIRST}\n").as_bytes());
        machine.put("/sys/dev/block/253:2/uevent", format!("DEVNAME=vda2\nPARTUUID={SECOND}\n").as_bytes());
    };
    for tell in [by_link, by_udev, by_kernel] {
        for (partition, esp) in [(FIRST, "/efi"), (SECOND, "/boot")] {
            let machine = Machine::installed();
            machine.put("/efi/loader/loader.conf", b"default nixos-a.conf\n");
            machine.put(
                "/efi/loader/entries/nixos-b.conf",
                machine.text("/boot/loader/entries/nixos-b.conf").as_bytes(),
            );
            for file in ["kernel", "initrd"] {
                let file = format!("EFI/nixos/b-{file}.efi");
                machine.put(
                    &format!("/efi/{file}"),
                    &std::fs::read(machine.at(&format!("/boot/{file}"))).unwrap(),
                );
            }
            mounted(
                &machine,
                &["41 30 253:1 / /efi rw - vfat /dev/vda1 rw", "42 30 253:2 / /boot rw - vfat /dev/vda2 rw"],
            );
            tell(&machine);
            machine.set_variable("LoaderDevicePartUUID", &partition.to_uppercase());
            let (host, options) = (host(&machine), Options::default());
            detect(&host, &options).unwrap().set_default(&system("b")).unwrap();
            assert_eq!(default_at(&machine, esp), "default nixos-b.conf", "{esp}");
            let other = if esp == "/efi" { "/boot" } else { "/efi" };
            assert_eq!(default_at(&machine, other), "default nixos-a.conf", "{esp}");
        }
    }
}

/// A machine with two ESPs, and an owner's copy of the first one that was made before the mark.
fn with_two_esps(options: &Options, started_from: &str) -> Machine {
    with_mirror_at("/boot2", options, started_from)
}

fn with_mirror_at(mirror: &str, options: &Options, started_from: &str) -> Machine {
    let machine = Machine::installed();
    machine.set_variable("LoaderDevicePartUUID", started_from);
    machine.link(&format!("/dev/disk/by-partuuid/{FIRST}"), "../../vda1");
    machine.link(&format!("/dev/disk/by-partuuid/{SECOND}"), "../../vdb1");
    let second = format!("43 30 253:17 / {mirror} rw - vfat /dev/vdb1 rw");
    mounted(&machine, &["41 30 253:1 / /boot rw - vfat /dev/vda1 rw", &second]);
    machine.put(
        &format!("{mirror}/loader/entries/nixos-a.conf"),
        machine.text("/boot/loader/entries/nixos-a.conf").as_bytes(),
    );
    machine.put(&format!("{mirror}/loader/loader.conf"), b"timeout 3\ndefault nixos-a.conf\n");
    deployed(&machine, "/boot", options);
    machine.put(&format!("{mirror}/loader/loader.conf"), b"timeout 3\ndefault nixos-b.conf\n");
    machine
}

#[test]
fn a_mirror_of_the_esp_has_the_default_the_entries_and_the_boot_files_that_the_esp_has() {
    for started_from in [FIRST, SECOND] {
        let options = mirrored(&["/boot2"]);
        let machine = with_two_esps(&options, started_from);
        marked(&machine, &options).unwrap();
        for esp in ["/boot", "/boot2"] {
            assert_eq!(default_at(&machine, esp), "default nixos-a.conf", "{esp}");
            for file in ["loader/entries/nixos-b.conf", "EFI/nixos/b-kernel.efi", "EFI/nixos/a-initrd.efi"] {
                assert!(machine.at(&format!("{esp}/{file}")).exists(), "{esp}/{file}");
            }
        }
        let host = host(&machine);
        let loader = detect(&host, &options).unwrap();
        assert_eq!(loader.doubts(), Vec::<String>::new());
        assert_eq!(loader.see().unwrap().one_shot, OneShot::Armed(system("b")));
        machine.boot(2, "b");
        boot_check(&host, &options).unwrap();
        confirm(&host, &options).unwrap();
        for esp in ["/boot", "/boot2"] {
            assert_eq!(default_at(&machine, esp), "default nixos-b.conf", "{esp}");
        }
    }
}

#[test]
fn an_attempt_that_began_on_a_named_mirror_counts_as_any_other() {
    let options = mirrored(&["/boot2"]);
    let machine = with_two_esps(&options, FIRST);
    marked(&machine, &options).unwrap();
    machine.set_variable("LoaderDevicePartUUID", SECOND);
    machine.boot(2, "a");
    // The second attempt is armed, and a machine below another root does not reboot.
    boot_check(&host(&machine), &options).unwrap_err();
    let ledger = machine.text("/var/lib/golden-generation/ledger.json");
    let ledger: serde_json::Value = serde_json::from_str(&ledger).unwrap();
    assert_eq!(ledger["trial"]["attempts"].as_array().map(Vec::len), Some(1), "{ledger}");
}

#[test]
fn a_partition_that_nobody_named_and_that_the_loader_came_from_is_kept_alike_and_said() {
    let options = Options::default();
    let machine = with_two_esps(&options, SECOND);
    marked(&machine, &options).unwrap();
    assert_eq!(default_at(&machine, "/boot2"), "default nixos-a.conf");
    let host = host(&machine);
    let doubts = detect(&host, &options).unwrap().doubts();
    assert!(matches!(&doubts[..], [only] if only.contains("/boot2")), "{doubts:?}");
}

#[test]
fn a_partition_that_the_loader_came_from_and_that_is_not_mounted_is_an_error() {
    let options = Options::default();
    let machine = with_two_esps(&options, SECOND);
    mounted(&machine, &["41 30 253:1 / /boot rw - vfat /dev/vda1 rw"]);
    assert!(matches!(marked(&machine, &options), Err(Error::BootPartition(why)) if why.contains(SECOND)));
}

#[test]
fn an_esp_on_an_array_of_disks_is_none_of_the_partitions_that_it_lies_on() {
    let machine = Machine::installed();
    machine.set_variable("LoaderDevicePartUUID", FIRST);
    machine.link(&format!("/dev/disk/by-partuuid/{FIRST}"), "../../vda1");
    mounted(&machine, &["41 30 9:127 / /boot rw - vfat /dev/md127 rw"]);
    deployed(&machine, "/boot", &Options::default());
    marked(&machine, &Options::default()).unwrap();
    assert_eq!(default_at(&machine, "/boot"), "default nixos-a.conf");
}

#[test]
fn a_mirror_that_is_not_mounted_keeps_no_other_partition_from_being_written_and_is_said() {
    let options = mirrored(&["/boot2", "/boot3"]);
    let machine = with_two_esps(&options, FIRST);
    marked(&machine, &options).unwrap();
    assert_eq!(default_at(&machine, "/boot2"), "default nixos-a.conf");
    assert!(!machine.at("/boot3").exists());
    let host = host(&machine);
    let doubts = detect(&host, &options).unwrap().doubts();
    assert!(matches!(&doubts[..], [only] if only.contains("/boot3")), "{doubts:?}");
}

#[test]
fn mirrors_with_different_defaults_have_none() {
    let options = mirrored(&["/boot2"]);
    let machine = with_two_esps(&options, FIRST);
    machine.put("/boot2/loader/loader.conf", b"default nixos-a.conf\n");
    let host = host(&machine);
    let loader = detect(&host, &options).unwrap();
    assert_eq!(loader.see().unwrap().default, None);
    assert_eq!(loader.doubts().len(), 1);
}

#[test]
fn every_mirror_of_grub_has_the_same_environment_and_a_one_shot_that_one_of_them_took_back_is_armed_on_none()
{
    let options = mirrored(&["/boot2"]);
    let machine = Machine::with_grub();
    for file in [
        "grub/grub.cfg",
        "grub/grubenv",
        "kernels/a-kernel",
        "kernels/a-initrd",
        "kernels/b-kernel",
        "kernels/b-initrd",
    ] {
        machine.put(&format!("/boot2/{file}"), machine.text(&format!("/boot/{file}")).as_bytes());
    }
    let host = host(&machine);
    let env = |boot: &str| machine.text(&format!("{boot}/grub/grubenv"));
    let loader = detect(&host, &options).unwrap();
    loader.set_default(&system("a")).unwrap();
    loader.arm(&system("b")).unwrap();
    assert_eq!(env("/boot"), env("/boot2"));
    assert!(env("/boot2").contains("next_entry=") && env("/boot2").contains("saved_entry="));
    machine.grub_boots(2, "b");
    assert_eq!(loader.see().unwrap().one_shot, OneShot::Clear);
    loader.consume_one_shot(&system("b")).unwrap();
    assert!(!env("/boot2").contains("next_entry="), "{}", env("/boot2"));
    assert_eq!(loader.has_one_shot(), Ok(()));
}

#[test]
fn a_name_that_looks_like_a_pattern_is_set_as_the_loader_reads_it() {
    for name in ["nixos-b[1].conf", "nixos-[b].conf", "nixos-b[.conf"] {
        let machine = Machine::installed();
        let entry = machine.text("/boot/loader/entries/nixos-b.conf");
        std::fs::remove_file(machine.at("/boot/loader/entries/nixos-b.conf")).unwrap();
        machine.put(&format!("/boot/loader/entries/{name}"), entry.as_bytes());
        let (host, options) = (host(&machine), Options::default());
        let loader = detect(&host, &options).unwrap();
        loader.set_default(&system("b")).unwrap();
        loader.arm(&system("b")).unwrap();
        let escaped = name.replace('[', "[[]");
        assert_eq!(default_at(&machine, "/boot"), format!("default {escaped}"));
        let seen = loader.see().unwrap();
        assert_eq!((seen.default, seen.one_shot), (Some(system("b")), OneShot::Armed(system("b"))), "{name}");
    }
}

#[test]
fn a_default_that_matches_several_entries_is_the_first_of_the_menu_or_a_doubt() {
    for (info, default, expected) in [
        (Some("systemd-boot 257.9"), "default nixos-*\n", Some("b")),
        (Some("systemd-boot 260"), "default nixos-?.conf\n", Some("b")),
        (Some("systemd-boot 257.9"), "default nothing.conf\n", Some("b")),
        (Some("systemd-boot 257.9"), "timeout 3\n", Some("b")),
        (Some("systemd-boot 257.9"), "default nixos-[a]*\n", Some("a")),
        (Some("systemd-boot 249"), "default nixos-*\n", None),
        (None, "default nixos-*\n", None),
        (None, "default nothing.conf\n", None),
        (Some("systemd-boot 257.9"), "default *\n", None),
    ] {
        let machine = Machine::installed();
        if let Some(info) = info {
            machine.set_variable("LoaderInfo", info);
        }
        if default == "default *\n" {
            machine.put(
                "/boot/loader/entries/windows.conf",
                b"title Windows\nefi /EFI/Microsoft/bootmgfw.efi\n",
            );
        }
        machine.put("/boot/loader/loader.conf", default.as_bytes());
        let (host, options) = (host(&machine), Options::default());
        let loader = detect(&host, &options).unwrap();
        let found = loader.see().unwrap().default;
        assert_eq!(found, expected.map(system), "{info:?} {default}");
        assert_eq!(loader.doubts().is_empty(), expected.is_some(), "{info:?} {default}");
    }
}

#[test]
fn a_switch_to_a_system_that_is_not_the_first_of_the_menu_is_followed_where_the_installer_names_every_system()
{
    for info in ["systemd-boot 257.9", "another loader"] {
        let machine = Machine::installed();
        machine.set_variable("LoaderInfo", info);
        machine.put("/boot/loader/loader.conf", b"default nixos-*\n");
        let (host, options) = (host(&machine), Options::default());
        detect(&host, &options).unwrap().follow_installer(&system("a")).unwrap();
        assert_eq!(default_at(&machine, "/boot"), "default nixos-a.conf", "{info}");
    }
}

#[test]
fn an_entry_is_read_once_by_a_program() {
    let machine = Machine::installed();
    let (host, options) = (host(&machine), Options::default());
    let loader = detect(&host, &options).unwrap();
    let before = loader.see().unwrap();
    std::fs::remove_dir_all(machine.at("/boot/loader/entries")).unwrap();
    assert_eq!(loader.see().unwrap(), before);
    loader.forget();
    assert!(loader.see().unwrap().listed.is_empty());
}

const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
const XBOOTLDR: &str = "bc13c2ff-59e6-4262-a352-b275fd6f7172";

/// The loader came from `/efi`, with golden's entry there; `/boot` is a partition of this type.
fn with_boot_of_type(kind: &str) -> Machine {
    let machine = Machine::installed();
    machine.put("/efi/loader/loader.conf", b"timeout 3\ndefault nixos-a.conf\n");
    for file in ["loader/entries/nixos-a.conf", "EFI/nixos/a-kernel.efi", "EFI/nixos/a-initrd.efi"] {
        let bytes = std::fs::read(machine.at(&format!("/boot/{file}"))).unwrap();
        machine.put(&format!("/efi/{file}"), &bytes);
    }
    mounted(
        &machine,
        &["41 30 253:1 / /efi rw - vfat /dev/vda1 rw", "42 30 253:17 / /boot rw - vfat /dev/vdb1 rw"],
    );
    for (number, identifier, kind) in [("253:1", FIRST, ESP), ("253:17", SECOND, kind)] {
        let known = format!("E:ID_PART_ENTRY_UUID={identifier}\nE:ID_PART_ENTRY_TYPE={kind}\n");
        machine.put(&format!("/run/udev/data/b{number}"), known.as_bytes());
    }
    machine.set_variable("LoaderDevicePartUUID", FIRST);
    machine
}

#[test]
fn an_entry_on_a_partition_that_the_loader_does_not_read_is_not_used() {
    let options = Options::default();
    for kind in [ESP, "0fc63daf-8483-4772-8e79-3d69d8477de4"] {
        let machine = with_boot_of_type(kind);
        let host = host(&machine);
        let loader = detect(&host, &options).unwrap();
        assert_eq!(loader.see().unwrap().listed, [system("a")], "{kind}");
        assert!(loader.doubts().iter().any(|doubt| doubt.contains("not /boot")), "{:?}", loader.doubts());
        // The loader would have passed over it, and the attempt would have counted.
        assert!(matches!(marked(&machine, &options), Err(Error::NoEntry(_))), "{kind}");
        assert_eq!(machine.variable_text("LoaderEntryOneShot"), None, "{kind}");
    }
    let machine = with_boot_of_type(XBOOTLDR);
    marked(&machine, &options).unwrap();
    assert_eq!(machine.variable_text("LoaderEntryOneShot").as_deref(), Some("nixos-b.conf"));
}

#[test]
fn a_mirror_on_a_failed_disk_keeps_no_other_partition_from_being_written_and_is_reported() {
    let options = mirrored(&["/boot2"]);
    let machine = with_two_esps(&options, FIRST);
    // The directory of entries cannot be listed.
    std::fs::remove_dir_all(machine.at("/boot2/loader/entries")).unwrap();
    machine.put("/boot2/loader/entries", b"");
    marked(&machine, &options).unwrap();
    assert_eq!(default_at(&machine, "/boot"), "default nixos-a.conf");
    assert_eq!(machine.variable_text("LoaderEntryOneShot").as_deref(), Some("nixos-b.conf"));
    let host = host(&machine);
    let doubts = detect(&host, &options).unwrap().doubts();
    assert!(matches!(&doubts[..], [only] if only.contains("/boot2") && only.contains("cannot be read")));
}

#[test]
fn a_mirror_with_a_space_in_its_path_is_kept_alike() {
    let options = mirrored(&["/boot 2"]);
    let machine = with_two_esps(&mirrored(&["/boot2"]), FIRST);
    std::fs::rename(machine.at("/boot2"), machine.at("/boot 2")).unwrap();
    mounted(
        &machine,
        &["41 30 253:1 / /boot rw - vfat /dev/vda1 rw", "43 30 253:17 / /boot\\0402 rw - vfat /dev/vdb1 rw"],
    );
    marked(&machine, &options).unwrap();
    assert_eq!(default_at(&machine, "/boot 2"), "default nixos-a.conf");
    let host = host(&machine);
    assert_eq!(detect(&host, &options).unwrap().doubts(), Vec::<String>::new());
}

/// An owner's copy keeps what the installer has removed, such as entries of an older naming scheme.
#[test]
fn an_armed_system_has_one_entry_name_on_all_mirrors() {
    for more in ["aaa.conf", "nixos-a0.conf", "zzz.conf"] {
        for started_from in [FIRST, SECOND] {
            let options = mirrored(&["/boot2"]);
            let machine = with_two_esps(&options, started_from);
            let entry = machine.text("/boot/loader/entries/nixos-b.conf");
            machine.put(&format!("/boot2/loader/entries/{more}"), entry.as_bytes());
            marked(&machine, &options).unwrap();
            assert_eq!(
                machine.variable_text("LoaderEntryOneShot").as_deref(),
                Some("nixos-b.conf"),
                "{more}"
            );
            machine.boot(2, "b");
            boot_check(&host(&machine), &options).unwrap();
            confirm(&host(&machine), &options).unwrap();
            for esp in ["/boot", "/boot2"] {
                assert_eq!(default_at(&machine, esp), "default nixos-b.conf", "{more} {esp}");
            }
        }
    }
}

#[test]
fn a_named_mirror_is_kept_alike_at_any_mount_point_and_whichever_partition_started_the_loader() {
    for mirror in ["/efi", "/boot/efi", "/boot2"] {
        for started_from in [FIRST, SECOND] {
            let options = mirrored(&[mirror]);
            let machine = with_mirror_at(mirror, &options, started_from);
            marked(&machine, &options).unwrap();
            for esp in ["/boot", mirror] {
                assert_eq!(default_at(&machine, esp), "default nixos-a.conf", "{mirror} {started_from}");
                assert!(
                    machine.at(&format!("{esp}/loader/entries/nixos-b.conf")).exists(),
                    "{esp} {started_from}"
                );
            }
            let host = host(&machine);
            assert_eq!(detect(&host, &options).unwrap().doubts(), Vec::<String>::new(), "{mirror}");
        }
    }
}

#[test]
fn a_mirror_that_cannot_be_written_keeps_no_later_one_from_getting_the_default() {
    let options = mirrored(&["/boot2", "/boot3"]);
    let machine = with_two_esps(&options, FIRST);
    mounted(
        &machine,
        &[
            "41 30 253:1 / /boot rw - vfat /dev/vda1 rw",
            "43 30 253:17 / /boot2 rw - vfat /dev/vdb1 rw",
            "44 30 253:33 / /boot3 rw - vfat /dev/vdc1 rw",
        ],
    );
    machine.put("/boot2/EFI/nixos", b"a file in the place of the directory");
    machine.put("/boot3/loader/loader.conf", b"default nixos-b.conf\n");
    let (host, options) = (host(&machine), options);
    detect(&host, &options).unwrap().set_default(&system("a")).unwrap_err();
    for esp in ["/boot", "/boot3"] {
        assert_eq!(default_at(&machine, esp), "default nixos-a.conf", "{esp}");
    }
}

#[test]
fn a_bind_mount_of_a_directory_is_no_boot_partition() {
    let options = Options::default();
    let machine = with_two_esps(&options, FIRST);
    let boot = "41 30 253:17 / /boot rw - vfat /dev/vdb1 rw";
    mounted(&machine, &[boot, "44 30 253:1 /EFI /srv rw - vfat /dev/vda1 rw"]);
    assert!(matches!(marked(&machine, &options), Err(Error::BootPartition(why)) if why.contains(FIRST)));
    // A unit that may write to `/boot` sees it mounted, too.
    let machine = Machine::installed();
    with_separate_esp(&machine);
    let bound = "42 30 253:0 /boot /boot rw - ext4 /dev/vda3 rw";
    mounted(&machine, &["41 30 253:1 / /efi rw - vfat /dev/vda1 rw", bound]);
    assert!(detect(&host(&machine), &options).is_err());
}
