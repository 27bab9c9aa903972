//! What the command lines of all programs have in common.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::operation::Options;
use crate::{Error, Exit, Host, LinuxHost, default_options, load_options};
use clap::Parser;

/// Options that every program takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Work on the system below DIR
    #[arg(long, global = true, value_name = "DIR", default_value = "/", value_parser = directory)]
    pub root: PathBuf,
    /// Keep state in DIR, a path inside that system, whatever the settings say
    #[arg(long, global = true, value_name = "DIR", value_parser = state_directory)]
    pub state_dir: Option<PathBuf>,
}

impl Common {
    /// The machine to work on.
    #[must_use]
    pub fn host(&self) -> LinuxHost {
        LinuxHost::new(&self.root)
    }

    /// The owner's settings. A file that is not understood is said and then left alone: a spelling mistake must
    /// not cost the machine its way back.
    #[must_use]
    pub fn options(&self, host: &LinuxHost) -> Options {
        let mut options = load_options(host).unwrap_or_else(|error| {
            let text = format!("{}; the defaults apply", error.chain());
            host.complain(error.trouble(), &text);
            if host.is_this_machine() {
                say(&text);
            }
            default_options(host)
        });
        if let Some(state_dir) = &self.state_dir {
            options.state_dir.clone_from(state_dir);
        }
        options
    }
}

/// A spelling mistake in a rescue shell must not be obeyed.
fn directory(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_dir() { Ok(path) } else { Err("there is no such directory".to_owned()) }
}

/// Another ledger in the working directory would count against the real one.
fn state_directory(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_absolute() { Ok(path) } else { Err("it is not an absolute path inside the system".to_owned()) }
}

/// A whole number from `LOW` to `HIGH` on a command line.
///
/// # Errors
/// `text` is something else: the sentence names the range.
pub fn number<const LOW: usize, const HIGH: usize>(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (LOW..=HIGH).contains(number));
    number.ok_or_else(|| format!("it has to be a whole number from {LOW} to {HIGH}"))
}

/// Say something on standard error. Nobody may be there to read it: that never keeps a program from going on.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Print an answer whole. A reader that has seen enough (`golden history | head`) is no error.
#[must_use]
pub fn answer(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(&format!("cannot write the answer: {error}"));
            Exit::Io.into()
        }
        _ => Exit::Success.into(),
    }
}

/// Parse the command line; `--help` and `--version` are answered, wrong use ends with status 64.
///
/// # Errors
/// The status to exit with.
pub fn parse<Arguments: Parser>() -> Result<Arguments, ExitCode> {
    Arguments::try_parse().map_err(|error| {
        if error.use_stderr() {
            let _ = error.print();
            Exit::Usage.into()
        } else {
            answer(&error.render().to_string())
        }
    })
}

/// Turn the result of an operation into an exit status; trouble goes to the journal and to standard error.
#[must_use]
pub fn finish(host: &LinuxHost, result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            // Without a journal, standard error has it from the report.
            if host.is_this_machine() {
                host.complain(error.trouble(), &error.chain());
            }
            Exit::report(&error)
        }
    }
}

/// A program of which everything is said by its arguments and its operation.
pub fn run<Arguments: Parser>(
    common: impl FnOnce(&Arguments) -> &Common,
    operation: impl FnOnce(&LinuxHost, &Options, &Arguments) -> Result<(), Error>,
) -> ExitCode {
    let arguments = match parse::<Arguments>() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let common = common(&arguments);
    let host = common.host();
    let options = common.options(&host);
    finish(&host, operation(&host, &options, &arguments))
}
