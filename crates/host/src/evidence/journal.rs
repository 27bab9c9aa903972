//! What the journal still has of a boot. Source: `journalctl(1)`; systemd.io, "Journal JSON Format".

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use golden_core::BootId;
use serde::Deserialize;

use super::printable;
use super::usual::Usual;
use crate::{Host, Limits};

/// Lines that are shown.
const SHOWN: usize = 3;
/// Lines that are asked for. Some are left out, and a program that fails says more than one.
const LINES: &str = "--lines=64";
/// As much as that many lines of bytes take, each written as a number: the journal leaves out what is longer than 4 KiB.
const LIMITS: Limits = Limits { time: Duration::from_secs(5), output_bytes: 1 << 21 };

/// The last that the journal has of a boot and that was no everyday matter; empty where it has nothing.
#[must_use]
pub fn last_words(host: &dyn Host, boot: &BootId, usual: &Usual) -> Vec<String> {
    let entries = ask(host, &format!("--boot={}", boot.as_str()), &[FIELDS, WARNINGS, LINES]);
    entries.map_or_else(|_| Vec::new(), |entries| worth_showing(&entries, usual))
}

const FIELDS: &str = "--output-fields=MESSAGE,SYSLOG_IDENTIFIER";
const ERRORS: &str = "--priority=err";
const WARNINGS: &str = "--priority=warning";
/// Errors that are kept of a boot.
const MAX_ERRORS: usize = 48;
/// Units that are kept of a boot.
const MAX_UNITS: usize = 32;
/// `SD_MESSAGE_UNIT_FAILURE_RESULT`: a unit has failed. Source: `systemd/sd-messages.h`.
const UNIT_FAILED: &str = "MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c";

/// The last errors of a boot, as `identifier: message`, the oldest first. The journal is asked for `usual` only if there is an error.
///
/// # Errors
/// The journal has no answer: why, in a sentence.
pub(crate) fn last_errors(
    host: &dyn Host,
    boot: &BootId,
    usual: &impl Deref<Target = Usual>,
) -> Result<Vec<String>, String> {
    let entries = ask(host, &format!("--boot={}", boot.as_str()), &[FIELDS, ERRORS, "--lines=128"])?;
    let said = newest_first(&entries).filter(|said| !usual.has(&said.identifier, &said.line));
    let mut lines: Vec<String> = said.map(Said::of_somebody).take(MAX_ERRORS).collect();
    lines.reverse();
    Ok(lines)
}

/// The units that failed in a boot, each once, in that order, and none of ours; why there is no saying, as a sentence.
pub(crate) fn failed_units(host: &dyn Host, boot: &BootId) -> Result<Vec<String>, String> {
    let boot = format!("--boot={}", boot.as_str());
    let entries = ask(host, &boot, &["--output-fields=UNIT", "--lines=256", UNIT_FAILED])?;
    let mut units = Vec::new();
    for entry in entries.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok()) {
        let unit = printable(&entry.unit.text());
        if !unit.is_empty() && !is_ours(&unit) && units.len() < MAX_UNITS && !units.contains(&unit) {
            units.push(unit);
        }
    }
    Ok(units)
}

/// Parts of a boot with which an attempt is compared: its first messages, and its last. Source: `journalctl(1)`; systemd before 254
/// has the second one only.
const PARTS: [&str; 2] = ["--lines=+512", "--lines=512"];

/// The usual messages of the boot before the first of these attempts, from which the trial was deployed; where the journal has
/// nothing of it, of the running boot. None of the attempts is used for that. The journal is asked four times at most.
#[must_use]
pub fn usual_before(host: &dyn Host, attempts: &[BootId]) -> Usual {
    let Some(first) = attempts.first() else { return Usual::default() };
    let before = format!("--boot={}-1", first.as_str());
    let boots = [&*before, "--boot=0"].into_iter();
    boots.map(|boot| usual_in(host, boot, attempts)).find(|usual| !usual.is_empty()).unwrap_or_default()
}

fn usual_in(host: &dyn Host, boot: &str, attempts: &[BootId]) -> Usual {
    let mut usual = Usual::default();
    for part in PARTS {
        let entries = ask(host, boot, &[FIELDS, WARNINGS, part]).unwrap_or_default();
        for mut entry in entries.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok()) {
            let boot = std::mem::take(&mut entry.boot).text();
            if attempts.iter().any(|attempt| attempt.as_str() == boot) {
                return Usual::default();
            }
            if let Some(said) = entry.said() {
                usual.add(&said.identifier, &said.line);
            }
        }
    }
    usual
}

fn ask(host: &dyn Host, boot: &str, more: &[&str]) -> Result<String, String> {
    let arguments = [&["--quiet", "--no-pager", "--output=json", boot][..], more].concat();
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
fn worth_showing(entries: &str, usual: &Usual) -> Vec<String> {
    let said = newest_first(entries).filter(|said| !usual.has(&said.identifier, &said.line));
    let mut lines: Vec<String> = said.map(|said| said.line).take(SHOWN).collect();
    lines.reverse();
    lines
}

/// Messages that may name the cause of a failed boot, the newest first.
fn newest_first(entries: &str) -> impl Iterator<Item = Said> {
    let entries = entries.lines().rev().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    entries.filter_map(Entry::said)
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
    #[serde(rename = "_BOOT_ID", default)]
    boot: Field,
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

/// One line of the journal.
struct Said {
    identifier: String,
    line: String,
}

impl Said {
    /// The line, and who said it.
    fn of_somebody(self) -> String {
        let Self { identifier, line } = self;
        if identifier.is_empty() { line } else { format!("{identifier}: {line}") }
    }
}

impl Entry {
    /// The first line of what was said; `None` where that tells nobody why the boot failed.
    fn said(self) -> Option<Said> {
        let (identifier, message) = (printable(&self.identifier.text()), self.message.text());
        let mut lines = message.lines().map(printable);
        let line = lines.find(|line| !line.is_empty())?;
        let is_noise = is_ours(&identifier) || is_of_every_shutdown(&identifier, &line);
        (!is_noise).then_some(Said { identifier, line })
    }
}

/// What our own programs say repeats the cause.
fn is_ours(identifier: &str) -> bool {
    matches!(identifier, "golden" | "pin-golden") || identifier.starts_with("golden-")
}

/// Messages of an ordinary shutdown: the watchdog runs until the machine is down, and a file system that is in use until then (the
/// store, from which systemd itself runs) is not unmounted by its unit. Source: the kernel's `watchdog_dev.c`; systemd's
/// `mount.c`, `swap.c` and `shutdown.c`.
fn is_of_every_shutdown(identifier: &str, line: &str) -> bool {
    match identifier {
        "kernel" => line.starts_with("watchdog: ") && line.ends_with(": watchdog did not stop!"),
        "systemd" => {
            ["Failed unmounting ", "Failed deactivating swap "].iter().any(|it| line.starts_with(it))
        }
        "systemd-shutdown" => true,
        _ => false,
    }
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
            entry("systemd", "\"Failed unmounting nix-store.mount - /nix/store.\""),
            entry("systemd-shutdown", "\"Could not detach DM /dev/dm-0: Device or resource busy\""),
        ];
        let expected = [
            "required.service: Failed with result 'exit-code'.",
            "EXT4-fs error (device vda2)",
            "no program of ours",
        ];
        assert_eq!(worth_showing(&entries.concat(), &Usual::default()), expected);
    }

    #[test]
    fn who_only_speaks_of_the_watchdog_is_heard() {
        for (identifier, message) in [
            ("kernel", "watchdog: BUG: soft lockup - CPU#0 stuck for 26s!"),
            ("app", "watchdog: watchdog0: watchdog did not stop!"),
            ("app", "Failed unmounting nix-store.mount - /nix/store."),
            ("systemd", "Failed to mount nix-store.mount - /nix/store."),
        ] {
            assert_eq!(
                worth_showing(&entry(identifier, &format!("\"{message}\"")), &Usual::default()),
                [message]
            );
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
            assert_eq!(worth_showing(&entry("app", message), &Usual::default()), expected, "{message}");
        }
        assert_eq!(worth_showing("{}\n[]\n\nno JSON\n", &Usual::default()), [""; 0]);
        assert_eq!(worth_showing(&"[".repeat(1 << 20), &Usual::default()), [""; 0]);
        let long = format!("\"{}\"", "x".repeat(1 << 16));
        assert_eq!(worth_showing(&entry("app", &long), &Usual::default())[0].len(), super::super::MAX_CHARS);
        assert_eq!(worth_showing("{\"MESSAGE\":\"from nobody\"}\n", &Usual::default()), ["from nobody"]);
    }
}
