#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| golden_fuzz::settings::checks_toml(bytes));
