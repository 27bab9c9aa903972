//! A simulated machine on which the system `a` is golden.

#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{Ledger, Toplevel};
use golden_host::operation::Options;
use golden_host::simulated::{Program, SimulatedHost, World, boot_id, install, start};
use golden_host::{Reading, Store};

pub const STATE_DIR: &str = "/var/lib/golden-generation";
pub const LEDGER: &str = "/var/lib/golden-generation/ledger.json";

pub fn toplevel(name: &str) -> Toplevel {
    format!("/nix/store/{}-{name}", name.repeat(4)).parse().unwrap()
}

pub fn options() -> Options {
    Options { state_dir: PathBuf::from(STATE_DIR), ..Options::default() }
}

pub fn ledger(host: &SimulatedHost) -> Ledger {
    match Store::new(host, Path::new(STATE_DIR)).read().unwrap() {
        Reading::Whole(ledger) => *ledger,
        other => panic!("{other:?}"),
    }
}

/// The machine goes down, and this system boots. Its boot check has not run yet.
pub fn boot(host: &SimulatedHost, number: u64, system: &str) {
    host.change(|world| {
        *world = world.after_shutdown();
        start(world, None);
        world.start(&toplevel(system), &boot_id(number));
    });
}

/// Golden `a` runs; `b` and `c` are built.
pub fn pinned(world: World) -> SimulatedHost {
    let host = SimulatedHost::new(world, options());
    host.change(|world| Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR)));
    install(&host, &toplevel("a")).unwrap();
    host.change(|world| ["b", "c"].iter().for_each(|name| world.build(&toplevel(name))));
    boot(&host, 1, "a");
    for program in [Program::Confirm, Program::Pin { force: false }] {
        program.run(&host).unwrap();
    }
    host
}

/// Golden `a` runs, and `b` is armed.
pub fn marked(world: World) -> SimulatedHost {
    let host = pinned(world);
    Program::Switch(toplevel("b")).run(&host).unwrap();
    host.said();
    host
}

/// The kernel of this system is gone, from the boot partition and from the store.
pub fn lose_kernel(host: &SimulatedHost, name: &str) {
    host.change(|world| {
        let hash = name.repeat(4);
        assert!(Arc::make_mut(&mut world.nix).remove(Path::new(&format!("/nix/store/{hash}-linux-{name}"))));
        let esp = Arc::make_mut(&mut world.esp);
        esp.remove(Path::new(&format!("/boot/EFI/nixos/{hash}-linux-{name}-bzImage.efi"))).unwrap();
        esp.sync();
    });
}

/// The ledger is gone.
pub fn lose_ledger(host: &SimulatedHost) {
    host.change(|world| {
        let var = Arc::make_mut(&mut world.var);
        var.remove(Path::new(LEDGER)).unwrap();
        var.sync();
    });
}
