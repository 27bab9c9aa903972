//! The scenarios that document the semantics, against their checked-in timelines.
//!
//! After a change that is meant to change them: `BLESS=1 cargo test -p golden-host --test scenarios`, then read the
//! difference.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use golden_host::simulated::scenario::{parse, run};
use proptest::prelude::*;

fn scenarios() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/scenarios");
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let mut scenarios: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "scenario")).collect();
    scenarios.sort();
    scenarios
}

#[test]
fn every_scenario_tells_its_checked_in_timeline() {
    let mut wrong = Vec::new();
    for path in scenarios() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let told =
            run(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| format!("error: {error}\n"));
        let expected = path.with_extension("expected");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &told).unwrap();
        }
        if told.starts_with("error: ") || fs::read_to_string(expected).unwrap_or_default() != told {
            wrong.push(format!("{name}:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_scenario_tells_the_same_timeline() {
    for path in scenarios() {
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(run(&text), run(&text), "{}", path.display());
    }
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_never_a_panic(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    /// Words that are known, in any order: some of it parses, and what parses is played.
    #[test]
    fn known_words_in_any_order_never_panic(words in proptest::collection::vec(
        prop::sample::select(vec![
            "install", "boot", "confirm", "switch", "person", "power", "cut", "pin", "force", "collect", "garbage", "crash",
            "after", "effect", "of", "boot-check", "image", "fail", "with", "ENOSPC", "ledger", "corrupt", "too", "new",
            "lose", "loader.conf", "disable", "expect", "running", "a", "b", "b healthy", "b panics,", "vanishes", "late",
            "reboots", "itself", "unit", "picks", "powers", "off", "0", "1", "7", "max_failures", "unmarked", "\n", "\n", "\n",
        ]),
        0..60,
    )) {
        let _ = run(&format!("install a\nboot\n{}", words.join(" ")));
    }
}
