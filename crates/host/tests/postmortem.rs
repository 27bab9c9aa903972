//! What is kept of a rollback, and that nothing of it is ever in its way.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{BootId, Ledger, Toplevel};
use golden_host::operation::{Options, keep_post_mortem};
use golden_host::postmortem::{MAX_BYTES, MAX_FILES, PostMortem, all};
use golden_host::simulated::{
    Answer, Fate, Program, SimulatedHost, World, boot_id, install, start, system_profile,
};
use golden_host::{Host, Output};
use serde_json::{Value, json};

const STATE_DIR: &str = "/var/lib/golden-generation";

fn toplevel(name: &str) -> Toplevel {
    format!("/nix/store/{}-{name}", name.repeat(4)).parse().unwrap()
}

fn attempts() -> Value {
    json!([
        { "boot": boot_id(2), "end": { "kind": "failed", "cause": { "kind": "checks-failed", "checks": ["http"] } } },
        { "boot": null, "end": { "kind": "failed", "cause": { "kind": "never-reached-boot-check" } } },
        { "boot": boot_id(4), "end": { "kind": "failed", "cause": { "kind": "vanished" } },
          "evidence": { "panic": "Kernel panic - not syncing: x", "watchdog": true } },
    ])
}

/// A machine on which `b` has failed and `a` runs, before phase two.
fn host_after(attempts: &Value) -> SimulatedHost {
    let options = Options { state_dir: STATE_DIR.into(), ..Options::default() };
    let host = SimulatedHost::new(World::default(), options);
    host.change(|world| Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR)));
    for name in ["a", "b"] {
        install(&host, &toplevel(name)).unwrap();
    }
    let (a, b) = (toplevel("a"), toplevel("b"));
    let ledger = json!({
        "format": 1, "min_reader": 1, "revision": 9, "confirmed": [{ "toplevel": a }],
        "rollback": { "from": b, "to": a }, "landing": { "from": b, "toplevel": a },
        "quarantine": [{ "toplevel": b, "attempts": attempts, "revision": "3f2a9c1" }],
    });
    host.change(|world| {
        start(world, None);
        world.start(&a, &boot_id(9));
        let nix = Arc::make_mut(&mut world.nix);
        let source = Path::new(a.as_str()).join("etc/golden-generation/source.json");
        nix.write(source, br#"{"revision":"aaaaaaa","later":1}"#);
        let var = Arc::make_mut(&mut world.var);
        var.write(&Path::new(STATE_DIR).join("ledger.json"), ledger.to_string().as_bytes()).unwrap();
        var.sync();
    });
    host
}

fn host() -> SimulatedHost {
    host_after(&attempts())
}

fn put(host: &SimulatedHost, name: &str, bytes: &[u8]) {
    host.change(|world| {
        let var = Arc::make_mut(&mut world.var);
        let path = Path::new(STATE_DIR).join("postmortem").join(name);
        var.create_directory(path.parent().unwrap());
        var.write(&path, bytes).unwrap();
        var.sync();
    });
}

fn files(world: &World) -> Vec<(PathBuf, usize)> {
    let is_ours = |path: &PathBuf| path.to_string_lossy().contains("/postmortem/");
    world.var.files().filter(|(path, _)| is_ours(path)).map(|(path, bytes)| (path, bytes.len())).collect()
}

fn kept(host: &SimulatedHost) -> PostMortem {
    all(host, Path::new(STATE_DIR)).unwrap().remove(0).1
}

fn ledger(host: &SimulatedHost) -> Ledger {
    serde_json::from_slice(&host.world().var.read(&Path::new(STATE_DIR).join("ledger.json")).unwrap())
        .unwrap()
}

fn is_rolled_back(host: &SimulatedHost) -> bool {
    let profile = host.world().current(&system_profile()).map(|(_, toplevel)| toplevel);
    ledger(host).rolled_back.is_some() && profile == Some(toplevel("a"))
}

#[allow(clippy::unnecessary_wraps, reason = "as a program answers")]
fn said(stdout: &str) -> io::Result<Output> {
    Ok(Output { success: true, stdout: stdout.to_owned(), stderr: String::new() })
}

/// A journal that has something to tell of each boot.
fn journal() -> Answer {
    Box::new(|_, arguments| {
        if arguments.iter().any(|word| word.starts_with("MESSAGE_ID=")) {
            return said(
                "{\"UNIT\":\"web.service\"}\n{\"UNIT\":\"golden-deadline.service\"}\n{\"UNIT\":\"web.service\"}\n",
            );
        }
        // Every boot prints the first one, and only the trial's boots the second.
        let usual = r#"{"SYSLOG_IDENTIFIER":"generator","MESSAGE":"worker[12] took 3s"}"#;
        if arguments.contains(&&*format!("--boot={}-1", boot_id(2))) {
            return said(usual);
        }
        let other = usual.replace("12", "97").replace("3s", "5s");
        said(&format!(
            "{other}\n{{\"SYSLOG_IDENTIFIER\":\"nginx\",\"MESSAGE\":\"bind() failed\"}}\nno JSON\n"
        ))
    })
}

#[test]
fn an_error_that_the_boot_before_the_trial_printed_too_is_not_among_the_last_errors() {
    let host = host();
    host.teach("journalctl", journal());
    Program::RollBack.run(&host).unwrap();
    assert_eq!(kept(&host).attempts[0].journal, ["nginx: bind() failed"]);
}

#[test]
fn where_the_boot_before_the_trial_is_forgotten_the_one_that_runs_is_compared_with_and_never_an_attempt() {
    for (runs, expected) in
        [(9, &["nginx: bind() failed"][..]), (2, &["generator: old", "nginx: bind() failed"])]
    {
        let host = host();
        host.teach(
            "journalctl",
            Box::new(move |_, arguments| {
                let usual = format!(
                    "{{\"_BOOT_ID\":\"{}\",\"SYSLOG_IDENTIFIER\":\"generator\",\"MESSAGE\":\"old\"}}\n",
                    boot_id(if arguments.contains(&"--boot=0") { runs } else { 2 })
                );
                if arguments.iter().any(|word| word.ends_with("-1") || word.starts_with("MESSAGE_ID=")) {
                    return said("");
                }
                let own = "{\"SYSLOG_IDENTIFIER\":\"nginx\",\"MESSAGE\":\"bind() failed\"}\n";
                said(&(usual + if arguments.contains(&"--boot=0") { "" } else { own }))
            }),
        );
        Program::RollBack.run(&host).unwrap();
        assert_eq!(kept(&host).attempts[0].journal, expected, "{runs}");
    }
}

fn assessment(boot: &BootId, output: &str) -> Vec<u8> {
    let finding = |check: &str, passed: bool| {
        json!({ "check": check, "weight": "required", "passed": passed, "said": "exited with status 1",
                "output": output, "runs": 1, "millis": 5 })
    };
    let findings = [finding("http", false), finding("disk", true)];
    json!({ "schema": 1, "toplevel": toplevel("b"), "boot": boot, "findings": findings })
        .to_string()
        .into_bytes()
}

#[test]
fn a_post_mortem_holds_what_ledger_checks_journal_and_store_say() {
    let host = host();
    host.teach("journalctl", journal());
    host.teach("nix", Box::new(|_, _| said("linux: 6.6.2 \u{2192} 6.6.1, \u{1b}[31;1m+1.0 KiB\u{1b}[0m\n")));
    put(&host, &format!("assessment-{}.json", boot_id(2)), &assessment(&boot_id(2), "connection refused\n"));
    Program::RollBack.run(&host).unwrap();
    assert!(is_rolled_back(&host));
    let kept = kept(&host);
    assert_eq!((kept.schema, kept.asked, kept.shortened), (1, false, 0));
    assert_eq!(kept.from.revision.as_ref().unwrap().as_str(), "3f2a9c1");
    assert_eq!(kept.to.revision.as_ref().unwrap().as_str(), "aaaaaaa");
    assert_eq!(kept.collected_in, boot_id(9));
    assert_eq!(kept.closures.changes, ["linux: 6.6.2 \u{2192} 6.6.1, +1.0 KiB"]);
    let [checked, unseen, vanished] = &kept.attempts[..] else { panic!("{kept:?}") };
    assert_eq!(checked.failed_units, ["web.service"]);
    assert_eq!(checked.journal, ["nginx: bind() failed"]);
    assert_eq!(checked.failed_checks.len(), 1);
    assert_eq!(checked.failed_checks[0].output, "connection refused\n");
    assert!(unseen.journal.is_empty() && unseen.missing[0].contains("nobody saw"), "{unseen:?}");
    assert!(vanished.evidence.watchdog && vanished.evidence.panic.is_some());
}

#[test]
fn without_journal_and_nix_it_says_so() {
    let host = host();
    host.teach("nix", Box::new(|_, _| Err(io::ErrorKind::NotFound.into())));
    Program::RollBack.run(&host).unwrap();
    let kept = kept(&host);
    assert_eq!(kept.closures.unknown.as_deref(), Some("there is no nix here"));
    assert!(kept.attempts[0].missing[0].contains("cannot be asked"), "{:?}", kept.attempts[0]);
}

#[test]
fn who_never_answers_costs_a_bounded_time() {
    let host = host();
    let slow = |secs: u64| -> Answer {
        Box::new(move |host, _| {
            host.set_clock(host.monotonic().as_secs() + secs);
            Err(io::ErrorKind::TimedOut.into())
        })
    };
    host.teach("journalctl", slow(40));
    host.teach("nix", slow(30));
    Program::RollBack.run(&host).unwrap();
    // The newest attempt was asked about, twice; then the time was over.
    assert_eq!(host.monotonic().as_secs(), 80);
    let kept = kept(&host);
    assert!(kept.attempts[0].missing[0].contains("no time"), "{:?}", kept.attempts[0]);
    assert!(kept.closures.unknown.unwrap().contains("no time"));
}

#[test]
fn it_takes_no_more_than_half_of_the_time_in_which_golden_has_to_be_confirmed() {
    let host = host_after(&attempts());
    host.change(|world| {
        let ledger = Path::new(STATE_DIR).join("ledger.json");
        let var = Arc::make_mut(&mut world.var);
        let mut value: Value = serde_json::from_slice(&var.read(&ledger).unwrap()).unwrap();
        value["landing"]["attempts"] = json!([{ "boot": boot_id(9) }]);
        var.write(&ledger, value.to_string().as_bytes()).unwrap();
        var.sync();
    });
    for (program, secs) in [("journalctl", 5), ("nix", 30)] {
        let hangs: Answer = Box::new(move |host, _| {
            host.set_clock(host.monotonic().as_secs() + secs);
            Err(io::ErrorKind::TimedOut.into())
        });
        host.teach(program, hangs);
    }
    // Userspace began after one second: 30 of 59 are left, and half of them.
    host.set_clock(30);
    let boot_deadline = std::time::Duration::from_secs(59);
    keep_post_mortem(&host, &Options { state_dir: STATE_DIR.into(), boot_deadline, ..Options::default() });
    assert_eq!(host.monotonic().as_secs(), 50);
    assert!(kept(&host).closures.unknown.unwrap().contains("no time"));
}

#[test]
fn phase_two_that_is_repeated_keeps_one_and_a_later_rollback_another() {
    let host = host();
    let before = ledger(&host);
    Program::RollBack.run(&host).unwrap();
    let first = files(&host.world());
    assert_eq!(first.len(), 1);
    // The power took what the ledger says, and phase two comes again; the daily verification finds nothing to do either.
    for _ in 0..2 {
        host.change(|world| {
            let var = Arc::make_mut(&mut world.var);
            let path = Path::new(STATE_DIR).join("ledger.json");
            var.write(&path, &serde_json::to_vec(&before).unwrap()).unwrap();
        });
        Program::RollBack.run(&host).unwrap();
        keep_post_mortem(&host, &host.options());
        assert_eq!(files(&host.world()), first);
    }
    // Released, deployed again, and it failed again.
    let mut again = before.clone();
    let failed =
        json!([{ "boot": boot_id(20), "end": { "kind": "failed", "cause": { "kind": "vanished" } } }]);
    again.quarantine[0].attempts = serde_json::from_value(failed).unwrap();
    host.change(|world| {
        let path = Path::new(STATE_DIR).join("ledger.json");
        Arc::make_mut(&mut world.var).write(&path, &serde_json::to_vec(&again).unwrap()).unwrap();
    });
    Program::RollBack.run(&host).unwrap();
    assert_eq!(files(&host.world()).len(), 2);
    assert_eq!(kept(&host).attempts[0].boot, Some(boot_id(20)));
}

#[test]
fn what_the_power_took_is_made_good_later() {
    let host = host();
    host.record();
    Program::RollBack.run(&host).unwrap();
    let snapshots = host.recorded();
    let mut partly = 0;
    for world in snapshots.iter().flat_map(|snapshot| snapshot.world.after_crash()) {
        let mut world = world;
        start(&mut world, Some(&toplevel("a")));
        world.start(&toplevel("a"), &boot_id(10));
        let later = SimulatedHost::new(world, host.options());
        // Phase two again if it was not done, and the daily verification if it was.
        if ledger(&later).rollback.is_some() {
            Program::RollBack.run(&later).unwrap();
        } else {
            partly += u32::from(files(&later.world()).is_empty());
            keep_post_mortem(&later, &later.options());
        }
        assert!(is_rolled_back(&later));
        let whole = files(&later.world());
        let names: Vec<_> = whole.iter().map(|(path, _)| path.display().to_string()).collect();
        assert_eq!(names.iter().filter(|name| name.contains("/rollback-")).count(), 1, "{names:?}");
        assert!(names.iter().all(|name| !name.contains(".new")), "{names:?}");
        kept(&later);
    }
    assert!(partly > 0, "a crash between the two is among them");
}

#[test]
fn a_full_or_broken_disk_does_not_keep_the_rollback_from_its_end() {
    let whole = host();
    whole.record();
    Program::RollBack.run(&whole).unwrap();
    let is_of_ours = |effect: &golden_host::simulated::Effect| format!("{effect:?}").contains("/postmortem");
    let recorded = whole.recorded();
    let first = recorded.iter().position(|snapshot| is_of_ours(&snapshot.effect)).unwrap();
    assert!(first > 0 && recorded.len() > first + 3);
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::Other] {
        for number in first..recorded.len() {
            let host = host();
            host.set_fate(Fate::Fail(number as u64 + 1, kind));
            Program::RollBack.run(&host).unwrap();
            assert!(is_rolled_back(&host), "{kind:?} at {number}");
        }
    }
}

#[test]
fn what_does_not_fit_is_shortened_and_the_oldest_are_removed() {
    let long = "x\u{1b}\"\u{e4}".repeat(2000);
    let many: Vec<Value> = (0..40)
        .map(|number| {
            json!({ "boot": boot_id(100 + number), "later": long,
                    "end": { "kind": "failed", "cause": { "kind": "too-hot", "why": long.repeat(20) } } })
        })
        .collect();
    let host = host_after(&json!(many));
    host.teach(
        "journalctl",
        Box::new(|_, arguments| {
            let is_units = arguments.iter().any(|word| word.starts_with("MESSAGE_ID="));
            let line = |number: u32| {
                let text = "\u{1f480}\\\"".repeat(300);
                if is_units {
                    json!({ "UNIT": format!("{number}-{text}.service") }).to_string() + "\n"
                } else {
                    json!({ "SYSLOG_IDENTIFIER": text, "MESSAGE": text }).to_string() + "\n"
                }
            };
            said(&(0..128).map(line).collect::<String>())
        }),
    );
    host.teach("nix", Box::new(|_, _| said(&"a: \u{2205} \u{2192} 1, +1.0 MiB\n".repeat(20_000))));
    for number in 0..40 {
        let boot = boot_id(100 + number);
        put(&host, &format!("assessment-{boot}.json"), &assessment(&boot, &"y\n".repeat(300_000)));
    }
    for number in 1..=MAX_FILES + 3 {
        put(&host, &format!("rollback-{number:06}-0011.json"), b"{}");
    }
    put(&host, ".rollback-000003-22.json.new", &vec![b'x'; 1 << 16]);
    put(&host, "owners-notes.txt", b"stay");
    Program::RollBack.run(&host).unwrap();
    let kept = kept(&host);
    assert!(kept.shortened > 0 && !kept.attempts.is_empty(), "{}", kept.shortened);
    let files = files(&host.world());
    let ours: Vec<_> =
        files.iter().filter(|(path, _)| path.to_string_lossy().contains("/rollback-")).collect();
    assert_eq!(ours.len(), MAX_FILES);
    assert!(ours.iter().all(|(_, bytes)| *bytes <= MAX_BYTES));
    assert!(ours.last().unwrap().0.to_string_lossy().contains("rollback-000020-"), "{ours:?}");
    let names: Vec<_> = files.iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
    assert!(
        names.contains(&"owners-notes.txt".into())
            && !names.iter().any(|name| name.to_string_lossy().contains(".new"))
    );
}

#[test]
fn a_directory_that_is_none_and_files_that_are_none_are_lived_with() {
    let host = host();
    host.change(|world| {
        let var = Arc::make_mut(&mut world.var);
        var.write(&Path::new(STATE_DIR).join("postmortem"), b"a file").unwrap();
    });
    Program::RollBack.run(&host).unwrap();
    assert!(is_rolled_back(&host));
    let host = host_after(&attempts());
    put(&host, "rollback-000001-00.json", b"{ torn");
    put(&host, "rollback-4294967295-00.json", b"{}");
    put(&host, &format!("assessment-{}.json", boot_id(2)), b"[]");
    Program::RollBack.run(&host).unwrap();
    assert!(is_rolled_back(&host));
    let (path, _) = all(&host, Path::new(STATE_DIR)).unwrap().remove(0);
    assert!(path.to_string_lossy().contains("rollback-000002-"), "{}", path.display());
}
