//! The contract of an owner's loader command, with the example of its document.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use golden_core::{OneShot, Toplevel};
use golden_host::loader::{BootLoader, Kind, detect};
use golden_host::operation::Options;
use golden_host::{Error, Host, Limits, LinuxHost, load_options};
use tempfile::TempDir;

const CONTRACT: &str = include_str!("../../../docs/external-loader.md");

/// A machine with systems `a` and `b`, of which `a` is the default, and a command that knows its loader.
struct Machine {
    directory: TempDir,
    host: LinuxHost,
    options: Options,
}

impl Machine {
    fn new() -> Self {
        let script = CONTRACT.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        Self::with(script)
    }

    fn with(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let links = directory.path().join("links");
        for part in ["entries", "kernels"] {
            fs::create_dir_all(links.join(part)).unwrap();
        }
        for name in ["a", "b"] {
            symlink(toplevel(name).as_str(), links.join("entries").join(name)).unwrap();
        }
        symlink(toplevel("a").as_str(), links.join("default")).unwrap();
        let command = directory.path().join("loader");
        let script = script.replace("/boot/links", links.to_str().unwrap());
        // The store of this machine has none of these systems.
        fs::write(&command, script.replace("cmp \"$2/kernel\"", "test -e")).unwrap();
        fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["a", "b"] {
            let file = toplevel(name).as_str().trim_start_matches("/nix/store/").to_owned();
            fs::write(links.join("kernels").join(file), b"").unwrap();
        }
        let options = Options {
            state_dir: directory.path().to_owned(),
            loader: Kind::External,
            loader_command: Some(command),
            ..Options::default()
        };
        Self { directory, host: LinuxHost::new(Path::new("/")), options }
    }

    fn loader(&self) -> Box<dyn BootLoader + '_> {
        detect(&self.host, &self.options).unwrap()
    }

    fn links(&self) -> PathBuf {
        self.directory.path().join("links")
    }
}

fn toplevel(name: &str) -> Toplevel {
    format!("/nix/store/{}-{name}", name.repeat(32)).parse().unwrap()
}

#[test]
fn the_example_of_the_contract_is_a_loader() {
    let machine = Machine::new();
    let (a, b) = (toplevel("a"), toplevel("b"));
    let loader = machine.loader();
    assert_eq!(loader.see().unwrap().default, Some(a.clone()));
    assert_eq!(loader.see().unwrap().one_shot, OneShot::Clear);
    loader.disarm().unwrap();
    loader.arm(&b).unwrap();
    assert_eq!(loader.see().unwrap().one_shot, OneShot::Armed(b.clone()));
    assert_eq!(loader.see().unwrap().default, Some(a));
    loader.disarm().unwrap();
    assert_eq!(loader.see().unwrap().one_shot, OneShot::Clear);
    loader.set_default(&b).unwrap();
    assert_eq!(fs::read_link(machine.links().join("default")).unwrap(), Path::new(b.as_str()));
}

#[test]
fn what_has_no_entry_or_no_kernel_is_never_booted() {
    let machine = Machine::new();
    let loader = machine.loader();
    assert!(matches!(loader.arm(&toplevel("c")), Err(Error::NoEntry(_))));
    fs::remove_dir_all(machine.links().join("kernels")).unwrap();
    assert!(matches!(loader.set_default(&toplevel("b")), Err(Error::BootFiles { .. })));
    assert!(fs::read_link(machine.links().join("once")).is_err());
}

#[test]
fn a_command_that_does_not_do_what_it_says_is_found_out() {
    let machine = Machine::with("#!/bin/sh\n[ $1 = default ] && echo /nix/store/aa-a\nexit 0\n");
    let loader = machine.loader();
    assert!(matches!(loader.set_default(&toplevel("b")), Err(Error::DidNotStick(_))));
    assert!(matches!(loader.arm(&toplevel("b")), Err(Error::DidNotStick(_))));
}

#[test]
fn a_loader_without_a_one_shot_is_given_one() {
    let script = "#!/bin/sh\nd=/boot/links/default\ncase $1 in\n  one-shot) echo no such thing >&2; exit 3 ;;\n  \
                  list) readlink /boot/links/entries/* ;;\n  default) readlink $d ;;\n  \
                  set-default) ln -sfn $2 $d ;;\n  check) ;;\n  *) exit 64 ;;\nesac\n";
    let machine = Machine::with(script);
    let loader = machine.loader();
    assert_eq!(loader.has_one_shot(), Err("no such thing".to_owned()));
    loader.arm(&toplevel("b")).unwrap();
    assert_eq!(loader.see().unwrap().one_shot, OneShot::Armed(toplevel("b")));
    assert_eq!(fs::read_link(machine.links().join("default")).unwrap(), Path::new(toplevel("b").as_str()));
    loader.consume_one_shot(&toplevel("b")).unwrap();
    assert_eq!(fs::read_link(machine.links().join("default")).unwrap(), Path::new(toplevel("a").as_str()));
}

#[test]
fn the_command_is_named_in_the_settings() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/golden-generation")).unwrap();
    let settings = "loader = \"external\"\nloader_command = \"/etc/golden-generation/loader\"\n";
    fs::write(root.path().join("etc/golden-generation/config.toml"), settings).unwrap();
    let options = load_options(&LinuxHost::new(root.path())).unwrap();
    assert_eq!(options.loader, Kind::External);
    assert_eq!(options.loader_command.as_deref(), Some(Path::new("/etc/golden-generation/loader")));
}

#[test]
fn nonsense_is_an_error_and_said() {
    for (answer, expected) in [
        ("echo nonsense", "`nonsense` is no system in the store"),
        ("echo /nix/store/aa-a; echo /nix/store/bb-b", "more than one line"),
        ("echo sorry >&2; exit 9", "sorry"),
        ("kill -9 $$", "killed"),
    ] {
        let machine = Machine::with(&format!("#!/bin/sh\n[ $1 = default ] || exit 0\n{answer}\n"));
        let error = machine.loader().see().unwrap_err();
        assert!(matches!(error, Error::LoaderCommand { verb: "default", .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let missing = Options { loader_command: Some("/nowhere".into()), ..Machine::new().options };
    let host = LinuxHost::new(Path::new("/"));
    assert!(matches!(detect(&host, &missing).unwrap().see(), Err(Error::Io { .. })));
    let none = Options { loader_command: None, ..missing };
    assert!(matches!(detect(&host, &none), Err(Error::NoLoader)));
}

#[test]
fn a_command_that_breaks_its_limits_is_killed_with_all_that_it_started() {
    let host = LinuxHost::new(Path::new("/"));
    let directory = tempfile::tempdir().unwrap();
    let child = directory.path().join("child");
    let limits = Limits { time: Duration::from_millis(200), output_bytes: 1000 };
    let run = |script: &str| host.run_within(limits, Path::new("sh"), &["-c", script]);
    let began = Instant::now();
    let hangs = format!("sleep 100 & echo $! >{}; wait", child.display());
    assert_eq!(run(&hangs).unwrap_err().kind(), io::ErrorKind::TimedOut);
    let child = fs::read_to_string(child).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    // A signal takes a moment to arrive.
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(began.elapsed() < Duration::from_secs(50), "{}", state());
        std::thread::yield_now();
    }
    assert_eq!(run("sleep 100 >&2").unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(run("exec >&- 2>&-; sleep 100").unwrap_err().kind(), io::ErrorKind::TimedOut);
    // It left the group and holds the pipe open.
    assert_eq!(run("setsid sleep 3").unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(50), "nobody waits for it");
    let generous = Limits { time: Duration::from_secs(20), ..limits };
    let chatters = host.run_within(generous, Path::new("sh"), &["-c", "yes"]);
    assert_eq!(chatters.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    let ended =
        host.run_within(generous, Path::new("sh"), &["-c", "echo out; echo err >&2; exit 3"]).unwrap();
    assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (Some(3), "out\n", "err\n"));
}
