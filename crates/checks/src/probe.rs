//! What the suite can look at by itself. It does so in a process of its own, which can be killed: a name that nobody resolves
//! or a network file system that does not answer would keep us for ever.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use golden_host::command::answer as print;
use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::child;

mod disk_space;
mod dns;
mod http;
mod mount;
mod ping;
mod tcp;
mod units;

/// The question, in the environment: a command line is for everybody to read, and a URL may have a password in it.
const ASKED: &str = "GOLDEN_PROBE";
/// The program that runs.
const OURSELVES: &str = "/proc/self/exe";

/// Time that is left to say what was found.
const MARGIN: Duration = Duration::from_secs(2);

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Probe {
    /// A unit is active.
    Unit { unit: String },
    /// No unit has failed, but for these.
    NoFailedUnits { except: Vec<String> },
    /// Somebody listens.
    Tcp { host: String, port: u16 },
    /// A web server answers with this status, or with one that means success.
    Http { url: String, status: Option<u16> },
    /// A name has an address: as the machine resolves it, or as this server says.
    Dns { name: String, server: Option<SocketAddr> },
    /// A file system is mounted there, and may be written to.
    Mount { path: PathBuf, writable: bool },
    /// There is as much room, in bytes, in hundredths of the file system, or both.
    DiskSpace { path: PathBuf, bytes: Option<u64>, percent: Option<u32> },
    /// Somebody answers an echo request.
    Ping { whom: Whom },
}

/// Who is asked for an echo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// Any gateway of a default route.
    Gateway,
    /// A name or an address.
    Host(String),
}

/// A probe, and how long it has.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    probe: Probe,
    millis: u64,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) passed: bool,
    pub(crate) said: String,
    #[serde(default)]
    pub(crate) output: String,
    #[serde(default)]
    pub(crate) units: Vec<String>,
}

impl Answer {
    fn passed(said: impl Into<String>) -> Self {
        Self { passed: true, ..Self::failed(said) }
    }

    fn failed(said: impl Into<String>) -> Self {
        Self { passed: false, said: one_line(&said.into()), output: String::new(), units: Vec::new() }
    }
}

/// Answer as a probe if that is what this process was started for. Every program that runs checks asks first of all.
#[must_use]
pub fn answer() -> Option<ExitCode> {
    let asked = env::var(ASKED).ok()?;
    let question: Question = serde_json::from_str(&asked).ok()?;
    let time = Duration::from_millis(question.millis);
    // A little less than until we are killed, or nobody would say what it was that took so long.
    let time = time.saturating_sub(MARGIN.min(time / 5));
    let answer = look(&question.probe, time);
    let text = serde_json::to_string(&answer).unwrap_or_default();
    Some(print(&format!("{text}\n")))
}

/// The program that looks: ourselves.
pub(crate) fn command(probe: &Probe, check: &Check) -> io::Result<Command> {
    let millis = check.timing.timeout.as_millis().try_into().unwrap_or(u64::MAX);
    let question = Question { probe: probe.clone(), millis };
    let mut command = child::program(OURSELVES);
    command.arg0("golden-probe").env(ASKED, serde_json::to_string(&question)?);
    Ok(command)
}

/// The answer at the end of what a probe printed.
pub(crate) fn read(printed: &[u8]) -> Option<Answer> {
    let printed = printed.trim_ascii_end();
    let last = printed.rsplit(|byte| *byte == b'\n').next()?;
    serde_json::from_slice(last).ok()
}

fn look(probe: &Probe, time: Duration) -> Answer {
    match probe {
        Probe::Unit { unit } => units::active(unit),
        Probe::NoFailedUnits { except } => units::none_failed(except),
        Probe::Tcp { host, port } => tcp::connect(host, *port, time),
        Probe::Http { url, status } => http::get(url, *status, time),
        Probe::Dns { name, server } => dns::resolve(name, *server, time),
        Probe::Mount { path, writable } => mount::look(path, *writable),
        Probe::DiskSpace { path, bytes, percent } => disk_space::look(path, *bytes, *percent),
        Probe::Ping { whom } => ping::ping(whom, time),
    }
}

/// What others say, as part of a sentence of ours.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    text.split(char::is_control)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(LONGEST)
        .collect()
}
