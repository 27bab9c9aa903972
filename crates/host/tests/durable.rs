//! What a power cut leaves of a single file, effect by effect.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{BootId, Event, Toplevel};
use golden_host::loader::detect;
use golden_host::operation::Options;
use golden_host::simulated::{
    ESP, Effect, Fate, Lie, Loader, Program, Said, SimulatedHost, Snapshot, World, boot_id, foresee, install,
    start,
};
use golden_host::{Host as _, Trouble, read_history};

const STATE_DIR: &str = "/var/lib/golden-generation";
const CONF: &str = "/boot/loader/loader.conf";

fn toplevel(name: &str) -> Toplevel {
    format!("/nix/store/{}-{name}", name.repeat(4)).parse().unwrap()
}

fn boot() -> BootId {
    boot_id(1)
}

/// A machine that runs `a`, with `b` installed after it and so the default.
fn host() -> SimulatedHost {
    host_with(Loader::SystemdBoot)
}

fn host_with(loader: Loader) -> SimulatedHost {
    let host = SimulatedHost::new(
        World::with_loader(loader),
        Options { state_dir: PathBuf::from(STATE_DIR), ..Options::default() },
    );
    host.change(|world| Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR)));
    for name in ["a", "b"] {
        install(&host, &toplevel(name)).unwrap();
    }
    host.change(|world| {
        start(world, None);
        world.start(&toplevel("a"), &boot());
        *world = world.after_shutdown();
        world.start(&toplevel("a"), &boot());
    });
    host
}

/// Every state that a power cut may leave, during what is done and after it.
fn crashes(host: &SimulatedHost, act: impl FnOnce()) -> (Vec<World>, Vec<World>) {
    host.record();
    act();
    let during = host.recorded().iter().flat_map(|snapshot| snapshot.world.after_crash()).collect();
    (during, host.world().after_crash())
}

fn default_of(world: &World) -> Option<Toplevel> {
    let host =
        SimulatedHost::new(world.clone(), Options { state_dir: STATE_DIR.into(), ..Options::default() });
    detect(&host, &Options::default()).unwrap().see().unwrap().default
}

#[test]
fn repaired_device_trees_survive_a_power_cut_and_none_is_ever_torn() {
    const CONF: &str = "/boot/extlinux/extlinux.conf";
    const TREES: [&str; 2] = ["board.dtb", "vendor/sub/other.dtb"];
    let host = host_with(Loader::Extlinux);
    let a = toplevel("a");
    host.change(|world| {
        let nix = Arc::make_mut(&mut world.nix);
        nix.link(format!("{a}/dtbs"), "/nix/store/aaaa-dtbs");
        for tree in TREES {
            nix.write(format!("/nix/store/aaaa-dtbs/{tree}"), tree.as_bytes());
        }
        let esp = Arc::make_mut(&mut world.esp);
        let text = String::from_utf8(esp.read(Path::new(CONF)).unwrap().to_vec()).unwrap();
        let line = format!("init={a}/init quiet\n");
        assert!(text.contains(&line), "{text}");
        let text = text.replace(&line, &format!("{line}  FDTDIR ../nixos/aaaa-dtbs\n"));
        esp.write(Path::new(CONF), text.as_bytes()).unwrap();
        esp.sync();
    });
    let (during, after) = crashes(&host, || detect(&host, &Options::default()).unwrap().check(&a).unwrap());
    let read = |world: &World, tree: &str| {
        let bytes = world.esp.read(&Path::new("/boot/nixos/aaaa-dtbs").join(tree)).ok()?;
        Some(bytes.to_vec())
    };
    for tree in TREES {
        assert!(after.iter().all(|world| read(world, tree).as_deref() == Some(tree.as_bytes())), "{tree}");
        assert!(
            during.iter().all(|world| read(world, tree).is_none_or(|bytes| bytes == tree.as_bytes())),
            "{tree}"
        );
    }
}

#[test]
fn the_default_is_the_old_one_or_the_new_one_after_any_crash() {
    let (a, b) = (toplevel("a"), toplevel("b"));
    // As an installer writes it, with a name longer than what stood there, and as we leave it.
    for text in
        ["timeout 5\ndefault *-2.conf\n", "default nixos-generation-2.conf\n# a comment of the owner\n"]
    {
        let host = host();
        host.change(|world| {
            let esp = Arc::make_mut(&mut world.esp);
            esp.write(Path::new(CONF), text.as_bytes()).unwrap();
            esp.sync();
        });
        for (from, to) in [(&b, &a), (&a, &b)] {
            let (during, after) =
                crashes(&host, || detect(&host, &Options::default()).unwrap().set_default(to).unwrap());
            for world in during {
                let default = default_of(&world);
                assert!([Some(from), Some(to)].contains(&default.as_ref()), "{text:?}: {default:?}");
            }
            assert!(after.iter().all(|world| default_of(world).as_ref() == Some(to)), "{text:?}");
        }
    }
}

#[test]
fn a_trial_is_armed_only_with_boot_files_that_a_crash_leaves_whole() {
    let b = toplevel("b");
    for (part, name) in [("kernel", "linux"), ("initrd", "initrd")] {
        let host = host();
        let whole = host.change(|world| {
            let esp = Arc::make_mut(&mut world.esp);
            let (file, bytes) = esp
                .files()
                .find(|(path, bytes)| {
                    path.to_string_lossy().contains("bbbb")
                        && bytes.ends_with(format!("{name} of b").as_bytes())
                        && path.extension().is_none_or(|suffix| suffix != "conf")
                })
                .map(|(path, bytes)| (path, bytes.clone()))
                .unwrap();
            esp.write(&file, b"damaged").unwrap();
            esp.sync();
            (file, bytes)
        });
        let (during, after) = crashes(&host, || detect(&host, &Options::default()).unwrap().arm(&b).unwrap());
        for world in during.iter().chain(&after) {
            let is_whole = world.esp.read(&whole.0).is_ok_and(|bytes| bytes == whole.1);
            assert!(is_whole || !world.variables.contains_key("LoaderEntryOneShot"), "{part}");
        }
        assert!(after.iter().all(|world| world.variables.contains_key("LoaderEntryOneShot")), "{part}");
    }
}

#[test]
fn counters_that_were_dropped_stay_dropped() {
    let b = toplevel("b");
    let host = host();
    let entries = Path::new("/boot/loader/entries");
    let (plain, counted) =
        (entries.join("nixos-generation-2.conf"), entries.join("nixos-generation-2+2-1.conf"));
    let text = host.change(|world| {
        let esp = Arc::make_mut(&mut world.esp);
        let text = esp.read(&plain).unwrap();
        esp.rename(&plain, &counted).unwrap();
        esp.sync();
        text
    });
    let (_, after) = crashes(&host, || detect(&host, &Options::default()).unwrap().bless(&b).unwrap());
    for world in after {
        assert_eq!(world.esp.read(&plain).unwrap(), text);
        assert!(world.esp.read(&counted).is_err());
    }
}

#[test]
fn what_history_was_told_it_knows_after_a_crash() {
    let host = host();
    for count in 1..=2 {
        let event = Event::Adopted { toplevel: toplevel("a") };
        let tell = || golden_host::append_history(&host, Path::new(STATE_DIR), &boot(), &event).unwrap();
        let (_, after) = crashes(&host, tell);
        for world in after {
            let options = Options { state_dir: STATE_DIR.into(), ..Options::default() };
            let host = SimulatedHost::new(world, options);
            assert_eq!(read_history(&host, Path::new(STATE_DIR)).unwrap().len(), count);
        }
    }
}

#[test]
fn firmware_that_forgets_what_it_was_told_is_found_out() {
    let host = host();
    host.change(|world| world.forgets = true);
    let error = detect(&host, &Options::default()).unwrap().arm(&toplevel("b")).unwrap_err();
    assert!(matches!(error, golden_host::Error::DidNotStick(_)), "{error}");
}

/// What a firmware refuses cannot be known before: the deployment fails, and what is known to be good boots next.
#[test]
fn firmware_that_refuses_to_arm_leaves_the_landing_as_the_default() {
    let switch = Program::Switch(toplevel("b"));
    let arming = {
        let host = host();
        Program::Confirm.run(&host).unwrap();
        host.record();
        switch.run(&host).unwrap();
        let is_arming =
            |snapshot: &Snapshot| snapshot.effect == Effect::SetVariable("LoaderEntryOneShot".into());
        host.recorded().iter().position(is_arming).unwrap() as u64 + 1
    };
    let host = host();
    Program::Confirm.run(&host).unwrap();
    host.set_fate(Fate::Fail(arming, io::ErrorKind::PermissionDenied));
    let error = switch.run(&host).unwrap_err();
    assert!(error.to_string().contains("cannot set the EFI variable LoaderEntryOneShot"), "{error}");
    assert!(!host.world().variables.contains_key("LoaderEntryOneShot"));
    for world in host.world().after_crash() {
        assert_eq!(default_of(&world), Some(toplevel("a")));
    }
    let is_told = |said: &Said| matches!(said, Said::Complained(Trouble::NotMarked, _));
    assert!(host.said().iter().any(is_told), "and it is said");
}

#[test]
fn no_reboot_of_ours_happens_that_history_does_not_know_whatever_fails() {
    let host = host();
    Program::Confirm.run(&host).unwrap();
    Program::Switch(toplevel("b")).run(&host).unwrap();
    let mut died = host.world().switched_off();
    start(&mut died, None);
    let mut golden = died.switched_off();
    start(&mut golden, None);
    golden.start(&toplevel("a"), &boot_id(3));
    let mut rebooted = 0;
    for failing in 1.. {
        host.set_world(golden.clone());
        host.set_fate(Fate::Fail(failing, io::ErrorKind::ReadOnlyFilesystem));
        let _ = Program::BootCheck.run(&host);
        let is_known = read_history(&host, Path::new(STATE_DIR))
            .unwrap()
            .iter()
            .any(|line| matches!(line.event, Event::Rebooting { .. }));
        let reboots = host.world().reboot_asked;
        assert!(!reboots || is_known, "effect {failing}");
        rebooted += u32::from(reboots);
        if host.effects() < failing {
            break;
        }
    }
    assert!(rebooted > 0, "there is a reboot to be known");
}

/// GRUB and U-Boot, and where their files are.
const OTHERS: [(Loader, &str); 3] = [
    (Loader::Grub { writes: true }, "grub/grubenv"),
    (Loader::Grub { writes: false }, "grub/grubenv"),
    (Loader::Extlinux, "extlinux/extlinux.conf"),
];

#[test]
fn the_default_of_any_loader_is_the_old_one_or_the_new_one_after_any_crash() {
    let (a, b) = (toplevel("a"), toplevel("b"));
    for (loader, file) in OTHERS {
        let host = host_with(loader);
        let path = Path::new(ESP).join(file);
        let length = host.world().esp.read(&path).unwrap().len();
        for (from, to) in [(&b, &a), (&a, &b)] {
            let (during, after) =
                crashes(&host, || detect(&host, &Options::default()).unwrap().set_default(to).unwrap());
            for world in during {
                // What boots, and what we say that boots.
                let boots = foresee(&world).default;
                assert!([Some(from), Some(to)].contains(&boots.as_ref()), "{loader:?}: {boots:?}");
                assert_eq!(boots, default_of(&world), "{loader:?}");
                assert_eq!(world.esp.read(&path).unwrap().len(), length, "{loader:?}: changed in its place");
            }
            assert!(after.iter().all(|world| foresee(world).default.as_ref() == Some(to)), "{loader:?}");
        }
    }
}

#[test]
fn no_crash_while_grub_is_told_what_to_boot_once_changes_what_it_boots_by_itself() {
    let (a, b) = (toplevel("a"), toplevel("b"));
    // Whatever else an owner keeps in the block.
    for owners in ["", "owners=x\n", &format!("owners={}\n", "x".repeat(450))] {
        let host = host_with(Loader::Grub { writes: true });
        let block = Path::new(ESP).join("grub/grubenv");
        host.change(|world| {
            let esp = Arc::make_mut(&mut world.esp);
            let text = format!("# GRUB Environment Block\n{owners}");
            esp.overwrite(&block, format!("{text:#<1024}").as_bytes()).unwrap();
            esp.sync();
        });
        let options = Options::default();
        let loader = detect(&host, &options).unwrap();
        loader.set_default(&a).unwrap();
        for (armed, act) in [(true, "arm"), (false, "disarm")] {
            let (during, after) =
                crashes(&host, || if armed { loader.arm(&b).unwrap() } else { loader.disarm().unwrap() });
            for world in during.iter().chain(&after) {
                let foreseen = foresee(world);
                assert_eq!(foreseen.default.as_ref(), Some(&a), "{act}");
                assert!([None, Some(&b)].contains(&foreseen.once.as_ref()), "{act}");
                let text = world.esp.read(&block).unwrap();
                assert!(String::from_utf8_lossy(&text).contains(owners), "{act}: {owners}");
            }
            assert!(after.iter().all(|world| foresee(world).once.is_some() == armed), "{act}");
        }
    }
}

#[test]
fn a_loader_that_reads_no_journal_finds_what_was_written() {
    for (loader, expected) in [
        // In its place, on a file system that has it there.
        (Loader::Grub { writes: true }, false),
        (Loader::Grub { writes: false }, true),
        (Loader::Extlinux, true),
    ] {
        let host = host_with(loader);
        host.record();
        detect(&host, &Options::default()).unwrap().set_default(&toplevel("a")).unwrap();
        let last = host.recorded().pop().unwrap().effect;
        assert_eq!(matches!(last, Effect::SyncFileSystem(_)), expected, "{loader:?}: {last:?}");
    }
}

/// The kernel that a loader other than systemd-boot starts for this system.
fn kernel_of(host: &SimulatedHost, toplevel: &Toplevel) -> (PathBuf, Vec<u8>) {
    let bytes = host.read(&Path::new(toplevel.as_str()).join("kernel")).unwrap();
    let world = host.world();
    let (path, _) = world.esp.files().find(|(_, found)| ***found == *bytes).unwrap();
    (path, bytes)
}

#[test]
fn a_repaired_boot_file_is_synced_with_its_file_system_because_loaders_read_no_journal() {
    for (loader, _) in OTHERS {
        let host = host_with(loader);
        let a = toplevel("a");
        let (kernel, _) = kernel_of(&host, &a);
        host.change(|world| {
            let esp = Arc::make_mut(&mut world.esp);
            esp.write(&kernel, b"damaged").unwrap();
            esp.sync();
        });
        host.record();
        detect(&host, &Options::default()).unwrap().check(&a).unwrap();
        let effects: Vec<Effect> = host.recorded().into_iter().map(|snapshot| snapshot.effect).collect();
        let repaired = effects.iter().rposition(|effect| matches!(effect, Effect::Rename(..))).unwrap();
        let is_settled = effects[repaired..].iter().any(|effect| matches!(effect, Effect::SyncFileSystem(_)));
        assert!(is_settled, "{loader:?}: {effects:?}");
    }
}

#[test]
fn the_boot_files_of_a_mirror_are_durable_with_their_directories_before_it_gets_its_default() {
    let host = host();
    let options = Options { mirrors: vec!["/boot/mirror".into()], ..Options::default() };
    host.change(|world| {
        Arc::make_mut(&mut world.esp).create_directory(Path::new("/boot/mirror/loader/entries"));
    });
    host.record();
    detect(&host, &options).unwrap().set_default(&toplevel("a")).unwrap();
    let effects: Vec<Effect> = host.recorded().into_iter().map(|snapshot| snapshot.effect).collect();
    let below = |effect: &Effect| match effect {
        Effect::Rename(path) if path.starts_with("/boot/mirror") => Some((path.clone(), false)),
        Effect::SyncFileSystem(path) if path.starts_with("/boot/mirror") => Some((path.clone(), true)),
        _ => None,
    };
    let mirrored: Vec<(PathBuf, bool)> = effects.iter().filter_map(below).collect();
    let conf = mirrored.iter().position(|(path, _)| path.ends_with("loader/loader.conf")).unwrap();
    let is_copy = |(path, _): &&(PathBuf, bool)| path.starts_with("/boot/mirror/EFI/nixos");
    assert_eq!(mirrored[..conf].iter().filter(is_copy).count(), 4, "kernel and initrd: {mirrored:?}");
    assert!(mirrored[conf - 1].1, "{mirrored:?}");
}

/// Neither NixOS's installer for GRUB nor the one for U-Boot syncs what it copies.
#[test]
fn no_system_becomes_the_default_or_is_armed_before_its_boot_files_are_durable() {
    let a = toplevel("a");
    for (loader, _) in OTHERS {
        for once in [false, true].into_iter().filter(|once| !once || loader == Loader::Grub { writes: true })
        {
            let host = host_with(loader);
            let (kernel, bytes) = kernel_of(&host, &a);
            host.change(|world| Arc::make_mut(&mut world.esp).write(&kernel, &bytes).unwrap());
            let options = Options::default();
            let detected = detect(&host, &options).unwrap();
            let act = || if once { detected.arm(&a).unwrap() } else { detected.set_default(&a).unwrap() };
            let (during, after) = crashes(&host, act);
            let boots = |world: &World| {
                let foreseen = foresee(world);
                if once { foreseen.once } else { foreseen.default }
            };
            for world in during.iter().chain(&after).filter(|world| boots(world).as_ref() == Some(&a)) {
                let found = world.esp.read(&kernel).ok();
                assert_eq!(found.as_deref(), Some(&*bytes), "{loader:?}, once: {once}");
            }
        }
    }
}

#[test]
fn a_boot_partition_that_ignores_what_is_written_is_found_out() {
    for (loader, _) in OTHERS {
        let host = host_with(loader);
        host.change(|world| world.lie = Some(Lie::IgnoresWrites));
        let error = detect(&host, &Options::default()).unwrap().set_default(&toplevel("a")).unwrap_err();
        assert!(matches!(error, golden_host::Error::DidNotStick(_)), "{loader:?}: {error}");
    }
    let host = host_with(Loader::Grub { writes: true });
    host.change(|world| world.lie = Some(Lie::IgnoresWrites));
    let error = detect(&host, &Options::default()).unwrap().arm(&toplevel("b")).unwrap_err();
    assert!(matches!(error, golden_host::Error::DidNotStick(_)), "{error}");
}

#[test]
fn a_write_that_fails_is_an_error_of_every_loader() {
    for (loader, _) in OTHERS {
        let host = host_with(loader);
        for failing in 1.. {
            let before = host.world();
            host.set_fate(Fate::Fail(failing, io::ErrorKind::ReadOnlyFilesystem));
            let set = detect(&host, &Options::default()).unwrap().set_default(&toplevel("a"));
            if host.effects() < failing {
                break;
            }
            assert_eq!(set.unwrap_err().trouble(), golden_host::Trouble::ReadOnly, "{loader:?}");
            host.set_world(before);
        }
    }
}
