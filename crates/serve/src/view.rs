//! A document as a person reads it: what templates are given.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::document::{Assessment, Document, Finding, Severity, State};
use crate::text::Text;

/// Age from which a document says nothing certain of its host any more. A host publishes every ten minutes.
pub const STALE_AFTER: Duration = Duration::from_secs(30 * 60);
/// Events that are shown at once; older ones on demand.
const RECENT_EVENTS: usize = 12;
/// Digits of a store path's hash that tell two systems of one name apart.
const HASH_DIGITS: usize = 7;

/// A clock that says less was never set, in seconds since 1970.
const NEVER_SET: u64 = 1_000_000_000;

/// Longest name of a host, in characters. Source: `hostname(7)`.
pub const MAX_NAME: usize = 64;
/// Longest of what stands above everything else, in characters: what comes after must be seen, too.
pub const MAX_SENTENCE: usize = 400;

/// How a host is called at a glance.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Badge {
    /// Names the colour and the icon.
    pub class: &'static str,
    /// The first word.
    pub word: &'static str,
    /// The same without colour.
    pub icon: &'static str,
}

impl Badge {
    /// A host that does not answer.
    pub const UNREACHABLE: Self = Self { class: "unreachable", word: "Unreachable", icon: "?" };
    /// A host of which there is nothing newer.
    pub const STALE: Self = Self { class: "stale", word: "No news", icon: "?" };
    /// What answers is no document.
    pub const UNREADABLE: Self = Self { class: "unreadable", word: "Not readable", icon: "?" };
}

impl From<State> for Badge {
    fn from(state: State) -> Self {
        let (word, icon) = match state {
            State::Ok => ("OK", "✓"),
            State::Trial => ("Trial", "…"),
            State::RolledBack => ("Rolled back", "↩"),
            State::Unprotected => ("Unprotected", "!"),
            State::SafeMode => ("Safe mode", "✕"),
            State::Unknown => ("Unknown", "?"),
        };
        Self { class: state.word(), word, icon }
    }
}

/// Everything that the page of a host shows.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Host {
    pub name: String,
    pub badge: Badge,
    /// Since when it is so, where that is worth a look at the clock.
    pub since: Option<String>,
    pub happened: String,
    pub advice: String,
    pub written: String,
    pub age: String,
    pub is_stale: bool,
    pub version: String,
    pub attempts: Vec<Dot>,
    pub systems: Vec<System>,
    pub recent: Vec<Event>,
    pub older: Vec<Event>,
    pub why: Option<Why>,
    pub checks: Option<Checks>,
    pub coverage: Vec<Covered>,
    pub uncovered: usize,
    pub quarantine: Vec<Name>,
}

/// A system by a name that fits in a line, and by its store path.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Name {
    pub short: String,
    pub path: String,
}

/// Which system has which role.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct System {
    pub role: &'static str,
    pub name: Option<Name>,
}

/// One attempt of the trial under way.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Dot {
    /// Which one it is of those that count.
    pub number: Option<usize>,
    pub class: &'static str,
    pub says: &'static str,
}

/// One line of the timeline.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Event {
    pub class: &'static str,
    pub icon: &'static str,
    /// One step on the way to what is told besides.
    pub is_minor: bool,
    pub time: String,
    /// Only of the first one of a day.
    pub day: Option<String>,
    pub clock: String,
    pub says: String,
}

/// The chain that led to the last failure.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Why {
    pub says: Vec<Said>,
    pub changes: Vec<String>,
    pub is_open: bool,
}

/// One line of that.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Said {
    pub text: String,
    /// A detail of the line above.
    pub is_detail: bool,
}

/// What the health checks found.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Checks {
    pub failed: Vec<Check>,
    pub passed: Vec<Check>,
    pub report_only: bool,
}

/// One of them.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Check {
    pub name: String,
    pub weight: &'static str,
    pub said: String,
    pub output: String,
    pub excuse: Option<String>,
    pub secs: String,
}

/// From what the host comes back by itself.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Covered {
    pub failure: String,
    pub covered: bool,
    pub by: String,
}

impl Host {
    /// What a page shows of a document.
    #[must_use]
    pub fn new(document: &Document, now: SystemTime) -> Self {
        let status = &document.status;
        let age = age(document, now);
        let badge = Badge::from(status.state);
        let mut events: Vec<Event> = document.timeline.iter().rev().map(event).collect();
        name_each_day_once(&mut events);
        let older = events.split_off(events.len().min(RECENT_EVENTS));
        Self {
            name: clipped(&document.host, MAX_NAME),
            badge,
            since: since(document, now),
            happened: clipped(&shortened(&document.summary.happened), MAX_SENTENCE),
            advice: clipped(&shortened(&document.summary.advice), MAX_SENTENCE),
            written: document.time.to_string(),
            age: age.map_or("at a time that is none".to_owned(), in_words),
            is_stale: age.is_none_or(|age| age > STALE_AFTER),
            version: clipped(&document.version, MAX_NAME),
            attempts: attempts(document),
            systems: systems(document),
            recent: events,
            older,
            why: document.why.as_ref().filter(|why| !why.says.is_empty()).map(|why| Why {
                says: why.says.iter().map(|line| said(line)).collect(),
                changes: why.changes.iter().flat_map(|it| it.iter()).map(Text::to_string).collect(),
                is_open: matches!(status.state, State::RolledBack | State::SafeMode),
            }),
            checks: document.assessment.as_ref().map(checks),
            coverage: status.coverage.iter().map(covered).collect(),
            uncovered: status.coverage.iter().filter(|it| !it.covered).count(),
            quarantine: status.quarantine.iter().map(|toplevel| name(toplevel)).collect(),
        }
    }
}

/// How long ago a document was written; nothing if it does not say. One from the future is new: clocks differ.
#[must_use]
pub fn age(document: &Document, now: SystemTime) -> Option<Duration> {
    Some(now.duration_since(document.written()?).unwrap_or_default())
}

/// When the machine came back, or gave up.
fn since(document: &Document, now: SystemTime) -> Option<String> {
    let events: &[&str] = match document.status.state {
        State::RolledBack => &["rolled-back", "went-back", "rollback-began"],
        State::SafeMode => &["safe-mode"],
        _ => return None,
    };
    let secs =
        events.iter().filter_map(|event| document.last(event)).max().filter(|&secs| secs > NEVER_SET)?;
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs))?;
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let age = now.duration_since(time).unwrap_or_default();
    let (day, clock) = day_and_clock(&text);
    Some(format!("{day} {clock} UTC, {}", in_words(age)))
}

/// A duration as people say it.
#[must_use]
pub fn in_words(age: Duration) -> String {
    let secs = age.as_secs();
    let (number, unit) = match secs {
        0..60 => return "just now".to_owned(),
        60..3600 => (secs / 60, "minute"),
        3600..86_400 => (secs / 3600, "hour"),
        _ => (secs / 86_400, "day"),
    };
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

fn said(line: &str) -> Said {
    let is_detail = line.starts_with(|letter: char| letter.is_ascii_lowercase());
    Said { text: capitalised(&shortened(line)), is_detail }
}

fn attempts(document: &Document) -> Vec<Dot> {
    let Some(trial) = &document.status.trial else { return Vec::new() };
    let mut counted = 0;
    let mut dot = |attempt: &crate::document::Attempt| {
        let (class, says) = match attempt.end.as_ref().map(crate::document::End::word) {
            None => ("runs", "runs"),
            Some("failed") => ("failed", "failed"),
            Some(_) => return Dot { number: None, class: "innocent", says: "interrupted, does not count" },
        };
        counted += 1;
        Dot { number: Some(counted), class, says }
    };
    trial.attempts.iter().map(&mut dot).collect()
}

fn systems(document: &Document) -> Vec<System> {
    let status = &document.status;
    let trial =
        status.trial.as_ref().map(|trial| System { role: "Trial", name: Some(name(&trial.toplevel)) });
    let roles = [("Running", &status.running), ("Golden", &status.golden), ("Default", &status.default)];
    let roles = roles.map(|(role, toplevel)| System { role, name: toplevel.as_deref().map(name) });
    trial.into_iter().chain(roles).collect()
}

fn event(happened: &crate::document::Happened) -> Event {
    let (class, icon) = match (happened.severity, &*happened.event) {
        (Severity::Critical, _) => ("critical", "✕"),
        (Severity::Error, "rolled-back" | "rollback-began" | "went-back" | "live-failed") => ("error", "↩"),
        (Severity::Error, _) => ("error", "✕"),
        (Severity::Warning, _) => ("warning", "!"),
        (
            Severity::Notice,
            "confirmed" | "pinned" | "safe-mode-ended" | "adopted" | "drill-passed" | "live-passed",
        ) => ("good", "✓"),
        (Severity::Notice, _) => ("notice", "·"),
    };
    let (day, clock) = day_and_clock(&happened.time);
    let is_minor = matches!(&*happened.event, "attempt-began" | "rebooting" | "rollback-began");
    let says = capitalised(&shortened(&happened.says));
    Event { class, icon, is_minor, time: happened.time.to_string(), day: Some(day), clock, says }
}

fn name_each_day_once(events: &mut [Event]) {
    let mut last = None;
    for event in events {
        if event.day == last {
            event.day = None;
        } else {
            last.clone_from(&event.day);
        }
    }
}

/// `2026-11-21T18:31:05Z` as `21 Nov 2026` and `18:31`; as it is if it is no time.
fn day_and_clock(time: &str) -> (String, String) {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts = || {
        humantime::parse_rfc3339(time).ok()?;
        let (date, clock) = time.split_once('T')?;
        let mut date = date.splitn(3, '-');
        let (year, month, day) = (date.next()?, date.next()?, date.next()?);
        let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
        Some((format!("{} {month} {year}", day.trim_start_matches('0')), clock.get(..5)?.to_owned()))
    };
    parts().unwrap_or_else(|| (time.chars().take(30).collect(), String::new()))
}

fn checks(assessment: &Assessment) -> Checks {
    let mut findings: Vec<&Finding> = assessment.findings.iter().collect();
    // What counts goes first.
    findings.sort_by_key(|finding| (finding.excuse.is_some(), finding.weight, finding.check.clone()));
    let (passed, failed): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.passed);
    let list = |findings: &[&Finding]| findings.iter().map(|finding| check(finding)).collect();
    Checks { failed: list(&failed), passed: list(&passed), report_only: assessment.report_only }
}

fn check(finding: &Finding) -> Check {
    let excuse = finding.excuse.as_deref().map(|excuse| match excuse {
        "failed-before" => "it failed before the switch, too".to_owned(),
        "units-failed-before" => "its units had failed before the switch".to_owned(),
        "network-was-down" => "there was no network before the switch".to_owned(),
        "failed-in-trial-too" => "it failed in the trial, too".to_owned(),
        other => other.to_owned(),
    });
    Check {
        name: finding.check.to_string(),
        weight: finding.weight.word(),
        said: shortened(&finding.said),
        output: finding.output.to_string(),
        excuse,
        secs: format!("{}.{} s", finding.millis / 1000, finding.millis % 1000 / 100),
    }
}

fn covered(coverage: &crate::document::Coverage) -> Covered {
    Covered {
        failure: capitalised(&coverage.failure),
        covered: coverage.covered,
        by: shortened(&coverage.by),
    }
}

fn name(path: &str) -> Name {
    Name { short: shortened(path), path: path.to_owned() }
}

/// A text with the long names in it made short: store paths by their names, with as much of the hash as tells two of one name
/// apart, and boot IDs and commits by their beginning.
#[must_use]
pub fn shortened(text: &str) -> String {
    const STORE: &str = "/nix/store/";
    let mut short = String::new();
    let mut rest = text;
    while let Some((before, path)) = rest.split_once(STORE) {
        short.push_str(&with_short_ids(before));
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "+-._?=".contains(letter);
        let end = path.find(|letter| !plain(letter)).unwrap_or(path.len());
        // A full stop at the end is the sentence's.
        let named = path[..end].trim_end_matches(['.', '?']);
        rest = &path[named.len()..];
        match named.split_once('-') {
            Some((hash, name)) if hash.len() >= HASH_DIGITS && !name.is_empty() => {
                short.push_str(&without_host(name));
                short.push_str(" (");
                short.push_str(&hash[..HASH_DIGITS]);
                short.push(')');
            }
            _ => {
                short.push_str(STORE);
                short.push_str(named);
            }
        }
    }
    short + &with_short_ids(rest)
}

/// `nixos-system-web1-25.11` as `NixOS 25.11`: whose system it is stands above everything. What is labelled otherwise stays.
fn without_host(name: &str) -> String {
    let is_version = |(at, _): &(usize, &str)| {
        let mut letters = name[at + 1..].bytes();
        let digits = letters.by_ref().take(2).filter(u8::is_ascii_digit).count();
        digits == 2 && letters.next() == Some(b'.')
    };
    let version = name.strip_prefix("nixos-system-").and(name.rmatch_indices('-').find(is_version));
    version.map_or_else(|| name.to_owned(), |(at, _)| format!("NixOS {}", &name[at + 1..]))
}

/// Boot IDs and commits.
fn with_short_ids(text: &str) -> String {
    let is_digit = |letter: char| matches!(letter, '0'..='9' | 'a'..='f');
    let words = text.split_inclusive(|letter| !is_digit(letter)).map(|word| {
        let digits = word.trim_end_matches(|letter| !is_digit(letter));
        match digits.len() {
            length @ (32 | 40) => format!("{}…{}", &digits[..8], &word[length..]),
            _ => word.to_owned(),
        }
    });
    words.collect()
}

/// The beginning of a text that is too long.
#[must_use]
pub fn clipped(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_path_is_shown_by_its_name_and_the_sentence_around_it_stays() {
        let hash = "0123456789abcdfghijklmnpqrsvwxyz";
        for (text, short) in [
            (format!("/nix/store/{hash}-nixos-25.11"), "nixos-25.11 (0123456)"),
            (format!("from /nix/store/{hash}-a to /nix/store/{hash}-b."), "from a (0123456) to b (0123456)."),
            ("nothing".to_owned(), "nothing"),
            (
                format!("/nix/store/{hash}-nixos-system-web-1-25.11.20261120.9f2c1aa"),
                "NixOS 25.11.20261120.9f2c1aa (0123456)",
            ),
            (format!("/nix/store/{hash}-nixos-system-web1-mine"), "nixos-system-web1-mine (0123456)"),
            ("(boot 5f0c2a7be0b14c0e9a3d6f7718c2ab01) failed".to_owned(), "(boot 5f0c2a7b…) failed"),
            (
                "cafe 5f0c2a7be0b14c0e9a3d6f7718c2ab01ff é".to_owned(),
                "cafe 5f0c2a7be0b14c0e9a3d6f7718c2ab01ff é",
            ),
            ("/nix/store/".to_owned(), "/nix/store/"),
            ("/nix/store//nix/store/x".to_owned(), "/nix/store//nix/store/x"),
            ("/nix/store/ü-x".to_owned(), "/nix/store/ü-x"),
            ("/nix/store/0123456-.".to_owned(), "/nix/store/0123456-."),
        ] {
            assert_eq!(shortened(&text), short);
        }
    }

    #[test]
    fn a_time_is_a_day_and_a_clock_or_what_it_is() {
        let both = |time| day_and_clock(time);
        assert_eq!(both("2026-01-02T03:04:05Z"), ("2 Jan 2026".to_owned(), "03:04".to_owned()));
        for none in ["", "yesterday", "2026-13-02T03:04:05Z", "<b>", "9999999-01-01T00:00:00Z"] {
            assert_eq!(both(none), (none.to_owned(), String::new()));
        }
        assert_eq!(in_words(Duration::from_secs(59)), "just now");
        assert_eq!(in_words(Duration::from_secs(60)), "1 minute ago");
        assert_eq!(in_words(Duration::from_secs(7_200)), "2 hours ago");
        assert_eq!(in_words(Duration::from_secs(86_400 * 3)), "3 days ago");
    }
}
