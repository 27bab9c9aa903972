//! Somebody sends the machine elsewhere once, while a trial waits for its boot.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::sync::Arc;

use golden_host::simulated::{GoingDown, Program, SimulatedHost, World, foresee};

#[path = "simulated/mod.rs"]
mod simulated;

use simulated::{ledger, toplevel};

/// Variables that say where the firmware goes next, as Linux shows them: four bytes of attributes, then the value.
const FIRMWARE: [(&str, &[u8]); 3] = [
    ("BootNext", b"\x07\0\0\0\x02\0"),
    ("OsIndications", b"\x07\0\0\0\x01\0\0\0\0\0\0\0"),
    // An update of the firmware itself.
    ("OsIndications", b"\x07\0\0\0\x04\0\0\0\0\0\0\0"),
];

/// Golden `a` runs, and `b` is armed. The firmware does not count.
fn marked() -> SimulatedHost {
    simulated::marked(World { firmware_boots: None, ..World::default() })
}

fn boot(host: &SimulatedHost, number: u64, system: &str) {
    simulated::boot(host, number, system);
    Program::BootCheck.run(host).unwrap();
}

fn goes_down(host: &SimulatedHost) {
    let reboot = GoingDown { target: "reboot.target", failed_units: Vec::new() };
    host.change(|world| world.going_down = Some(reboot));
    Program::RecordShutdown.run(host).unwrap();
}

/// The variable is consumed elsewhere, by a loader that knows nothing of us.
fn one_shot_is_gone(host: &SimulatedHost) {
    host.change(|world| {
        Arc::make_mut(&mut world.variables).remove("LoaderEntryOneShot").unwrap();
    });
}

#[test]
fn a_boot_option_of_the_firmware_or_its_set_up_is_no_failed_attempt() {
    for (name, value) in FIRMWARE {
        let host = marked();
        host.change(|world| {
            let path = format!("/sys/firmware/efi/efivars/{name}-8be4df61-93ca-11d2-aa0d-00e098032b8c");
            Arc::make_mut(&mut world.volatile).write(path, value);
        });
        goes_down(&host);
        one_shot_is_gone(&host);
        boot(&host, 2, "a");
        let trial = ledger(&host).trial.unwrap();
        assert!(trial.attempts.is_empty() && !host.world().reboot_asked, "{name}: {trial:?}");
        assert_eq!(foresee(&host.world()).once, Some(toplevel("b")), "{name}");
    }
}

#[test]
fn a_firmware_that_was_asked_for_nothing_hides_no_attempt_that_died() {
    let host = marked();
    host.change(|world| {
        let path = "/sys/firmware/efi/efivars/OsIndications-8be4df61-93ca-11d2-aa0d-00e098032b8c";
        Arc::make_mut(&mut world.volatile).write(path, b"\x07\0\0\0\0\0\0\0\0\0\0\0");
    });
    goes_down(&host);
    one_shot_is_gone(&host);
    boot(&host, 2, "a");
    assert_eq!(ledger(&host).trial.unwrap().attempts.failures(), 1);
}

#[test]
fn another_system_that_is_started_once_is_no_failed_attempt_and_is_started() {
    let host = marked();
    host.change(World::send_elsewhere);
    goes_down(&host);
    assert!(host.world().is_sent_elsewhere());
    boot(&host, 2, "a");
    let trial = ledger(&host).trial.unwrap();
    assert!(trial.attempts.is_empty() && !host.world().reboot_asked, "{trial:?}");
    assert_eq!(foresee(&host.world()).once, Some(toplevel("b")));
}

#[test]
fn what_starts_next_is_recorded_although_systemd_says_nothing_of_a_shutdown() {
    let host = marked();
    host.change(World::send_elsewhere);
    Program::RecordShutdown.run(&host).unwrap();
    boot(&host, 2, "a");
    let trial = ledger(&host).trial.unwrap();
    assert!(trial.attempts.is_empty() && !host.world().reboot_asked, "{trial:?}");
}
