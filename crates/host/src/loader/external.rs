//! A loader that a command of the owner's knows. Its contract is `docs/external-loader.md`.

use std::path::Path;
use std::time::Duration;

use golden_core::{Loader, OneShot, Toplevel};

use super::{BootLoader, interface};
use crate::{Ended, Error, Host, Limits};

/// Time for one call. Few are made in one program, and each program's unit has `TimeoutStartSec=`.
const TIME: Duration = Duration::from_secs(5);
/// Most that it may say: a line each for some hundred generations.
const OUTPUT_BYTES: usize = 1 << 16;
/// The exit status that says that the loader cannot do this.
const UNSUPPORTED: i32 = 3;
/// What `one-shot` says of something that is no system of ours.
const FOREIGN: &str = "other";

/// The owner's command.
pub(super) struct External<'a> {
    host: &'a dyn Host,
    command: &'a Path,
}

impl<'a> External<'a> {
    pub fn new(host: &'a dyn Host, command: &'a Path) -> Self {
        Self { host, command }
    }

    fn run(&self, verb: &'static str, toplevel: Option<&Toplevel>) -> Result<Ended, Error> {
        let limits = Limits { time: TIME, output_bytes: OUTPUT_BYTES };
        let arguments: Vec<&str> = std::iter::once(verb).chain(toplevel.map(Toplevel::as_str)).collect();
        self.host.run_within(limits, self.command, &arguments).map_err(Error::io("run", self.command))
    }

    /// What it says to a verb that every loader can do.
    fn ask(&self, verb: &'static str, toplevel: Option<&Toplevel>) -> Result<String, Error> {
        let Ended { status, stdout, stderr } = self.run(verb, toplevel)?;
        match status {
            Some(0) => Ok(stdout),
            Some(status) => Err(failed(verb, format!("{stderr} (exit status {status})"))),
            None => Err(failed(verb, format!("{stderr} (killed)"))),
        }
    }

    /// The one line of an answer, if there is one.
    fn line(&self, verb: &'static str) -> Result<Option<String>, Error> {
        let text = self.ask(verb, None)?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        match (lines.next(), lines.next()) {
            (line, None) => Ok(line.map(str::to_owned)),
            _ => Err(failed(verb, "it said more than one line".to_owned())),
        }
    }

    fn one_shot(&self) -> Result<OneShot, Error> {
        match self.line("one-shot")?.as_deref() {
            None => Ok(OneShot::Clear),
            Some(FOREIGN) => Ok(OneShot::Foreign),
            Some(line) => Ok(OneShot::Armed(toplevel("one-shot", line)?)),
        }
    }

    fn default(&self) -> Result<Option<Toplevel>, Error> {
        self.line("default")?.map(|line| toplevel("default", &line)).transpose()
    }
}

fn failed(verb: &'static str, why: String) -> Error {
    Error::LoaderCommand { verb, why }
}

fn toplevel(verb: &'static str, line: &str) -> Result<Toplevel, Error> {
    line.parse().map_err(|_| {
        let shown: String = line.chars().take(100).collect();
        failed(verb, format!("`{shown}` is no system in the store"))
    })
}

impl BootLoader for External<'_> {
    fn name(&self) -> &'static str {
        "external"
    }

    fn has_one_shot(&self) -> Result<(), String> {
        match self.run("one-shot", None) {
            Ok(Ended { status: Some(UNSUPPORTED), stderr, .. }) => {
                let why = stderr.lines().next().unwrap_or_default().trim();
                Err(if why.is_empty() {
                    "the owner's loader boots nothing once".to_owned()
                } else {
                    why.to_owned()
                })
            }
            // What else is wrong is said by whoever asks next.
            _ => Ok(()),
        }
    }

    fn see(&self) -> Result<Loader, Error> {
        let list = self.ask("list", None)?;
        let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut listed = lines.map(|line| toplevel("list", line)).collect::<Result<Vec<_>, _>>()?;
        listed.retain(|toplevel| self.host.list(Path::new(toplevel.as_str())).is_ok());
        let one_shot = match self.has_one_shot() {
            Ok(()) => self.one_shot()?,
            Err(_) => OneShot::Clear,
        };
        Ok(Loader {
            listed,
            default: self.default()?,
            one_shot,
            // It does not say.
            selected: None,
            started_by: interface::started_by(self.host),
            firmware_boots: self.host.firmware_boots().ok().flatten(),
            incomplete: Vec::new(),
            is_bypassed: false,
            consumes_one_shot: true,
        })
    }

    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.check(toplevel)?;
        self.ask("set-default", Some(toplevel))?;
        match self.default()? {
            Some(default) if default == *toplevel => Ok(()),
            _ => Err(Error::DidNotStick("the default of the owner's loader")),
        }
    }

    fn arm(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.check(toplevel)?;
        self.ask("arm", Some(toplevel))?;
        match self.one_shot()? {
            OneShot::Armed(armed) if armed == *toplevel => Ok(()),
            _ => Err(Error::DidNotStick("the one-shot of the owner's loader")),
        }
    }

    fn disarm(&self) -> Result<(), Error> {
        self.ask("disarm", None)?;
        match self.one_shot()? {
            OneShot::Armed(_) => Err(Error::DidNotStick("the one-shot of the owner's loader")),
            OneShot::Clear | OneShot::Foreign => Ok(()),
        }
    }

    /// The contract knows no counters.
    fn bless(&self, _toplevel: &Toplevel) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let Ended { status, stderr, .. } = self.run("check", Some(toplevel))?;
        match status {
            Some(0) => Ok(()),
            Some(UNSUPPORTED) => Err(Error::NoEntry(toplevel.clone())),
            _ => Err(Error::BootFiles { toplevel: toplevel.clone(), why: stderr.trim().to_owned() }),
        }
    }
}
