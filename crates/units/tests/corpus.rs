//! Every file of settings that a fuzzer kept, without a fuzzer.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/settings.rs"]
mod settings;

/// What holds for any bytes.
type Property = fn(&[u8]);

/// As they are called in `fuzz/Cargo.toml`.
const TARGETS: [(&str, Property); 2] =
    [("checks_toml", settings::checks_toml), ("notify_toml", settings::notify_toml)];

#[test]
fn what_a_fuzzer_kept_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, property) in TARGETS {
        let files: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().collect();
        assert!(files.len() > 1, "{name} has a corpus");
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            property(&fs::read(path).unwrap());
        }
    }
}
