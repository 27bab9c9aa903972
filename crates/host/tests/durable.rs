//! What a power cut leaves of a single file, effect by effect.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{BootId, Event, Toplevel};
use golden_host::loader::detect;
use golden_host::operation::Options;
use golden_host::simulated::{
    Effect, Fate, Program, Said, SimulatedHost, Snapshot, World, boot_id, install, start,
};
use golden_host::{Trouble, read_history};

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
    let host = SimulatedHost::new(
        World::default(),
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
