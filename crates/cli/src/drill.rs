//! `golden drill`: a rehearsal on the real machine, and how it went.

use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use golden_core::{Event, Injection};
use golden_host::command::{Common, answer, say};
use golden_host::{
    Direction, Error, Host, Line, LinuxHost, describe, describe_injection, operation, visit_history,
};
use serde::Serialize;

use crate::print::printable;

/// Version of the JSON answer.
const SCHEMA: u32 = 1;

/// What is made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The kernel panics
    Panic,
    /// The boot never gets to its end: the deadline ends it
    Hang,
    /// A unit fails whose failure takes the machine down
    Unit,
    /// A check before the confirmation fails: the deadline ends the boot
    Check,
    /// The machine is reset without a word
    Power,
}

impl From<Kind> for Injection {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Panic => Self::Panic,
            Kind::Hang => Self::Hang,
            Kind::Unit => Self::Unit,
            Kind::Check => Self::Check,
            Kind::Power => Self::Power,
        }
    }
}

/// Begin one, or tell how the last one went.
pub(crate) fn run(common: &Common, kind: Option<Kind>, json: bool, yes: bool) -> Result<String, Error> {
    let host = common.host();
    let options = common.options(&host);
    let Some(kind) = kind else { return last(&host, &options.state_dir, json) };
    if !yes && !agreed(&host, kind.into(), &options)? {
        return Ok("nothing was done\n".to_owned());
    }
    operation::drill(&host, &options, kind.into())?;
    Ok("the machine reboots; afterwards `golden drill` tells how it went\n".to_owned())
}

/// Whoever has nothing to type on has not agreed.
fn agreed(host: &LinuxHost, injection: Injection, options: &operation::Options) -> Result<bool, Error> {
    let golden = operation::golden(host, options)?;
    let golden = golden.map_or("nothing: no golden is pinned".to_owned(), |golden| golden.to_string());
    let times = options.policy.max_failures;
    let question = format!(
        "This machine reboots now. What runs is booted {times} times, and each time {}.\n\
         Then {golden} has to take over; the reboot after that is back to what is the default now.\nNobody can use it meanwhile. Type yes to go on: ",
        describe_injection(injection)
    );
    let _ = answer(&question);
    let mut typed = String::new();
    let read = io::stdin().lock().read_line(&mut typed);
    Ok(read.is_ok() && typed.trim() == "yes")
}

/// How the last one stands.
#[derive(Serialize)]
struct Last<'a> {
    schema: u32,
    /// Its beginning, or its end if it has one.
    last: Option<&'a Line>,
}

fn last(host: &LinuxHost, state_dir: &Path, json: bool) -> Result<String, Error> {
    let of_a_drill = |event: &Event| matches!(event, Event::DrillBegan { .. } | Event::DrillEnded { .. });
    let mut last = None;
    visit_history(host, state_dir, Direction::NewestFirst, &mut |line| {
        last = Some(line).filter(|line| of_a_drill(&line.event));
        if last.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let last = last.as_ref();
    if json {
        return Ok(crate::print::json(&Last { schema: SCHEMA, last }));
    }
    Ok(last.map_or("there was no rehearsal on this machine yet\n".to_owned(), |line| {
        format!("{}  {}\n", printable(&line.time), printable(&describe(&line.event)))
    }))
}

/// Fail as the boot check wants it, if this is an attempt of a rehearsal. Gives whether the unit that asked is to fail.
pub(crate) fn inject(common: &Common) -> Result<bool, Error> {
    let host = common.host();
    let injection = operation::injected(&host, &common.options(&host))?;
    let Some(injection) = injection.filter(|_| host.is_this_machine()) else { return Ok(false) };
    say(&format!("rehearsal: {}", describe_injection(injection)));
    match injection {
        Injection::Panic => trigger(&host, b"c"),
        Injection::Power => trigger(&host, b"b"),
        Injection::Hang => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        Injection::Unit | Injection::Check => Ok(true),
    }
}

/// Source: the kernel's documentation, "Magic `SysRq`".
fn trigger(host: &LinuxHost, key: &[u8]) -> Result<bool, Error> {
    const TRIGGER: &str = "/proc/sysrq-trigger";
    let _ = io::stderr().flush();
    let failed = |source| Error::Io { action: "write", path: TRIGGER.into(), source };
    host.write(Path::new(TRIGGER), key).map_err(failed)?;
    Ok(true)
}
