//! Pages of made-up hosts, and of hosts that mean no good.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use golden_serve::Document;
use golden_serve::document::NotADocument;
use golden_serve::member::{Known, Member, NoDocument, slugs};
use golden_serve::page::Pages;
use serde_json::{Value, json};

const STATES: [(&str, &str); 6] = [
    ("ok", "OK"),
    ("trial", "Trial"),
    ("rolled-back", "Rolled back"),
    ("unprotected", "Unprotected"),
    ("safe-mode", "Safe mode"),
    ("checks-failed", "OK"),
];
const SCRIPT: &str = r#"<script>alert("x")</script><img src=x onerror=alert(1)>{{ 7*7 }}{% raw %}"#;

fn json_of(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/documents/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn parse(value: &Value) -> Document {
    Document::parse(value.to_string().as_bytes()).unwrap()
}

fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-11-21T18:43:00Z").unwrap()
}

fn page(document: &Document) -> String {
    Pages::new().unwrap().host(document, now()).unwrap()
}

fn members(known: Vec<(&str, Known)>) -> Vec<Member> {
    let slugs = slugs(known.iter().map(|(label, _)| *label));
    let member =
        |((label, known), slug): ((&str, Known), String)| Member { label: label.to_owned(), slug, known };
    known.into_iter().zip(slugs).map(member).collect()
}

fn known(name: &str) -> Known {
    Known::Document(Arc::new(parse(&json_of(name))))
}

#[test]
fn the_first_words_are_the_state_what_happened_and_what_to_do() {
    for (name, word) in STATES {
        let document = parse(&json_of(name));
        let page = page(&document);
        let body = &page[page.find("<body>").unwrap()..];
        let at = |text: &str| body.find(text).unwrap_or_else(|| panic!("{name}: no {text:?} in {body}"));
        let (state, happened, todo) =
            (at(&format!("</span>{word}</h1>")), at("class=\"happened\""), at("What to do"));
        assert!(
            state < happened && happened < todo && todo < at("Timeline") && at("Timeline") < at("Systems"),
            "{name}"
        );
        assert_eq!(page.matches("<h1").count(), 1);
        assert!(page.contains(&format!("<title>{word} · web1</title>")), "{name}");
        assert!(page.contains("Published <time datetime=\"2026-11-21T18:40:00Z\" title=\"2026-11-21T18:40:00Z\">3 minutes ago"), "{name}");
        assert!(!page.contains("No news"), "{name}");
        // Nothing comes from anywhere else, and nothing runs.
        for tag in page.split('<').filter_map(|tag| tag.split_once('>')).map(|it| it.0) {
            for none in ["script", "style=", "://", "onclick", "onload", "javascript"] {
                assert!(!tag.contains(none), "{name}: {tag}");
            }
        }
    }
}

#[test]
fn when_the_machine_came_back_is_said_above_everything_else() {
    let mut value = json_of("rolled-back");
    value["latest"] = json!({ "rolled-back": "2026-11-20T08:05:00Z", "went-back": "2026-10-01T00:00:00Z" });
    let at = humantime::parse_rfc3339("2026-11-20T11:06:00Z").unwrap();
    let page = Pages::new().unwrap().host(&parse(&value), at).unwrap();
    let banner = page.split_once("</header>").unwrap().0;
    assert!(banner.contains("20 Nov 2026 08:05 UTC, 3 hours ago"), "{banner}");
    value["latest"] = json!({ "rolled-back": "1970-01-01T00:00:31Z" });
    let page = Pages::new().unwrap().host(&parse(&value), at).unwrap();
    assert!(!page.split_once("</header>").unwrap().0.contains("1970"), "a clock that was never set: {page}");
    // What was long ago is no news of a host that is well.
    let mut value = json_of("ok");
    value["latest"] = json!({ "rolled-back": "2026-11-20T08:05:00Z" });
    let page = Pages::new().unwrap().host(&parse(&value), at).unwrap();
    assert!(!page.split_once("</header>").unwrap().0.contains("20 Nov"), "{page}");
}

#[test]
fn a_rollback_is_explained_without_a_click_and_an_old_failure_on_demand() {
    let mut back = json_of("rolled-back");
    assert!(page(&parse(&back)).contains("<details open>\n    <summary><h2>Why it went back"));
    back["status"]["state"] = json!("ok");
    assert!(page(&parse(&back)).contains("<details>\n    <summary><h2>Why the last one failed"));
}

#[test]
fn a_trial_shows_its_attempts_and_checks_that_fail_go_first() {
    let trial = page(&parse(&json_of("trial")));
    for attempt in [
        "<li class=\"failed\"><span class=\"number\">1</span> failed",
        "<li class=\"innocent\">interrupted",
        "2</span> runs",
    ] {
        assert!(trial.contains(attempt), "{attempt}: {trial}");
    }
    let checks = page(&parse(&json_of("checks-failed")));
    let at = |text: &str| checks.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(at("Health checks that fail") < at("Timeline"));
    assert!(at("restic: repository is locked") < at("it failed before the switch, too"));
    assert!(checks.contains("4 health checks passed"));
}

#[test]
fn an_old_document_is_said_to_be_one() {
    let mut value = json_of("ok");
    value["time"] = json!("2026-11-19T18:40:00Z");
    let old = page(&parse(&value));
    assert!(old.contains("No news.") && old.contains("This was published 2 days ago"), "{old}");
    value["time"] = json!("whenever");
    assert!(page(&parse(&value)).contains("No news."));
    // Clocks differ.
    value["time"] = json!("2026-11-21T19:40:00Z");
    assert!(!page(&parse(&value)).contains("No news."));
}

/// A document whose every text is an attack.
fn hostile() -> Value {
    fn poison(value: &mut Value) {
        match value {
            Value::String(text) => *text = format!("{SCRIPT}\u{202e}{}\u{0}\u{1b}[31m", "A".repeat(1500)),
            Value::Array(list) => list.iter_mut().for_each(poison),
            Value::Object(fields) => fields.values_mut().for_each(poison),
            _ => {}
        }
    }
    let mut value = json_of("rolled-back");
    let (kind, weight) = (value["document"].clone(), json!("required"));
    poison(&mut value);
    value["document"] = kind;
    value["timeline"] = json!(vec![value["timeline"][0].clone(); 70]);
    value["status"]["quarantine"] = json!(vec![SCRIPT; 2000]);
    value["assessment"]["findings"][0]["weight"] = weight;
    value["assessment"]["findings"][0]["passed"] = json!(false);
    value["assessment"]["findings"][0]["excuse"] = json!(SCRIPT);
    value["assessment"]["findings"][0]["millis"] = json!(u64::MAX);
    value["status"]["nobody knows"] = json!({"a": [1, {"b": null}]});
    value
}

#[test]
fn what_a_host_says_is_never_markup_and_never_too_much() {
    let document = parse(&hostile());
    let pages = Pages::new().unwrap();
    let members = members(vec![(SCRIPT, Known::Document(Arc::new(document.clone()))), ("b", known("ok"))]);
    let fleet = pages.fleet(&members, now()).unwrap();
    let member = pages.member(&members[0], now()).unwrap();
    for page in [page(&document), fleet, member] {
        assert!(page.len() < 2 << 20, "{}", page.len());
        assert!(page.contains("&lt;script&gt;") && page.contains("{{ 7*7 }}"), "it is shown as it is");
        for never in ["<script", "<img", "\u{202e}", "\u{1b}", "\u{0}", "javascript:"] {
            assert!(!page.contains(never), "{never:?}");
        }
        // Every quote that ends an attribute is ours.
        for tag in page.split('<').filter_map(|tag| tag.split_once('>')).map(|it| it.0) {
            let unquoted: String = tag.split('"').step_by(2).collect();
            assert!(tag.matches('"').count() % 2 == 0 && !unquoted.contains("onerror"), "{tag}");
        }
    }
}

#[test]
fn wrong_types_missing_fields_and_torn_bytes_are_no_documents_or_whole_ones() {
    let good = json_of("safe-mode");
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!("text"),
        json!([]),
        json!({}),
        json!([[{}]]),
    ];
    let mut tried = 0;
    let mut paths = Vec::new();
    pointers(&good, String::new(), &mut paths);
    for path in &paths {
        for other in &others {
            let mut value = good.clone();
            *value.pointer_mut(path).unwrap() = other.clone();
            if let Ok(document) = Document::parse(value.to_string().as_bytes()) {
                page(&document);
                let _ = golden_serve::metrics(&document);
            }
            tried += 1;
        }
    }
    assert!(tried > 500, "{tried}");
    let bytes = good.to_string().into_bytes();
    for length in 0..bytes.len() {
        assert!(Document::parse(&bytes[..length]).is_err());
    }
    for index in (0..bytes.len()).step_by(7) {
        let mut torn = bytes.clone();
        torn[index] = 0xff;
        assert!(Document::parse(&torn).is_err(), "no byte of UTF-8");
    }
    let deep = format!("{{\"document\":{}", "[".repeat(900_000));
    assert!(matches!(
        Document::parse(deep.as_bytes()),
        Err(NotADocument::OtherKind | NotADocument::Syntax(_))
    ));
    let mut newer = good;
    newer["schema"] = json!(2);
    assert!(matches!(Document::parse(newer.to_string().as_bytes()), Err(NotADocument::OtherSchema(2))));
}

fn pointers(value: &Value, at: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                pointers(field, format!("{at}/{}", name.replace('/', "~1")), paths);
            }
        }
        Value::Array(list) => {
            for (index, element) in list.iter().enumerate().take(2) {
                pointers(element, format!("{at}/{index}"), paths);
            }
        }
        _ => {}
    }
    paths.push(at);
}

#[test]
fn in_a_fleet_the_worst_goes_first() {
    let since = now() - Duration::from_secs(7200);
    let gone = |last| Known::Unreachable { since, why: "it does not answer in time".to_owned(), last };
    let mut old = json_of("ok");
    old["time"] = json!("2026-11-20T18:40:00Z");
    let members = members(vec![
        ("h-ok", known("ok")),
        ("g-trial", known("trial")),
        ("f-old", Known::Document(Arc::new(parse(&old)))),
        ("e-other", Known::Unreadable { why: "it does not parse".to_owned(), last: None }),
        ("d-open", known("unprotected")),
        ("c-gone", gone(Some(Arc::new(parse(&json_of("ok")))))),
        ("c-gone-2", gone(None)),
        ("b-back", known("rolled-back")),
        ("a-safe", known("safe-mode")),
    ]);
    let pages = Pages::new().unwrap();
    let fleet = pages.fleet(&members, now()).unwrap();
    let mut last = 0;
    for name in ["a-safe", "b-back", "c-gone", "c-gone-2", "d-open", "e-other", "f-old", "g-trial", "h-ok"] {
        let at = fleet.find(&format!("href=\"/host/{name}\"")).unwrap_or_else(|| panic!("{name} in {fleet}"));
        assert!(at > last, "{name}");
        last = at;
    }
    let headline =
        "1 safe mode, 1 rolled back, 2 unreachable, 1 unprotected, 1 not readable, 1 no news, 1 trial, 1 OK";
    assert!(fleet.contains(headline) && fleet.contains("7 of 9 hosts need somebody"), "{fleet}");
    assert!(fleet.contains(
        "It has not answered since 2026-11-21 16:43 UTC (2 hours ago): it does not answer in time. Last: ok, "
    ));
    // A host that says it is another one is shown with both names.
    assert!(fleet.contains("a-safe · web1"));
    let of = |name: &str| members.iter().find(|member| member.label == name).unwrap();
    let page = pages.member(of("c-gone"), now()).unwrap();
    assert!(page.contains("Unreachable.") && page.contains("nixos-system-web1"), "{page}");
    let page = pages.member(of("c-gone-2"), now()).unwrap();
    assert!(page.contains("c-gone-2: Unreachable") && page.contains("2 hours ago"), "{page}");
    assert!(pages.fleet(&[], now()).unwrap().contains("No hosts"));
    let well = pages.fleet(&members[..1], now()).unwrap();
    assert!(well.contains("All hosts are well") && well.contains("1 OK"), "{well}");
}

#[test]
fn a_host_that_stops_answering_is_known_since_when_and_by_its_last_words() {
    let (first, later) = (now(), now() + Duration::from_secs(60));
    let gone = || Err(NoDocument::Unreachable("no route".to_owned()));
    let known = Known::after(Some(known("ok")), gone(), first);
    let known = Known::after(Some(known), gone(), later);
    assert!(matches!(&known, Known::Unreachable { since, last: Some(_), .. } if *since == first));
    let known = Known::after(Some(known), Err(NoDocument::Unreadable(NotADocument::TooLong)), later);
    assert!(matches!(&known, Known::Unreadable { last: Some(_), .. }));
    let known = Known::after(Some(known), Ok(parse(&json_of("trial"))), later);
    assert!(matches!(known, Known::Document(_)));
}
