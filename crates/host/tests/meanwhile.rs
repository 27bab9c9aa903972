//! Somebody deploys in the middle of what the suite does.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use golden_core::{OneShot, Toplevel};
use golden_host::loader::detect;
use golden_host::operation::Options;
use golden_host::simulated::{Program, SimulatedHost, World, boot_id, install, start, system_profile};
use golden_host::{Reading, Store};

const STATE_DIR: &str = "/var/lib/golden-generation";

fn toplevel(name: &str) -> Toplevel {
    format!("/nix/store/{}-{name}", name.repeat(4)).parse().unwrap()
}

fn ledger(host: &SimulatedHost) -> golden_core::Ledger {
    match Store::new(host, Path::new(STATE_DIR)).read().unwrap() {
        Reading::Whole(ledger) => *ledger,
        other => panic!("{other:?}"),
    }
}

/// Golden `a` runs after `b` failed twice; phase two is due.
fn landed() -> SimulatedHost {
    let options = Options { state_dir: PathBuf::from(STATE_DIR), ..Options::default() };
    let host = SimulatedHost::new(World::default(), options);
    host.change(|world| Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR)));
    install(&host, &toplevel("a")).unwrap();
    host.change(|world| {
        world.build(&toplevel("b"));
        world.build(&toplevel("c"));
    });
    let boot = |number: u64, system: &str| {
        host.change(|world| {
            *world = world.after_shutdown();
            start(world, None);
            world.start(&toplevel(system), &boot_id(number));
        });
        Program::BootCheck.run(&host).unwrap();
    };
    boot(1, "a");
    for program in [Program::Confirm, Program::Pin { force: false }, Program::Switch(toplevel("b"))] {
        program.run(&host).unwrap();
    }
    boot(2, "b");
    boot(3, "b");
    boot(4, "a");
    assert!(host.world().phase_two_is_due());
    host
}

#[test]
fn a_deployment_that_comes_in_the_middle_of_a_rollback_is_not_undone() {
    let mut deployed = 0;
    for after in 0.. {
        let host = landed();
        let done = Rc::new(Cell::new(false));
        let flag = done.clone();
        let deploy = move |host: &SimulatedHost| {
            flag.set(Program::Switch(toplevel("c")).run(host).is_ok());
        };
        if after == 0 {
            deploy(&host);
        } else {
            host.meanwhile(after, Box::new(deploy));
        }
        Program::RollBack.run(&host).unwrap();
        if host.effects() < after {
            break;
        }
        if !done.get() {
            // The ledger was held: the deployer is told to try again.
            continue;
        }
        deployed += 1;
        let trial = ledger(&host).trial.map(|trial| trial.toplevel);
        assert_eq!(trial, Some(toplevel("c")), "after effect {after}");
        let loader = detect(&host, &Options::default()).unwrap().see().unwrap();
        assert_eq!(loader.one_shot, OneShot::Armed(toplevel("c")), "after effect {after}");
        assert_eq!(loader.default, Some(toplevel("a")), "after effect {after}");
        let profile = host.world().current(&system_profile()).map(|(_, toplevel)| toplevel);
        assert_eq!(profile, Some(toplevel("c")), "after effect {after}");
    }
    assert!(deployed > 3, "it was deployed in the middle of something");
}
