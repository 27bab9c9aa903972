//! A loader that boots nothing once: what is armed, what it goes back to, and what a crash at any effect leaves of both.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{OneShot, Toplevel};
use golden_host::Error;
use golden_host::loader::{BootLoader, detect};
use golden_host::operation::Options;
use golden_host::simulated::{SimulatedHost, World, boot_id, foresee, install, start};

const STATE_DIR: &str = "/var/lib/golden-generation";
const ARMED: &str = "/var/lib/golden-generation/one-shot.json";

fn toplevel(name: &str) -> Toplevel {
    format!("/nix/store/{}-{name}", name.repeat(4)).parse().unwrap()
}

fn options() -> Options {
    Options { state_dir: PathBuf::from(STATE_DIR), ..Options::default() }
}

/// A machine without variables that runs `a`, its default, with `b` and `c` installed.
fn host() -> SimulatedHost {
    let host = SimulatedHost::new(World::default(), options());
    host.change(|world| {
        world.without_variables();
        Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR));
    });
    for name in ["c", "b", "a"] {
        install(&host, &toplevel(name)).unwrap();
    }
    host.change(|world| {
        start(world, None);
        world.start(&toplevel("a"), &boot_id(1));
        *world = world.after_shutdown();
        world.start(&toplevel("a"), &boot_id(2));
    });
    host
}

/// The same with `b` armed.
fn armed() -> SimulatedHost {
    let host = host();
    on(&host, |loader| loader.arm(&toplevel("b")));
    host
}

fn on(host: &SimulatedHost, act: impl FnOnce(&dyn BootLoader) -> Result<(), Error>) {
    act(detect(host, &options()).unwrap().as_ref()).unwrap();
}

/// What a machine in this state says, and what it would boot.
#[derive(Debug, PartialEq, Eq)]
struct State {
    default: Option<Toplevel>,
    one_shot: OneShot,
    boots: Option<Toplevel>,
}

impl State {
    fn of(world: &World) -> Self {
        let host = SimulatedHost::new(world.clone(), options());
        let seen = detect(&host, &options()).unwrap().see().unwrap();
        assert!(!seen.consumes_one_shot);
        Self { default: seen.default, one_shot: seen.one_shot, boots: foresee(world).default }
    }

    /// Nothing is armed, and this is the default.
    fn clear(default: &str) -> Self {
        let default = Some(toplevel(default));
        Self { boots: default.clone(), default, one_shot: OneShot::Clear }
    }

    /// This is armed, and `default` is what it goes back to.
    fn armed(name: &str, default: &str) -> Self {
        let armed = toplevel(name);
        Self { default: Some(toplevel(default)), boots: Some(armed.clone()), one_shot: OneShot::Armed(armed) }
    }
}

/// Every state that a crash may leave while this is done is among these, and each of them is left by some; whatever is
/// lost after it, the machine is in the last one.
#[track_caller]
fn passes_through(
    host: &SimulatedHost,
    states: &[State],
    act: impl FnOnce(&dyn BootLoader) -> Result<(), Error>,
) {
    host.record();
    on(host, act);
    let mut left = vec![State::of(&host.world())];
    for snapshot in host.recorded() {
        left.extend(snapshot.world.after_crash().iter().map(State::of));
    }
    for state in &left {
        assert!(states.contains(state), "{state:?}");
    }
    for state in states {
        assert!(left.contains(state), "no crash leaves {state:?}");
    }
    for world in host.world().after_crash() {
        assert_eq!(Some(&State::of(&world)), states.last());
    }
}

#[test]
fn a_trial_is_armed_or_it_is_not_and_the_default_is_known_all_the_time() {
    let states = [State::clear("a"), State::armed("b", "a")];
    passes_through(&host(), &states, |loader| loader.arm(&toplevel("b")));
}

#[test]
fn what_is_armed_already_is_armed_without_a_write() {
    let host = armed();
    let before = host.effects();
    on(&host, |loader| loader.arm(&toplevel("b")));
    assert_eq!((host.effects(), State::of(&host.world())), (before, State::armed("b", "a")));
}

#[test]
fn another_trial_takes_the_place_of_the_one_that_is_armed() {
    let states = [State::armed("b", "a"), State::clear("a"), State::armed("c", "a")];
    passes_through(&armed(), &states, |loader| loader.arm(&toplevel("c")));
}

#[test]
fn the_boot_check_of_the_trial_takes_it_back() {
    let states = [State::armed("b", "a"), State::clear("a")];
    passes_through(&armed(), &states, |loader| loader.consume_one_shot(&toplevel("b")));
}

#[test]
fn something_else_that_was_picked_leaves_the_trial_armed() {
    let host = armed();
    for other in ["a", "c"] {
        on(&host, |loader| loader.consume_one_shot(&toplevel(other)));
        assert_eq!(State::of(&host.world()), State::armed("b", "a"));
    }
}

#[test]
fn what_is_disarmed_stays_so() {
    let states = [State::armed("b", "a"), State::clear("a")];
    let host = armed();
    passes_through(&host, &states, |loader| loader.disarm());
    let before = host.effects();
    on(&host, |loader| loader.disarm());
    on(&host, |loader| loader.consume_one_shot(&toplevel("b")));
    assert_eq!(host.effects(), before, "once is enough");
}

#[test]
fn a_landing_becomes_the_default_whatever_is_armed() {
    let states = [State::armed("b", "a"), State::clear("c")];
    passes_through(&armed(), &states, |loader| loader.set_default(&toplevel("c")));
}

#[test]
fn what_was_armed_becomes_the_default_for_good() {
    let states = [State::armed("b", "a"), State::clear("b")];
    let host = armed();
    passes_through(&host, &states, |loader| loader.set_default(&toplevel("b")));
    for world in host.world().after_crash() {
        host.set_world(world);
        on(&host, |loader| loader.consume_one_shot(&toplevel("b")));
        assert_eq!(State::of(&host.world()), State::clear("b"), "no boot check takes it back");
    }
}

#[test]
fn a_default_that_somebody_else_set_arms_nothing() {
    let host = armed();
    install(&host, &toplevel("c")).unwrap();
    assert_eq!(State::of(&host.world()), State::clear("c"));
    on(&host, |loader| loader.consume_one_shot(&toplevel("c")));
    on(&host, |loader| loader.disarm());
    assert_eq!(State::of(&host.world()), State::clear("c"));
    on(&host, |loader| loader.arm(&toplevel("a")));
    assert_eq!(State::of(&host.world()), State::armed("a", "c"), "and what was kept for `b` is forgotten");
}

#[test]
fn a_file_that_cannot_be_understood_arms_nothing() {
    for bytes in
        [&b""[..], b"\0\0\0\0", b"{\"armed\":\"/nix/store/bbbb", b"[]", b"{\"armed\":\"b\",\"default\":null}"]
    {
        let host = armed();
        host.change(|world| {
            let var = Arc::make_mut(&mut world.var);
            var.write(Path::new(ARMED), bytes).unwrap();
            var.sync();
        });
        assert_eq!(State::of(&host.world()), State::clear("b"), "{}", bytes.escape_ascii());
        on(&host, |loader| loader.set_default(&toplevel("a")));
        on(&host, |loader| loader.arm(&toplevel("b")));
        assert_eq!(State::of(&host.world()), State::armed("b", "a"), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_trial_whose_kernel_cannot_boot_is_not_armed() {
    let host = host();
    host.change(|world| {
        let nix = Arc::make_mut(&mut world.nix);
        nix.write("/nix/store/bbbb-linux-b/bzImage", b"garbage, in the store too");
    });
    let error = detect(&host, &options()).unwrap().arm(&toplevel("b")).unwrap_err();
    assert!(error.to_string().contains("the kernel is no EFI image"), "{error}");
    assert_eq!(State::of(&host.world()), State::clear("a"));
    assert!(host.world().var.read(Path::new(ARMED)).is_err(), "nothing is kept that could arm it later");
}
