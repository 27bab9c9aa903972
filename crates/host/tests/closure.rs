//! Golden is verified without a privilege that its unit does not have.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{Event, Toplevel};
use golden_host::operation::{self, Options};
use golden_host::simulated::{Program, SimulatedHost, Tree, World, boot_id, golden_profile, install, start};
use golden_host::{Error, Output};

const STATE_DIR: &str = "/var/lib/golden-generation";
const SOCKET: &str = "/nix/var/nix/daemon-socket/socket";

fn a() -> Toplevel {
    "/nix/store/aaaa-a".parse().unwrap()
}

/// The answers of Nix to a kind of access to its database.
type Answers = fn(&[&str]) -> Result<String, &'static str>;

/// The answers of Nix to a program that may not mount: through the daemon, and without one.
fn nix(by_daemon: Answers, direct: Answers) -> impl Fn(&SimulatedHost, &[&str]) -> std::io::Result<Output> {
    move |_, arguments| {
        let answer = match arguments {
            ["--store", "daemon", rest @ ..] => by_daemon(rest),
            _ => direct(arguments),
        };
        Ok(match answer {
            Ok(stdout) => Output { success: true, stdout, stderr: String::new() },
            Err(said) => Output { success: false, stdout: String::new(), stderr: format!("error: {said}") },
        })
    }
}

fn whole(arguments: &[&str]) -> Result<String, &'static str> {
    match arguments {
        ["--query", "--requisites", toplevel] => Ok(format!("{toplevel}\n/nix/store/aaaa-etc-a\n")),
        ["--verify-path", "/nix/store/aaaa-a", "/nix/store/aaaa-etc-a"] => Ok(String::new()),
        _ => Err("usage"),
    }
}

fn changed(arguments: &[&str]) -> Result<String, &'static str> {
    match arguments {
        ["--verify-path", ..] => Err("path '/nix/store/aaaa-etc-a' was modified! expected hash 'x', got 'y'"),
        _ => whole(arguments),
    }
}

fn collected(_: &[&str]) -> Result<String, &'static str> {
    Err("path '/nix/store/aaaa-a' is not valid")
}

fn read_only(_: &[&str]) -> Result<String, &'static str> {
    Err("remounting /nix/store writable: Operation not permitted")
}

fn silent(_: &[&str]) -> Result<String, &'static str> {
    Err("cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused")
}

/// A machine with the golden system `a`.
fn host(has_daemon: bool) -> SimulatedHost {
    let host = SimulatedHost::new(
        World::default(),
        Options { state_dir: PathBuf::from(STATE_DIR), ..Options::default() },
    );
    host.change(|world| Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR)));
    install(&host, &a()).unwrap();
    host.change(|world| {
        start(world, None);
        world.start(&a(), &boot_id(1));
    });
    Program::Confirm.run(&host).unwrap();
    Program::Pin { force: false }.run(&host).unwrap();
    assert_eq!(host.world().current(&golden_profile()), Some((1, a())));
    let set_socket = |tree: &mut Tree| {
        let _ = tree.remove(Path::new(SOCKET));
        if has_daemon {
            tree.write(SOCKET, b"");
        }
    };
    host.change(|world| set_socket(Arc::make_mut(&mut world.nix)));
    host.said();
    host
}

fn verify(has_daemon: bool, by_daemon: Answers, direct: Answers) -> (Result<(), Error>, bool) {
    let host = host(has_daemon);
    host.teach("nix-store", Box::new(nix(by_daemon, direct)));
    let verified = operation::verify_golden(&host, &host.options());
    let history = golden_host::read_history(&host, Path::new(STATE_DIR)).unwrap();
    let is_told = history.iter().any(|line| matches!(line.event, Event::GoldenDamaged { .. }));
    (verified, is_told)
}

#[test]
fn golden_is_verified_where_the_store_is_mounted_read_only_and_nothing_may_mount_it_writable() {
    let (verified, is_told) = verify(true, whole, read_only);
    verified.unwrap();
    assert!(!is_told);
}

#[test]
fn golden_is_verified_without_a_daemon_and_with_one_that_does_not_answer() {
    verify(false, silent, whole).0.unwrap();
    verify(true, silent, whole).0.unwrap();
}

#[test]
fn a_byte_that_changed_in_goldens_closure_is_damage() {
    for (has_daemon, by_daemon, direct) in
        [(true, changed as Answers, read_only as Answers), (false, silent, changed)]
    {
        let (verified, is_told) = verify(has_daemon, by_daemon, direct);
        let error = verified.unwrap_err();
        assert!(matches!(error, Error::GoldenDamaged(..)), "{error}");
        assert!(error.chain().contains("aaaa-etc-a' was modified"), "{}", error.chain());
        assert!(is_told);
    }
    let (verified, is_told) = verify(true, collected, read_only);
    assert!(matches!(verified, Err(Error::GoldenDamaged(..))) && is_told);
}

#[test]
fn a_database_that_cannot_be_read_is_no_damage_of_golden() {
    let (verified, is_told) = verify(true, silent, read_only);
    let error = verified.unwrap_err();
    assert!(matches!(error, Error::Database(_)), "{error}");
    assert!(error.chain().contains("Connection refused"), "{}", error.chain());
    assert!(!is_told, "the owner was told that golden is damaged");
    assert!(matches!(verify(false, silent, read_only).0, Err(Error::Database(_))));
}

fn dies(arguments: &[&str]) -> Result<String, &'static str> {
    match arguments {
        ["--verify-path", ..] => Err("Nix daemon disconnected unexpectedly (maybe it crashed?)"),
        _ => whole(arguments),
    }
}

fn unreadable(arguments: &[&str]) -> Result<String, &'static str> {
    match arguments {
        ["--verify-path", ..] => Err("reading a line: Input/output error"),
        _ => whole(arguments),
    }
}

#[test]
fn a_daemon_that_dies_while_it_verifies_is_no_damage_of_golden_and_a_disk_that_cannot_be_read_is() {
    let (verified, is_told) = verify(true, dies, read_only);
    assert!(matches!(verified, Err(Error::Database(_))), "{verified:?}");
    assert!(!is_told);
    let (verified, is_told) = verify(true, unreadable, read_only);
    assert!(matches!(verified, Err(Error::GoldenDamaged(..))) && is_told);
}

#[test]
fn a_machine_on_which_nix_cannot_be_run_has_no_damaged_golden() {
    let host = host(false);
    host.teach("nix-store", Box::new(|_, _| Err(std::io::ErrorKind::OutOfMemory.into())));
    let verified = operation::verify_golden(&host, &host.options());
    assert!(matches!(verified, Err(Error::Database(_))), "{verified:?}");
    let history = golden_host::read_history(&host, Path::new(STATE_DIR)).unwrap();
    assert!(!history.iter().any(|line| matches!(line.event, Event::GoldenDamaged { .. })));
}

/// `E2BIG` of the kernel is two megabytes, with eight bytes for each argument.
#[test]
fn a_closure_of_any_size_is_verified_whole_and_no_program_gets_more_than_the_kernel_takes() {
    const PATHS: usize = 30_000;
    let host = host(false);
    let seen = std::rc::Rc::new(std::cell::Cell::new(0));
    let verified = seen.clone();
    host.teach(
        "nix-store",
        Box::new(move |_, arguments| {
            let ok = |stdout| Ok(Output { success: true, stdout, stderr: String::new() });
            if let ["--verify-path", paths @ ..] = arguments {
                assert!(paths.iter().map(|path| path.len() + 9).sum::<usize>() < 1 << 20);
                verified.set(verified.get() + paths.len());
                return ok(String::new());
            }
            ok("/nix/store/aaaa-a\n".repeat(PATHS))
        }),
    );
    operation::verify_golden(&host, &host.options()).unwrap();
    assert_eq!(seen.get(), PATHS);
}

#[test]
fn a_registered_path_that_is_gone_is_damage_whatever_nix_says_of_its_bytes() {
    let host = host(true);
    host.teach("nix-store", Box::new(nix(whole, read_only)));
    host.change(|world| {
        let _ = Arc::make_mut(&mut world.nix).remove(Path::new("/nix/store/aaaa-etc-a"));
    });
    let error = operation::verify_golden(&host, &host.options()).unwrap_err();
    assert!(matches!(error, Error::GoldenDamaged(..)), "{error}");
    assert!(error.chain().contains("/nix/store/aaaa-etc-a"), "{}", error.chain());
}
