//! What the journal still has of a boot. Source: `journalctl(1)`; systemd.io, "Journal JSON Format".

use std::path::Path;
use std::time::Duration;

use golden_core::BootId;
use serde::Deserialize;

use super::printable;
use crate::{Host, Limits};

/// Lines that are shown.
const SHOWN: usize = 3;
/// Lines that are asked for. Some are left out, and a program that fails says more than one.
const LINES: &str = "--lines=64";
/// As much as that many lines of bytes take, each written as a number: the journal leaves out what is longer than 4 KiB.
const LIMITS: Limits = Limits { time: Duration::from_secs(5), output_bytes: 1 << 21 };

/// The last that the journal has of a boot and that was no everyday matter; empty where it has nothing.
#[must_use]
pub fn last_words(host: &dyn Host, boot: &BootId) -> Vec<String> {
    let boot = format!("--boot={}", boot.as_str());
    let arguments = [
        "--quiet",
        "--no-pager",
        "--output=json",
        "--output-fields=MESSAGE,SYSLOG_IDENTIFIER",
        "--priority=warning",
        LINES,
        &boot,
    ];
    let ended = host.run_within(LIMITS, Path::new("journalctl"), &arguments);
    ended.map_or_else(|_| Vec::new(), |ended| worth_showing(&ended.stdout))
}

/// Errors that are kept of a boot.
const MAX_ERRORS: usize = 48;
/// Units that are kept of a boot.
const MAX_UNITS: usize = 32;
/// `SD_MESSAGE_UNIT_FAILURE_RESULT`: a unit has failed. Source: `systemd/sd-messages.h`.
const UNIT_FAILED: &str = "MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c";

/// The last errors of a boot, as `who: what`, the oldest first; why there is no saying, as a sentence.
pub(crate) fn last_errors(host: &dyn Host, boot: &BootId) -> Result<Vec<String>, String> {
    let fields = "--output-fields=MESSAGE,SYSLOG_IDENTIFIER";
    let entries = ask(host, boot, &[fields, "--priority=err", "--lines=128"])?;
    let entries = entries.lines().rev().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    let mut lines: Vec<String> = entries.filter_map(Entry::line_of_somebody).take(MAX_ERRORS).collect();
    lines.reverse();
    Ok(lines)
}

/// The units that failed in a boot, each once, in that order, and none of ours; why there is no saying, as a sentence.
pub(crate) fn failed_units(host: &dyn Host, boot: &BootId) -> Result<Vec<String>, String> {
    let entries = ask(host, boot, &["--output-fields=UNIT", "--lines=256", UNIT_FAILED])?;
    let mut units = Vec::new();
    for entry in entries.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok()) {
        let unit = printable(&entry.unit.text());
        if !unit.is_empty() && !is_ours(&unit) && units.len() < MAX_UNITS && !units.contains(&unit) {
            units.push(unit);
        }
    }
    Ok(units)
}

fn ask(host: &dyn Host, boot: &BootId, more: &[&str]) -> Result<String, String> {
    let boot = format!("--boot={}", boot.as_str());
    let arguments = [&["--quiet", "--no-pager", "--output=json", &boot][..], more].concat();
    match host.run_within(LIMITS, Path::new("journalctl"), &arguments) {
        // It finds nothing, or no such boot, and says so by its status.
        Ok(ended) if ended.status == Some(0) || !ended.stdout.is_empty() => Ok(ended.stdout),
        Ok(ended) => {
            let said = ended.stderr.lines().next().map(printable).unwrap_or_default();
            let nothing = said.is_empty();
            Err(if nothing { "its journal is gone".to_owned() } else { format!("its journal: {said}") })
        }
        Err(error) => Err(format!("its journal cannot be asked: {error}")),
    }
}

/// The last lines of those that say something new.
fn worth_showing(entries: &str) -> Vec<String> {
    let entries = entries.lines().rev().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    let mut lines: Vec<String> = entries.filter_map(Entry::line).take(SHOWN).collect();
    lines.reverse();
    lines
}

/// One entry, as far as it was asked for.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "MESSAGE", default)]
    message: Field,
    #[serde(rename = "SYSLOG_IDENTIFIER", default)]
    identifier: Field,
    #[serde(rename = "UNIT", default)]
    unit: Field,
}

/// A field; bytes where it is no printable text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Text(String),
    Bytes(Vec<u8>),
    /// Too long, or there more than once.
    Other(serde::de::IgnoredAny),
}

impl Default for Field {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Field {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Self::Other(_) => String::new(),
        }
    }
}

impl Entry {
    /// The same, with who said it.
    fn line_of_somebody(self) -> Option<String> {
        let identifier = match &self.identifier {
            Field::Text(text) => printable(text),
            _ => String::new(),
        };
        let line = self.line()?;
        Some(if identifier.is_empty() { line } else { format!("{identifier}: {line}") })
    }

    /// The first line of what was said; `None` where that tells nobody why the boot failed.
    fn line(self) -> Option<String> {
        let (identifier, message) = (self.identifier.text(), self.message.text());
        let mut lines = message.lines().map(printable);
        let line = lines.find(|line| !line.is_empty())?;
        (!is_ours(&identifier) && !is_of_every_reboot(&identifier, &line)).then_some(line)
    }
}

/// What our own programs say repeats the cause.
fn is_ours(identifier: &str) -> bool {
    matches!(identifier, "golden" | "pin-golden") || identifier.starts_with("golden-")
}

/// systemd leaves the watchdog running until the machine is down. Source: the kernel's `watchdog_dev.c`.
fn is_of_every_reboot(identifier: &str, line: &str) -> bool {
    identifier == "kernel" && line.starts_with("watchdog: ") && line.ends_with(": watchdog did not stop!")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(identifier: &str, message: &str) -> String {
        format!(
            "{{\"__REALTIME_TIMESTAMP\":\"1\",\"SYSLOG_IDENTIFIER\":\"{identifier}\",\"MESSAGE\":{message}}}\n"
        )
    }

    #[test]
    fn what_says_nothing_of_the_cause_leaves_room_for_what_does() {
        let entries = [
            entry("systemd", "\"the oldest\""),
            entry("systemd", "\"required.service: Failed with result 'exit-code'.\""),
            entry("golden", "\"failed attempt 1 of 2\""),
            entry("kernel", "\"EXT4-fs error (device vda2)\""),
            entry("golden-boot-check", "\"failed attempt 1 of 2\""),
            entry("goldendict", "\"no program of ours\""),
            entry("pin-golden", "\"is golden\""),
            entry("kernel", "\"watchdog: watchdog0: watchdog did not stop!\""),
            entry("kernel", "\"watchdog: watchdog12: watchdog did not stop!\""),
        ];
        let expected = [
            "required.service: Failed with result 'exit-code'.",
            "EXT4-fs error (device vda2)",
            "no program of ours",
        ];
        assert_eq!(worth_showing(&entries.concat()), expected);
    }

    #[test]
    fn who_only_speaks_of_the_watchdog_is_heard() {
        for (identifier, message) in [
            ("kernel", "watchdog: BUG: soft lockup - CPU#0 stuck for 26s!"),
            ("app", "watchdog: watchdog0: watchdog did not stop!"),
        ] {
            assert_eq!(worth_showing(&entry(identifier, &format!("\"{message}\""))), [message]);
        }
    }

    #[test]
    fn a_message_may_be_bytes_or_missing_or_no_entry_at_all() {
        for (message, expected) in [
            ("[104,105,7,255]", &["hi\u{fffd}"][..]),
            ("\"one\\ntwo\"", &["one"]),
            ("\"\\n\\t\\nx\\u001b[0m\"", &["x[0m"]),
            ("\"\"", &[]),
            ("null", &[]),
            ("[[1],[2]]", &[]),
            ("{\"a\":[256]}", &[]),
            ("\"cut off", &[]),
        ] {
            assert_eq!(worth_showing(&entry("app", message)), expected, "{message}");
        }
        assert_eq!(worth_showing("{}\n[]\n\nno JSON\n"), [""; 0]);
        assert_eq!(worth_showing(&"[".repeat(1 << 20)), [""; 0]);
        let long = format!("\"{}\"", "x".repeat(1 << 16));
        assert_eq!(worth_showing(&entry("app", &long))[0].len(), super::super::MAX_CHARS);
        assert_eq!(worth_showing("{\"MESSAGE\":\"from nobody\"}\n"), ["from nobody"]);
    }
}
