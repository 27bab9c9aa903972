//! `golden-notify` as systemd runs it, on a machine below a directory, with a server that is there.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use golden_host::simulated::boot_id;
use golden_host::{LinuxHost, append_history};
use serde_json::Value;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;
#[path = "../../notify/tests/server/mod.rs"]
mod server;

use machine::{Machine, toplevel};
use server::{Server, answer};

const NOTIFY: &str = env!("CARGO_BIN_EXE_golden-notify");
const STATE_DIR: &str = "/var/lib/golden-generation";
const SECRET: &str = "tk_very_hidden";

struct Owner {
    machine: Machine,
    credentials: tempfile::TempDir,
}

impl Owner {
    /// Of a machine with these settings, that rolled back from `b` to `a`.
    fn of(settings: &str) -> Self {
        let machine = Machine::installed();
        machine.put("/proc/sys/kernel/hostname", b"web1\n");
        machine.put("/etc/golden-generation/notify.toml", settings.as_bytes());
        let credentials = tempfile::tempdir().unwrap();
        fs::write(credentials.path().join("token"), SECRET).unwrap();
        let owner = Self { machine, credentials };
        owner.happens(
            &serde_json::json!({ "event": "rolled-back", "from": toplevel("b"), "to": toplevel("a") }),
        );
        owner
    }

    fn happens(&self, event: &Value) {
        happens(self.machine.root(), event);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(NOTIFY);
        command.arg("--root").arg(self.machine.root()).args(arguments);
        command.env("CREDENTIALS_DIRECTORY", self.credentials.path()).stdin(Stdio::null());
        command
    }

    /// Run it; nothing it says or keeps has the secret in it.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let said = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(!said.contains("hidden"), "{said}");
        for file in files(self.machine.root()) {
            let bytes = fs::read(&file).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"hidden"), "{}", file.display());
        }
        (status.code(), said)
    }
}

fn happens(root: &Path, event: &Value) {
    let event = serde_json::from_value(event.clone()).unwrap();
    append_history(&LinuxHost::new(root), Path::new(STATE_DIR), &boot_id(1), &event).unwrap();
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.symlink_metadata().unwrap() {
            it if it.is_dir() => files.extend(self::files(&path)),
            it if it.is_file() => files.push(path),
            _ => {}
        }
    }
    files
}

fn webhook(name: &str, server: &Server) -> String {
    format!(
        "[target.{name}]\nkind = \"webhook\"\nurl = \"{}/hook\"\ntoken_credential = \"token\"\n",
        server.url()
    )
}

#[test]
fn a_rollback_is_told_once_to_every_target_with_its_secret() {
    let server = Server::answering(|_| answer(200, ""));
    let owner = Owner::of(&format!("{}{}", webhook("one", &server), webhook("two", &server)));
    for _ in 0..3 {
        let (code, said) = owner.run(&[]);
        assert_eq!(code, Some(0), "{said}");
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.header("authorization"), Some("Bearer tk_very_hidden"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["kind"], &body["host"]), (&"rolled-back".into(), &"web1".into()));
        assert_eq!(body["failed"], toplevel("b").as_str());
    }
    let mode = |path: &str| fs::metadata(owner.machine.at(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("/var/lib/golden-generation/outbox"), 0o700);
    assert_eq!(mode("/var/lib/golden-generation/outbox/one.json"), 0o600);
}

#[test]
fn without_settings_nothing_is_done_and_mistakes_in_them_are_said() {
    let owner = Owner::of("");
    fs::remove_file(owner.machine.at("/etc/golden-generation/notify.toml")).unwrap();
    assert_eq!(owner.run(&[]), (Some(0), String::new()));
    assert!(!owner.machine.at("/var/lib/golden-generation/outbox").exists());

    let server = Server::answering(|_| answer(200, ""));
    let good = webhook("good", &server);
    let mistaken = format!("{good}[target.bad]\nkind = \"ntfy\"\nurll = \"https://x/t\"\n");
    owner.machine.put("/etc/golden-generation/notify.toml", mistaken.as_bytes());
    let (code, said) = owner.run(&[]);
    assert_eq!(code, Some(0));
    assert!(said.contains("target.bad: there is no setting \"urll\" (did you mean url?)"), "{said}");
    assert_eq!(server.requests().len(), 1, "the other target is told");

    owner.machine.put("/etc/golden-generation/notify.toml", b"[target.good\n");
    let (code, said) = owner.run(&[]);
    assert!(code == Some(78) && said.contains("cannot parse /etc/golden-generation/notify.toml"), "{said}");
    owner.machine.put("/etc/golden-generation/notify.toml", &vec![b'['; 100_000]);
    assert_eq!(owner.run(&[]).0, Some(78));
}

#[test]
fn what_is_killed_while_it_sends_is_sent_again_with_the_same_id() {
    let silent = Server::silent();
    let owner = Owner::of(&webhook("hook", &silent));
    let mut killed = owner.command(&[]).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let outbox = owner.machine.at("/var/lib/golden-generation/outbox/hook.json");
    let tries = || -> Option<u64> {
        let outbox: Value = serde_json::from_slice(&fs::read(&outbox).ok()?).ok()?;
        outbox["queue"][0]["tries"].as_u64()
    };
    while tries() != Some(1) {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::yield_now();
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let server = Server::answering(|_| answer(200, ""));
    owner.machine.put("/etc/golden-generation/notify.toml", webhook("hook", &server).as_bytes());
    // Not at once: it has a back-off.
    assert_eq!(owner.run(&[]).0, Some(0));
    assert_eq!(server.requests().len(), 0);
    owner.machine.boot(2, "a");
    assert_eq!(owner.run(&[]).0, Some(0));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].header("idempotency-key").map(str::len), Some(32));
}

#[test]
fn what_happens_while_a_message_is_on_its_way_is_told_by_the_same_run() {
    let owner = Owner::of("");
    let root = owner.machine.root().to_owned();
    let mut is_first = true;
    let server = Server::answering(move |_| {
        if std::mem::take(&mut is_first) {
            happens(&root, &serde_json::json!({ "event": "safe-mode-ended", "toplevel": toplevel("a") }));
        }
        answer(200, "")
    });
    owner.machine.put("/etc/golden-generation/notify.toml", webhook("hook", &server).as_bytes());
    assert_eq!(owner.run(&[]).0, Some(0));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn two_that_are_started_together_send_one_message() {
    let server = Server::answering(|_| {
        // Long enough for the other one to be there.
        std::thread::sleep(Duration::from_millis(300));
        answer(200, "")
    });
    let owner = Owner::of(&webhook("hook", &server));
    let started: Vec<_> = (0..4).map(|_| owner.command(&[]).stderr(Stdio::null()).spawn().unwrap()).collect();
    for mut child in started {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_test_says_for_each_target_whether_it_can_be_reached() {
    let (good, bad) = (Server::answering(|_| answer(200, "")), Server::answering(|_| answer(403, SECRET)));
    let owner = Owner::of(&webhook("good", &good));
    let (code, said) = owner.run(&["--test"]);
    assert_eq!((code, said.lines().next()), (Some(0), Some("good: delivered")), "{said}");
    let body: Value = serde_json::from_slice(&good.requests()[0].body).unwrap();
    assert_eq!((&body["kind"], &body["title"]), (&"test".into(), &"web1 can reach you".into()));

    let missing =
        "[target.none]\nkind = \"ntfy\"\nurl = \"http://127.0.0.1:9/t\"\ntoken_credential = \"nope\"\n";
    let settings = format!("{}{}{missing}", webhook("good", &good), webhook("bad", &bad));
    owner.machine.put("/etc/golden-generation/notify.toml", settings.as_bytes());
    let (code, said) = owner.run(&["--test"]);
    assert_eq!(code, Some(74));
    assert!(said.contains("bad: not delivered: it answered 403: (secret)"), "{said}");
    assert!(said.contains("none: not delivered: cannot read the credential nope: No such file"), "{said}");
    fs::remove_file(owner.machine.at("/etc/golden-generation/notify.toml")).unwrap();
    let (code, said) = owner.run(&["--test"]);
    assert!(code == Some(74) && said.contains("there is no /etc/golden-generation/notify.toml"), "{said}");
}

#[test]
fn what_is_in_the_way_of_an_outbox_is_put_aside() {
    let server = Server::answering(|_| answer(200, ""));
    let owner = Owner::of(&webhook("hook", &server));
    let outbox = owner.machine.at("/var/lib/golden-generation/outbox");
    fs::create_dir_all(outbox.join("hook.json/inside")).unwrap();
    assert_eq!(owner.run(&[]).0, Some(0));
    assert_eq!(server.requests().len(), 1);
    assert!(outbox.join("hook.damaged/inside").is_dir() && outbox.join("hook.json").is_file());

    // A loop of links, and then a FIFO, which must keep nobody waiting.
    fs::remove_file(outbox.join("hook.json")).unwrap();
    fs::remove_dir_all(outbox.join("hook.damaged")).unwrap();
    std::os::unix::fs::symlink("hook.json", outbox.join("hook.json")).unwrap();
    assert_eq!(owner.run(&[]).0, Some(0));
    fs::remove_file(outbox.join("hook.json")).unwrap();
    assert!(Command::new("mkfifo").arg(outbox.join("hook.json")).status().unwrap().success());
    assert_eq!(owner.run(&[]).0, Some(0));
    assert!(outbox.join("hook.json").is_file());
}

#[test]
fn a_golden_that_golden_verify_finds_damaged_is_told() {
    let server = Server::answering(|_| answer(200, ""));
    let owner = Owner::of(&webhook("hook", &server));
    assert_eq!(owner.run(&[]).0, Some(0));
    for file in [format!("{}/kernel", toplevel("a")), "/boot/EFI/nixos/a-kernel.efi".to_owned()] {
        fs::remove_file(owner.machine.at(&file)).unwrap();
    }
    let verified = owner.machine.run(env!("CARGO_BIN_EXE_golden-verify"), &[]);
    assert!(!verified.status.success());
    assert_eq!(owner.run(&[]).0, Some(0));
    let requests = server.requests();
    let body: Value = serde_json::from_slice(&requests[1].body).unwrap();
    assert_eq!((&body["kind"], requests.len()), (&"golden-damaged".into(), 2));
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("is golden and could not be landed on") && text.contains("kernel"), "{text}");
}
