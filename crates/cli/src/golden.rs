//! `golden`: what a person asks the suite.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use golden_core::Toplevel;
use golden_host::command::{Common, answer, parse};
use golden_host::{Exit, operation, told_by_deployer};

use crate::drill::Kind;

/// Ask golden-generation what it knows
#[derive(Parser)]
#[command(name = "golden", version, after_help = Exit::HELP)]
pub struct Arguments {
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
    /// Say whether a system may be deployed: one that failed here is quarantined and refused
    Check {
        /// Store path of the system
        toplevel: Toplevel,
    },
    /// List what happened, the oldest first
    History {
        /// Answer in JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Rehearse a failure on this machine: boot what runs once more, let it fail, and see golden take over
    ///
    /// Asks first, and is refused without a golden. Without FAILURE it tells how the last rehearsal went.
    Drill {
        /// What is made to fail
        failure: Option<Kind>,
        /// Do not ask
        #[arg(long, requires = "failure")]
        yes: bool,
    },
    /// Fail as a rehearsal wants it: run by its units
    #[command(hide = true)]
    Inject,
    /// Say that the machine is in safe mode: run by golden-safe-mode.service
    #[command(hide = true)]
    Announce {
        /// It is over
        #[arg(long)]
        over: bool,
    },
    /// Run a scenario on a simulated machine and print what happens
    Simulate {
        /// The scenario; - for standard input
        file: PathBuf,
    },
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { common, question } = match parse::<Arguments>() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let answered = match question {
        Question::Simulate { file } => return crate::simulate::run(&file),
        Question::Status { json } => crate::status::run(&common, json),
        Question::Why { of, json } => crate::why::run(&common, of.as_deref(), json),
        Question::Check { toplevel } => {
            let host = common.host();
            operation::check(&host, &common.options(&host), &toplevel, told_by_deployer().as_ref())
                .map(|()| String::new())
        }
        Question::Drill { failure, yes } => crate::drill::run(&common, failure, yes),
        Question::Inject => match crate::drill::inject(&common) {
            Ok(true) => return Exit::Refused.into(),
            done => done.map(|_| String::new()),
        },
        Question::Announce { over } => crate::announce::run(&common, over),
        Question::History { json } => crate::history::run(&common, json),
    };
    match answered {
        Ok(text) => answer(&text),
        Err(error) => Exit::report(&error),
    }
}
