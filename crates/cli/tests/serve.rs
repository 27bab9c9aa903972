//! The status page as systemd starts it: with a socket, for as long as somebody comes.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::Machine;

const GOLDEN: &str = env!("CARGO_BIN_EXE_golden");

/// As `systemd.socket(5)` has it: the socket is descriptor 3.
fn activated(machine: &Machine, listener: &TcpListener, arguments: &[&str]) -> Child {
    const START: &str = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@""#;
    let mut command = Command::new("sh");
    command
        .args(["-euc", START, "systemd", GOLDEN, "--root"])
        .arg(machine.root())
        .arg("serve")
        .args(arguments);
    command.stdin(OwnedFd::from(listener.try_clone().unwrap())).stdout(Stdio::null());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_page_shows_what_was_published_and_the_program_ends_when_nobody_comes() {
    let machine = Machine::installed();
    machine.put("/proc/sys/kernel/hostname", b"web1\n");
    assert!(machine.run(GOLDEN, &["publish"]).status.success());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..2 {
        let began = Instant::now();
        let mut server = activated(&machine, &listener, &["--idle", "1"]);
        let page = get(address, "/");
        assert!(page.contains("OK</h1>") && page.contains("web1"), "{page}");
        assert!(get(address, "/metrics").contains("golden_generation_state{state=\"ok\"} 1"));
        assert!(server.wait().unwrap().success());
        assert!(began.elapsed() >= Duration::from_secs(1));
        // The socket is systemd's: whoever comes next finds it, and starts the program again.
    }
}

#[test]
fn a_page_that_asks_others_stays_to_know_since_when_they_are_gone() {
    let machine = Machine::installed();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let other = format!("http://{closed}");
    let mut server = activated(&machine, &listener, &["--idle", "0", "--fleet", &other]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !get(address, "/").contains("It has not answered since") {
        assert!(Instant::now() < deadline && server.try_wait().unwrap().is_none());
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn what_cannot_be_listened_on_or_asked_is_said() {
    let machine = Machine::installed();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = machine.run(GOLDEN, &["serve", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot listen on 127.0.0.1:"), "{output:?}");
    for wrong in [["--fleet", "web1"], ["--listen", "9843"], ["--fleet", "https://me:secret@web1"]] {
        let output = machine.run(GOLDEN, &[&["serve"][..], &wrong].concat());
        assert_eq!(output.status.code(), Some(64), "{wrong:?}");
    }
}
