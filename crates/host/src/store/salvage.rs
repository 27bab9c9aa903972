//! The readable part of a ledger that is not readable as a whole.

use golden_core::{FORMAT, Ledger};
use serde_json::{Map, Value, json};

/// Lists of the ledger. One odd element costs that element alone.
const LISTS: [&str; 6] =
    ["confirmed", "failed_landings", "known_dumps", "quarantine", "quarantined_revisions", "undecided"];
/// Lists in which an entry without its details is worth more than none: a failed system stays refused.
const REFUSED: [&str; 3] = ["failed_landings", "quarantine", "quarantined_revisions"];
/// Odd fields that are named; the rest is counted.
const NAMED: usize = 5;

/// The readable part of a ledger.
#[derive(Debug)]
pub(super) struct Salvaged {
    pub ledger: Ledger,
    /// The fields that were left out, and why, in one sentence.
    pub without: String,
}

/// Every field of an object that can be read by itself; `None` if `bytes` is no object. A field that is left out has its
/// default: a ledger without its trial has no trial.
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
                Some(why) => odd.push(format!("{name}: {why}")),
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
        good.extend(REFUSED.contains(&name).then(|| without_details(name, element)).flatten());
    }
    Value::Array(good)
}

/// The same entry without the details that make it unreadable; `None` if it is unreadable without them.
fn without_details(name: &str, element: Value) -> Option<Value> {
    let Value::Object(fields) = element else { return None };
    // Only the fields that name the subject of the entry, and those without a default.
    let is_kept = |(key, _): &(String, Value)| ["toplevel", "from", "revision"].contains(&key.as_str());
    let mut kept: Map<String, Value> = fields.clone().into_iter().filter(is_kept).collect();
    kept.insert("attempts".to_owned(), json!([]));
    if is_odd(name, &json!([kept])).is_some() {
        kept.remove("revision");
    }
    for (key, value) in fields {
        let mut more = kept.clone();
        more.insert(key, value);
        if is_odd(name, &json!([more])).is_none() {
            kept = more;
        }
    }
    is_odd(name, &json!([kept])).is_none().then_some(Value::Object(kept))
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
