//! A program of the owner.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use golden_host::{Ended, Limits, run_within};
use rustix::fs::{MemfdFlags, memfd_create};

use super::webhook::payload;
use crate::courier::{Letter, Outcome};
use crate::settings::Command;

/// Most that a program may print, in bytes.
const MAX_OUTPUT_BYTES: usize = 1 << 16;
/// Of what it printed, in characters.
const MAX_SAID_CHARS: usize = 200;
/// Where programs are when `PATH` does not name them, as on NixOS; the first one has those that need rights.
const PROGRAMS: &str = "/run/wrappers/bin:/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib";

pub(super) fn deliver(command: &Command, letter: &Letter, timeout: Duration) -> Result<Outcome, String> {
    let mut process = Process::new(&command.program);
    process.args(&command.arguments);
    let message = &letter.message;
    let number = letter.dropped.to_string();
    for (name, value) in [
        ("GOLDEN_MESSAGE_ID", message.id.as_str()),
        ("GOLDEN_KIND", message.kind.name()),
        ("GOLDEN_HOST", &message.host),
        ("GOLDEN_TITLE", &letter.title),
        ("GOLDEN_TEXT", &letter.text),
        ("GOLDEN_DROPPED", &number),
        ("GOLDEN_IN_DOUBT", if letter.is_in_doubt { "1" } else { "0" }),
    ] {
        process.env(name, value);
    }
    run(process, &payload(letter)?, timeout)
}

/// Run a program with these bytes on its standard input, and kill it with all that it started when its time is over.
pub(super) fn run(mut process: Process, input: &[u8], timeout: Duration) -> Result<Outcome, String> {
    let name = process.get_program().to_string_lossy().into_owned();
    let input = file_of(input).map_err(|error| format!("{name} can be given no input: {error}"))?;
    let own = std::env::var("PATH").unwrap_or_default();
    let path = if own.is_empty() { PROGRAMS.to_owned() } else { format!("{own}:{PROGRAMS}") };
    process.env("PATH", path).stdin(Stdio::from(input));
    let limits = Limits { time: timeout, output_bytes: MAX_OUTPUT_BYTES };
    match run_within(process, limits) {
        Ok(Ended { status: Some(0), .. }) => Ok(Outcome::Delivered { issue: None }),
        Ok(Ended { status, stdout, stderr }) => {
            let ended = match status {
                Some(status) => format!("{name} exited with status {status}"),
                None => format!("{name} was killed by a signal"),
            };
            let text = if stderr.trim().is_empty() { stdout } else { stderr };
            let words: Vec<&str> = text.split(|it: char| it.is_whitespace() || it.is_control()).collect();
            let text: String = words.join(" ").trim().chars().take(MAX_SAID_CHARS).collect();
            Err(if text.is_empty() { ended } else { format!("{ended}: {text}") })
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(format!("{name} was killed: it had not ended after {} s", timeout.as_secs()))
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(format!("{name} was killed: it printed more than {MAX_OUTPUT_BYTES} bytes"))
        }
        Err(error) => Err(format!("cannot run {name}: {error}")),
    }
}

/// A file in memory: whoever does not read his input keeps nobody waiting, as he would with a pipe.
fn file_of(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("message", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
