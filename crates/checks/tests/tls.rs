//! Whom an `https` check trusts: whom the machine trusts. A test of its own, because that is said in its environment.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use common::{LONG, Machine, once};
use golden_checks::{Check, Probe, Work};
use golden_core::Weight;

/// In the environment of the process that looks: where the server is.
const SERVER: &str = "SERVER";

#[test]
fn answers_as_a_probe() {
    common::answer_as_a_probe();
}

#[test]
fn inside() {
    let Ok(url) = env::var(SERVER) else { return };
    let work = Work::Probe(Probe::Http { url, status: None });
    let (name, weight) = ("x".to_owned(), Weight::Required);
    let check = Check { name, weight, timing: once(30), needs_network: false, work };
    let finding = Machine::new().run_within(LONG, &[check]).remove(0);
    println!("passed {} {}", finding.passed, finding.said);
}

/// Somebody who calls himself `localhost`, and what proves it.
fn server(machine: &Machine) -> (Child, String) {
    let [key, certificate] = ["/key.pem", "/certificate.pem"].map(|path| machine.at(path));
    let mut make = Command::new("openssl");
    make.args([
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-days",
        "2",
    ]);
    make.args(["-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost"]);
    make.args(["-addext", "basicConstraints=critical,CA:false"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate);
    assert!(make.stderr(Stdio::null()).status().unwrap().success());
    let mut serve = Command::new("openssl");
    serve
        .args(["s_server", "-www", "-accept", "127.0.0.1:0", "-key"])
        .arg(&key)
        .arg("-cert")
        .arg(&certificate);
    let mut serve = serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(serve.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port =
        lines.find_map(|line| Some(line.strip_prefix("ACCEPT ")?.rsplit_once(':')?.1.to_owned())).unwrap();
    // It goes on to speak, and is not to end because nobody listens.
    std::thread::spawn(move || lines.for_each(drop));
    (serve, port)
}

#[test]
fn a_server_is_who_the_machine_says_or_nobody() {
    let machine = Machine::new();
    let (mut server, port) = server(&machine);
    machine.put("/empty.pem", "", 0o644);
    for (host, trusted, passed, said) in [
        ("localhost", "/certificate.pem", true, "answers with status 200"),
        ("127.0.0.1", "/certificate.pem", false, "certificate"),
        ("localhost", "/empty.pem", false, "certificate"),
    ] {
        let mut process = Command::new(env::current_exe().unwrap());
        process.args(["inside", "--exact", "--nocapture"]).env(SERVER, format!("https://{host}:{port}/"));
        process
            .env_remove("SSL_CERT_DIR")
            .env_remove("NIX_SSL_CERT_FILE")
            .env("SSL_CERT_FILE", machine.at(trusted));
        let text = String::from_utf8(process.output().unwrap().stdout).unwrap();
        let line = text.lines().find_map(|line| line.split_once("passed ")).map(|(_, said)| said.to_owned());
        let line = line.expect(&text);
        assert!(line.starts_with(&passed.to_string()) && line.contains(said), "{host} {trusted}: {line}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
