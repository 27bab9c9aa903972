//! Warnings and errors that a healthy boot prints too.

use std::collections::BTreeSet;

/// Warnings and errors of a boot that worked: in one that failed they are not the cause.
#[derive(Debug, Default)]
pub struct Usual(BTreeSet<String>);

impl Usual {
    pub(super) fn add(&mut self, identifier: &str, line: &str) {
        self.0.insert(key(identifier, line));
    }

    pub(super) fn has(&self, identifier: &str, line: &str) -> bool {
        self.0.contains(&key(identifier, line))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn key(identifier: &str, line: &str) -> String {
    format!("{identifier}: {}", shape(line))
}

/// A line in which PIDs, addresses, identifiers and times, which differ from boot to boot, are replaced by `#`. Names of devices,
/// status codes and ports stay.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphanumeric()) {
        shape.push_str(&rest[..start]);
        let from = &rest[start..];
        let end = from.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        if differs(word, &shape, after) {
            shape.push('#');
        } else {
            shape.push_str(word);
        }
        rest = after;
    }
    shape + rest
}

/// Whether a word between `before`, in its shape, and `after` differs from boot to boot.
fn differs(word: &str, before: &str, after: &str) -> bool {
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let is_address = word.strip_prefix("0x").is_some_and(is_hex)
        || is_hex(word) && has_digit && word.len() >= 8
        // The rest of a UUID.
        || is_hex(word) && before.ends_with("#-");
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_pid = is_number
        && (before.ends_with('[') && after.starts_with(']')
            || ["pid ", "pid=", "pid: "].iter().any(|it| before.to_ascii_lowercase().ends_with(it)));
    is_address || is_pid || is_time(word, before, after)
}

/// `90s`, `12:34:56`, `1.234567`, or a part of one.
fn is_time(word: &str, before: &str, after: &str) -> bool {
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let is_span = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(&word[digits.len()..], "us" | "ms" | "s" | "min" | "h");
    let is_number = digits.len() == word.len() && !digits.is_empty();
    let next = after.get(1..).unwrap_or_default();
    let next_digits = next.len() - next.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let is_clock = word.len() == 2 && (after.starts_with(':') && next_digits == 2 || before.ends_with("#:"));
    let is_fraction = after.starts_with('.') && next_digits >= 3 || before.ends_with("#.");
    is_span || is_number && (is_clock || is_fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_other_pids_addresses_and_times_is_the_same_one() {
        for (left, right) in [
            ("daemon[812]: gone", "daemon[77]: gone"),
            ("worker (pid 12) hangs", "worker (PID 9914) hangs"),
            ("BUG at 0xffff8880", "BUG at 0xffff9aa0"),
            ("disk 6f1b2c3d-0001-4abc-8def-0123456789ab", "disk aaaabbb1-0002-4000-8000-ba9876543210"),
            ("took 90s", "took 31s"),
            ("at 12:34:56", "at 01:02:03"),
            ("[    1.234567] x", "[    9.876543] x"),
        ] {
            assert_eq!(shape(left).to_lowercase(), shape(right).to_lowercase());
        }
    }

    #[test]
    fn a_message_about_something_else_is_another_one() {
        for (left, right) in [
            ("EXT4-fs error (device vda1)", "EXT4-fs error (device vda2)"),
            ("exited with status 1", "exited with status 2"),
            ("cannot bind to port 80", "cannot bind to port 443"),
            ("connect to 10.0.0.1 failed", "connect to 10.0.0.2 failed"),
            ("dead", "beef"),
        ] {
            assert_ne!(shape(left), shape(right));
        }
    }
}
