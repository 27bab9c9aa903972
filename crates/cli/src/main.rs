//! `golden`: what a person asks the suite.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic where nobody listens")]

mod history;
mod print;
mod simulate;
mod status;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use golden_host::Exit;
use golden_host::command::{Common, answer, parse};

/// Ask golden-generation what it knows
#[derive(Parser)]
#[command(name = "golden", version, after_help = Exit::HELP)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// Say how this machine stands; the first word is one of ok, trial, rolled-back, unprotected, safe-mode
    Status {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell which attempts led to a rollback, and what each died of
    Why {
        /// A boot ID, a store path or a part of its name; the last failure if left out
        #[arg(value_name = "BOOT|GENERATION")]
        of: Option<String>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// List what happened, the oldest first
    History {
        /// Answer in JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Run a scenario on a simulated machine and print what happens
    Simulate {
        /// The scenario; - for standard input
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let Arguments { common, question } = match parse::<Arguments>() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let answered = match question {
        Question::Simulate { file } => return simulate::run(&file),
        Question::Status { json } => status::run(&common, json),
        Question::Why { of, json } => why::run(&common, of.as_deref(), json),
        Question::History { json } => history::run(&common, json),
    };
    match answered {
        Ok(text) => answer(&text),
        Err(error) => Exit::report(&error),
    }
}
