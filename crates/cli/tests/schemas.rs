//! Real answers are what `docs/schemas` says they are.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{LEDGER, Machine, status, toplevel};

const GOLDEN: &str = env!("CARGO_BIN_EXE_golden");
const STATE: &str = "/var/lib/golden-generation";

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schemas/{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What is wrong with a value. The part of JSON Schema that our schemas use, and stricter: a field that a schema does not name is
/// wrong unless the schema says that there may be others. A keyword that is not known here is a mistake of the schema.
fn mistakes(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                found.extend(mistakes(root, &root["$defs"][name], value, at));
            }
            "anyOf" => {
                let all: Vec<_> =
                    rule.as_array().unwrap().iter().map(|one| mistakes(root, one, value, at)).collect();
                if all.iter().all(|mistakes| !mistakes.is_empty()) {
                    found.extend(all.into_iter().flatten());
                }
            }
            "const" if rule != value => found.push(format!("{at} is {value} and not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => found.push(format!("{at} is {value}")),
            "const" | "enum" | "$schema" | "title" | "description" | "$defs" | "additionalProperties" => {}
            "type" => {
                let named = |one: &Value| is_of_type(one.as_str().unwrap(), value);
                let fits = rule.as_array().map_or_else(|| named(rule), |all| all.iter().any(named));
                found.extend((!fits).then(|| format!("{at} is {value} and no {rule}")));
            }
            "minimum" => {
                let small = value.as_i64().is_some_and(|number| number < rule.as_i64().unwrap());
                found.extend(small.then(|| format!("{at} is {value}")));
            }
            "required" => {
                let missing = |name: &&Value| value.get(name.as_str().unwrap()).is_none();
                let missing = rule.as_array().unwrap().iter().filter(missing);
                found.extend(missing.map(|name| format!("{at} has no {name}")));
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                found.extend(items.flat_map(|(n, item)| mistakes(root, rule, item, &format!("{at}[{n}]"))));
            }
            "properties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(rule) => found.extend(mistakes(root, rule, field, &format!("{at}.{name}"))),
                        None if schema.get("additionalProperties").is_some() => {}
                        None => found.push(format!("{at}.{name} is not documented")),
                    }
                }
            }
            other => panic!("{other} is no keyword that is known here"),
        }
    }
    found
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    }
}

fn check(name: &str, value: &Value) {
    let schema = schema(name);
    let found = mistakes(&schema, &schema, value, name);
    assert!(found.is_empty(), "{found:#?} in {value:#}");
}

fn answer(machine: &Machine, question: &[&str]) -> String {
    let output = machine.run(GOLDEN, question);
    assert_eq!(status(&output).0, 0, "{question:?}: {}", status(&output).1);
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that a ledger can say at once.
fn full_ledger() -> Value {
    let (a, b, c) = (toplevel("a"), toplevel("b"), toplevel("c"));
    let failed = json!([
        { "boot": format!("{:032x}", 2), "end": { "kind": "failed", "cause": { "kind": "checks-failed", "checks": ["http"] } },
          "evidence": { "panic": "x", "watchdog": true } },
        { "boot": null, "end": { "kind": "failed", "cause": "too hot" } },
        { "boot": format!("{:032x}", 3), "end": { "kind": "innocent", "shutdown": "reboot" }, "later": 1 },
        { "boot": format!("{:032x}", 4), "end": null },
    ]);
    let trial = json!({ "toplevel": b, "origin": "marked", "arming": "armed", "armed_at": 7, "attempts": failed,
                        "revision": "3f2a9c1", "baseline": { "failed_units": ["x.service"] }, "later": true });
    json!({
        "format": 1, "min_reader": 1, "revision": 9, "confirmed": [{ "toplevel": a }], "trial": trial,
        "rollback": { "from": c, "to": a },
        "failed_landings": [{ "from": c, "toplevel": b, "attempts": failed }],
        "drill": { "injection": "panic", "default": a, "trial": trial, "landing": trial },
        "quarantine": [
            { "toplevel": c, "attempts": failed, "revision": "3f2a9c1", "failed_trials": 2,
              "waited": { "counted_secs": 1, "boot": format!("{:032x}", 4), "at_secs": 5 } },
            { "toplevel": b, "attempts": [], "by_person": true },
        ],
        "quarantined_revisions": [{ "revision": "main" }],
        "safe_mode": { "reason": { "kind": "budget-spent" } },
    })
}

fn post_mortem() -> Value {
    let story = json!({
        "boot": format!("{:032x}", 4), "end": { "kind": "failed", "cause": { "kind": "vanished" } },
        "evidence": { "panic": "x" }, "failed_units": ["x.service"],
        "failed_checks": [{ "check": "http", "weight": "required", "passed": false, "said": "no answer", "output": "y",
                            "runs": 3, "millis": 10, "needs_network": true, "units": ["x.service"], "excuse": "failed-before" }],
        "journal": ["x: y"], "missing": ["z"],
    });
    json!({
        "schema": 1, "from": { "toplevel": toplevel("c"), "revision": "3f2a9c1" },
        "to": { "toplevel": toplevel("a"), "revision": null }, "asked": false,
        "collected_in": format!("{:032x}", 5), "time": "2026-11-21T18:00:00Z", "attempts": [story],
        "failed_landings": [{ "toplevel": toplevel("b"), "attempts": [story] }],
        "closures": { "changes": ["a: 1 → 2"], "unknown": "more" }, "shortened": 0,
    })
}

const HISTORY: &str = r#"
{"event":"marked","toplevel":"/nix/store/a-b","landing":"/nix/store/a-c"}
{"event":"attempt-began","toplevel":"/nix/store/a-b","attempt":1,"boot":"BOOT"}
{"event":"attempt-failed","toplevel":"/nix/store/a-b","failures":1,"max_failures":2,"boot":null,"cause":{"kind":"vanished"}}
{"event":"attempt-failed","toplevel":"/nix/store/a-b","failures":1,"max_failures":2,"boot":"BOOT","cause":{"kind":"deadline","secs":600,"units":["x"]}}
{"event":"attempt-interrupted","toplevel":"/nix/store/a-b","boot":"BOOT","shutdown":"reboot"}
{"event":"rebooting","cause":"retry","toplevel":"/nix/store/a-b","automatic_reboots":1}
{"event":"rolled-back","from":"/nix/store/a-b","to":"/nix/store/a-c"}
{"event":"landing-failed","toplevel":"/nix/store/a-b","boot":null,"cause":{"kind":"emergency","units":[]}}
{"event":"drill-began","injection":"panic","toplevel":"/nix/store/a-b"}
{"event":"drill-ended","injection":"panic","toplevel":"/nix/store/a-b","passed":true,"causes":[{"kind":"vanished"}],"golden_failed":{"kind":"vanished"}}
{"event":"checks-failed","toplevel":"/nix/store/a-b","boot":"BOOT","required":["x"],"wanted":[]}
{"event":"pinned","toplevel":"/nix/store/a-b","forced":true}
{"event":"safe-mode","reason":{"kind":"no-landing"}}
{"event":"quarantine-added","revision":"3f2a9c1"}
{"event":"quarantine-released","toplevel":"/nix/store/a-b"}
{"event":"rollback-asked","from":"/nix/store/a-b","to":"/nix/store/a-c"}
{"event":"live-failed","from":"/nix/store/a-b","to":"/nix/store/a-c","cause":{"kind":"unproven","proof":"x"}}
{"event":"failed-late","toplevel":"/nix/store/a-b","boot":"BOOT","cause":{"kind":"checks-failed","checks":["x"]}}
"#;

fn history() -> String {
    let boot = format!("{:032x}", 4);
    let line = |line: &str| {
        line.replace("BOOT", &boot).replacen(
            '{',
            &format!("{{\"time\":\"2026-11-21T18:00:00Z\",\"written_in\":\"{boot}\","),
            1,
        ) + "\n"
    };
    HISTORY.lines().filter(|line| !line.is_empty()).map(line).collect()
}

#[test]
fn every_answer_is_what_its_schema_says() {
    let empty = Machine::installed();
    let full = Machine::installed();
    full.put(LEDGER, full_ledger().to_string().as_bytes());
    full.put(&format!("{STATE}/history.jsonl"), history().as_bytes());
    full.put("/etc/golden-generation/config.toml", b"[quarantine]\nsecond_chance_after_secs = 60\n");
    full.put(&format!("{STATE}/postmortem/rollback-000001-00.json"), post_mortem().to_string().as_bytes());
    let torn = Machine::installed();
    torn.put(LEDGER, b"{ torn");
    let c = toplevel("c");
    for machine in [&empty, &full, &torn] {
        for (name, question) in [
            ("status", &["status", "--json"][..]),
            ("why", &["why", "--json"]),
            ("why", &["why", &c, "--json"]),
            ("quarantine", &["quarantine", "list", "--json"]),
            ("drill", &["drill", "--json"]),
            ("check", &["check", "--json"]),
        ] {
            check(name, &serde_json::from_str(&answer(machine, question)).unwrap());
        }
    }
    let lines = answer(&full, &["history", "--json"]);
    assert_eq!(lines.lines().count(), HISTORY.lines().count() - 1, "every event is known: {lines}");
    for line in lines.lines() {
        check("history-line", &serde_json::from_str(line).unwrap());
    }
    let why: Value = serde_json::from_str(&answer(&full, &["why", &c, "--json"])).unwrap();
    assert!(
        why["post_mortem"].is_string() && why["attempts"][0]["failed_checks"][0]["check"] == "http",
        "{why:#}"
    );
    let list: Value = serde_json::from_str(&answer(&full, &["quarantine", "list", "--json"])).unwrap();
    assert!(list["systems"][0]["second_chance_in_secs"].is_u64(), "{list:#}");
    check("post-mortem", &post_mortem());
    let read: golden_host::postmortem::PostMortem = serde_json::from_value(post_mortem()).unwrap();
    check("post-mortem", &serde_json::to_value(read).unwrap());
}

#[test]
fn a_mistake_is_found() {
    let machine = Machine::installed();
    let status: Value = serde_json::from_str(&answer(&machine, &["status", "--json"])).unwrap();
    let changes: [fn(&mut Value); 5] = [
        |value| value["schema"] = json!(0),
        |value| value["state"] = json!("fine"),
        |value| value["new"] = json!(1),
        |value| drop(value.as_object_mut().unwrap().remove("golden")),
        |value| value["coverage"][0]["covered"] = json!("yes"),
    ];
    let schema = schema("status");
    for change in changes {
        let mut wrong = status.clone();
        change(&mut wrong);
        assert_eq!(mistakes(&schema, &schema, &wrong, "status").len(), 1, "{wrong:#}");
    }
}

#[test]
fn the_page_names_every_schema_with_its_version() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md")).unwrap();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
    for file in fs::read_dir(directory).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let version = &schema(name.strip_suffix(".json").unwrap())["properties"]["schema"]["const"];
        let is_named =
            |line: &str| line.contains(&format!("(schemas/{name})")) && line.contains(&format!(" {version}"));
        assert!(version.is_u64() && page.lines().any(is_named), "{name} {version}");
    }
}
