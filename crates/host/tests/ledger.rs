//! The ledger's format: every one that was ever released is read, and what is not known is kept.

use golden_core::{Attempts, BootId, Ledger, Toplevel};
use golden_host::loader::entry::{Entry, without_counters};
use golden_host::loader::loader_conf::{Key, matches, pattern, with_default};
use proptest::prelude::*;
use serde_json::Value;

/// Format 1, with fields, causes and ends of a newer build in every place that can have them.
const FORMAT_1: &str = include_str!("fixtures/ledger-format-1.json");

#[test]
fn an_older_build_keeps_what_a_newer_one_wrote() {
    let before: Value = serde_json::from_str(FORMAT_1).unwrap();
    let ledger: Ledger = serde_json::from_str(FORMAT_1).unwrap();
    assert_eq!(serde_json::to_value(&ledger).unwrap(), before);
    let again: Ledger = serde_json::from_value(before).unwrap();
    assert_eq!(again, ledger);
}

#[test]
fn a_ledger_needs_only_its_header_and_revision() {
    let ledger: Ledger = serde_json::from_str(r#"{"format":1,"min_reader":1,"revision":0}"#).unwrap();
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn an_attempt_that_failed_counts_whatever_a_newer_build_says_of_the_cause() {
    for cause in [
        r#","cause":{"kind":"too-hot","celsius":120}"#,
        r#","cause":{"celsius":120}"#,
        r#","cause":{"kind":"unit-failed","units":"all"}"#,
        r#","cause":{"kind":7}"#,
        r#","cause":{}"#,
        r#","cause":"too hot""#,
        r#","cause":["too","hot"]"#,
        r#","cause":120"#,
        "",
    ] {
        let text = format!(r#"[{{"boot":null,"end":{{"kind":"failed"{cause}}}}}]"#);
        let attempts: Attempts = serde_json::from_str(&text).unwrap();
        assert_eq!(attempts.failures(), 1, "{cause}");
        let before: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&attempts).unwrap(), before, "{cause}");
    }
    let other = r#"[{"boot":null,"end":{"kind":"hibernated","cause":"failed"}},{"boot":null,"end":null}]"#;
    assert_eq!(serde_json::from_str::<Attempts>(other).unwrap().failures(), 0);
}

/// Every place in the fixture where something can be cut out or replaced.
fn with_one_change(at: usize, replacement: &Value) -> Value {
    fn walk(value: &mut Value, left: &mut usize, replacement: &Value) {
        if *left == 0 {
            *value = replacement.clone();
        }
        *left = left.wrapping_sub(1);
        match value {
            Value::Array(list) => list.iter_mut().for_each(|value| walk(value, left, replacement)),
            Value::Object(fields) => fields.values_mut().for_each(|value| walk(value, left, replacement)),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(FORMAT_1).expect("the fixture is JSON");
    walk(&mut value, &mut at.clone(), replacement);
    value
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = serde_json::from_slice::<Ledger>(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = Entry::parse(&text, &bytes);
        let _ = (pattern(text.as_bytes(), Key::Default), pattern(&bytes, Key::Preferred));
        let _ = text.parse::<Toplevel>();
        let _ = text.parse::<BootId>();
    }

    #[test]
    fn a_changed_ledger_is_refused_or_comes_back_the_same(at in 0usize..120, value in any_value()) {
        let changed = with_one_change(at, &value);
        if let Ok(ledger) = serde_json::from_value::<Ledger>(changed) {
            let text = serde_json::to_string(&ledger).unwrap();
            prop_assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
        }
    }

    #[test]
    fn an_unknown_field_is_kept(name in "[a-z]{1,8}_later", value in any_value()) {
        let mut before: Value = serde_json::from_str(FORMAT_1).unwrap();
        before[&name] = value;
        let ledger: Ledger = serde_json::from_value(before.clone()).unwrap();
        prop_assert_eq!(serde_json::to_value(&ledger).unwrap(), before);
    }

    #[test]
    fn an_entry_is_found_by_its_init_wherever_it_stands(
        words in prop::collection::vec("[a-z.=]{1,8}", 0..6), at in 0usize..6, crlf: bool, comment in "#[ -~]{0,20}",
    ) {
        let mut words: Vec<String> = words.into_iter().filter(|word| !word.starts_with("init=")).collect();
        words.insert(at.min(words.len()), "init=/nix/store/abc-system/init".to_owned());
        let end = if crlf { "\r\n" } else { "\n" };
        let text = format!("{comment}{end}title x{end}options {}{end}", words.join(" "));
        let entry = Entry::parse("x+3-1.conf", text.as_bytes()).unwrap();
        prop_assert_eq!(entry.toplevel.as_str(), "/nix/store/abc-system");
        prop_assert_eq!(entry.id(), "x.conf");
    }

    #[test]
    fn counters_come_off_once(stem in "[a-z0-9+-]{0,10}", left in 0u32..1000, done in 0u32..1000) {
        prop_assert_eq!(without_counters(&format!("{stem}+{left}.conf")), format!("{stem}.conf"));
        prop_assert_eq!(without_counters(&format!("{stem}+{left}-{done}.conf")), format!("{stem}.conf"));
    }

    #[test]
    fn a_default_that_is_set_is_the_default(text in "[ -~\n]{0,200}", id in "[a-z0-9-]{1,20}\\.conf") {
        let changed = with_default(text.as_bytes(), &id);
        prop_assert_eq!(pattern(&changed, Key::Default), Some(id.clone()));
        prop_assert_eq!(with_default(&changed, &id), changed);
        prop_assert!(matches(&id, &id));
    }
}
