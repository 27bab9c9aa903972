//! Metrics, alerts and dashboard speak of the same things.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::collections::BTreeSet;

use golden_serve::{Document, metrics};

const DOCUMENTED: &str = include_str!("../../../docs/metrics.md");
const RULES: &str = include_str!("../../../monitoring/golden-generation.rules.yml");
const TESTS: &str = include_str!("../../../monitoring/golden-generation.rules.test.yml");
const DASHBOARD: &str = include_str!("../../../monitoring/grafana-dashboard.json");

/// Every metric that a text names.
fn names(text: &str) -> BTreeSet<&str> {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let found = text.match_indices("golden_generation_").map(|(at, _)| {
        let name = &text[at..];
        &name[..name.find(|letter| !is_part(letter)).unwrap_or(name.len())]
    });
    found.collect()
}

/// A host that tells of everything that there is.
fn told() -> String {
    let bytes = include_bytes!("documents/ok.json");
    let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let trial = serde_json::from_slice::<serde_json::Value>(include_bytes!("documents/trial.json")).unwrap();
    value["status"]["trial"] = trial["status"]["trial"].clone();
    metrics(&Document::parse(value.to_string().as_bytes()).unwrap())
}

#[test]
fn every_metric_is_documented_with_its_kind_and_every_documented_one_exists() {
    let told = told();
    assert_eq!(names(&told), names(DOCUMENTED));
    for line in told.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let row = DOCUMENTED.lines().find(|row| names(row).contains(name)).unwrap();
        assert!(row.contains(&format!("| {kind} |")), "{name}: {row}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    }
}

#[test]
fn alerts_and_dashboard_name_only_what_is_told_and_each_alert_is_tested() {
    let told = told();
    let told = names(&told);
    for (what, text) in [("alerts", RULES), ("their tests", TESTS), ("the dashboard", DASHBOARD)] {
        let named = names(text);
        let unknown: Vec<_> = named.difference(&told).collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?}");
    }
    let alerts = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alert in alerts {
        assert!(TESTS.contains(&format!("alertname: {alert}\n")), "{alert}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert!(ids.len() == panels.len() && panels.iter().all(|panel| !panel["targets"][0]["expr"].is_null()));
}

#[test]
fn exactly_one_state_holds() {
    for bytes in [
        &include_bytes!("documents/ok.json")[..],
        include_bytes!("documents/trial.json"),
        include_bytes!("documents/rolled-back.json"),
        include_bytes!("documents/unprotected.json"),
        include_bytes!("documents/safe-mode.json"),
    ] {
        let document = Document::parse(bytes).unwrap();
        let text = metrics(&document);
        let holds: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("golden_generation_state{") && line.ends_with(" 1"))
            .collect();
        assert_eq!(
            holds,
            [format!("golden_generation_state{{state=\"{}\"}} 1", document.status.state.word())]
        );
    }
}
