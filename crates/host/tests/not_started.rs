//! A trial waits, and the machine starts something else: firmware that forgets, and another loader than the configured one.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::path::Path;
use std::sync::Arc;

use golden_core::{Event, NotStartedBecause};
use golden_host::loader;
use golden_host::operation::{self, Emergency, Options};
use golden_host::simulated::{Lie, Program, Said, SimulatedHost, World, boot_id, foresee};

#[path = "simulated/mod.rs"]
mod simulated;

use simulated::{boot, ledger, lose_ledger, marked, options, toplevel};

/// How often the owner was told that something was not started.
fn told(host: &SimulatedHost) -> Vec<NotStartedBecause> {
    let because = |said: Said| match said {
        Said::Told(Event::NotStarted { because, .. }) => Some(because),
        _ => None,
    };
    host.said().into_iter().filter_map(because).collect()
}

fn has_failed_nothing(host: &SimulatedHost) -> bool {
    let ledger = ledger(host);
    let waits = ledger.trial.as_ref().is_some_and(|trial| trial.attempts.is_empty());
    waits && ledger.quarantine.is_empty() && !host.world().reboot_asked
}

#[test]
fn firmware_that_forgets_its_variables_condemns_no_healthy_system() {
    let host = marked(World { lie: Some(Lie::ForgetsVariables), ..World::default() });
    for number in 2..6 {
        boot(&host, number, "a");
        Program::BootCheck.run(&host).unwrap();
        assert!(has_failed_nothing(&host), "{:?}", ledger(&host));
    }
    assert_eq!(told(&host), [NotStartedBecause::Forgotten]);
}

#[test]
fn where_firmware_says_that_it_forgets_the_boot_check_takes_the_one_shot_back() {
    let world = World { lie: Some(Lie::SaysItForgets), firmware_boots: None, ..World::default() };
    let host = marked(world);
    let options = options();
    let why = loader::detect(&host, &options).unwrap().has_one_shot().unwrap_err();
    assert!(why.contains("forgets"), "{why}");
    // It is the default until it runs.
    assert_eq!(foresee(&host.world()).default, Some(toplevel("b")));
    boot(&host, 2, "b");
    Program::BootCheck.run(&host).unwrap();
    assert_eq!(foresee(&host.world()).default, Some(toplevel("a")));
    Program::Confirm.run(&host).unwrap();
    assert!(ledger(&host).is_confirmed(&toplevel("b")));
    assert_eq!(foresee(&host.world()).default, Some(toplevel("b")));
}

/// The machine is started past systemd-boot, whose one-shot stays where it is.
fn starts_past(host: &SimulatedHost, number: u64, past: &dyn Fn(&mut World)) {
    host.change(|world| {
        *world = world.after_shutdown();
        world.start(&toplevel("a"), &boot_id(number));
        past(world);
    });
    Program::BootCheck.run(host).unwrap();
}

fn says_its_name(world: &mut World) {
    let name = "GRUB 2.12\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    Arc::make_mut(&mut world.told_by_loader).insert("LoaderInfo".to_owned(), name);
}

fn has_a_configuration(world: &mut World) {
    let esp = Arc::make_mut(&mut world.esp);
    esp.create_directory(Path::new("/boot/grub"));
    esp.write(Path::new("/boot/grub/grub.cfg"), b"menuentry NixOS {\n}\n").unwrap();
}

fn is_a_bios(world: &mut World) {
    world.without_variables();
    Arc::make_mut(&mut world.volatile).write("/sys/firmware/acpi/tables/DSDT", b"DSDT");
}

#[test]
fn another_loader_than_the_configured_one_is_said_and_condemns_nothing() {
    let ways: [(_, fn(&mut World)); 3] =
        [("GRUB", says_its_name), ("GRUB", has_a_configuration), ("BIOS", is_a_bios)];
    for (name, past) in ways {
        let options = Options { loader: loader::Kind::SystemdBoot, ..options() };
        let host = marked(World { firmware_boots: None, ..World::default() });
        host.configure(|configured| configured.clone_from(&options));
        for number in 2..6 {
            starts_past(&host, number, &past);
            assert!(has_failed_nothing(&host), "{name}: {:?}", ledger(&host));
        }
        assert_eq!(told(&host), [NotStartedBecause::AnotherLoader], "{name}");
        let loader = loader::detect(&host, &options).unwrap();
        assert!(loader.see().unwrap().is_bypassed, "{name}");
        let why = loader.takes_default().unwrap_err();
        assert!(why.contains(name) && why.contains("systemd-boot is configured"), "{why}");
    }
}

#[test]
fn a_boot_past_the_configured_loader_that_nothing_counts_is_not_rebooted_for_ever() {
    let ways: [fn(&mut World); 3] = [says_its_name, has_a_configuration, is_a_bios];
    for past in ways {
        let host = marked(World { firmware_boots: None, ..World::default() });
        host.configure(|options| options.loader = loader::Kind::SystemdBoot);
        // The file system of the state does not come, and the default is golden.
        lose_ledger(&host);
        boot(&host, 2, "b");
        host.change(|world| {
            world.told_by_loader = Arc::default();
            past(world);
        });
        assert_eq!(foresee(&host.world()).default, Some(toplevel("a")));
        let emergency = operation::emergency(&host, &host.options()).unwrap();
        assert_eq!(emergency, Emergency::Unwatched);
    }
}

#[test]
fn a_machine_that_does_not_say_which_loader_started_it_raises_no_false_alarm() {
    let silent: [&dyn Fn(&mut World); 2] = [&|_| (), &World::without_variables];
    for past in silent {
        let host = marked(World::default());
        host.change(|world| {
            world.told_by_loader = Arc::default();
            past(world);
        });
        let options = options();
        let loader = loader::detect(&host, &options).unwrap();
        assert!(!loader.see().unwrap().is_bypassed && loader.takes_default().is_ok());
    }
    // One that was updated is the same.
    let host = marked(World::default());
    let newer = "systemd-boot 261\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    host.change(|world| {
        Arc::make_mut(&mut world.told_by_loader).insert("LoaderInfo".to_owned(), newer);
    });
    assert!(!loader::detect(&host, &options()).unwrap().see().unwrap().is_bypassed);
}
