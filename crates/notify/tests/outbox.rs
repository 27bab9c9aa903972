//! What waits, for how long, and what is left of it when something breaks.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod post;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::time::Duration;

use golden_core::{BootId, Cause, Event, SafeModeReason};
use golden_host::simulated::{Fate, Said, SimulatedHost, boot_id};
use golden_host::{Delivery, Error, Host as _, Trouble};
use golden_notify::{Kind, Outcome};

use post::{Post, STATE_DIR, boots, failing, happen, machine, notify, settings, toplevel, try_notify};

const OUTBOX: &str = "/var/lib/golden-generation/outbox/phone.json";
const HISTORY: &str = "/var/lib/golden-generation/history.jsonl";

fn checks_failed(name: &str) -> Event {
    let boot: BootId = boot_id(1);
    Event::ChecksFailed { toplevel: toplevel("a"), boot, required: Vec::new(), wanted: vec![name.to_owned()] }
}

fn read(host: &SimulatedHost, path: &str) -> String {
    String::from_utf8(host.read(Path::new(path)).unwrap()).unwrap()
}

fn reported(host: &SimulatedHost, delivery: Delivery) -> Vec<String> {
    let text = |said: Said| match said {
        Said::Reported(what, text) if what == delivery => Some(text),
        _ => None,
    };
    host.said().into_iter().filter_map(text).collect()
}

#[test]
fn nothing_is_told_of_what_happened_before_the_first_run_but_of_what_is_still_so() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    happen(&host, &checks_failed("old"));
    happen(&host, &Event::Adopted { toplevel: toplevel("a") });
    boots(&host, "b", 2);
    happen(&host, &checks_failed("since"));
    boots(&host, "b", 3);
    happen(&host, &checks_failed("now"));
    notify(&host, &settings, &post);
    let texts: Vec<String> = post.sent.borrow().iter().map(|sent| sent.text.clone()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("wanted: since") && texts[1].contains("wanted: now"), "{texts:?}");
}

#[test]
fn a_target_that_is_down_for_a_week_is_tried_less_and_less_keeps_little_and_is_told_what_it_missed() {
    let (host, post) = (machine(), Post::answering(failing));
    let settings = settings(&["phone", "other"], &Kind::DEFAULT);
    post.now_answers(|parcel| {
        if parcel.target.name == "phone" { failing(parcel) } else { Outcome::Delivered { issue: None } }
    });
    let (mut told, mut largest) = (0, 0);
    // Every ten seconds somebody looks, and every hour something happens.
    for tick in 0..7 * 24 * 360 {
        host.set_clock(100 + tick * 10);
        if tick % 360 == 0 {
            happen(&host, &checks_failed(&format!("hour {tick}")));
            told += 1;
        }
        if tick % 60 == 0 {
            notify(&host, &settings, &post);
            largest = largest.max(read(&host, OUTBOX).len());
        }
    }
    let of = |name: &str| post.sent.borrow().iter().filter(|sent| sent.target == name).count();
    assert_eq!(of("other"), told, "a dead target is nobody else's trouble");
    // An hour at most between two, and more often only at the beginning.
    assert!((168..220).contains(&of("phone")), "{} tries in a week", of("phone"));
    assert!(largest < 64 * 1024, "{largest} bytes");
    assert_eq!(reported(&host, Delivery::Dropped).len(), told - 32);

    post.sent.borrow_mut().clear();
    post.now_answers(|_| Outcome::Delivered { issue: None });
    host.set_clock(100 + 8 * 24 * 3600);
    let done = notify(&host, &settings, &post);
    assert_eq!((done.delivered, done.waiting), (32, 0));
    let sent = post.sent.borrow().clone();
    assert!(sent[0].is_in_doubt || sent[0].dropped > 0);
    assert!(
        sent[0].text.contains(&format!("({} earlier messages to you were given up", told - 32)),
        "{}",
        sent[0].text
    );
    assert!(sent[1..].iter().all(|sent| sent.dropped == 0 && !sent.text.contains("given up")));
    assert!(sent[31].text.contains("hour 60120"), "{}", sent[31].text);
}

#[test]
fn a_message_of_megabytes_leaves_the_outbox_small() {
    let (host, post) = (machine(), Post::answering(failing));
    let settings = settings(&["phone"], &[Kind::ChecksFailed, Kind::LandingFailed]);
    notify(&host, &settings, &post);
    for number in 0..8 {
        let units = (0..2000).map(|unit| format!("{number}-{unit}-{}.service", "x".repeat(40))).collect();
        let cause = Cause::UnitFailed { units };
        happen(&host, &Event::LandingFailed { toplevel: toplevel("a"), boot: None, cause });
        happen(&host, &checks_failed(&"y\n\x1b[31m".repeat(5000)));
        notify(&host, &settings, &post);
    }
    assert!(read(&host, OUTBOX).len() < 1 << 17, "{}", read(&host, OUTBOX).len());
    let sent = post.sent.borrow();
    assert!(sent.iter().all(|sent| sent.text.len() < 8192 && !sent.text.contains('\x1b')));
}

#[test]
fn as_many_messages_wait_as_fit_into_an_outbox_that_can_be_read_again() {
    let (host, post) = (machine(), Post::answering(failing));
    let settings = settings(&["phone"], &[Kind::RolledBack]);
    let a = toplevel("a");
    for number in 0..24 {
        let b = toplevel(&format!("b{number}"));
        happen(&host, &Event::Marked { toplevel: b.clone(), landing: a.clone() });
        for failures in 0..8 {
            let cause = Cause::ChecksFailed { checks: vec!["\u{1f480}".repeat(300)] };
            let (toplevel, boot) = (b.clone(), None);
            happen(&host, &Event::AttemptFailed { toplevel, failures, max_failures: 2, boot, cause });
        }
        happen(&host, &Event::RolledBack { from: b.clone(), to: a.clone() });
        notify(&host, &settings, &post);
    }
    let outbox = read(&host, OUTBOX);
    assert!(outbox.len() < (1 << 17) + (1 << 15), "{}", outbox.len());
    assert!(outbox.matches("rolled-back").count() > 2, "{outbox}");
    post.now_answers(|_| Outcome::Delivered { issue: None });
    boots(&host, "a", 2);
    notify(&host, &settings, &post);
    let last = post.sent.borrow().iter().rev().find(|sent| sent.dropped > 0).cloned();
    assert!(last.is_some_and(|last| last.text.contains("were given up")));
}

#[test]
fn a_lost_power_and_a_new_boot_are_reasons_to_try_at_once_and_a_wrong_clock_is_none_to_wait() {
    let (host, post) = (machine(), Post::answering(failing));
    let settings = settings(&["phone"], &Kind::DEFAULT);
    host.set_clock(50_000);
    happen(&host, &checks_failed("x"));
    for _ in 0..3 {
        notify(&host, &settings, &post);
    }
    assert_eq!(post.count(), 1, "it waits");
    boots(&host, "a", 2);
    host.set_clock(3);
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 2, "the clock of another boot says nothing");
    host.set_clock(3 + 39);
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 2);
    host.set_clock(3 + 41);
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 3, "twenty seconds, forty, and so on");
    assert!(post.sent.borrow()[2].is_in_doubt);
    let pause = r#""until_secs":"#;
    let outbox = read(&host, OUTBOX);
    let (before, after) = outbox.split_once(pause).unwrap();
    let damaged = format!("{before}{pause}9999999{}", after.trim_start_matches(char::is_numeric));
    host.write(Path::new(OUTBOX), damaged.as_bytes()).unwrap();
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 4, "no pause leads to a time in a few months");
}

#[test]
fn a_target_that_wants_to_be_left_alone_is() {
    let (host, post) = (machine(), Post::answering(failing));
    let settings = settings(&["phone"], &Kind::DEFAULT);
    let pause = Some(Duration::from_secs(1800));
    post.now_answers(move |_| Outcome::Failed { said: "it answered 429".to_owned(), retry_after: pause });
    host.set_clock(1000);
    happen(&host, &checks_failed("x"));
    notify(&host, &settings, &post);
    host.set_clock(1000 + 1799);
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 1);
    host.set_clock(1000 + 1801);
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 2);
}

#[test]
fn a_message_that_a_target_never_takes_does_not_keep_it_from_the_next_one() {
    let (host, post) = (machine(), Post::answering(failing));
    let settings = settings(&["phone"], &Kind::DEFAULT);
    post.now_answers(|parcel| {
        if parcel.letter.text.contains("poison") {
            Outcome::Refused { said: "it answered 413".to_owned() }
        } else {
            Outcome::Delivered { issue: None }
        }
    });
    happen(&host, &checks_failed("poison"));
    happen(&host, &checks_failed("good"));
    for hour in 1..4 {
        host.set_clock(hour * 3600);
        notify(&host, &settings, &post);
    }
    let texts: Vec<String> = post.sent.borrow().iter().map(|sent| sent.text.clone()).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(
        texts[3].contains("good") && texts[3].contains("(1 earlier messages to you were given up"),
        "{}",
        texts[3]
    );
    let dropped = reported(&host, Delivery::Dropped);
    assert!(dropped.len() == 1 && dropped[0].contains("is given up: it answered 413"), "{dropped:?}");
}

#[test]
fn the_place_is_found_again_after_history_was_rotated() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    let mut expected = Vec::new();
    for number in 0..1950 {
        let name = format!("check {number} {}", "x".repeat(1000));
        happen(&host, &checks_failed(&name));
        expected.push(format!("check {number} "));
        if number % 30 == 29 {
            notify(&host, &settings, &post);
        }
    }
    assert!(
        host.size(Path::new("/var/lib/golden-generation/history.1.jsonl")).is_ok(),
        "it was rotated twice"
    );
    let sent = post.sent.borrow();
    assert_eq!(sent.len(), expected.len());
    assert!(sent.iter().zip(&expected).all(|(sent, expected)| sent.text.contains(expected)), "in order");
}

#[test]
fn a_torn_line_is_passed_over_and_what_comes_after_it_is_told() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    happen(&host, &checks_failed("one"));
    host.append(Path::new(HISTORY), b"{\"time\":\"2026-01-01T00:00:00Z\",\"writt").unwrap();
    notify(&host, &settings, &post);
    happen(&host, &checks_failed("two"));
    host.append(Path::new(HISTORY), b"\xff\xfe\0\0 not json\n\n{}\n").unwrap();
    happen(&host, &checks_failed("three"));
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 3, "{:?}", post.sent.borrow());
}

#[test]
fn a_line_that_was_read_before_it_was_durable_and_is_lost_costs_no_other_line() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    happen(&host, &checks_failed("one"));
    let before = host.read(Path::new(HISTORY)).unwrap();
    happen(&host, &checks_failed("lost"));
    notify(&host, &settings, &post);
    host.write(Path::new(HISTORY), &before).unwrap();
    happen(&host, &checks_failed("two"));
    notify(&host, &settings, &post);
    let names = ["one", "lost", "two"];
    let sent = post.sent.borrow();
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert!(sent.iter().zip(names).all(|(sent, name)| sent.text.contains(name)));
}

#[test]
fn history_that_is_gone_or_garbage_is_nothing_new() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    happen(&host, &checks_failed("one"));
    notify(&host, &settings, &post);
    for garbage in [&b""[..], b"\0\0\0\0\n\n\n", b"[[[[[[[[", &vec![b'x'; 100_000]] {
        host.write(Path::new(HISTORY), garbage).unwrap();
        notify(&host, &settings, &post);
    }
    assert_eq!(post.count(), 1);
    happen(&host, &checks_failed("two"));
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 2, "and goes on after that");
}

#[test]
fn an_outbox_that_is_damaged_is_kept_aside_said_and_told() {
    for garbage in [&b""[..], b"{", b"{\"format\":1}", b"[1]", &[0; 4096], &vec![b'x'; 2_000_000]] {
        let (host, post) = (machine(), Post::that_arrives());
        let settings = settings(&["phone"], &Kind::DEFAULT);
        happen(&host, &checks_failed("one"));
        happen(&host, &Event::Adopted { toplevel: toplevel("a") });
        notify(&host, &settings, &post);
        boots(&host, "a", 2);
        host.write(Path::new(OUTBOX), garbage).unwrap();
        happen(&host, &checks_failed("two"));
        notify(&host, &settings, &post);
        notify(&host, &settings, &post);
        let sent = post.sent.borrow();
        assert_eq!(sent.len(), 2, "{sent:?}");
        assert!(
            sent[1].text.contains("two")
                && sent[1].text.contains("the record of what was sent to you was damaged")
        );
        let complained = host.said().into_iter().any(
            |said| matches!(said, Said::Complained(Trouble::Io, text) if text.contains("the outbox of phone was not readable")),
        );
        assert!(complained);
        assert!(host.size(Path::new("/var/lib/golden-generation/outbox/phone.damaged")).is_ok());
    }
}

#[test]
fn two_at_once_are_one_after_the_other() {
    let (host, settings, others) = (machine(), settings(&["phone"], &Kind::DEFAULT), Cell::new(0));
    let post = Post::that_arrives();
    happen(&host, &checks_failed("one"));
    let lock = host.lock(Path::new("/run/golden-generation/notify.lock")).unwrap();
    let error = try_notify(&host, &settings, &post).unwrap_err();
    assert!(matches!(error, Error::LockHeld(_)), "{error}");
    drop(lock);
    post.now_answers(|_| {
        // The other one runs in the middle of this one.
        let other = Post::that_arrives();
        assert!(try_notify(&host, &settings, &other).is_err());
        others.set(others.get() + other.count());
        Outcome::Delivered { issue: None }
    });
    notify(&host, &settings, &post);
    assert_eq!((post.count(), others.get()), (1, 0));
}

#[test]
fn with_a_full_disk_it_is_told_all_the_same_and_not_over_and_over() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    notify(&host, &settings, &post);
    happen(&host, &checks_failed("one"));
    host.set_fate(Fate::Full(io::ErrorKind::StorageFull));
    for _ in 0..3 {
        notify(&host, &settings, &post);
    }
    host.clear_fate();
    assert_eq!(post.count(), 1, "{:?}", post.sent.borrow());
    let complaints = host.said().into_iter().filter(
        |said| matches!(said, Said::Complained(Trouble::NoSpace, text) if text.ends_with("it is kept in /run until the next boot")),
    );
    assert!(complaints.count() > 0);
    // There is room again.
    happen(&host, &checks_failed("two"));
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 2);
    boots(&host, "a", 2);
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 2, "what was written to the disk since then counts");
}

#[test]
fn whatever_fails_once_nothing_is_lost() {
    let settings = settings(&["phone"], &Kind::DEFAULT);
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::Other] {
        for failing in 1.. {
            let (host, post) = (machine(), Post::that_arrives());
            happen(&host, &checks_failed("one"));
            host.set_fate(Fate::Fail(failing, kind));
            let _ = try_notify(&host, &settings, &post);
            if host.effects() < failing {
                break;
            }
            host.clear_fate();
            for _ in 0..2 {
                host.set_clock(host.monotonic().as_secs() + 4000);
                notify(&host, &settings, &post);
            }
            let sent = post.sent.borrow();
            assert!((1..=2).contains(&sent.len()), "effect {failing}: {sent:?}");
            assert!(sent.iter().all(|again| again.id == sent[0].id));
        }
    }
}

#[test]
fn a_target_that_is_no_more_leaves_nothing_behind_and_one_with_a_mistake_keeps_its_outbox() {
    let (host, post) = (machine(), Post::answering(failing));
    happen(&host, &checks_failed("one"));
    let both = settings(&["phone", "mail"], &Kind::DEFAULT);
    notify(&host, &both, &post);
    let mut mistaken = settings(&["mail"], &Kind::DEFAULT);
    mistaken.names.insert("phone".to_owned());
    notify(&host, &mistaken, &post);
    assert!(host.size(Path::new(OUTBOX)).is_ok());
    host.write(Path::new("/var/lib/golden-generation/outbox/.phone.json.new"), b"{").unwrap();
    host.write(Path::new("/var/lib/golden-generation/outbox/owners.txt"), b"mine").unwrap();
    notify(&host, &settings(&["mail"], &Kind::DEFAULT), &post);
    let mut left = host.list(Path::new("/var/lib/golden-generation/outbox")).unwrap();
    left.sort();
    assert_eq!(left, ["mail.json", "owners.txt"]);
}

#[test]
fn safe_mode_is_urgent_and_one_message_with_all_that_led_to_it() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    notify(&host, &settings, &post);
    happen(&host, &Event::Marked { toplevel: toplevel("b"), landing: toplevel("a") });
    boots(&host, "b", 2);
    for failures in 1..=2 {
        happen(
            &host,
            &Event::AttemptFailed {
                toplevel: toplevel("b"),
                failures,
                max_failures: 2,
                boot: Some(boot_id(2)),
                cause: Cause::Vanished,
            },
        );
    }
    happen(&host, &Event::RollbackBegan { from: toplevel("b"), to: toplevel("a") });
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 0, "the machine is on its way");
    boots(&host, "a", 3);
    happen(&host, &Event::LandingFailed { toplevel: toplevel("a"), boot: None, cause: Cause::Vanished });
    happen(&host, &Event::SafeMode { reason: SafeModeReason::LadderEnded });
    notify(&host, &settings, &post);
    let sent = post.sent.borrow().clone();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].title, "web1 is in safe mode and needs you");
    assert!(sent[0].text.contains("Failed boot 3 of a: it stopped without a word"), "{}", sent[0].text);
    assert!(sent[0].text.contains("`golden why` says what failed"), "{}", sent[0].text);
    happen(&host, &Event::Confirmed { toplevel: toplevel("a"), boot: boot_id(3) });
    happen(&host, &Event::SafeModeEnded { toplevel: toplevel("a") });
    notify(&host, &settings, &post);
    assert_eq!(post.of(Kind::SafeModeEnded).len(), 1);
    assert_eq!(post.count(), 2);
}

#[test]
fn what_repeats_in_a_boot_is_told_once() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &[Kind::Refused, Kind::ChecksFailed]);
    for _ in 0..50 {
        happen(&host, &Event::Refused { toplevel: toplevel("b") });
        happen(&host, &checks_failed("disk"));
        notify(&host, &settings, &post);
    }
    assert_eq!(post.count(), 2, "{:?}", post.sent.borrow());
    boots(&host, "a", 2);
    happen(&host, &Event::Refused { toplevel: toplevel("b") });
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 3);
}

#[test]
fn a_test_goes_before_all_that_waits_and_is_tried_once() {
    let (host, post) = (machine(), Post::answering(failing));
    let settings = settings(&["phone"], &Kind::DEFAULT);
    happen(&host, &checks_failed("one"));
    notify(&host, &settings, &post);
    let round = golden_notify::Round::new(&host, Path::new(STATE_DIR), &settings).unwrap();
    let id = round.put_test().unwrap();
    notify(&host, &settings, &post);
    notify(&host, &settings, &post);
    assert_eq!(post.of(Kind::Test).len(), 1);
    let tried = round.outcomes(&id).unwrap();
    assert_eq!(tried, [("phone".to_owned(), golden_notify::Tried::Failed("no answer in time".to_owned()))]);
    assert_eq!(round.outcomes("another").unwrap()[0].1, golden_notify::Tried::No);
}

#[test]
fn a_damaged_golden_is_told_once_in_a_boot() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    for _ in 0..3 {
        let why = "the closure is incomplete: x is missing".to_owned();
        happen(&host, &Event::GoldenDamaged { toplevel: toplevel("a"), why });
        notify(&host, &settings, &post);
    }
    let sent = post.sent.borrow();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].title, "web1 has a damaged golden");
    assert!(sent[0].text.contains("the closure is incomplete: x is missing"), "{}", sent[0].text);
}

#[test]
fn a_golden_profile_that_was_put_back_is_told_once_in_a_boot() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    for _ in 0..3 {
        happen(&host, &Event::GoldenPutBack { toplevel: toplevel("a"), found: None });
        notify(&host, &settings, &post);
    }
    let sent = post.sent.borrow();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].title, "web1 has put golden's profile back");
}

#[test]
fn a_switch_that_went_back_is_one_message_once_it_is_over() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    notify(&host, &settings, &post);
    let (a, b) = (toplevel("a"), toplevel("b"));
    happen(&host, &Event::LiveBegan { from: a.clone(), to: b.clone() });
    let cause = Cause::ChecksFailed { checks: vec!["gateway".to_owned()] };
    happen(&host, &Event::LiveFailed { from: b.clone(), to: a.clone(), cause });
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 0, "it is on its way");
    happen(&host, &Event::WentBack { from: b.clone(), to: a });
    notify(&host, &settings, &post);
    notify(&host, &settings, &post);
    let sent = post.sent.borrow();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].title, "web1 went back after a switch");
    let expected = "Failed: b\nRuns:   a\nWhy: required checks failed: gateway";
    assert!(sent[0].text.contains(expected), "{}", sent[0].text);
}

#[test]
fn a_switch_whose_machine_lost_its_power_on_the_way_back_is_told_in_the_next_boot() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    notify(&host, &settings, &post);
    let (a, b) = (toplevel("a"), toplevel("b"));
    happen(&host, &Event::LiveFailed { from: b, to: a, cause: Cause::Vanished });
    notify(&host, &settings, &post);
    boots(&host, "a", 2);
    notify(&host, &settings, &post);
    assert_eq!(post.of(Kind::WentBack).len(), 1);
}

#[test]
fn a_switch_that_goes_back_and_is_overtaken_by_another_one_is_told_and_keeps_nothing_back() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    notify(&host, &settings, &post);
    let (a, b, c) = (toplevel("a"), toplevel("b"), toplevel("c"));
    happen(&host, &Event::LiveFailed { from: b, to: a.clone(), cause: Cause::Vanished });
    happen(&host, &Event::LiveBegan { from: a, to: c.clone() });
    happen(&host, &Event::LivePassed { toplevel: c });
    happen(&host, &checks_failed("disk"));
    notify(&host, &settings, &post);
    assert_eq!((post.of(Kind::WentBack).len(), post.of(Kind::ChecksFailed).len()), (1, 1));
}

#[test]
fn what_fails_late_is_told_and_a_rollback_that_a_person_asked_for_says_so() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    let (a, b) = (toplevel("a"), toplevel("b"));
    boots(&host, "b", 2);
    notify(&host, &settings, &post);
    happen(&host, &Event::Confirmed { toplevel: b.clone(), boot: boot_id(2) });
    let cause = Cause::ChecksFailed { checks: vec!["web".to_owned()] };
    happen(&host, &Event::FailedLate { toplevel: b.clone(), boot: boot_id(2), cause });
    notify(&host, &settings, &post);
    assert_eq!(post.of(Kind::FailedLate).len(), 1);
    happen(&host, &Event::RollbackAsked { from: b.clone(), to: a.clone() });
    happen(&host, &Event::RollbackBegan { from: b.clone(), to: a.clone() });
    notify(&host, &settings, &post);
    boots(&host, "a", 3);
    happen(&host, &Event::RolledBack { from: b, to: a });
    notify(&host, &settings, &post);
    assert_eq!(post.count(), 2, "{:?}", post.sent.borrow());
    assert_eq!(post.of(Kind::RolledBack)[0].title, "web1 rolled back, as somebody asked");
}

#[test]
fn a_message_names_the_source_revision_of_what_failed_where_the_system_says_it() {
    let (host, revision) = (machine(), RefCell::new(Vec::new()));
    let post = Post::that_arrives();
    post.now_answers(|parcel| {
        revision.borrow_mut().push(parcel.letter.message.revision.clone().map(|it| it.to_string()));
        Outcome::Delivered { issue: None }
    });
    let settings = settings(&["phone"], &Kind::DEFAULT);
    host.change(|world| {
        let path = format!("{}/etc/golden-generation/source.json", toplevel("b"));
        std::sync::Arc::make_mut(&mut world.nix).write(path, br#"{"revision":"3f2a9c1"}"#);
    });
    happen(&host, &Event::RolledBack { from: toplevel("b"), to: toplevel("a") });
    happen(&host, &Event::Marked { toplevel: toplevel("c"), landing: toplevel("a") });
    happen(&host, &Event::RolledBack { from: toplevel("c"), to: toplevel("a") });
    notify(&host, &settings, &post);
    assert_eq!(*revision.borrow(), [Some("3f2a9c1".to_owned()), None]);
}

#[test]
fn a_history_full_of_news_is_the_last_of_it_and_one_line_about_the_rest() {
    let (host, post) = (machine(), Post::that_arrives());
    let settings = settings(&["phone"], &Kind::DEFAULT);
    for number in 0..500 {
        happen(&host, &checks_failed(&format!("number {number}")));
    }
    notify(&host, &settings, &post);
    assert_eq!(reported(&host, Delivery::Dropped).len(), 1);
    let sent = post.sent.borrow();
    assert_eq!(sent.len(), 32);
    assert!(
        sent[0].text.contains("number 468")
            && sent[0].text.contains("(468 earlier messages to you were given up")
    );
    assert!(sent[31].text.contains("number 499"));
}
