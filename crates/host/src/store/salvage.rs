//! The readable part of a ledger that is not readable as a whole.

use golden_core::{FORMAT, Ledger};
use serde_json::{Map, Value, json};

/// Lists of the ledger. One odd element costs that element alone.
const LISTS: [&str; 6] =
    ["confirmed", "failed_landings", "known_dumps", "quarantine", "quarantined_revisions", "undecided"];
/// Details that name the subject of an object. Most have no default.
const ABOUT: [&str; 5] = ["toplevel", "from", "to", "boot", "revision"];
/// Those of them that an object can be without.
const SPARE: [&str; 2] = ["boot", "revision"];
/// Odd fields that are named; the rest is counted.
const NAMED: usize = 5;

/// The readable part of a ledger.
#[derive(Debug)]
pub(super) struct Salvaged {
    pub ledger: Ledger,
    /// The fields that were left out, and why, in one sentence.
    pub without: String,
}

/// Every field of an object, without its unreadable parts; `None` if `bytes` is no object. A field that is left out has its
/// default: a ledger without its trial has no trial, and that system would run unwatched. So an odd detail costs itself alone.
pub(super) fn salvage(bytes: &[u8]) -> Option<Salvaged> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(bytes) else { return None };
    if !header().keys().any(|name| fields.contains_key(name)) {
        return None;
    }
    let (mut good, mut odd) = (header(), Vec::new());
    for (name, value) in fields {
        match (value, LISTS.contains(&name.as_str())) {
            (Value::Array(list), true) => {
                let list = elements(&name, list, &mut odd);
                good.insert(name, list);
            }
            (value, _) => match is_odd(&name, &value) {
                None => _ = good.insert(name, value),
                Some(why) => {
                    odd.push(format!("{name}: {why}"));
                    if let Some(rest) = readable(value, &|value| is_odd(&name, value).is_none()) {
                        good.insert(name, rest);
                    }
                }
            },
        }
    }
    let ledger = serde_json::from_value(Value::Object(good)).ok()?;
    let more = odd.len().saturating_sub(NAMED);
    odd.truncate(NAMED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    Some(Salvaged { ledger, without: odd.join("; ") + &more })
}

/// The fields that every ledger has.
fn header() -> Map<String, Value> {
    let fields = [("format", json!(FORMAT)), ("min_reader", json!(FORMAT)), ("revision", json!(0))];
    fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

/// Why a field cannot be read, if so.
fn is_odd(name: &str, value: &Value) -> Option<serde_json::Error> {
    let mut alone = header();
    alone.insert(name.to_owned(), value.clone());
    serde_json::from_value::<Ledger>(Value::Object(alone)).err()
}

fn elements(name: &str, list: Vec<Value>, odd: &mut Vec<String>) -> Value {
    let mut good = Vec::new();
    for (number, element) in list.into_iter().enumerate() {
        let Some(why) = is_odd(name, &json!([element])) else {
            good.push(element);
            continue;
        };
        odd.push(format!("{name}[{number}]: {why}"));
        good.extend(readable(element, &|element| is_odd(name, &json!([element])).is_none()));
    }
    Value::Array(good)
}

/// The same value without its odd parts; `None` if no readable part is left.
fn readable(value: Value, fits: &dyn Fn(&Value) -> bool) -> Option<Value> {
    if fits(&value) {
        return Some(value);
    }
    match value {
        Value::Array(list) => {
            let fits_alone = |element: &Value| fits(&json!([element]));
            let kept = list.into_iter().filter_map(|element| readable(element, &fits_alone)).collect();
            Some(Value::Array(kept)).filter(fits)
        }
        Value::Object(fields) => {
            let mut kept = least(&fields).into_iter().map(Value::Object).find(fits)?;
            for (key, value) in fields {
                let with = |value: &Value| {
                    let mut more = kept.clone();
                    more[&key] = value.clone();
                    more
                };
                if let Some(value) = readable(value, &|value| fits(&with(value))) {
                    kept = with(&value);
                }
            }
            Some(kept)
        }
        _ => None,
    }
}

/// The shortest readable forms of an object with these fields, the longest first. A detail without a default gets the value that
/// costs least: a trial that is not armed has at most one more attempt.
fn least(fields: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let about = fields.iter().filter(|(key, _)| ABOUT.contains(&key.as_str()));
    let mut about: Map<String, Value> = about.map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in [("origin", json!("marked")), ("arming", json!("idle"))] {
        if fields.contains_key(key) {
            about.insert(key.to_owned(), value);
        }
    }
    let mut counted = about.clone();
    counted.insert("attempts".to_owned(), json!([]));
    let without = |key: &str, from: &Map<String, Value>| {
        let mut from = from.clone();
        from.remove(key);
        from
    };
    let all = if fields.contains_key("attempts") { vec![counted] } else { vec![about, counted] };
    let spared = SPARE.iter().flat_map(|key| all.iter().map(move |from| without(key, from)));
    let spared: Vec<Map<String, Value>> = spared.collect();
    all.into_iter().chain(spared).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use super::*;

    const FORMAT_1: &str = include_str!("../../tests/fixtures/ledger-format-1.json");
    /// Values that no field of the ledger takes.
    const ODD: [&str; 5] = ["\"odd\"", "-1", "[[7]]", "{\"odd\":{}}", "18446744073709551617"];

    fn fixture() -> Map<String, Value> {
        let mut fields: Map<String, Value> = serde_json::from_str(FORMAT_1).unwrap();
        // Every list has something to lose.
        let trial =
            json!({"toplevel": "/nix/store/aaaa-u", "origin": "marked", "arming": "idle", "attempts": []});
        let landing = json!({"from": "/nix/store/aaaa-f", "toplevel": "/nix/store/aaaa-l", "arming": "idle", "attempts": []});
        fields.entry("failed_landings").or_insert(json!([landing]));
        fields.entry("undecided").or_insert(json!([trial]));
        fields.entry("known_dumps").or_insert(json!(["dump"]));
        fields
    }

    fn read(fields: &Map<String, Value>) -> (Map<String, Value>, String) {
        let found = salvage(&serde_json::to_vec(fields).unwrap()).unwrap();
        let Value::Object(read) = serde_json::to_value(&found.ledger).unwrap() else { panic!() };
        (read, found.without)
    }

    #[test]
    fn one_odd_field_costs_that_field_alone_and_is_named() {
        let (whole, without) = read(&fixture());
        assert_eq!((&whole, without.as_str()), (&fixture(), ""));
        let mut lost = 0;
        for (name, odd) in fixture().keys().flat_map(|name| ODD.map(|odd| (name.clone(), odd))) {
            let mut changed = fixture();
            changed.insert(name.clone(), serde_json::from_str(odd).unwrap());
            if serde_json::from_value::<Ledger>(Value::Object(changed.clone())).is_ok() {
                continue;
            }
            lost += 1;
            let (mut read, without) = read(&changed);
            assert!(without.contains(&name), "{name} = {odd}: {without}");
            let mut others = whole.clone();
            others.remove(&name);
            read.remove(&name);
            assert_eq!(read, others, "{name} = {odd}");
        }
        assert!(lost > 40, "{lost}");
    }

    #[test]
    fn one_odd_entry_of_a_list_costs_that_entry_alone() {
        for name in LISTS {
            for odd in ODD {
                let (mut changed, whole) = (fixture(), read(&fixture()).0);
                let Some(Value::Array(list)) = changed.get_mut(name) else { panic!("{name}") };
                let odd: Value = serde_json::from_str(odd).unwrap();
                if name == "known_dumps" && odd.is_string() {
                    continue;
                }
                list.insert(0, odd);
                let (read, without) = read(&changed);
                assert!(without.contains(&format!("{name}[0]")), "{without}");
                assert_eq!(read, whole, "{name}");
            }
        }
    }

    /// Every place below a value, as a JSON pointer.
    fn places(value: &Value, at: &str) -> Vec<String> {
        let below = |key: &str, value: &Value| {
            let place = format!("{at}/{key}");
            [places(value, &place), vec![place]].concat()
        };
        match value {
            Value::Object(fields) => fields.iter().flat_map(|(key, value)| below(key, value)).collect(),
            Value::Array(list) => {
                list.iter().enumerate().flat_map(|(at, value)| below(&at.to_string(), value)).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn an_odd_detail_costs_that_detail_alone_and_never_the_trial_or_the_landing() {
        let attempts = json!([{"boot": "00000000000000000000000000000001", "end": null, "evidence": {"panic": "x", "watchdog": true}}]);
        let trial = json!({"toplevel": "/nix/store/aaaa-t", "origin": "inferred", "arming": "armed", "armed_at": 3,
            "armed_by": {"loader": "x", "partition": "y"}, "attempts": attempts, "revision": "abc", "later": 1});
        let landing = json!({"from": "/nix/store/aaaa-f", "toplevel": "/nix/store/aaaa-l", "arming": "armed",
            "armed_at": 4, "attempts": attempts, "later": 1});
        let mut odd_ones = 0;
        for (name, whole) in [("trial", trial), ("landing", landing)] {
            for (place, odd) in places(&whole, "").iter().flat_map(|place| ODD.map(|odd| (place, odd))) {
                let mut changed = whole.clone();
                *changed.pointer_mut(place).unwrap() = serde_json::from_str(odd).unwrap();
                let mut fields = fixture();
                fields.insert(name.to_owned(), changed);
                if serde_json::from_value::<Ledger>(Value::Object(fields.clone())).is_ok() {
                    continue;
                }
                odd_ones += 1;
                let (read, without) = read(&fields);
                assert!(without.contains(name), "{name}{place} = {odd}: {without}");
                if ["/toplevel", "/from"].contains(&place.as_str()) {
                    continue;
                }
                let detail = place.split('/').nth(1).unwrap();
                for other in whole.as_object().unwrap().keys().filter(|key| *key != detail) {
                    assert_eq!(read[name].get(other), whole.get(other), "{name}{place} = {odd}: {other}");
                }
                assert_ne!(read[name]["arming"], Value::Null, "{name}{place} = {odd}");
            }
        }
        assert!(odd_ones > 50, "{odd_ones}");
    }

    #[test]
    fn a_quarantined_system_stays_so_if_a_detail_of_its_entry_is_odd() {
        let failed = "/nix/store/aaaa-failed";
        for detail in ["attempts", "by_person", "failed_trials", "waited", "second_chance", "revision"] {
            let mut changed = fixture();
            let entry = json!({"toplevel": failed, "attempts": [], "later": 1.5, detail: {"odd": [7]}});
            changed.insert("quarantine".to_owned(), json!([entry]));
            let found = salvage(&serde_json::to_vec(&changed).unwrap()).unwrap();
            assert!(found.ledger.is_quarantined(&failed.parse().unwrap()), "{detail}: {}", found.without);
            assert!(found.ledger.quarantine[0].unknown.contains_key("later"), "{detail}");
        }
    }

    #[test]
    fn a_file_that_is_no_ledger_is_not_read_as_an_empty_one() {
        for text in ["", "{", "{}", "[]", "7", "{\"a\":1}", "{\"format\":1,"] {
            assert!(salvage(text.as_bytes()).is_none(), "{text}");
        }
    }
}
