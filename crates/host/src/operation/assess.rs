//! What the health checks found is judged, kept and told.

use std::io;
use std::path::{Path, PathBuf};

use golden_core::{Assessment, Baseline, Cause, End, Event, Finding, Ledger, Moment, Weight};

use super::fail::fail;
use super::standing::{Standing, standing};
use super::{Options, act};
use crate::{Error, Host, Reading, Store, durable, history, manager, system};

/// The last assessment of this boot, for whoever may read what a check printed.
const LAST: &str = "/run/golden-generation/assessment.json";
/// What was found just before the last switch of this boot.
const BEFORE_SWITCH: &str = "/run/golden-generation/before-switch.json";
/// Left by a confirmation that wants it looked at.
const PROBATION: &str = "/run/golden-generation/probation";
/// Mode of their directory, in which units test for files.
const PUBLIC: u32 = 0o755;
/// Longest file that is kept of an assessment, in bytes: what the checks printed is left out of a longer one.
const MAX_BYTES: usize = 1 << 18;
/// Mode of the directory of post-mortems.
const PRIVATE: u32 = 0o700;

/// What comes of an assessment.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing that counts has failed.
    Healthy,
    /// Required checks failed, by these names, on a system that nobody has to confirm: that is told.
    Unhealthy(Vec<String>),
    /// The same in an attempt: it is closed as failed, and the machine reboots.
    Failed(Vec<String>),
}

/// Whether `golden-assess.service` has no checks to run: a switch starts it where an active target newly requires it, or where its
/// conditions newly hold. golden-live judges a switch, and a boot that has completed needs no assessment. If `is_watched`, the boot
/// has yet to be confirmed, and is assessed unless a switch has changed the running system. If the ledger cannot be read, no switch
/// is known.
///
/// # Errors
/// systemd cannot be asked.
pub fn is_assessed_elsewhere(host: &dyn Host, options: &Options, is_watched: bool) -> Result<bool, Error> {
    let is_live = || matches!(super::live(host, options), Ok(Some(_)));
    Ok(!system::runs_as_booted(host) || is_live() || !is_watched && manager::has_boot_completed(host)?)
}

/// Judge what was found in this boot: what was wrong before is excused, the rest is told, and an attempt with a failed required
/// check has failed. Checks that pass do so whether or not the ledger can be read: `boot-complete.target` waits for them, and with
/// it units that know nothing of a ledger.
///
/// # Errors
/// Not everything could be done about a failed attempt.
pub fn judge(host: &dyn Host, options: &Options, found: Assessment) -> Result<Verdict, Error> {
    let (ledger, standing) = read(host, options)
        .and_then(|ledger| standing(host, options).map(|standing| (ledger, standing)))
        .unwrap_or_else(|error| {
            host.complain(error.trouble(), &error.chain());
            // Nobody ends a boot of which nothing is known.
            (Ledger::default(), standing(host, options).unwrap_or(Standing::Free))
        });
    let assessment = excuse(&ledger, found);
    publish(host, &assessment);
    let failed = assessment.failed_required();
    if standing != Standing::Closed && (assessment.is_healthy() || standing == Standing::Free) {
        // Whoever holds the ledger, or a disk that is full, is not why a healthy boot is not confirmed.
        if let Err(error) = tell(host, options, &assessment) {
            host.complain(error.trouble(), &error.chain());
        }
        let healthy = assessment.is_healthy();
        return Ok(if healthy { Verdict::Healthy } else { Verdict::Unhealthy(failed) });
    }
    // Whoever asks why reads it on another system.
    if let Err(error) = keep(host, options, &ledger, &assessment) {
        host.complain(error.trouble(), &error.chain());
    }
    fail(host, options, Cause::ChecksFailed { checks: failed.clone() })?;
    Ok(Verdict::Failed(failed))
}

/// The same for a live switch, which is the caller's to end.
///
/// # Errors
/// The ledger cannot be read.
pub fn judge_live(host: &dyn Host, options: &Options, found: Assessment) -> Result<Assessment, Error> {
    let ledger = read(host, options)?;
    let assessment = excuse(&ledger, found);
    publish(host, &assessment);
    if assessment.is_healthy() {
        // A wanted one: its boot may be far away.
        if let Err(error) = tell(host, options, &assessment) {
            host.complain(error.trouble(), &error.chain());
        }
        return Ok(assessment);
    }
    if let Err(error) = keep(host, options, &ledger, &assessment) {
        host.complain(error.trouble(), &error.chain());
    }
    Ok(assessment)
}

/// What failed already when this boot was confirmed, asked for right after that: it was excused then, or not held against it,
/// and is no late failure.
#[must_use]
pub fn failed_when_confirmed(host: &dyn Host) -> Baseline {
    let Ok((_, boot)) = super::subject(host) else { return Baseline::default() };
    let last = last_assessment(host).ok().flatten().filter(|last| last.boot == boot);
    let failed = last.into_iter().flat_map(|last| last.findings).filter(|finding| !finding.passed);
    let mut before = Baseline::default();
    for Finding { check, units, .. } in failed {
        // Another unit that fails now is another failure.
        if units.is_empty() { before.failed_checks.push(check) } else { before.failed_units.extend(units) }
    }
    before
}

/// What was confirmed in this boot does not pass its required checks any more. `goes_back` is the owner's wish.
///
/// # Errors
/// It could not be recorded, or not everything could be done about it.
pub fn fail_late(
    host: &dyn Host,
    options: &Options,
    assessment: &Assessment,
    goes_back: bool,
) -> Result<(), Error> {
    publish(host, assessment);
    let ledger = read(host, options)?;
    if let Err(error) = keep(host, options, &ledger, assessment) {
        host.complain(error.trouble(), &error.chain());
    }
    let cause = Cause::ChecksFailed { checks: assessment.failed_required() };
    let failed = |goes_back| Moment::FailLate { cause: cause.clone(), goes_back };
    let Err(error) = act(host, options, &failed(goes_back)) else { return Ok(()) };
    // The loader was not told: the running system stays, and its failure is told.
    if goes_back && !matches!(standing(host, options), Ok(Standing::Closed)) {
        act(host, options, &failed(false))?;
    }
    Err(error)
}

/// Whether a late failure of the running system would take the machine back: there is a system to go back to, and no trial, rollback
/// or rehearsal is under way.
///
/// # Errors
/// The ledger or the machine cannot be read.
pub fn goes_back_late(host: &dyn Host, options: &Options) -> Result<bool, Error> {
    let ledger = read(host, options)?;
    let seen = system::see(host, Some(&ledger), super::see_loader(host, options))?;
    let cause = Cause::ChecksFailed { checks: Vec::new() };
    let moment = Moment::FailLate { cause, goes_back: true };
    let plan = golden_core::decide(&ledger, &seen, &options.policy, &moment);
    Ok(plan.steps.iter().any(|step| !matches!(step, golden_core::Step::Tell(_))))
}

/// What was wrong already before what is tried was switched to.
///
/// # Errors
/// The ledger or the boot cannot be read.
pub fn baseline_of_trial(host: &dyn Host, options: &Options) -> Result<Option<Baseline>, Error> {
    Ok(read(host, options)?.baseline_of(&system::boot(host)?).cloned())
}

/// What was found of what runs, for whoever asks and for the next switch. It is held against nobody.
pub fn note(host: &dyn Host, found: &Assessment) {
    publish(host, found);
}

/// Nobody looks at what was confirmed any longer: a switch does not begin that anew.
pub fn end_probation(host: &dyn Host) {
    let _ = host.remove(Path::new(PROBATION));
}

fn read(host: &dyn Host, options: &Options) -> Result<Ledger, Error> {
    Ok(match Store::new(host, &options.state_dir).read()? {
        Reading::Whole(ledger) => *ledger,
        _ => Ledger::default(),
    })
}

/// What was found, with what excuses it, for a person.
///
/// # Errors
/// The ledger cannot be read.
pub fn excused(host: &dyn Host, options: &Options, found: Assessment) -> Result<Assessment, Error> {
    Ok(excuse(&read(host, options)?, found))
}

/// The last assessment of this boot; `None` before the first one.
///
/// # Errors
/// It is there and cannot be read.
pub fn last_assessment(host: &dyn Host) -> Result<Option<Assessment>, Error> {
    read_assessment(host, Path::new(LAST))
}

fn read_assessment(host: &dyn Host, path: &Path) -> Result<Option<Assessment>, Error> {
    match host.read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// What failed already when a switch began.
///
/// # Errors
/// It could not be written.
pub fn keep_baseline(host: &dyn Host, found: &Assessment) -> Result<(), Error> {
    write(host, Path::new(BEFORE_SWITCH), found)
}

/// What failed when a check was looked at last in this boot, of what runs: just before this switch, or else at the latest run.
pub(super) fn failed_before(host: &dyn Host) -> Vec<String> {
    let Ok((toplevel, boot)) = super::subject(host) else { return Vec::new() };
    let is_of_this = |last: &Assessment| last.toplevel == toplevel && last.boot == boot;
    let look = read_assessment(host, Path::new(BEFORE_SWITCH)).ok().flatten().filter(is_of_this);
    let last = || last_assessment(host).ok().flatten().filter(is_of_this);
    look.or_else(last).map(|found| found.failed()).unwrap_or_default()
}

/// What excuses a failure: what was wrong before the switch, and, on what the machine came back to, what was wrong in the trial.
pub(super) fn excuse(ledger: &Ledger, found: Assessment) -> Assessment {
    let baseline = ledger.baseline_of(&found.boot);
    found.excused(baseline, &failed_in_trial(ledger))
}

fn failed_in_trial(ledger: &Ledger) -> Vec<String> {
    let Some(landing) = &ledger.landing else { return Vec::new() };
    let from = ledger.quarantine.iter().filter(|quarantined| quarantined.toplevel == landing.from);
    let ends =
        from.flat_map(|quarantined| quarantined.attempts.iter()).filter_map(|attempt| match &attempt.end {
            Some(End::Failed { cause: Cause::ChecksFailed { checks } }) => Some(checks.clone()),
            _ => None,
        });
    ends.flatten().collect()
}

/// Nobody waits for it. The file stays as it is until something else is found: a path unit starts `golden-publish` whenever the
/// file is replaced, and checks are run every few seconds in a live window.
fn publish(host: &dyn Host, assessment: &Assessment) {
    if last_assessment(host).ok().flatten().is_some_and(|last| last.found_the_same(assessment)) {
        return;
    }
    if let Err(error) = write(host, Path::new(LAST), assessment) {
        host.complain(error.trouble(), &error.chain());
    }
}

fn write(host: &dyn Host, path: &Path, assessment: &Assessment) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    host.create_directory(directory, PUBLIC).map_err(Error::io("create", directory))?;
    durable::replace(host, path, &bytes(assessment))
}

/// What failed and changes nothing is in history all the same.
fn tell(host: &dyn Host, options: &Options, assessment: &Assessment) -> Result<(), Error> {
    let Some(toplevel) = assessment.toplevel.clone().filter(|_| !assessment.failed().is_empty()) else {
        return Ok(());
    };
    let of = |weight| {
        let failed = assessment.findings.iter().filter(|finding| !finding.passed && finding.weight == weight);
        failed.map(|finding| finding.check.clone()).collect()
    };
    let event = Event::ChecksFailed {
        toplevel,
        boot: assessment.boot.clone(),
        required: of(Weight::Required),
        wanted: of(Weight::Wanted),
    };
    let _lock = Store::new(host, &options.state_dir).lock()?;
    let written = history::append(host, &options.state_dir, &assessment.boot, &event);
    host.tell(&event);
    written
}

/// Keep it for the post-mortem, with those of other boots that the ledger still knows.
pub(super) fn keep(
    host: &dyn Host,
    options: &Options,
    ledger: &Ledger,
    assessment: &Assessment,
) -> Result<(), Error> {
    let directory = options.state_dir.join("postmortem");
    host.create_directory(&directory, PRIVATE).map_err(Error::io("create", &directory))?;
    let known = known_boots(ledger);
    for name in host.list(&directory).map_err(Error::io("list", &directory))? {
        let name = name.to_string_lossy();
        let boot = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(".json"));
        if boot.is_some_and(|boot| !known.iter().any(|known| known == boot)) {
            durable::remove(host, &directory.join(&*name))?;
        }
    }
    durable::replace(host, &kept(&directory, assessment), &bytes(assessment))
}

const PREFIX: &str = "assessment-";

fn kept(directory: &Path, assessment: &Assessment) -> PathBuf {
    directory.join(format!("{PREFIX}{}.json", assessment.boot.as_str()))
}

/// Every boot that somebody may still ask about.
fn known_boots(ledger: &Ledger) -> Vec<String> {
    let quarantined = ledger.quarantine.iter().map(|quarantined| &quarantined.attempts);
    let undecided = ledger.undecided.iter().map(|trial| &trial.attempts);
    let all = ledger.watched().chain(quarantined).chain(undecided);
    let boots = all.flat_map(|attempts| attempts.iter()).filter_map(|attempt| attempt.boot.as_ref());
    boots.map(|boot| boot.as_str().to_owned()).collect()
}

/// As JSON; without what the checks printed if it is too long with it.
fn bytes(assessment: &Assessment) -> Vec<u8> {
    let whole = serde_json::to_vec_pretty(assessment).unwrap_or_default();
    if whole.len() <= MAX_BYTES {
        return whole;
    }
    let mut short = assessment.clone();
    short.findings.iter_mut().for_each(|finding| finding.output.clear());
    serde_json::to_vec_pretty(&short).unwrap_or_default()
}
