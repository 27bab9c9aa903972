//! The real server on a port of loopback, with clients and hosts that mean no good.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use golden_serve::document::MAX_BYTES;
use golden_serve::fleet::{Address, Fleet, Sources, agent};
use golden_serve::member::Known;
use golden_serve::{Limits, Options, Server};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/documents/{name}.json"))
}

fn options(published: PathBuf) -> Options {
    Options {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        published,
        sources: Sources::default(),
        names: vec!["status.example.org".to_owned()],
        idle: Duration::from_secs(60),
        limits: Limits::default(),
    }
}

/// Serve on a thread that ends with the test.
fn serve(options: &Options) -> SocketAddr {
    let server = Server::new(options).unwrap();
    let address = server.addresses()[0];
    thread::spawn(move || server.run());
    address
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // It may be answered before it was read.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

#[test]
fn every_address_answers_with_what_it_is_and_with_headers_that_keep_others_out() {
    let address = serve(&options(fixture("rolled-back")));
    for (path, status, kind, text) in [
        ("/", "200 OK", "text/html; charset=utf-8", "Rolled back</h1>"),
        ("/?a=b", "200 OK", "text/html; charset=utf-8", "Rolled back</h1>"),
        ("/status.json", "200 OK", "application/json", "golden-generation host status"),
        (
            "/metrics",
            "200 OK",
            "text/plain; version=0.0.4; charset=utf-8",
            "golden_generation_state{state=\"rolled-back\"} 1",
        ),
        ("/healthz", "200 OK", "text/plain; charset=utf-8", "ok\n"),
        ("/style.css", "200 OK", "text/css; charset=utf-8", "prefers-color-scheme: dark"),
        ("/icon/ok.svg", "200 OK", "image/svg+xml", "<svg"),
        ("/icon/%22%3E%3Cscript%3E.svg", "200 OK", "image/svg+xml", "fill=\"#6b727b\""),
        ("/host/web1", "404 Not Found", "text/plain; charset=utf-8", "no such page"),
        ("/../../etc/passwd", "404 Not Found", "text/plain; charset=utf-8", "no such page"),
        ("//", "404 Not Found", "text/plain; charset=utf-8", "no such page"),
    ] {
        let answer = get(address, path);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path}: {head}");
        assert!(body.contains(text), "{path}: {body}");
        let headers = [
            format!("content-type: {kind}"),
            "content-security-policy: default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'".to_owned(),
            "x-content-type-options: nosniff".to_owned(),
            "referrer-policy: no-referrer".to_owned(),
            "cache-control: no-store".to_owned(),
        ];
        for header in headers {
            assert!(head.lines().any(|line| line == header), "{path}: {header} in {head}");
        }
    }
    let head = ask(address, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "NONSENSE"] {
        let answer =
            ask(address, &format!("{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
    }
}

#[test]
fn a_name_that_somebody_elses_page_points_here_is_not_answered() {
    let address = serve(&options(fixture("ok")));
    let asked = |host: &str| ask(address, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    for ours in
        ["localhost", "localhost:9843", "127.0.0.1:1", "[::1]:9843", "LOCALHOST", "status.example.org"]
    {
        assert!(asked(ours).starts_with("HTTP/1.1 200"), "{ours}");
    }
    for theirs in
        ["evil.example.org", "127.0.0.1.evil.example.org", "localhost.evil.example.org:9843", "[evil]"]
    {
        assert!(asked(theirs).starts_with("HTTP/1.1 421"), "{theirs}");
    }
}

#[test]
fn a_host_that_published_nothing_or_nonsense_says_so() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("status.json");
    let address = serve(&options(path.clone()));
    for bytes in [None, Some(vec![]), Some(vec![0xff; 100]), Some(vec![b'['; MAX_BYTES + 5])] {
        if let Some(bytes) = &bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let answer = get(address, "/");
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("golden-publish.service"), "{answer}");
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 503"));
        assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
    }
    // The next copy is shown without anybody doing anything.
    std::fs::copy(fixture("ok"), &path).unwrap();
    assert!(get(address, "/").contains("OK</h1>"));
}

#[test]
fn slow_clients_huge_requests_and_many_at_once_keep_nobody_else_from_the_page() {
    let limits = Limits {
        connections: 8,
        request_within: Duration::from_millis(500),
        connection_within: Duration::from_secs(2),
    };
    let address = serve(&Options { limits, ..options(fixture("safe-mode")) });
    let mut silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (index, stream) in silent.iter_mut().enumerate() {
        let begun: &[u8] = if index % 2 == 0 { b"" } else { b"GET / HTTP/1.1\r\nHost: loc" };
        stream.write_all(begun).unwrap();
    }
    let before = Instant::now();
    assert!(get(address, "/").contains("Safe mode</h1>"));
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    drop(silent);
    // Megabytes of a header, many headers, and a body that never ends are answered or cut off, and nothing more.
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(5 << 20));
    assert!(!ask(address, &long).contains("200 OK"));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    assert!(!ask(address, &many).contains("200 OK"));
    let body = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n{}",
        "x".repeat(1 << 20)
    );
    assert!(!ask(address, &body).contains("200 OK"));
    for nonsense in
        ["\0\0\0\0", "GET", "GET / HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\r\n\r\n\r\n\r\n"]
    {
        let _ = ask(address, nonsense);
    }
    assert!(get(address, "/").contains("Safe mode</h1>"));
}

#[test]
fn who_says_nothing_has_his_place_for_so_long_and_no_longer() {
    let limits = Limits {
        connections: 1,
        request_within: Duration::from_secs(1),
        connection_within: Duration::from_secs(600),
    };
    let address = serve(&Options { limits, ..options(fixture("ok")) });
    let silent = TcpStream::connect(address).unwrap();
    let before = Instant::now();
    assert!(get(address, "/healthz").contains("200 OK"));
    let waited = before.elapsed();
    assert!(waited > Duration::from_millis(700), "there is one place: {waited:?}");
    assert!(waited < Duration::from_secs(20), "{waited:?}");
    drop(silent);
}

#[test]
fn who_does_not_read_the_answer_is_not_waited_for() {
    let limits = Limits {
        connections: 2,
        request_within: Duration::from_secs(60),
        connection_within: Duration::from_secs(10),
    };
    // A page that is longer than what the kernel takes for a client that does not read.
    let directory = TempDir::new().unwrap();
    let mut value: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("safe-mode")).unwrap()).unwrap();
    value["time"] = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string().into();
    for sentence in ["happened", "advice"] {
        value["summary"][sentence] = "\"".repeat(400).into();
    }
    for number in 0..1000 {
        std::fs::write(directory.path().join(format!("{number}.json")), value.to_string()).unwrap();
    }
    let sources = Sources { directory: Some(directory.path().to_owned()), ..Sources::default() };
    let address = serve(&Options { limits, sources, ..options(fixture("ok")) });
    let page = get(address, "/");
    assert!(page.len() > 4 << 20, "{}", page.len());
    let deaf: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    assert!(get(address, "/healthz").contains("200 OK"));
    drop(deaf);
}

/// A host that answers everybody with these bytes, and how slowly.
fn host(head: &'static str, body: Vec<u8>, pause: Duration) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let body = body.clone();
            thread::spawn(move || answer(stream, head, &body, pause));
        }
    });
    format!("http://127.0.0.1:{port}").parse().unwrap()
}

fn answer(mut stream: TcpStream, head: &str, body: &[u8], pause: Duration) -> io::Result<()> {
    let _ = stream.read(&mut [0; 4096])?;
    stream.write_all(head.as_bytes())?;
    for part in body.chunks(if pause.is_zero() { 1 << 16 } else { 1 }) {
        stream.write_all(part)?;
        thread::sleep(pause);
    }
    Ok(())
}

#[test]
fn hosts_that_lie_hang_or_flood_are_told_apart_and_cost_no_more_than_their_time() {
    const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let good = std::fs::read(fixture("ok")).unwrap();
    let at_once = Duration::ZERO;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let addresses = vec![
        host(OK, good.clone(), at_once),
        format!("http://{closed}").parse().unwrap(),
        host(OK, good.clone(), Duration::from_millis(50)),
        host("", vec![], Duration::from_secs(60)),
        host(OK, vec![b' '; 8 << 20], at_once),
        host(OK, b"<html>It works!</html>".to_vec(), at_once),
        host(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            vec![],
            at_once,
        ),
        host("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", vec![], at_once),
        host("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", good, at_once),
        host("SSH-2.0-OpenSSH_9.9\r\n", vec![], at_once),
    ];
    let fleet = Fleet::new(Sources { addresses, directory: None });
    assert!(fleet.members(None).is_empty(), "nobody was asked yet");
    let began = Instant::now();
    fleet.poll(&agent(false, Duration::from_secs(2)));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let members = fleet.members(None);
    let said: Vec<String> = members
        .iter()
        .map(|member| match &member.known {
            Known::Document(document) => format!("document of {}", &*document.host),
            Known::Unreachable { why, .. } => format!("unreachable: {why}"),
            Known::Unreadable { why, .. } => format!("unreadable: {why}"),
        })
        .collect();
    assert_eq!(said[0], "document of web1");
    assert!(said[1].starts_with("unreachable: "), "{said:?}");
    assert_eq!(said[2], "unreachable: it does not answer in time");
    assert!(said[3].starts_with("unreachable: "), "{said:?}");
    assert!(said[4].starts_with("unreadable: it is longer than"), "{said:?}");
    assert!(said[5].starts_with("unreadable: "), "{said:?}");
    assert_eq!(said[6], "unreachable: it answers with status 302");
    assert_eq!(said[7], "unreachable: it answers with status 500");
    assert!(said[8].starts_with("unreachable: ") && said[9].starts_with("unreachable: "), "{said:?}");
}

#[test]
fn a_host_that_never_stops_talking_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[b' '; 8192]).is_ok() {}
        }
    });
    let fleet = Fleet::new(Sources { addresses: vec![address], directory: None });
    fleet.poll(&agent(false, Duration::from_secs(5)));
    let member = fleet.members(None).remove(0);
    let is_too_long =
        |known: &Known| matches!(known, Known::Unreadable { why, .. } if why.contains("longer than"));
    assert!(is_too_long(&member.known), "{:?}", member.known);
}

#[test]
fn a_directory_of_documents_is_a_fleet_with_a_page_for_each() {
    let directory = TempDir::new().unwrap();
    for (name, state) in [("web1", "ok"), ("db1", "safe-mode"), ("web2", "trial")] {
        std::fs::copy(fixture(state), directory.path().join(format!("{name}.json"))).unwrap();
    }
    std::fs::write(directory.path().join("torn.json"), b"{").unwrap();
    std::fs::write(directory.path().join("README"), b"not one of them").unwrap();
    std::fs::create_dir(directory.path().join("directory.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", directory.path().join("zero.json")).unwrap();
    let sources = Sources { addresses: vec![], directory: Some(directory.path().to_owned()) };
    let address = serve(&Options { sources, ..options(fixture("unprotected")) });
    let fleet = get(address, "/");
    for row in [
        "href=\"/host/db1\"",
        "href=\"/host/web1\"",
        "href=\"/host/torn\"",
        "href=\"/host/zero\"",
        "href=\"/host/directory\"",
    ] {
        assert!(fleet.contains(row), "{row}: {fleet}");
    }
    assert!(!fleet.contains("README"));
    assert!(get(address, "/host/db1").contains("Safe mode</h1>"));
    assert!(get(address, "/host/torn").contains("Not readable"));
    assert!(get(address, "/host/nobody").starts_with("HTTP/1.1 404"));
    // Its own is what it publishes, whatever it shows of others.
    assert!(get(address, "/status.json").contains("\"unprotected\""));
}

#[test]
fn what_is_no_address_of_a_page_is_refused() {
    for good in ["http://web1", "https://web1.example.org:9843/", "http://[::1]:9843/status.json"] {
        good.parse::<Address>().unwrap();
    }
    for bad in
        ["web1", "", "ftp://web1", "file:///etc/passwd", "https://user:secret@web1", "http://", "http:// x"]
    {
        assert!(bad.parse::<Address>().is_err(), "{bad}");
    }
}
