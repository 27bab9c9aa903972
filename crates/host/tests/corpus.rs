//! Every input that a fuzzer kept, without a fuzzer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says no by panicking")]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/properties.rs"]
mod properties;

/// What holds for any bytes.
type Property = fn(&[u8]);

/// As they are called in `fuzz/Cargo.toml`.
const TARGETS: [(&str, Property); 7] = [
    ("command_line", properties::command_line),
    ("entry", properties::entry),
    ("grub_cfg", properties::grub_cfg),
    ("grubenv", properties::grubenv),
    ("ledger", properties::ledger),
    ("loader_conf", properties::loader_conf),
    ("uki", properties::uki),
];

/// Those of settings that are none of this crate's: `crates/units/tests/corpus.rs`.
const ELSEWHERE: usize = 2;

#[test]
fn what_a_fuzzer_kept_holds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("\n[[bin]]\n").count(), TARGETS.len() + ELSEWHERE, "every target is here");
    for (name, property) in TARGETS {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
        let files: Vec<_> = fs::read_dir(fuzz.join("corpus").join(name)).unwrap().collect();
        assert!(files.len() > 1, "{name} has a corpus");
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            property(&fs::read(path).unwrap());
        }
    }
}
