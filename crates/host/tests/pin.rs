//! What is pinned can be landed on, or is not pinned.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{Event, Toplevel};
use golden_host::operation::{self, Options};
use golden_host::simulated::{
    Effect, Fate, Program, Said, SimulatedHost, World, boot_id, collect, golden_profile, install,
    kernel_image, start, tidy_profiles,
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

fn b() -> Toplevel {
    "/nix/store/bbbb-b".parse().unwrap()
}

/// The machine is taken down, and boots this.
fn boot(host: &SimulatedHost, number: u64, toplevel: &Toplevel) {
    host.change(|world| {
        *world = world.after_shutdown();
        start(world, None);
        world.start(toplevel, &boot_id(number));
    });
    Program::BootCheck.run(host).unwrap();
}

/// Golden is `a`, and `b` was confirmed after it and runs.
fn with_newer() -> SimulatedHost {
    let host = host();
    PIN.run(&host).unwrap();
    host.change(|world| world.build(&b()));
    Program::Switch(b()).run(&host).unwrap();
    boot(&host, 2, &b());
    Program::Confirm.run(&host).unwrap();
    host.said();
    host
}

fn golden(host: &SimulatedHost) -> Option<Toplevel> {
    operation::golden(host, &host.options()).unwrap()
}

fn listed(host: &SimulatedHost) -> Option<Toplevel> {
    host.world().current(&golden_profile()).map(|(_, golden)| golden)
}

fn has_entry(host: &SimulatedHost, toplevel: &Toplevel) -> bool {
    golden_host::loader::detect(host, &host.options()).unwrap().see().unwrap().listed.contains(toplevel)
}

/// Who was told that the profile is back.
fn put_back(host: &SimulatedHost) -> usize {
    let is_put_back = |said: &Said| matches!(said, Said::Told(Event::GoldenPutBack { .. }));
    host.said().iter().filter(|said| is_put_back(said)).count()
}

#[test]
fn a_program_that_tidies_profiles_and_a_collection_of_garbage_change_nothing_of_golden() {
    let host = with_newer();
    host.change(tidy_profiles);
    assert_eq!(listed(&host), None);
    collect(&host);
    assert_eq!(golden(&host), Some(a()));
    assert!(host.world().has_built(&a()) && has_entry(&host, &a()));
}

/// A program that may be the next to run.
type Way<'a> = &'a dyn Fn(&SimulatedHost);

#[test]
fn the_next_program_puts_goldens_profile_back_and_the_owner_is_told_once() {
    let verify = |host: &SimulatedHost| operation::put_golden_back(host, &host.options()).unwrap();
    let confirm = |host: &SimulatedHost| Program::Confirm.run(host).unwrap();
    let mark = |host: &SimulatedHost| {
        host.change(|world| world.build(&"/nix/store/cccc-c".parse().unwrap()));
        Program::Switch("/nix/store/cccc-c".parse().unwrap()).run(host).unwrap();
    };
    let ways: [(&str, Way); 3] = [("verify", &verify), ("confirm", &confirm), ("mark", &mark)];
    for (name, put_back_by) in ways {
        let host = with_newer();
        host.change(tidy_profiles);
        put_back_by(&host);
        assert_eq!(listed(&host), Some(a()), "{name}");
        assert!(has_entry(&host, &a()), "{name}");
        assert_eq!(put_back(&host), 1, "{name}");
        verify(&host);
        assert_eq!(put_back(&host), 0, "{name}");
    }
}

#[test]
fn a_profile_that_names_a_system_that_was_not_pinned_names_golden_again_as_its_newest_generation() {
    let host = with_newer();
    let point = |world: &mut World| {
        let nix = Arc::make_mut(&mut world.nix);
        nix.link(format!("{PROFILES}/golden-2-link"), b().as_str());
        nix.link(golden_profile(), "golden-2-link");
    };
    host.change(point);
    assert_eq!(golden(&host), Some(a()));
    operation::put_golden_back(&host, &host.options()).unwrap();
    assert_eq!(host.world().current(&golden_profile()), Some((3, a())));
    let told = Event::GoldenPutBack { toplevel: a(), found: Some(b()) };
    assert_eq!(host.said(), [Said::Told(told)]);
}

#[test]
fn golden_of_a_build_that_knew_no_root_is_held_by_one_from_the_first_program_on() {
    let host = with_newer();
    let root = Path::new("/nix/var/nix/gcroots/golden-generation-golden");
    host.change(|world| Arc::make_mut(&mut world.nix).remove(root));
    let without = host.world();
    operation::put_golden_back(&host, &host.options()).unwrap();
    assert_eq!(host.world().nix.read_link(root), Some(Path::new(a().as_str())));
    assert_eq!(host.said(), [], "the profile was there");
    // The ledger is all that is left.
    host.set_world(without);
    host.change(tidy_profiles);
    assert_eq!(golden(&host), Some(a()));
    operation::put_golden_back(&host, &host.options()).unwrap();
    assert_eq!(listed(&host), Some(a()));
    collect(&host);
    assert!(host.world().has_built(&a()));
}

#[test]
fn a_golden_that_is_not_in_the_store_any_more_is_not_listed_and_is_still_said_to_be_golden() {
    let host = with_newer();
    let roots = Path::new("/nix/var/nix/gcroots");
    host.change(tidy_profiles);
    host.change(|world| Arc::make_mut(&mut world.nix).remove(roots));
    collect(&host);
    operation::put_golden_back(&host, &host.options()).unwrap();
    assert_eq!((golden(&host), listed(&host)), (Some(a()), None));
    assert!(operation::glance_at_golden(&host, &host.options()).is_err());
    assert_eq!(host.said(), []);
}

#[test]
fn a_lost_boot_entry_comes_back_and_changes_neither_the_default_nor_the_one_shot() {
    let c: Toplevel = "/nix/store/cccc-c".parse().unwrap();
    let host = with_newer();
    host.change(|world| world.build(&c));
    Program::Switch(c.clone()).run(&host).unwrap();
    let before = golden_host::loader::detect(&host, &host.options()).unwrap().see().unwrap();
    host.change(tidy_profiles);
    let drop_entry = |world: &mut World| {
        let entry = Path::new("/boot/loader/entries/nixos-golden-generation-1.conf");
        Arc::make_mut(&mut world.esp).remove(entry).unwrap();
        // It has one as the first generation, too.
        let nix = Arc::make_mut(&mut world.nix);
        nix.remove(Path::new("/nix/var/nix/profiles/system-1-link"));
        let entry = Path::new("/boot/loader/entries/nixos-generation-1.conf");
        Arc::make_mut(&mut world.esp).remove(entry).unwrap();
    };
    host.change(drop_entry);
    assert!(!has_entry(&host, &a()));
    operation::put_golden_back(&host, &host.options()).unwrap();
    operation::list_golden(&host, &host.options()).unwrap();
    assert!(has_entry(&host, &a()));
    let after = golden_host::loader::detect(&host, &host.options()).unwrap().see().unwrap();
    assert_eq!((after.default, after.one_shot), (before.default, before.one_shot));
    assert_eq!(after.listed.len(), 3);
}

#[test]
fn a_pin_that_is_cut_off_anywhere_leaves_the_old_golden_or_the_new_one_and_it_can_be_booted() {
    for last in 0.. {
        let host = with_newer();
        host.set_fate(Fate::CrashAfter(last));
        let pinned = PIN.run(&host);
        let has_ended = !host.has_crashed();
        for mut image in host.world().after_crash() {
            tidy_profiles(&mut image);
            host.set_world(image);
            collect(&host);
            let golden = golden(&host).unwrap();
            assert!([a(), b()].contains(&golden), "effect {last}");
            assert!(host.world().has_built(&golden) && has_entry(&host, &golden), "effect {last}");
        }
        if has_ended {
            return pinned.unwrap();
        }
    }
}

#[test]
fn the_root_of_the_default_holds_the_system_that_was_confirmed_last() {
    let host = with_newer();
    let kept = Path::new("/nix/var/nix/gcroots/golden-generation-default");
    assert_eq!(host.world().nix.read_link(kept), Some(Path::new(b().as_str())));
    // The next system comes without a mark, and old generations go.
    let c: Toplevel = "/nix/store/cccc-c".parse().unwrap();
    host.change(|world| world.build(&c));
    Program::SwitchUnmarked(c.clone()).run(&host).unwrap();
    boot(&host, 3, &c);
    collect(&host);
    assert!(host.world().has_built(&b()));
    for system in [b(), a()] {
        Program::Switch(system.clone()).run(&host).unwrap();
        boot(&host, 4, &system);
        Program::Confirm.run(&host).unwrap();
        assert_eq!(host.world().nix.read_link(kept), Some(Path::new(system.as_str())));
    }
}
