//! `golden publish`: a copy of how the machine stands, for those who may not look into the state directory.

use std::path::{Path, PathBuf};

use golden_core::{ASSESSMENT_SCHEMA, Assessment, Ledger};
use golden_host::command::Common;
use golden_host::{Error, Host, Line, LinuxHost, Store, Trouble, describe, priority, read_history};
use golden_serve::document::{KIND, MAX_BYTES, MAX_EVENTS, SCHEMA};
use golden_serve::view::shortened;
use golden_serve::{Document, metrics};
use serde_json::{Value, json};

use crate::status::{self, State, Status};
use crate::summary::{Facts, Summary, summary};
use crate::totals::{Totals, kind};
use crate::why;

/// Where the copy is unless told otherwise: gone with the boot, so that it never tells of another one.
pub(crate) const DIRECTORY: &str = "/run/golden-generation-public";
/// The copy in it.
pub(crate) const FILE: &str = "status.json";
/// Private to the suite; gone with the boot.
const RUNTIME: &str = "/run/golden-generation";
/// Shown at every login. Source: `pam_motd(8)`.
const MOTD: &str = "/run/motd.d";
/// For the group of the directory, which is that of the status page.
const SHARED: u32 = 0o640;
/// For everybody.
const PUBLIC: u32 = 0o644;
/// How often a copy is made anew because something changed meanwhile.
const TRIES: u32 = 5;

/// What is published, and where.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Directory of the copy; its group may read it
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    directory: PathBuf,
    /// Write metrics for the textfile collector of Prometheus's node exporter to FILE, which ends in .prom
    #[arg(long, value_name = "FILE", value_parser = textfile)]
    textfile: Option<PathBuf>,
    /// Publish what checks printed and what the journal said, too: it may hold secrets
    #[arg(long)]
    with_output: bool,
}

/// The collector reads nothing else.
fn textfile(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    let is_read = path.is_absolute() && path.extension().is_some_and(|extension| extension == "prom");
    if is_read { Ok(path) } else { Err("it is not an absolute path that ends in .prom".to_owned()) }
}

/// Everything that is published, before it is written.
struct Copy {
    json: Vec<u8>,
    document: Document,
    motd: Option<String>,
    /// The line for the console, and what it is about.
    news: Option<(String, String)>,
    totals: Totals,
}

/// Publish. Gives what is new for the console.
pub(crate) fn run(common: &Common, arguments: &Arguments) -> Result<String, Error> {
    let host = common.host();
    let state_dir = common.options(&host).state_dir;
    let _lock = lock(&host)?;
    let mut news = String::new();
    for _ in 0..TRIES {
        let before = marks(&host, &state_dir);
        let copy = copy(common, &host, arguments)?;
        news.push_str(&write(&host, &state_dir, arguments, &copy)?);
        // Whoever changed it meanwhile started nobody, for this was running.
        if marks(&host, &state_dir) == before {
            break;
        }
    }
    Ok(news)
}

/// Two at once would write to the same names.
fn lock(host: &LinuxHost) -> Result<Box<dyn golden_host::LockGuard + '_>, Error> {
    let directory = Path::new(RUNTIME);
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    host.create_directory(directory, 0o755).map_err(failed("create", directory))?;
    let path = directory.join("publish.lock");
    host.lock(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::LockHeld(path),
        _ => failed("lock", &path)(error),
    })
}

/// What changes with everything that is told: the ledger, and how much history there is.
fn marks(host: &LinuxHost, state_dir: &Path) -> (Option<Vec<u8>>, Option<u64>, Option<Vec<u8>>) {
    (
        host.read(&state_dir.join("ledger.json")).ok(),
        host.size(&state_dir.join("history.jsonl")).ok(),
        host.read(&Path::new(RUNTIME).join("assessment.json")).ok(),
    )
}

fn copy(common: &Common, host: &LinuxHost, arguments: &Arguments) -> Result<Copy, Error> {
    let options = common.options(host);
    let (ledger, unreadable) = match Store::new(host, &options.state_dir).read() {
        Ok(reading) => reading.told(),
        // A page that says so is better than an old one.
        Err(error) => (None, Some(error.chain())),
    };
    let ledger = ledger.unwrap_or_default();
    let status = status::status(host, &options, ledger.clone(), unreadable)?;
    let history = read_history(host, &options.state_dir).unwrap_or_else(|error| {
        host.complain(error.trouble(), &error.chain());
        Vec::new()
    });
    let mut totals = Totals::read(host, &options.state_dir);
    totals.count(&history);
    let assessment = assessment(host, arguments.with_output);
    let max_failures = options.policy.max_failures.get();
    let failed_checks = assessment.as_ref().map(Assessment::failed).unwrap_or_default();
    let facts = Facts { ledger: &ledger, max_failures, failed_checks: &failed_checks };
    let summary = summary(&status, &facts);
    let why = why::published(host, &options, &ledger, arguments.with_output);
    let value = json!({
        "document": KIND,
        "schema": SCHEMA,
        "host": name(host),
        "time": stamp(host),
        "version": env!("CARGO_PKG_VERSION"),
        "boot": golden_host::boot(host).map_or_else(|_| String::new(), |boot| boot.to_string()),
        "summary": { "happened": summary.happened, "advice": summary.advice },
        "status": status,
        "max_failures": max_failures,
        "automatic_reboots": ledger.automatic_reboots,
        "timeline": timeline(&history),
        "why": why,
        "assessment": assessment,
        "totals": totals.counts,
        "latest": totals.latest,
    });
    let json = bounded(value);
    let document = Document::parse(&json).map_err(|error| {
        let source = std::io::Error::other(error.to_string());
        Error::Io { action: "publish", path: arguments.directory.join(FILE), source }
    })?;
    Ok(Copy { motd: motd(&status, &summary), news: news(&ledger, &summary), json, document, totals })
}

/// Who reads it refuses more than [`MAX_BYTES`]: what tells least goes first.
fn bounded(mut value: Value) -> Vec<u8> {
    for part in ["", "assessment", "why", "timeline"] {
        if let Some(part) = value.get_mut(part) {
            *part = if part.is_array() { json!([]) } else { Value::Null };
        }
        let text = serde_json::to_vec_pretty(&value).unwrap_or_default();
        if text.len() < MAX_BYTES {
            return [text, vec![b'\n']].concat();
        }
    }
    // The status alone is more than that: nobody could read it either.
    serde_json::to_vec(&value).unwrap_or_default()
}

/// What is not understood is not told. That of another boot is gone with it.
fn assessment(host: &LinuxHost, with_output: bool) -> Option<Assessment> {
    let bytes = host.read(&Path::new(RUNTIME).join("assessment.json")).ok()?;
    let mut assessment: Assessment = match serde_json::from_slice(&bytes) {
        Ok(assessment) => assessment,
        Err(error) => {
            host.complain(Trouble::Io, &format!("the assessment is not readable: {error}"));
            return None;
        }
    };
    if assessment.schema != ASSESSMENT_SCHEMA {
        return None;
    }
    if !with_output {
        for finding in &mut assessment.findings {
            finding.output.clear();
            finding.unknown.clear();
        }
        assessment.unknown.clear();
    }
    Some(assessment)
}

fn timeline(history: &[Line]) -> Vec<Value> {
    let recent = &history[history.len().saturating_sub(MAX_EVENTS)..];
    let told = recent.iter().map(|line| {
        json!({
            "time": line.time,
            "boot": line.written_in,
            "event": kind(&line.event),
            "severity": match priority(&line.event) {
                golden_host::Priority::Critical => "critical",
                golden_host::Priority::Error => "error",
                golden_host::Priority::Warning => "warning",
                golden_host::Priority::Notice => "notice",
            },
            "says": describe(&line.event),
        })
    });
    told.collect()
}

fn name(host: &LinuxHost) -> String {
    let name = host.read(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim().to_owned()
}

fn stamp(host: &LinuxHost) -> String {
    golden_host::stamp(host.now())
}

/// What whoever logs in has to know; nothing if all is well. In safe mode somebody else says it.
fn motd(status: &Status, summary: &Summary) -> Option<String> {
    let word = match status.state {
        State::RolledBack => "ROLLED BACK",
        State::Unprotected => "UNPROTECTED",
        State::Trial if status.golden.is_none() => {
            return Some(
                "golden-generation: NO GOLDEN. A generation that fails has nothing certain to come back to.\n\
                 Boot a system that you trust, wait until it is confirmed, and run pin-golden.\n"
                    .to_owned(),
            );
        }
        State::Ok | State::Trial | State::SafeMode => return None,
    };
    let more = match status.state {
        State::RolledBack => "  golden why     which attempts failed, and of what\n",
        _ => "  golden status  how this machine stands\n",
    };
    let happened = shortened(&one_line(&summary.happened));
    Some(format!("golden-generation: {word}. {happened}\n{}\n{more}", shortened(&one_line(&summary.advice))))
}

/// What somebody at the console has to know, once.
fn news(ledger: &Ledger, summary: &Summary) -> Option<(String, String)> {
    let done = ledger.rolled_back.as_ref().filter(|_| ledger.safe_mode.is_none())?;
    let line = format!(
        "golden-generation: ROLLED BACK. {} `golden why` tells more.\n",
        shortened(&one_line(&summary.happened))
    );
    Some((line, format!("{} {}", done.from, done.to)))
}

/// A message of a terminal is no place for what a unit is called on purpose.
fn one_line(text: &str) -> String {
    golden_serve::text::Text::from(text).replace('\n', " ")
}

fn write(host: &LinuxHost, state_dir: &Path, arguments: &Arguments, copy: &Copy) -> Result<String, Error> {
    let published = put(host, &arguments.directory.join(FILE), &copy.json, 0o750, SHARED);
    // Each is of use without the others.
    let told = match &arguments.textfile {
        Some(path) => {
            let text = metrics(&copy.document);
            host.publish(path, text.as_bytes(), PUBLIC).map_err(|source| io(path, source))
        }
        None => Ok(()),
    };
    let greeting = Path::new(MOTD).join("golden-generation");
    let greeted = match &copy.motd {
        // It is read with the rights of whoever logs in, who is seldom root.
        Some(text) => put(host, &greeting, text.as_bytes(), 0o755, PUBLIC),
        None if copy.document.status.state != golden_serve::document::State::SafeMode => {
            // It may never have been there.
            let _ = host.remove(&greeting);
            Ok(())
        }
        None => Ok(()),
    };
    // Where nothing was ever written there is nothing to count, and no directory for it.
    let counted = if copy.totals == Totals::default() { Ok(()) } else { copy.totals.write(host, state_dir) };
    let news = copy.news.as_ref().filter(|(_, about)| is_new(host, about));
    let news = news.map_or_else(String::new, |(line, _)| line.clone());
    published.and(told).and(greeted).and(counted).map(|()| news)
}

fn put(host: &LinuxHost, path: &Path, bytes: &[u8], directory_mode: u32, mode: u32) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    host.create_directory(directory, directory_mode)
        .and_then(|()| host.publish(path, bytes, mode))
        .map_err(|source| io(path, source))
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io { action: "write", path: path.to_owned(), source }
}

/// Whether it was not said in this boot.
fn is_new(host: &LinuxHost, about: &str) -> bool {
    let path = Path::new(RUNTIME).join("told-on-console");
    let is_new = host.read(&path).ok().as_deref() != Some(about.as_bytes());
    if is_new {
        // It is said twice, if this fails.
        let _ = host.publish(&path, about.as_bytes(), 0o600);
    }
    is_new
}
