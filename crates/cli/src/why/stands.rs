//! The state of the machine at the time of asking, for the sentences of `golden why` about the present.

use golden_core::{Ledger, OneShot, Toplevel};
use golden_host::operation::Options;
use golden_host::{Host, loader};

use crate::status;

/// The state of the machine at the time of asking.
#[derive(Debug, Default)]
pub(crate) struct Stands {
    pub golden: Option<Toplevel>,
    /// `None` where the boot loader cannot be asked, or its default is unknown.
    pub default: Option<Toplevel>,
    /// The system that the system profile names.
    pub profile: Option<Toplevel>,
    /// Other profiles that name the failed system, by name.
    pub others: Vec<String>,
    /// Whether deployers are refused the failed system.
    pub is_quarantined: bool,
    /// Why the trial neither runs nor is armed; `None` where it does, or there is none.
    pub not_armed: Option<String>,
    /// How often the armed trial was not started, and why, as parts of a sentence.
    pub not_started: Option<(&'static str, &'static str)>,
}

pub(crate) fn stands(
    host: &dyn Host,
    options: &Options,
    ledger: &Ledger,
    failed: Option<&Toplevel>,
) -> Stands {
    let shown = loader::detect(host, options).and_then(|loader| loader.see()).map_err(|error| error.chain());
    Stands {
        golden: golden_host::golden(host, Some(ledger)).ok().flatten(),
        profile: golden_host::system(host).ok().flatten(),
        others: failed.map(|failed| golden_host::others_that_name(host, failed)).unwrap_or_default(),
        is_quarantined: failed.is_some_and(|failed| ledger.is_quarantined(failed)),
        not_armed: not_armed(host, options, ledger, &shown),
        not_started: ledger
            .trial
            .as_ref()
            .and_then(|trial| Some(status::not_started(trial.not_started.as_ref()?))),
        default: shown.ok().and_then(|loader| loader.default),
    }
}

/// Why the trial neither runs nor is armed; `None` where it does, or there is none.
pub(crate) fn not_armed(
    host: &dyn Host,
    options: &Options,
    ledger: &Ledger,
    shown: &Result<golden_core::Loader, String>,
) -> Option<String> {
    let trial = ledger.trial.as_ref()?;
    let boot = golden_host::boot(host).ok();
    let runs = boot.is_some_and(|boot| {
        trial.attempts.is_open_in(&boot) || ledger.live.as_ref().is_some_and(|live| live.boot == boot)
    });
    match shown {
        _ if runs => None,
        Err(why) => Some(why.clone()),
        Ok(loader) if loader.one_shot == OneShot::Armed(trial.toplevel.clone()) => None,
        Ok(_) => Some(last_said(host, options, &trial.toplevel)),
    }
}

/// The last reason in history why the trial could not be armed.
fn last_said(host: &dyn Host, options: &Options, trial: &Toplevel) -> String {
    let lines = golden_host::read_history(host, &options.state_dir).unwrap_or_default();
    let why = lines.into_iter().rev().find_map(|line| match line.event {
        golden_core::Event::NotArmed { toplevel, why } if toplevel == *trial => Some(why),
        _ => None,
    });
    why.unwrap_or_else(|| "the boot loader was not told to boot it once".to_owned())
}
