//! How the machine stands at the time of asking, as far as a story of the past says something about that.

use golden_core::{Ledger, OneShot, Toplevel};
use golden_host::operation::Options;
use golden_host::{Host, loader};

/// The state of the machine at the time of asking.
#[derive(Debug, Default)]
pub(crate) struct Stands {
    pub golden: Option<Toplevel>,
    /// `None` where the boot loader cannot be asked, or its default cannot be told.
    pub default: Option<Toplevel>,
    /// The system that the system profile names.
    pub profile: Option<Toplevel>,
    /// Other profiles that name the system which failed, by name.
    pub others: Vec<String>,
    /// Whether deployers are refused the system which failed.
    pub is_quarantined: bool,
    /// Why the trial is not what happens next, by itself; `None` where it runs or is armed, or there is none.
    pub not_armed: Option<String>,
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
        default: shown.ok().and_then(|loader| loader.default),
    }
}

/// Why the trial is not booted next: it neither runs nor is armed.
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
