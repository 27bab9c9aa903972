//! Whom a page of a fleet believes: whom the machine trusts. A test of its own, because that is said in its environment.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::env;
use std::fs;
use std::path::Path;

use golden_serve::fleet::{ANSWER_WITHIN, Fleet, Sources, agent};
use golden_serve::member::Known;

#[path = "../../notify/tests/authority/mod.rs"]
mod authority;

use authority::{answer_of, certificates, server};

/// In the environment of the process that asks: where the host is.
const HOST: &str = "HOST";

#[test]
fn inside() {
    let Ok(address) = env::var(HOST) else { return };
    let sources = Sources { addresses: vec![address.parse().unwrap()], directory: None };
    let fleet = Fleet::new(sources);
    fleet.poll(&agent(true, ANSWER_WITHIN));
    match &fleet.members(None)[0].known {
        Known::Document(document) => println!("answer: document of {}", document.host),
        Known::Unreachable { why, .. } => println!("answer: unreachable: {why}"),
        Known::Unreadable { why, .. } => println!("answer: unreadable: {why}"),
    }
}

#[test]
fn a_host_of_a_fleet_is_who_the_machine_says_or_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    certificates(directory);
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/rolled-back.json");
    fs::copy(document, directory.join("status.json")).unwrap();
    let good = server(directory, "host.pem", "-WWW");
    let old = server(directory, "old.pem", "-WWW");
    let (good_port, old_port) = (&good.port, &old.port);
    for (address, authority, said) in [
        (format!("https://localhost:{good_port}"), "ca.pem", "document of "),
        // Not the name that the certificate is for, nobody who vouches for it, and one that ran out.
        (format!("https://127.0.0.1:{good_port}"), "ca.pem", "unreachable: "),
        (format!("https://localhost:{good_port}"), "nobody.pem", "unreachable: "),
        (format!("https://localhost:{old_port}"), "ca.pem", "unreachable: "),
        // What speaks TLS is no answer for whoever does not.
        (format!("http://localhost:{good_port}"), "ca.pem", "unreachable: "),
    ] {
        let known = answer_of("inside", directory, authority, (HOST, &address));
        assert!(known.starts_with(said), "{address} {authority}: {known}");
        let is_about_certificate = address.starts_with("https") && said != "document of ";
        assert_eq!(known.contains("certificate"), is_about_certificate, "{address} {authority}: {known}");
    }
}
