//! What the built-in checks say about servers, units and names, also about such as mean no good.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use std::io::{BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use common::{LONG, Machine, once};
use golden_checks::{Check, Probe, Runner, Whom, Work};
use golden_core::{Finding, Weight};

#[test]
fn answers_as_a_probe() {
    common::answer_as_a_probe();
}

/// Seconds that a probe has that is to run out of them.
const SHORT: u64 = 2;

fn check(probe: Probe, secs: u64) -> Check {
    let (name, weight) = ("x".to_owned(), Weight::Required);
    Check { name, weight, timing: once(secs), needs_network: true, work: Work::Probe(probe) }
}

fn look(probe: Probe, secs: u64) -> Finding {
    let machine = Machine::new();
    let findings = machine.run_within(LONG, &[check(probe, secs)]);
    findings.into_iter().next().unwrap()
}

/// A server that does something with each connection once the question is there.
fn serve(answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let question = BufReader::new(stream.try_clone().unwrap());
            let _ = question.lines().map_while(Result::ok).find(String::is_empty);
            // Whoever asked may be gone.
            let _ = answer(&mut stream);
        }
    });
    address
}

fn get(address: SocketAddr, status: Option<u16>, secs: u64) -> Finding {
    look(Probe::Http { url: format!("http://{address}/health"), status }, secs)
}

fn says(head: &'static str) -> impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static {
    move |stream| write!(stream, "HTTP/1.1 {head}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
}

#[test]
fn a_status_is_the_expected_one_or_it_is_not() {
    for (head, status, passed, said) in [
        ("200 OK", None, true, "answers with status 200 OK"),
        ("204 No Content", None, true, "answers with status 204 No Content"),
        (
            "503 Service Unavailable",
            None,
            false,
            "503 Service Unavailable, and one from 200 to 299 is expected",
        ),
        ("404 Not Found", Some(404), true, "answers with status 404 Not Found"),
        ("200 OK", Some(204), false, "200 OK, and 204 No Content is expected"),
        ("302 Found\r\nlocation: /elsewhere", Some(302), true, "answers with status 302 Found"),
    ] {
        let finding = get(serve(says(head)), status, 30);
        assert!(finding.passed == passed && finding.said.contains(said), "{head}: {finding:?}");
        assert!(finding.needs_network);
    }
}

#[test]
fn a_redirect_is_followed_and_one_without_end_is_not() {
    let there = serve(says("200 OK"));
    let here = serve(move |stream| {
        write!(stream, "HTTP/1.1 301 Moved\r\nlocation: http://{there}/\r\ncontent-length: 0\r\n\r\n")
    });
    assert!(get(here, None, 30).passed);
    let circle = serve(says("301 Moved\r\nlocation: /again"));
    let finding = get(circle, None, 30);
    assert_eq!((finding.passed, &*finding.said), (false, "redirects more than 5 times"));
}

#[test]
fn a_server_that_never_answers_has_failed_in_time() {
    // It accepts, and that is all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let finding = get(silent.local_addr().unwrap(), None, SHORT);
    assert!(!finding.passed && finding.said.starts_with("no whole answer in time"), "{}", finding.said);
}

/// For ever, as far as who asked can tell.
fn for_ever(stream: &mut TcpStream, piece: &[u8], is_slow: bool) -> std::io::Result<()> {
    loop {
        stream.write_all(piece)?;
        if is_slow {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_server_that_answers_slowly_for_ever_has_failed_in_time() {
    let body = serve(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        for_ever(stream, b"1\r\nx\r\n", true)
    });
    let finding = get(body, None, SHORT);
    assert!(!finding.passed && finding.said.contains("and then the answer breaks off"), "{}", finding.said);
    let head = serve(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for_ever(stream, b"x", true)
    });
    let finding = get(head, None, SHORT);
    assert!(!finding.passed && finding.said.starts_with("no whole answer in time"), "{}", finding.said);
}

#[test]
fn a_head_without_end_is_no_answer_and_a_body_without_end_is_a_long_one() {
    let head = serve(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for_ever(stream, b"x-header: value\r\n", false)
    });
    let finding = get(head, None, 30);
    assert!(!finding.passed, "{}", finding.said);
    assert!(finding.millis < 20_000, "it was not waited for: {}", finding.said);
    let body = serve(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        for_ever(stream, &vec![b'x'; 1 << 16], false)
    });
    assert!(get(body, None, 30).passed);
}

#[test]
fn what_is_no_web_server_has_failed() {
    for nonsense in [&b"SSH-2.0-OpenSSH_9.9\r\n\r\n"[..], b"", b"HTTP/1.1 abc\r\n\r\n", b"\0\xff\0\n\n"] {
        let finding = get(serve(move |stream| stream.write_all(nonsense)), None, 30);
        assert!(!finding.passed && !finding.said.is_empty(), "{nonsense:?}: {finding:?}");
        assert!(!finding.said.contains(char::is_control), "{:?}", finding.said);
    }
    let plain = serve(says("200 OK"));
    let finding = look(Probe::Http { url: format!("https://{plain}/"), status: None }, 30);
    assert!(!finding.passed, "{finding:?}");
}

fn tcp(address: SocketAddr) -> Finding {
    look(Probe::Tcp { host: address.ip().to_string(), port: address.port() }, 30)
}

#[test]
fn who_listens_accepts_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let finding = tcp(address);
    assert!(finding.passed && finding.said == format!("{address} accepts connections"), "{finding:?}");
    drop(listener);
    let finding = tcp(address);
    assert!(!finding.passed && finding.said.contains("Connection refused"), "{finding:?}");
    let nobody = Probe::Tcp { host: "no-such-host.invalid".into(), port: 22 };
    let finding = look(nobody, 30);
    assert!(
        !finding.passed && finding.said.starts_with("cannot resolve no-such-host.invalid: "),
        "{finding:?}"
    );
}

#[test]
fn a_name_has_an_address_or_the_server_says_that_it_has_none() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        loop {
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            let mut answer = buffer[..length].to_vec();
            let has_address = answer[12..].starts_with(b"\x04good");
            (answer[2], answer[3], answer[7]) =
                (0x81, if has_address { 0 } else { 3 }, u8::from(has_address));
            if has_address {
                answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7]);
            }
            // Something else comes first.
            server.send_to(b"nonsense", from).unwrap();
            server.send_to(&answer, from).unwrap();
        }
    });
    let dns = |name: &str, server, secs| look(Probe::Dns { name: name.into(), server: Some(server) }, secs);
    assert_eq!(dns("good.example", address, 30).said, "good.example is 192.0.2.7");
    let said = format!("{address} knows no address of bad.example: there is no such name");
    assert_eq!(dns("bad.example", address, 30).said, said);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let finding = dns("good.example", silent.local_addr().unwrap(), SHORT);
    assert!(!finding.passed && finding.said.ends_with("does not answer"), "{finding:?}");
    assert!(look(Probe::Dns { name: "localhost".into(), server: None }, 30).passed);
}

#[test]
fn we_answer_ourselves_and_nobody_else_does() {
    let ping = |host: &str, secs| look(Probe::Ping { whom: Whom::Host(host.into()) }, secs);
    let finding = ping("127.0.0.1", 30);
    assert!(finding.passed && finding.said == "127.0.0.1 answers", "{finding:?}");
    let finding = ping("::1", 30);
    assert!(finding.passed || finding.said.contains("cannot ask"), "{finding:?}");
    // Kept for documentation: nobody has it. Source: RFC 5737.
    let finding = ping("192.0.2.77", SHORT);
    assert!(!finding.passed && !finding.said.is_empty(), "{finding:?}");
}

#[test]
fn a_place_without_a_file_system_of_its_own_is_not_mounted() {
    let machine = Machine::new();
    let path = machine.at("/").canonicalize().unwrap();
    let finding = look(Probe::Mount { path: path.clone(), writable: true }, 30);
    assert_eq!(finding.said, format!("nothing is mounted at {}", path.display()));
    let room = |bytes| look(Probe::DiskSpace { path: path.clone(), bytes: Some(bytes), percent: None }, 30);
    assert!(room(1).passed && !room(u64::MAX).passed);
}

#[test]
fn a_probe_that_hangs_is_killed() {
    // It waits for a server that says nothing, for longer than everybody has.
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = full.local_addr().unwrap();
    let check = check(Probe::Http { url: format!("http://{address}/"), status: None }, SHORT);
    let machine = Machine::new();
    // One more argument, to tell it from the probes of other tests.
    let arguments = [&common::PROBE[..], &["hangs"]].concat();
    let mut runner = Runner::new(&machine.host, common::subject()).with_probe_arguments(&arguments);
    let _alone = common::alone();
    let findings = runner.run(&[check], Instant::now() + Duration::from_millis(300));
    assert_eq!(findings[0].said, "it was not over when the time for all checks was");
    assert!(!common::is_running("--nocapture hangs"));
}
