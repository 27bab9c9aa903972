//! A reboot that can wait: for which users and locks it waits, and how long.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::time::Duration;

use golden_host::operation::{Options, end_hold, held_reboot, hold_reboot};
use golden_host::simulated::{Answer, Fate, Said, SimulatedHost, World};
use golden_host::{Output, Trouble};

const LOCK: &str = r#"{"type":"a(ssssuu)","data":[[["sleep:shutdown","backup","copies","MODE",0,812]]]}"#;

fn says(text: String) -> Answer {
    Box::new(move |_, _| Ok(Output { success: true, stdout: text.clone(), stderr: String::new() }))
}

/// A machine with a session of that class in that state, and a lock of that mode.
fn host(class: &str, state: &str, mode: &str) -> SimulatedHost {
    let host = SimulatedHost::new(World::default(), Options::default());
    let show = format!("Name=alice\nTTY=pts/0\nClass={class}\nState={state}\n");
    host.teach(
        "loginctl",
        Box::new(move |_, arguments| {
            let stdout = if arguments[0] == "list-sessions" { "3 1000 alice - pts/0\n" } else { &show };
            Ok(Output { success: true, stdout: stdout.to_owned(), stderr: String::new() })
        }),
    );
    host.teach("busctl", says(LOCK.replace("MODE", mode)));
    host.teach("wall", says(String::new()));
    host
}

fn options() -> Options {
    Options { reboot_hold: Duration::from_secs(60), ..Options::default() }
}

#[test]
fn a_reboot_waits_for_a_user_and_for_a_lock_that_blocks_and_for_nobody_else() {
    for (class, state, mode, expected) in [
        ("user", "active", "delay", Some("alice on pts/0")),
        ("user-early", "online", "delay", Some("alice on pts/0")),
        ("manager", "active", "block", Some("backup (copies)")),
        ("user", "active", "block-weak", Some("alice on pts/0, backup (copies)")),
        ("user", "closing", "delay", None),
        ("greeter", "active", "delay", None),
    ] {
        let host = host(class, state, mode);
        let left = hold_reboot(&host, &options());
        assert_eq!(left.is_some(), expected.is_some(), "{class} {state} {mode}");
        assert_eq!(held_reboot(&host), expected.map(|by| format!("waits for {by}, 60 s at most")));
    }
}

#[test]
fn where_logind_cannot_be_asked_or_the_owner_wants_no_hold_nothing_waits() {
    let host = SimulatedHost::new(World::default(), Options::default());
    assert_eq!(hold_reboot(&host, &options()), None);
    let none = Options { reboot_hold: Duration::ZERO, ..options() };
    assert_eq!(hold_reboot(&self::host("user", "active", "block"), &none), None);
}

#[test]
fn the_whole_time_is_bounded_while_users_come_and_go_and_if_the_program_that_waits_is_killed() {
    let host = host("user", "active", "block");
    host.set_clock(1000);
    assert_eq!(hold_reboot(&host, &options()), Some(Duration::from_secs(60)));
    let told =
        |host: &SimulatedHost| host.said().iter().filter(|said| matches!(said, Said::Complained(..))).count();
    assert_eq!(told(&host), 1);
    host.set_clock(1040);
    assert_eq!(hold_reboot(&host, &options()), Some(Duration::from_secs(20)));
    host.teach("loginctl", says(String::new()));
    host.set_clock(1060);
    assert_eq!((hold_reboot(&host, &options()), told(&host)), (None, 0));
    end_hold(&host);
    assert_eq!(held_reboot(&host), None);
    assert_eq!(hold_reboot(&host, &options()), Some(Duration::from_secs(60)));
}

#[test]
fn a_reboot_does_not_wait_where_the_beginning_of_the_wait_cannot_be_written_down() {
    let probe = host("user", "active", "block");
    hold_reboot(&probe, &options()).unwrap();
    for number in 1..=probe.effects() {
        let host = host("user", "active", "block");
        host.set_fate(Fate::Fail(number, std::io::ErrorKind::StorageFull));
        assert_eq!(hold_reboot(&host, &options()), None, "effect {number}");
        assert!(host.said().iter().all(|said| !matches!(said, Said::Complained(Trouble::Unhealthy, _))));
    }
}
