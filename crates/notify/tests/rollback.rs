//! The whole way: a trial fails on a simulated machine, the machine comes back, and its owner is told, once, from there,
//! wherever the power goes.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod post;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use golden_core::{Cause, Event};
use golden_host::simulated::{Fate, Program, SimulatedHost, Start, World, boot_id, install, start};
use golden_host::{append_history, read_history};
use golden_notify::{Kind, Settings};

use post::{Post, STATE_DIR, Sent, machine, notify, options, settings, toplevel, try_notify};

/// Golden `a` runs, and `b` is armed.
fn marked() -> SimulatedHost {
    let host = SimulatedHost::new(World::default(), options());
    host.change(|world| Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR)));
    install(&host, &toplevel("a")).unwrap();
    host.change(|world| world.build(&toplevel("b")));
    host.change(|world| {
        *world = world.after_shutdown().switched_off();
        start(world, None);
        world.start(&toplevel("a"), &boot_id(1));
    });
    for program in [Program::Confirm, Program::Pin { force: false }, Program::Switch(toplevel("b"))] {
        program.run(&host).unwrap();
    }
    host
}

/// Boots until golden is at its end; `b` never gets to its own. Whether it came that far.
fn live_on(host: &SimulatedHost, first: u64, settings: &Settings, post: &Post<'_>) -> bool {
    for number in first..first + 12 {
        let mut system = None;
        host.change(|world| {
            *world = world.after_shutdown().switched_off();
            if let Start::Booted(choice) = start(world, None) {
                world.start(&choice.toplevel, &boot_id(number));
                system = Some(choice.toplevel);
            }
        });
        if boot(host, &system.unwrap(), settings, post) {
            return true;
        }
        if host.has_crashed() {
            return false;
        }
    }
    panic!("golden is never reached");
}

fn boot(host: &SimulatedHost, system: &golden_core::Toplevel, settings: &Settings, post: &Post<'_>) -> bool {
    // Whatever fails here fails because the power is gone.
    let _ = Program::BootCheck.run(host);
    if host.world().reboot_asked {
        return false;
    }
    if host.world().phase_two_is_due() {
        let _ = Program::RollBack.run(host);
    }
    if *system == toplevel("b") {
        // There is a network in the trial as well, and the unit is started by what history says.
        let _ = try_notify(host, settings, post);
        let _ = Program::Deadline.run(host);
        let _ = try_notify(host, settings, post);
        return false;
    }
    let _ = Program::Confirm.run(host);
    let _ = try_notify(host, settings, post);
    !host.has_crashed()
}

fn told(post: &Post<'_>) -> Vec<Sent> {
    post.of(Kind::RolledBack)
}

#[test]
fn a_rollback_is_one_message_from_golden_that_says_what_failed_and_why() {
    let (host, post) = (marked(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    assert!(live_on(&host, 2, &settings, &post));
    assert_eq!(post.count(), 1, "{:?}", post.sent.borrow());
    let sent = &told(&post)[0];
    assert_eq!(sent.title, "web1 rolled back");
    assert_eq!(
        sent.text,
        "2 boots of a new system failed, and the machine went back to the system before it by itself. It is up.\n\n\
         Failed: b\nRuns:   a\n\
         Failed boot 1: it was not confirmed within 600 s\n\
         Failed boot 2: it was not confirmed within 600 s\n\n\
         Nothing has to be done at once. What failed is not deployed again; `golden why` on web1 tells more, and a changed \
         system can be deployed any time."
    );
    for _ in 0..3 {
        notify(&host, &settings, &post);
    }
    assert_eq!(post.count(), 1, "it is not told again");
}

#[test]
fn wherever_the_power_goes_a_target_that_answers_is_told_of_the_rollback_once() {
    let settings = settings(&["phone", "mail"], &Kind::DEFAULT);
    let (mut crashes, mut images) = (0, 0);
    for effects in 0.. {
        let (host, post) = (marked(), Post::that_arrives());
        host.set_fate(Fate::CrashAfter(effects));
        if live_on(&host, 2, &settings, &post) {
            break;
        }
        crashes += 1;
        let before = told(&post);
        for image in host.world().after_crash() {
            images += 1;
            let (host, post) = (SimulatedHost::new(image, options()), Post::that_arrives());
            post.sent.borrow_mut().extend(before.clone());
            live_on(&host, 30, &settings, &post);
            notify(&host, &settings, &post);
            for target in ["phone", "mail"] {
                let sent: Vec<Sent> = told(&post).into_iter().filter(|sent| sent.target == target).collect();
                let ids: BTreeSet<&String> = sent.iter().map(|sent| &sent.id).collect();
                assert_eq!(ids.len(), 1, "after {effects} effects {target} is told {sent:?}");
                // The same message, and it says so, if nobody knows whether it arrived.
                assert!(sent.len() <= 2 && sent.iter().skip(1).all(|sent| sent.is_in_doubt), "{sent:?}");
            }
        }
    }
    assert!(crashes > 100 && images > 200, "{crashes} crashes, {images} states of the disk");
    println!("{crashes} crashes, {images} states of the disk");
}

#[test]
fn wherever_the_power_goes_a_switch_that_goes_back_is_told_once() {
    let settings = settings(&["phone"], &Kind::DEFAULT);
    let (a, b) = (toplevel("a"), toplevel("b"));
    let (mut crashes, mut images) = (0, 0);
    for effects in 0.. {
        let (host, post) = (machine(), Post::that_arrives());
        try_notify(&host, &settings, &post).unwrap();
        host.set_fate(Fate::CrashAfter(effects));
        let append = |event: Event| append_history(&host, Path::new(STATE_DIR), &boot_id(1), &event);
        let story = || {
            append(Event::LiveBegan { from: a.clone(), to: b.clone() })?;
            append(Event::LiveFailed { from: b.clone(), to: a.clone(), cause: Cause::Vanished })?;
            try_notify(&host, &settings, &post)?;
            append(Event::WentBack { from: b.clone(), to: a.clone() })?;
            try_notify(&host, &settings, &post)
        };
        // What goes wrong with one target is no error.
        let _ = story();
        if !host.has_crashed() {
            assert_eq!(post.count(), 1);
            break;
        }
        crashes += 1;
        let before = post.of(Kind::WentBack);
        for image in host.world().after_crash() {
            images += 1;
            let (host, post) = (SimulatedHost::new(image, options()), Post::that_arrives());
            post.sent.borrow_mut().extend(before.clone());
            host.change(|world| world.start(&a, &boot_id(2)));
            for _ in 0..2 {
                try_notify(&host, &settings, &post).unwrap();
            }
            let history = read_history(&host, Path::new(STATE_DIR)).unwrap();
            let failed = history.iter().any(|line| matches!(line.event, Event::LiveFailed { .. }));
            let sent = post.of(Kind::WentBack);
            let ids: BTreeSet<&String> = sent.iter().map(|sent| &sent.id).collect();
            assert_eq!(ids.len(), usize::from(failed), "after {effects} effects: {sent:?}");
            assert!(sent.len() <= 2 && sent.iter().skip(1).all(|sent| sent.is_in_doubt), "{sent:?}");
        }
    }
    assert!(crashes > 10 && images > 20, "{crashes} crashes, {images} states of the disk");
    println!("{crashes} crashes, {images} states of the disk");
}

#[test]
fn a_trial_that_dies_before_anything_of_ours_is_told_from_golden_too() {
    let (host, post) = (marked(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    for number in 2..10 {
        let mut system = None;
        host.change(|world| {
            *world = world.switched_off();
            if let Start::Booted(choice) = start(world, None) {
                world.start(&choice.toplevel, &boot_id(number));
                system = Some(choice.toplevel);
            }
        });
        if system == Some(toplevel("b")) {
            // A panic: nothing of it runs.
            continue;
        }
        boot(&host, &toplevel("a"), &settings, &post);
    }
    let sent = told(&post);
    assert_eq!((sent.len(), post.count()), (1, 1), "{sent:?}");
    assert!(sent[0].text.contains("Failed boot 1: it died before the boot check"), "{}", sent[0].text);
}

#[test]
fn every_attempt_is_told_where_the_owner_wants_that_and_the_last_one_with_the_rollback() {
    let (host, post) = (marked(), Post::that_arrives());
    let settings = settings(&["phone"], &[Kind::AttemptFailed, Kind::RolledBack]);
    assert!(live_on(&host, 2, &settings, &post));
    let kinds: Vec<Kind> = post.sent.borrow().iter().map(|sent| sent.kind).collect();
    assert_eq!(kinds, [Kind::AttemptFailed, Kind::RolledBack]);
}
