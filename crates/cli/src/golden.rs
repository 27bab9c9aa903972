//! `golden`: the questions and orders of a person.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use golden_core::Toplevel;
use golden_host::command::{Common, answer, parse};
use golden_host::{Error, Exit, NO_MARK, operation, told_by_deployer};

use crate::drill::Kind;
use crate::history::Filter;
use crate::pin_golden::pin;
use crate::quarantine;
use crate::style::during;

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
    /// Tell why the machine came back from a system: the cause of each failed attempt, and what to do now
    Why {
        /// A boot ID or its beginning, a number in the system profile, a store path or a part of that; the last failure if left out
        #[arg(value_name = "BOOT|GENERATION")]
        of: Option<String>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Run the health checks now; or say whether a system may be deployed
    ///
    /// With TOPLEVEL it is run before a switch: a quarantined system is refused, and a system profile that names it already is put
    /// back. If the checks of the system are broken, that is said (status 78) and the system is not refused: this program may be
    /// older than the system and know less. `GOLDEN_REVISION` in the environment names the source revision of a system that does
    /// not name it itself.
    Check {
        /// Store path of a system that is about to be deployed
        toplevel: Option<Toplevel>,
        /// Answer in JSON
        #[arg(long, conflicts_with = "toplevel")]
        json: bool,
    },
    /// List what happened, the oldest first
    History(#[command(flatten)] Filter),
    /// Confirm the running system now: a person has seen that it works
    ///
    /// Does what golden-confirm.service does once everything is up: the running trial is known to be good and becomes the
    /// loader's default. A live switch that waits for a person's confirmation gets it.
    Confirm,
    /// Pin the running system as golden, as pin-golden does
    Pin {
        /// Pin a system that was never confirmed on this host
        #[arg(long)]
        force: bool,
    },
    /// Roll the running system back to golden, now: asks, and reboots
    ///
    /// The running system is quarantined: else a deployer would bring it back at once. Refused if golden runs already, or if there is
    /// no known-good system that can be booted. Nothing is changed then.
    Rollback {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List the quarantined systems and revisions, release one, or add one
    Quarantine {
        #[command(subcommand)]
        question: quarantine::Question,
    },
    /// Rehearse a failure on this machine: boot the running system again, let it fail, and see golden take over
    ///
    /// The system is booted and fails as often as `max_failures` says. Asks first, and is refused without a golden. Without FAILURE
    /// it tells how the last rehearsal went.
    Drill {
        /// The failure
        failure: Option<Kind>,
        /// Answer in JSON
        #[arg(long, conflicts_with = "failure")]
        json: bool,
        /// Do not ask
        #[arg(long, requires = "failure")]
        yes: bool,
    },
    /// Publish how this machine stands, for a status page and Prometheus: run by golden-publish.service
    Publish(crate::publish::Arguments),
    /// Serve a read-only status page: of this machine, or of a fleet
    Serve(crate::serve::Arguments),
    /// Run a scenario on a simulated machine and print what happens
    Simulate {
        /// The scenario; - for standard input
        file: PathBuf,
    },
}

/// Orders that units of the suite give. They have a command line of their own: help, manual pages and completions are made from
/// the other one, and some of them list hidden subcommands.
#[derive(Parser)]
#[command(name = "golden")]
struct OfUnits {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand)]
enum Order {
    /// Fail as a rehearsal wants it
    Inject,
    /// Say that the machine is in safe mode
    Announce {
        /// It is over
        #[arg(long)]
        over: bool,
    },
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(status) = golden_checks::answer() {
        return status;
    }
    if let Ok(OfUnits { common, order }) = OfUnits::try_parse() {
        return obey(&common, &order);
    }
    let Arguments { common, question } = match parse::<Arguments>() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let answered = match question {
        Question::Simulate { file } => return crate::simulate::run(&file),
        Question::Status { json } => crate::status::run(&common, json),
        Question::Why { of, json } => crate::why::run(&common, of.as_deref(), json),
        Question::Check { toplevel: None, json } => return check(&common, json),
        // What the machine came back to installs its loader, and is not asked whether it may.
        Question::Check { toplevel: Some(_), .. } if std::env::var_os(NO_MARK).is_some() => Ok(String::new()),
        Question::Check { toplevel: Some(toplevel), .. } => {
            let host = common.host();
            operation::check(&host, &common.options(&host), &toplevel, told_by_deployer().as_ref())
                .and_then(|()| golden_checks::foresee(&host, &toplevel))
                .map(|()| String::new())
        }
        Question::Drill { failure, json, yes } => crate::drill::run(&common, failure, json, yes),
        Question::History(filter) => {
            return crate::history::run(&common, &filter).unwrap_or_else(|error| Exit::report(&error));
        }
        Question::Confirm => during("confirming", || crate::rollback::confirm(&common)),
        Question::Pin { force } => during("reading the whole of it", || pin(&common, force)),
        Question::Rollback { yes } => crate::rollback::roll_back(&common, yes),
        Question::Quarantine { question } => quarantine::run(&common, &question),
        Question::Publish(arguments) => crate::publish::run(&common, &arguments),
        Question::Serve(arguments) => return crate::serve::run(&common, &arguments),
    };
    print(answered)
}

fn print(answered: Result<String, Error>) -> ExitCode {
    match answered {
        Ok(text) => answer(&text),
        Err(error) => Exit::report(&error),
    }
}

fn obey(common: &Common, order: &Order) -> ExitCode {
    match order {
        Order::Inject => match crate::drill::inject(common) {
            Ok(true) => Exit::Refused.into(),
            done => print(done.map(|_| String::new())),
        },
        Order::Announce { over } => print(crate::announce::run(common, *over)),
    }
}

fn check(common: &Common, json: bool) -> ExitCode {
    match during("running the checks", || crate::check::run(common, json)) {
        Ok((text, failed)) => {
            let printed = answer(&text);
            if failed.is_empty() { printed } else { Exit::report(&Error::Unhealthy(failed)) }
        }
        Err(error) => Exit::report(&error),
    }
}
