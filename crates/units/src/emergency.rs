//! `golden-emergency`: Nobody waits at a prompt on an unattended machine. Started before a shell in emergency or rescue mode.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use golden_host::command::{self, Common};
use golden_host::operation::{self, Emergency, Options};
use golden_host::{Error, Exit, LinuxHost};

/// Time for a person at the console to say so.
const COUNTDOWN: Duration = Duration::from_secs(30);
/// What a person types. A whole word, because a serial line may say anything.
const WORD: &str = "stay";

/// Leave emergency mode by a reboot, if this boot has to be confirmed
///
/// Run by golden-emergency.service before the shell of emergency.target or rescue.target. The reboot comes after a
/// countdown of 30 seconds on the console, which a person stops by typing "stay" and Enter. A boot that does not
/// have to be confirmed is left alone.
#[derive(Parser)]
#[command(name = "golden-emergency", version, after_help = Exit::HELP)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    command::run(|arguments: &Arguments| &arguments.common, |host, options, _| leave(host, options))
}

fn leave(host: &LinuxHost, options: &Options) -> Result<(), Error> {
    let emergency = operation::emergency(host, options)?;
    if emergency == Emergency::Unwatched {
        return Ok(());
    }
    if count_down(&lines(), COUNTDOWN) {
        return operation::leave_emergency(host, options, emergency);
    }
    say("\ngolden-generation: no reboot. This boot has failed; reboot by hand when you are done.\n");
    operation::stay_in_emergency(host, options, emergency)
}

/// What is typed, line by line. Nobody there is an end, and not a word.
fn lines() -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Whether it ran out.
fn count_down(typed: &Receiver<String>, time: Duration) -> bool {
    let end = Instant::now() + time;
    say(
        "\ngolden-generation: this boot ended in emergency mode, and has failed. The machine goes on without it.\n",
    );
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        let secs = left.as_secs_f64().ceil();
        say(&format!("\rgolden-generation: reboot in {secs:2} s; type \"{WORD}\" and Enter to stop it: "));
        match typed.recv_timeout(left.min(Duration::from_secs(1))) {
            Ok(line) if line.trim().eq_ignore_ascii_case(WORD) => return false,
            Err(RecvTimeoutError::Disconnected) => thread::sleep(left.min(Duration::from_secs(1))),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The console may be gone: that stops nothing.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(typed: &[&str]) -> bool {
        let (sender, receiver) = mpsc::channel();
        for line in typed {
            sender.send((*line).to_owned()).unwrap();
        }
        drop(sender);
        !count_down(&receiver, Duration::from_millis(50))
    }

    #[test]
    fn only_the_word_stops_the_countdown() {
        assert!(stops(&["stay"]) && stops(&["noise", " STAY "]));
        assert!(!stops(&[]) && !stops(&["", "\u{fffd}", "stays", "reboot"]));
    }
}
