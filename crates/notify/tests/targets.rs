//! Every way to tell somebody, against servers and programs that are there.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod authority;
mod post;
mod server;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use golden_notify::{
    Attempt, Command, Courier as _, Credentials, Forge, Issue, Kind, Letter, Mail, Message, Ntfy, Outcome,
    Parcel, SCHEMA, Severity, Target, Threads, Url, Way, Webhook,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use post::toplevel;
use server::{Server, answer, json_answer};

const TOKEN: &str = "tk_very_hidden";
const KEY: &str = "hmac_very_hidden";

fn message() -> Message {
    Message {
        schema: SCHEMA,
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        kind: Kind::RolledBack,
        severity: Severity::High,
        host: "web1".to_owned(),
        time: "2026-01-01T03:00:00Z".to_owned(),
        boot: None,
        title: "web1 rolled back".to_owned(),
        text: "2 boots failed.\nÜnïcode ``` @everybody --> <!-- .\n.\nend".to_owned(),
        next: "Nothing.".to_owned(),
        failed: Some(toplevel("b")),
        revision: None,
        runs: Some(toplevel("a")),
        attempts: vec![Attempt { toplevel: toplevel("b"), boot: None, cause: "it stopped".to_owned() }],
    }
}

fn letter() -> Letter {
    let message = message();
    Letter {
        title: message.title.clone(),
        text: message.text.clone(),
        message,
        dropped: 0,
        is_in_doubt: false,
    }
}

fn credentials() -> (TempDir, Credentials) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("token"), format!("{TOKEN}\n")).unwrap();
    fs::write(directory.path().join("key"), KEY).unwrap();
    let credentials = Credentials::below(directory.path());
    (directory, credentials)
}

/// Deliver over a real thread; nothing that comes out has a secret in it.
fn deliver(way: Way, letter: Letter, issue: Option<u64>, credentials: &Credentials, secs: u64) -> Outcome {
    let target = Target {
        name: "it".to_owned(),
        events: Kind::DEFAULT.into(),
        title: None,
        text: None,
        timeout: Duration::from_secs(secs),
        way,
    };
    let mut threads = Threads::new(credentials.clone());
    let said = format!("{target:?}");
    threads.start(Parcel { number: 0, target, letter, issue });
    let (_, outcome) = threads.finished(Duration::from_secs(30)).unwrap();
    let said = format!("{said}{outcome:?}");
    assert!(!said.contains("very_hidden"), "{said}");
    outcome
}

fn arrived(issue: Option<u64>) -> Outcome {
    Outcome::Delivered { issue }
}

fn ntfy(server: &Server) -> Way {
    let url = Url::Open(format!("{}/web1", server.url()));
    Way::Ntfy(Ntfy { url, token_credential: Some("token".to_owned()) })
}

#[test]
fn ntfy_gets_title_text_priority_and_an_id_by_which_it_shows_it_once() {
    let (_directory, credentials) = credentials();
    let server = Server::answering(|_| answer(200, ""));
    assert_eq!(deliver(ntfy(&server), letter(), None, &credentials, 5), arrived(None));
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/"));
    assert_eq!(request.header("authorization"), Some("Bearer tk_very_hidden"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["topic"], "web1");
    assert_eq!(body["title"], "web1 rolled back");
    assert_eq!(body["message"], message().text);
    assert_eq!((&body["priority"], &body["tags"][0]), (&json!(4), &json!("warning")));
    assert_eq!(body["sequence_id"], message().id);
}

#[test]
fn ntfy_gets_what_fits_into_a_message() {
    let (_directory, credentials) = credentials();
    let server = Server::answering(|_| answer(200, ""));
    let long = Letter { text: "ä".repeat(20_000), title: "ü".repeat(2000), ..letter() };
    assert_eq!(deliver(ntfy(&server), long, None, &credentials, 5), arrived(None));
    let body: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert!(body["message"].as_str().unwrap().len() <= 4000 && body["title"].as_str().unwrap().len() <= 250);
}

fn webhook(server: &Server) -> Way {
    Way::Webhook(Webhook {
        url: Url::Open(format!("{}/hook?x=1", server.url())),
        token_credential: Some("token".to_owned()),
        hmac_credential: Some("key".to_owned()),
    })
}

#[test]
fn a_webhook_gets_the_documented_form_signed_and_with_an_id_that_stays() {
    let (_directory, credentials) = credentials();
    let server = Server::answering(|_| answer(204, ""));
    for _ in 0..2 {
        let letter = Letter { title: "mine".to_owned(), dropped: 3, ..letter() };
        assert_eq!(deliver(webhook(&server), letter, None, &credentials, 5), arrived(None));
    }
    let requests = server.requests();
    assert_eq!(requests[0].path, "/hook?x=1");
    assert_eq!(requests[0].header("idempotency-key"), Some("0123456789abcdef0123456789abcdef"));
    assert_eq!(requests[0].header("idempotency-key"), requests[1].header("idempotency-key"));
    assert_eq!(requests[0].body, requests[1].body);
    let signature = requests[0].header("x-golden-signature-256").unwrap();
    assert!(signature.starts_with("sha256=") && signature.len() == 7 + 64);
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    let expected = json!({
        "schema": 1,
        "id": "0123456789abcdef0123456789abcdef",
        "kind": "rolled-back",
        "severity": "high",
        "host": "web1",
        "time": "2026-01-01T03:00:00Z",
        "boot": null,
        "title": "mine",
        "text": message().text,
        "next": "Nothing.",
        "failed": "/nix/store/bbbb-b",
        "revision": null,
        "runs": "/nix/store/aaaa-a",
        "attempts": [{ "toplevel": "/nix/store/bbbb-b", "boot": null, "cause": "it stopped" }],
        "dropped": 3,
    });
    assert_eq!(body, expected);
}

#[test]
fn what_a_server_says_about_its_refusal_is_said_without_the_secrets_that_it_sends_back() {
    let (_directory, credentials) = credentials();
    for (status, is_refused) in
        [(400, true), (401, false), (404, false), (413, true), (429, false), (500, false)]
    {
        let body = format!("no: you sent {TOKEN}\n\x1b[31m and {KEY} {}", "x".repeat(3_000_000));
        let server = Server::answering(move |_| answer(status, &body));
        let outcome = deliver(webhook(&server), letter(), None, &credentials, 10);
        let said = match &outcome {
            Outcome::Refused { said } if is_refused => said,
            Outcome::Failed { said, .. } if !is_refused => said,
            other => panic!("{status}: {other:?}"),
        };
        assert!(said.starts_with(&format!("it answered {status}: no: you sent (secret)")), "{said}");
        assert!(said.len() < 300 && !said.contains('\x1b'), "{said}");
    }
}

#[test]
fn a_server_may_say_when_to_come_back() {
    let (_directory, credentials) = credentials();
    let server =
        Server::answering(|_| b"HTTP/1.1 429 x\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n".to_vec());
    let outcome = deliver(webhook(&server), letter(), None, &credentials, 5);
    assert!(
        matches!(outcome, Outcome::Failed { retry_after: Some(secs), .. } if secs == Duration::from_secs(120))
    );
}

#[test]
fn a_redirect_is_not_followed_and_says_where_it_points() {
    let (_directory, credentials) = credentials();
    let other = Server::answering(|_| answer(200, ""));
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/stolen?secret", other.url());
        let server = Server::answering(move |_| {
            format!("HTTP/1.1 {status} x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
        });
        let Outcome::Failed { said, .. } = deliver(webhook(&server), letter(), None, &credentials, 5) else {
            panic!("{status} is no success")
        };
        assert!(said.contains("redirects are not followed") && !said.contains("?secret"), "{said}");
    }
    assert_eq!(other.requests().len(), 0, "nobody else was asked");
}

#[test]
fn a_server_that_hangs_drips_or_floods_takes_no_more_than_its_time() {
    let (_directory, credentials) = credentials();
    let began = Instant::now();
    for (server, arrives) in [
        (Server::silent(), false),
        (Server::dripping(b"HTTP/1.1 200 OK\r\nx-endless: "), false),
        // It has the message; that it does not stop talking does not change that.
        (Server::dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"), true),
        (Server::flooding(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n"), true),
        (Server::flooding(b""), false),
    ] {
        let outcome = deliver(webhook(&server), letter(), None, &credentials, 1);
        assert_eq!(outcome == arrived(None), arrives, "{outcome:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn an_address_that_is_a_secret_is_said_nowhere() {
    let (directory, credentials) = credentials();
    fs::write(directory.path().join("hook"), "http://127.0.0.1:9/T0/very_hidden").unwrap();
    fs::write(directory.path().join("wrong"), "very_hidden is no address").unwrap();
    for name in ["hook", "wrong", "none"] {
        let way = Way::Webhook(Webhook {
            url: Url::Credential(name.to_owned()),
            token_credential: None,
            hmac_credential: None,
        });
        let outcome = deliver(way, letter(), None, &credentials, 2);
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    }
}

#[test]
fn a_server_that_says_the_path_it_was_asked_for_gives_no_secret_address_away() {
    let server = Server::answering(|request| answer(404, &format!("Cannot POST {}", request.path)));
    let (directory, credentials) = credentials();
    fs::write(directory.path().join("hook"), format!("{}/T0/very_hidden", server.url())).unwrap();
    let way = Way::Webhook(Webhook {
        url: Url::Credential("hook".to_owned()),
        token_credential: None,
        hmac_credential: None,
    });
    let outcome = deliver(way, letter(), None, &credentials, 5);
    assert_eq!(outcome, Outcome::Failed { said: "it answered 404".to_owned(), retry_after: None });
}

/// In the environment of the process that delivers: where the server is.
const SERVER: &str = "SERVER";

#[test]
fn inside() {
    let Ok(url) = std::env::var(SERVER) else { return };
    let (_directory, credentials) = credentials();
    let token_credential = Some("token".to_owned());
    let way = Way::Webhook(Webhook { url: Url::Open(url), token_credential, hmac_credential: None });
    println!("answer: {:?}", deliver(way, letter(), None, &credentials, 10));
}

#[test]
fn a_server_is_who_the_machine_says_or_is_told_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    authority::certificates(directory);
    // What it is told it says backwards, which is no HTTP.
    let good = authority::server(directory, "host.pem", "-rev");
    let old = authority::server(directory, "old.pem", "-rev");
    for (host, port, authority, said) in [
        ("localhost", &good.port, "ca.pem", "it does not speak HTTP"),
        ("127.0.0.1", &good.port, "ca.pem", "certificate"),
        ("localhost", &good.port, "nobody.pem", "certificate"),
        ("localhost", &old.port, "ca.pem", "certificate"),
    ] {
        let url = format!("https://{host}:{port}/hook");
        let answer = authority::answer_of("inside", directory, authority, (SERVER, &url));
        assert!(answer.starts_with("Failed") && answer.contains(said), "{host} {authority}: {answer}");
    }
}

/// A forge with this API that keeps what it is told.
fn forge(is_github: bool) -> Server {
    let (mut issues, mut comments): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    let api = if is_github { "" } else { "/api/v1" };
    let base = format!("{api}/repos/me/hosts/issues");
    Server::answering(move |request| {
        let scheme = if is_github { "Bearer" } else { "token" };
        if request.header("authorization") != Some(&format!("{scheme} {TOKEN}")) {
            return answer(401, "who are you?");
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let page: usize = query.split('&').find_map(|it| it.strip_prefix("page=")?.parse().ok()).unwrap_or(1);
        let paged = |all: &[Value]| {
            let newest: Vec<&Value> = all.iter().rev().skip((page - 1) * 30).take(30).collect();
            json_answer(200, &json!(newest))
        };
        match (request.method.as_str(), path.strip_prefix(&base)) {
            ("GET", Some("")) if query.contains("state=all") => paged(&issues),
            ("POST", Some("")) => {
                let number = issues.len() + 1;
                let issue = json!({ "number": number, "title": body["title"], "body": body["body"] });
                issues.push(issue.clone());
                json_answer(201, &issue)
            }
            ("GET", Some(path)) if path.ends_with("/comments") => json_answer(200, &json!(comments)),
            ("POST", Some(path)) if path.ends_with("/comments") => {
                let number: usize = path.trim_start_matches('/').split('/').next().unwrap().parse().unwrap();
                if number > issues.len() {
                    return answer(404, "no such issue");
                }
                comments.push(json!({ "body": body["body"], "issue": number }));
                json_answer(201, &json!({ "id": 1 }))
            }
            _ => answer(404, "not found"),
        }
    })
}

fn issue(server: &Server, is_github: bool) -> Way {
    Way::Issue(Issue {
        forge: if is_github { Forge::Github } else { Forge::Forgejo },
        url: server.url(),
        repository: "me/hosts".to_owned(),
        token_credential: "token".to_owned(),
    })
}

fn posts(server: &Server) -> Vec<(String, Value)> {
    let requests = server.requests();
    let posts = requests.into_iter().filter(|request| request.method == "POST");
    posts.map(|request| (request.path, serde_json::from_slice(&request.body).unwrap())).collect()
}

#[test]
fn an_issue_is_made_once_for_a_system_and_commented_afterwards_whoever_made_it() {
    let (_directory, credentials) = credentials();
    for is_github in [false, true] {
        let server = forge(is_github);
        let way = || issue(&server, is_github);
        assert_eq!(deliver(way(), letter(), None, &credentials, 5), arrived(Some(1)));
        // Another machine, on which the same fails, and which knows of nothing.
        let mut other = letter();
        (other.message.id, other.message.host) = ("f".repeat(32), "web2".to_owned());
        assert_eq!(deliver(way(), other.clone(), None, &credentials, 5), arrived(Some(1)));
        // And one that knows.
        other.message.id = "e".repeat(32);
        assert_eq!(deliver(way(), other.clone(), Some(1), &credentials, 5), arrived(Some(1)));
        // Another system.
        other.message.failed = Some(toplevel("c"));
        assert_eq!(deliver(way(), other, None, &credentials, 5), arrived(Some(2)));
        let posts = posts(&server);
        let base = if is_github { "/repos/me/hosts/issues" } else { "/api/v1/repos/me/hosts/issues" };
        let paths: Vec<&str> = posts.iter().map(|(path, _)| path.strip_prefix(base).unwrap()).collect();
        assert_eq!(paths, ["", "/1/comments", "/1/comments", ""]);
        assert_eq!(posts[0].1["title"], "b failed");
        let body = posts[0].1["body"].as_str().unwrap();
        assert_eq!(body.matches("```").count(), 2, "what the text says ends no block: {body}");
        assert!(body.contains("<!-- golden-generation: /nix/store/bbbb-b -->"), "{body}");
    }
}

#[test]
fn two_systems_of_one_source_revision_have_one_issue() {
    let (_directory, credentials) = credentials();
    let server = forge(false);
    let mut one = letter();
    one.message.revision = Some("3f2a9c1".parse().unwrap());
    let mut other = one.clone();
    (other.message.id, other.message.failed) = ("f".repeat(32), Some(toplevel("c")));
    assert_eq!(deliver(issue(&server, false), one, None, &credentials, 5), arrived(Some(1)));
    assert_eq!(deliver(issue(&server, false), other, None, &credentials, 5), arrived(Some(1)));
    assert_eq!(posts(&server)[0].1["title"], "b failed (revision 3f2a9c1)");
}

#[test]
fn no_revision_ends_the_comment_by_which_an_issue_is_found_again() {
    let (_directory, credentials) = credentials();
    for revision in ["a-->@everybody", "a--->@everybody", "a---->@everybody", "a-----!>@everybody"] {
        let server = forge(false);
        let mut letter = letter();
        letter.message.revision = Some(revision.parse().unwrap());
        assert_eq!(deliver(issue(&server, false), letter, None, &credentials, 5), arrived(Some(1)));
        let body = posts(&server)[0].1["body"].as_str().unwrap().to_owned();
        let comment = body.split_once("<!-- golden-generation: ").unwrap().1.split_once(" -->").unwrap().0;
        assert!(comment.ends_with("@everybody") && !comment.contains("--"), "{comment:?}");
    }
}

#[test]
fn after_a_crash_an_issue_or_a_comment_that_is_there_is_not_made_again() {
    let (_directory, credentials) = credentials();
    for is_github in [false, true] {
        let server = forge(is_github);
        let way = || issue(&server, is_github);
        let again = || Letter { is_in_doubt: true, ..letter() };
        deliver(way(), letter(), None, &credentials, 5);
        assert_eq!(deliver(way(), again(), None, &credentials, 5), arrived(Some(1)));
        let mut comment = letter();
        comment.message.id = "c".repeat(32);
        deliver(way(), comment.clone(), Some(1), &credentials, 5);
        comment.is_in_doubt = true;
        assert_eq!(deliver(way(), comment.clone(), Some(1), &credentials, 5), arrived(Some(1)));
        assert_eq!(deliver(way(), comment, None, &credentials, 5), arrived(Some(1)));
        assert_eq!(posts(&server).len(), 2);
    }
}

#[test]
fn an_issue_is_found_on_any_page_and_made_anew_where_it_was_removed() {
    let (_directory, credentials) = credentials();
    let server = forge(true);
    for number in 0..70 {
        let mut other = letter();
        other.message.failed = Some(format!("/nix/store/aaaa-{number}").parse().unwrap());
        other.message.id = format!("{number:032}");
        deliver(issue(&server, true), other, None, &credentials, 5);
    }
    let mut first = letter();
    first.message.failed = Some("/nix/store/aaaa-0".parse().unwrap());
    assert_eq!(deliver(issue(&server, true), first.clone(), None, &credentials, 5), arrived(Some(1)));
    assert_eq!(deliver(issue(&server, true), first, Some(999), &credentials, 5), arrived(Some(71)));
}

#[test]
fn a_forge_that_is_none_or_refuses_is_said() {
    let (_directory, credentials) = credentials();
    for (body, status, expected) in [
        ("<html>welcome</html>".to_owned(), 200, "the forge answers something else than its API does"),
        (format!("[{}", " ".repeat(9_000_000)), 200, "the forge answers something else than its API does"),
        (format!("bad token {TOKEN}"), 403, "it answered 403: bad token (secret)"),
    ] {
        let server = Server::answering(move |_| answer(status, &body));
        let outcome = deliver(issue(&server, false), letter(), None, &credentials, 10);
        let Outcome::Failed { said, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(said, expected);
    }
}

/// A program below a directory.
fn program(directory: &Path, text: &str) -> std::path::PathBuf {
    let path = directory.join("program");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_command_gets_the_message_as_json_and_its_words_in_the_environment() {
    let (directory, credentials) = credentials();
    let path = directory.path().display();
    let text = format!(
        "cat > {path}/input; printf '%s|' \"$1\" \"$GOLDEN_KIND\" \"$GOLDEN_TITLE\" \"$GOLDEN_TEXT\" > {path}/words"
    );
    let program = program(directory.path(), &text);
    let way = Way::Command(Command { program, arguments: vec!["a b".to_owned()] });
    assert_eq!(deliver(way, letter(), None, &credentials, 5), arrived(None));
    let input: Value = serde_json::from_slice(&fs::read(directory.path().join("input")).unwrap()).unwrap();
    assert_eq!((&input["schema"], &input["title"]), (&json!(1), &json!("web1 rolled back")));
    let words = fs::read_to_string(directory.path().join("words")).unwrap();
    assert_eq!(words, format!("a b|rolled-back|web1 rolled back|{}|", message().text));
}

#[test]
fn a_command_that_fails_hangs_forks_floods_or_is_not_there_is_said_in_its_time() {
    let (directory, credentials) = credentials();
    let began = Instant::now();
    for (text, expected) in [
        ("echo it is broken >&2; exit 3", "exited with status 3: it is broken"),
        ("sleep 600", "was killed: it had not ended after 1 s"),
        ("sleep 600 & exit 0", "was killed: it had not ended after 1 s"),
        ("setsid sleep 5 & exit 0", "was killed: it had not ended after 1 s"),
        ("cat /dev/zero", "was killed: it printed more than 65536 bytes"),
        ("kill -9 $$", "was killed by a signal"),
    ] {
        let program = program(directory.path(), text);
        let way = Way::Command(Command { program, arguments: Vec::new() });
        let Outcome::Failed { said, .. } = deliver(way, letter(), None, &credentials, 1) else {
            panic!("{text}")
        };
        assert!(said.ends_with(expected), "{text}: {said}");
    }
    let way = Way::Command(Command { program: "/nowhere/program".into(), arguments: Vec::new() });
    let Outcome::Failed { said, .. } = deliver(way, letter(), None, &credentials, 1) else { panic!() };
    assert!(said.starts_with("cannot run /nowhere/program"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn mail_is_whole_whatever_is_in_it() {
    let (directory, credentials) = credentials();
    let path = directory.path().display();
    let sendmail = program(directory.path(), &format!("echo \"$@\" > {path}/arguments; cat > {path}/mail"));
    let to = vec!["root@example.org".to_owned(), "me@example.org".to_owned()];
    let way = Way::Mail(Mail { to, from: Some("golden@example.org".to_owned()), sendmail });
    let title = "wéb1 rolled back\nBcc: everybody@example.org".to_owned();
    let text = format!("{}\n.\n\nFrom nobody", message().text);
    assert_eq!(
        deliver(way, Letter { title, text: text.clone(), ..letter() }, None, &credentials, 5),
        arrived(None)
    );
    assert_eq!(fs::read_to_string(directory.path().join("arguments")).unwrap(), "-t -i\n");
    let mail = fs::read_to_string(directory.path().join("mail")).unwrap();
    let (headers, body) = mail.split_once("\n\n").unwrap();
    assert!(headers.contains("To: root@example.org,\n me@example.org\n"), "{headers}");
    assert!(headers.contains("Message-ID: <0123456789abcdef0123456789abcdef@web1>\n"), "{headers}");
    assert!(!headers.to_lowercase().contains("\nbcc:"), "{headers}");
    assert!(mail.lines().all(|line| line.len() <= 78), "{mail}");
    let decoded = base64::engine::general_purpose::STANDARD.decode(body.replace('\n', "")).unwrap();
    assert_eq!(String::from_utf8(decoded).unwrap(), format!("{text}\n"));
}

#[test]
fn a_target_that_hangs_keeps_no_other_from_its_message() {
    let (_directory, credentials) = credentials();
    let (silent, good) = (Server::silent(), Server::answering(|_| answer(200, "")));
    let mut threads = Threads::new(credentials);
    let target = |way| Target {
        name: "it".to_owned(),
        events: Kind::DEFAULT.into(),
        title: None,
        text: None,
        timeout: Duration::from_secs(2),
        way,
    };
    let began = Instant::now();
    for (number, way) in [(0, webhook(&silent)), (1, webhook(&good))] {
        threads.start(Parcel { number, target: target(way), letter: letter(), issue: None });
    }
    assert_eq!(threads.finished(Duration::from_secs(10)), Some((1, arrived(None))));
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(matches!(threads.finished(Duration::from_secs(10)), Some((0, Outcome::Failed { .. }))));
}
