//! `golden history`

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use golden_host::command::{Common, number, say};
use golden_host::{Direction, Error, Exit, Line, LinuxHost, describe, visit_history};
use serde::Serialize;
use serde_json::Value;

use crate::named::{generation, is_boot, is_part};
use crate::print::printable;

/// Version of a line of the JSON answer.
const SCHEMA: u32 = 1;
/// Most events of `--last`: they are held in memory.
const MOST: usize = 1_000_000;

/// Which part of it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Filter {
    /// Only what was written in this boot, or is about it: its ID, or the beginning of that
    #[arg(long, value_name = "ID")]
    boot: Option<String>,
    /// Only what is about this system: its number in the system profile, its store path, or a part of that
    #[arg(long, value_name = "GENERATION")]
    generation: Option<String>,
    /// Only events of this kind, such as attempt-failed; may be given more than once
    #[arg(long, value_name = "KIND")]
    event: Vec<String>,
    /// Only what happened since then, by the machine's clock: 2h, 3days, 2026-11-21, or 2026-11-21T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<String>,
    /// Only the last NUMBER events that are left then
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number::<0, MOST>)]
    last: Option<usize>,
    /// Answer in JSON, one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Versioned<'a> {
    schema: u32,
    #[serde(flatten)]
    line: &'a Line,
}

/// As history writes it, so that texts can be compared.
fn since(text: &str) -> Result<String, String> {
    let known = [text.to_owned(), format!("{text}T00:00:00Z"), format!("{text}Z")];
    if let Some(time) = known.iter().find_map(|text| humantime::parse_rfc3339_weak(text).ok()) {
        return Ok(stamp(time));
    }
    let ago: Duration = humantime::parse_duration(text)
        .map_err(|_| "that is neither a time (2026-11-21) nor how long ago it is (2h, 3days)".to_owned())?;
    Ok(stamp(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)))
}

fn stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)).to_string()
}

/// Print it line by line: history may be longer than memory.
pub(crate) fn run(common: &Common, filter: &Filter) -> Result<ExitCode, Error> {
    let host = common.host();
    let state_dir = common.options(&host).state_dir;
    let mut search = Search {
        filter,
        generation: filter.generation.as_deref().map(|text| generation(&host, text)),
        kinds: BTreeSet::new(),
        has_found: false,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    if let Some(last) = filter.last {
        for line in newest(&host, &state_dir, &mut search, last)?.iter().rev() {
            written = written.and_then(|()| write(&mut out, filter.json, line));
        }
    } else {
        visit_history(&host, &state_dir, Direction::OldestFirst, &mut |line| {
            if search.finds(&line) {
                written = write(&mut out, filter.json, &line);
            }
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    let written =
        written.and_then(|()| if filter.json { Ok(()) } else { out.write_all(search.nothing().as_bytes()) });
    Ok(match written.and_then(|()| out.flush()) {
        // A reader that has seen enough is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(&format!("cannot write the answer: {error}"));
            Exit::Io.into()
        }
        _ => Exit::Success.into(),
    })
}

/// At most so many lines that are wanted, the newest first.
fn newest(
    host: &LinuxHost,
    state_dir: &Path,
    search: &mut Search<'_>,
    last: usize,
) -> Result<Vec<Line>, Error> {
    let mut lines = Vec::new();
    visit_history(host, state_dir, Direction::NewestFirst, &mut |line| {
        if search.finds(&line) && lines.len() < last {
            lines.push(line);
        }
        if lines.len() < last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(lines)
}

fn write(out: &mut dyn Write, json: bool, line: &Line) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, &Versioned { schema: SCHEMA, line })?;
        return writeln!(out);
    }
    writeln!(out, "{}  {}", printable(&line.time), printable(&describe(&line.event)))
}

/// A search of history, and its result so far.
struct Search<'a> {
    filter: &'a Filter,
    generation: Option<String>,
    kinds: BTreeSet<String>,
    has_found: bool,
}

impl Search<'_> {
    fn finds(&mut self, line: &Line) -> bool {
        let event = serde_json::to_value(&line.event).unwrap_or_default();
        let found = self.filter.lets_through(line, &event, self.generation.as_deref());
        self.has_found |= found;
        if !self.has_found {
            self.kinds.insert(kind(&event).to_owned());
        }
        found
    }

    /// The sentence that stands in the place of lines.
    fn nothing(&self) -> String {
        if self.has_found {
            return String::new();
        }
        if self.kinds.is_empty() {
            return "nothing has happened yet\n".to_owned();
        }
        let kinds: Vec<&str> = self.kinds.iter().map(String::as_str).collect();
        format!("nothing like that has happened; there is: {}\n", kinds.join(", "))
    }
}

impl Filter {
    fn lets_through(&self, line: &Line, event: &Value, generation: Option<&str>) -> bool {
        let is_about =
            |part: &str| texts(event).iter().any(|text| text.parse().is_ok_and(|it| is_part(part, &it)));
        let boot = event.get("boot").and_then(Value::as_str).and_then(|boot| boot.parse().ok());
        let in_boot = |text: &String| {
            is_boot(text, &line.written_in) || boot.as_ref().is_some_and(|it| is_boot(text, it))
        };
        self.boot.as_ref().is_none_or(in_boot)
            && generation.is_none_or(is_about)
            && (self.event.is_empty() || self.event.iter().any(|wanted| wanted == kind(event)))
            && self.since.as_ref().is_none_or(|since| line.time >= *since)
    }
}

/// The kind of an event, as it is written.
fn kind(event: &Value) -> &str {
    event.get("event").and_then(Value::as_str).unwrap_or_default()
}

/// Every text directly in an object.
fn texts(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flat_map(|fields| fields.values()).filter_map(Value::as_str).collect()
}
