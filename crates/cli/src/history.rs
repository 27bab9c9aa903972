//! `golden history`

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use golden_host::command::Common;
use golden_host::{Error, Line, describe, read_history};
use serde::Serialize;
use serde_json::Value;

use crate::named::{generation, is_boot, is_part};
use crate::print::printable;

/// Version of a line of the JSON answer.
const SCHEMA: u32 = 1;

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
    #[arg(long, value_name = "NUMBER")]
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

pub(crate) fn run(common: &Common, filter: &Filter) -> Result<String, Error> {
    let host = common.host();
    let all = read_history(&host, &common.options(&host).state_dir)?;
    let generation = filter.generation.as_deref().map(|text| generation(&host, text));
    let mut lines: Vec<&Line> =
        all.iter().filter(|line| filter.lets_through(line, generation.as_deref())).collect();
    let surplus = lines.len().saturating_sub(filter.last.unwrap_or(usize::MAX));
    lines.drain(..surplus);
    if filter.json {
        let line = |line: &Line| serde_json::to_string(&Versioned { schema: SCHEMA, line });
        return Ok(lines
            .into_iter()
            .filter_map(|it| line(it).ok())
            .fold(String::new(), |text, line| text + &line + "\n"));
    }
    Ok(match (&lines[..], &all[..]) {
        (_, []) => "nothing has happened yet\n".to_owned(),
        ([], all) => {
            let kinds: BTreeSet<String> = all.iter().map(kind).collect();
            let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
            format!("nothing like that has happened; there is: {kinds}\n")
        }
        (lines, _) => lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{}  {}", printable(&line.time), printable(&describe(&line.event)));
            text
        }),
    })
}

impl Filter {
    fn lets_through(&self, line: &Line, generation: Option<&str>) -> bool {
        let event = serde_json::to_value(&line.event).unwrap_or_default();
        let is_about =
            |part: &str| texts(&event).iter().any(|text| text.parse().is_ok_and(|it| is_part(part, &it)));
        let boot = event.get("boot").and_then(Value::as_str).and_then(|boot| boot.parse().ok());
        let in_boot = |text: &String| {
            is_boot(text, &line.written_in) || boot.as_ref().is_some_and(|it| is_boot(text, it))
        };
        self.boot.as_ref().is_none_or(in_boot)
            && generation.is_none_or(is_about)
            && (self.event.is_empty() || self.event.contains(&kind(line)))
            && self.since.as_ref().is_none_or(|since| line.time >= *since)
    }
}

/// The kind of an event, as it is written.
fn kind(line: &Line) -> String {
    let event = serde_json::to_value(&line.event).unwrap_or_default();
    event.get("event").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Every text directly in an object.
fn texts(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flat_map(|fields| fields.values()).filter_map(Value::as_str).collect()
}
