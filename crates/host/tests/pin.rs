//! What is pinned can be landed on, or is not pinned.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{Event, Toplevel};
use golden_host::operation::Options;
use golden_host::simulated::{
    Effect, Fate, Program, Said, SimulatedHost, World, boot_id, golden_profile, install, kernel_image, start,
};

const STATE_DIR: &str = "/var/lib/golden-generation";
const PROFILES: &str = "/nix/var/nix/profiles/system-profiles";

fn a() -> Toplevel {
    "/nix/store/aaaa-a".parse().unwrap()
}

/// A machine that runs the confirmed system `a`.
fn host() -> SimulatedHost {
    let host = SimulatedHost::new(
        World::default(),
        Options { state_dir: PathBuf::from(STATE_DIR), ..Options::default() },
    );
    host.change(|world| Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR)));
    install(&host, &a()).unwrap();
    host.change(|world| {
        start(world, None);
        world.start(&a(), &boot_id(1));
    });
    Program::Confirm.run(&host).unwrap();
    host.said();
    host
}

const PIN: Program = Program::Pin { force: false };

#[test]
fn a_system_whose_closure_or_boot_files_are_not_whole_is_not_pinned() {
    for missing in ["/nix/store/aaaa-etc-a", "/nix/store/aaaa-linux-a", "/nix/store/aaaa-initrd-a"] {
        let host = host();
        host.change(|world| Arc::make_mut(&mut world.nix).remove(Path::new(missing)));
        assert!(PIN.run(&host).is_err(), "{missing}");
        assert_eq!(host.world().current(&golden_profile()), None, "{missing}");
        assert_eq!(host.said(), [], "{missing}");
    }
}

#[test]
fn a_pin_repairs_what_is_damaged_on_the_boot_partition() {
    let host = host();
    let kernel = Path::new("/boot/EFI/nixos/aaaa-linux-a-bzImage.efi");
    host.change(|world| Arc::make_mut(&mut world.esp).write(kernel, b"damaged").unwrap());
    PIN.run(&host).unwrap();
    assert_eq!(host.world().esp.read(kernel).unwrap().to_vec(), kernel_image("linux of a"));
}

#[test]
fn the_link_that_nix_makes_is_synced() {
    let host = host();
    host.record();
    PIN.run(&host).unwrap();
    let effects: Vec<Effect> = host.recorded().into_iter().map(|snapshot| snapshot.effect).collect();
    let at = |wanted: &Effect| effects.iter().position(|effect| effect == wanted);
    let set = at(&Effect::SetProfile(golden_profile())).unwrap();
    assert_eq!(at(&Effect::SyncDirectory(PROFILES.into())), Some(set + 1), "{effects:?}");
}

#[test]
fn whatever_fails_golden_is_what_was_pinned_and_is_said_to_be_it() {
    for failing in 1.. {
        let host = host();
        host.set_fate(Fate::Fail(failing, io::ErrorKind::StorageFull));
        let pinned = PIN.run(&host);
        if host.effects() < failing {
            return assert!(pinned.is_ok());
        }
        let told = host.said().iter().any(|said| matches!(said, Said::Told(Event::Pinned { .. })));
        let golden = host.world().current(&golden_profile()).map(|(_, golden)| golden);
        assert!(!told || golden == Some(a()), "effect {failing}");
    }
}

#[test]
fn a_profile_that_does_not_say_what_it_was_told_is_found_out() {
    let host = host();
    host.change(|world| world.forgets = true);
    assert!(PIN.run(&host).is_err());
    assert_eq!(host.said(), []);
}
