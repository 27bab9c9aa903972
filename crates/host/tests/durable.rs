//! What a power cut leaves of a single file, effect by effect.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{BootId, Event, Toplevel};
use golden_host::loader::detect;
use golden_host::operation::Options;
use golden_host::read_history;
use golden_host::simulated::{
    ESP, Effect, Fate, Lie, Loader, Program, SimulatedHost, World, boot_id, foresee, install, start,
};

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
