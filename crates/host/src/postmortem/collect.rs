//! What is left of a rollback is put together. Every part of it may fail, and none keeps the rollback waiting for long.

use std::cell::LazyCell;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use golden_core::{Attempt, Attempts, BootId, Ledger, Revision, Toplevel};

use super::store::{self, assessment};
use super::{Closures, FailedLanding, MAX_BYTES, POSTMORTEM_SCHEMA, PostMortem, Story, Told, closures};
use crate::evidence::{Usual, failed_units, last_errors, usual_before};
use crate::{Error, Host, history, source, system};

/// Attempts that are told of one system, the last ones.
const MAX_ATTEMPTS: usize = 8;
/// Time for everything but a look at a journal that is under way when it is over, on the monotonic clock. The confirmation waits
/// meanwhile.
const TIME: Duration = Duration::from_secs(45);
/// Checks and units that are told of a boot, and bytes of the output of each check, before anything is shortened.
const MAX_CHECKS: usize = 64;
const MAX_UNITS: usize = 32;
const MAX_OUTPUT: usize = 4096;
/// Halvings after which a post-mortem holds nothing but names.
const MAX_HALVINGS: u32 = 12;

/// Keep what is known of the rollback that lands, or has landed, in this boot. Done once for each rollback, however often
/// phase two is repeated. `left` is the time that it may take, if there is less than usual.
///
/// # Errors
/// It could not be written. Nothing depends on it.
pub(crate) fn collect(
    host: &dyn Host,
    state_dir: &Path,
    ledger: &Ledger,
    left: Option<Duration>,
) -> Result<(), Error> {
    let Some((from, to)) = latest(ledger) else { return Ok(()) };
    if system::booted(host)?.as_ref() != Some(to) && system::running(host).as_ref() != Some(to) {
        return Ok(());
    }
    // Released meanwhile: there is nothing left to tell, and if there was a post-mortem, it is still there.
    let Some(failed) = Failed::find(ledger, from) else { return Ok(()) };
    let attempts = serde_json::to_string(failed.attempts).unwrap_or_default();
    let identity = store::identity(&[from.as_str(), to.as_str(), &attempts]);
    if store::has(host, state_dir, &identity)? {
        return Ok(());
    }
    let boot = system::boot(host)?;
    let mut postmortem = told_from_ledger(host, ledger, from, to, &boot);
    let deadline = host.monotonic() + left.map_or(TIME, |left| left.min(TIME));
    look_around(host, state_dir, &mut postmortem, deadline);
    let Some(bytes) = fitting(&postmortem) else { return Ok(()) };
    store::add(host, state_dir, &identity, &bytes)
}

/// The rollback under way, or the last one.
fn latest(ledger: &Ledger) -> Option<(&Toplevel, &Toplevel)> {
    let begun = ledger.rollback.as_ref().map(|rollback| (&rollback.from, &rollback.to));
    begun.or(ledger.rolled_back.as_ref().map(|done| (&done.from, &done.to)))
}

/// What the ledger says of a system that was left.
struct Failed<'a> {
    attempts: &'a Attempts,
    revision: Option<&'a Revision>,
    by_person: bool,
}

impl<'a> Failed<'a> {
    fn find(ledger: &'a Ledger, from: &Toplevel) -> Option<Self> {
        let quarantined = ledger.quarantined(from).map(|entry| Self {
            attempts: &entry.attempts,
            revision: entry.revision.as_ref(),
            by_person: entry.by_person,
        });
        // A live switch that was taken back, and is not condemned.
        let undecided = ledger.undecided.iter().find(|trial| trial.toplevel == *from);
        quarantined.or_else(|| {
            let trial = undecided?;
            let (attempts, revision) = (&trial.attempts, trial.revision.as_ref());
            Some(Self { attempts, revision, by_person: false })
        })
    }
}

/// What the ledger and the systems themselves say, without a look at journals.
#[must_use]
pub fn told_from_ledger(
    host: &dyn Host,
    ledger: &Ledger,
    from: &Toplevel,
    to: &Toplevel,
    boot: &BootId,
) -> PostMortem {
    let failed = Failed::find(ledger, from);
    let recorded = failed.as_ref().and_then(|failed| failed.revision.cloned());
    let revision = recorded.or_else(|| source::revision_of(host, from));
    let landings = ledger.failed_landings.iter().filter(|landing| landing.from == *from);
    PostMortem {
        schema: POSTMORTEM_SCHEMA,
        from: Told { toplevel: from.clone(), revision },
        to: Told { toplevel: to.clone(), revision: source::revision_of(host, to) },
        asked: failed.as_ref().is_some_and(|failed| failed.by_person),
        collected_in: boot.clone(),
        time: history::stamp(host.now()),
        attempts: failed.map_or_else(Vec::new, |failed| last(failed.attempts)),
        failed_landings: landings
            .map(|landing| FailedLanding {
                toplevel: landing.toplevel.clone(),
                attempts: last(&landing.attempts),
            })
            .collect(),
        closures: Closures::default(),
        shortened: 0,
    }
}

fn last(attempts: &[Attempt]) -> Vec<Story> {
    attempts.iter().skip(attempts.len().saturating_sub(MAX_ATTEMPTS)).map(Story::of).collect()
}

/// Everything that has to be asked of others. The newest first, for the time may not last.
fn look_around(host: &dyn Host, state_dir: &Path, postmortem: &mut PostMortem, deadline: Duration) {
    let PostMortem { from, to, attempts, failed_landings, closures: differences, .. } = postmortem;
    let boots: Vec<BootId> = attempts.iter().filter_map(|story| story.boot.clone()).collect();
    // A journal that does not answer is asked for nothing more.
    let usual = LazyCell::new(|| usual_before(host, &boots));
    let landings = failed_landings.iter_mut().flat_map(|landing| landing.attempts.iter_mut().rev());
    for story in attempts.iter_mut().rev().chain(landings) {
        if host.monotonic() < deadline {
            complete(host, state_dir, story, &usual);
        } else {
            story.missing.push("there was no time to look at its journal".to_owned());
        }
    }
    *differences = if host.monotonic() < deadline {
        closures::differ(host, &from.toplevel, &to.toplevel, deadline)
    } else {
        Closures { changes: Vec::new(), unknown: Some("there was no time to ask nix".to_owned()) }
    };
}

fn complete(host: &dyn Host, state_dir: &Path, story: &mut Story, usual: &impl Deref<Target = Usual>) {
    let Some(boot) = &story.boot else {
        story
            .missing
            .push("nobody saw this boot begin: it has no journal that is known to be its".to_owned());
        return;
    };
    if let Some(assessment) = assessment(host, state_dir, boot) {
        story.failed_checks = assessment.findings.into_iter().filter(|finding| !finding.passed).collect();
    }
    match (failed_units(host, boot), last_errors(host, boot, usual)) {
        (Ok(units), Ok(lines)) => (story.failed_units, story.journal) = (units, lines),
        (Err(why), _) | (_, Err(why)) => story.missing.push(why),
    }
}

/// As JSON that fits, with as little left out as that takes; `None` where even the names do not fit.
fn fitting(postmortem: &PostMortem) -> Option<Vec<u8>> {
    (0..MAX_HALVINGS).find_map(|halvings| {
        let mut bytes = serde_json::to_vec_pretty(&shortened(postmortem, halvings)).ok()?;
        bytes.push(b'\n');
        (bytes.len() <= MAX_BYTES).then_some(bytes)
    })
}

fn shortened(postmortem: &PostMortem, halvings: u32) -> PostMortem {
    let mut shorter = PostMortem { shortened: halvings, ..postmortem.clone() };
    let half = |most: usize| most >> halvings;
    shorter.closures.changes.truncate(half(1 << 10));
    shorter.failed_landings.truncate(half(64));
    let landings = shorter.failed_landings.iter_mut().flat_map(|landing| &mut landing.attempts);
    for story in shorter.attempts.iter_mut().chain(landings) {
        let surplus = story.journal.len().saturating_sub(half(1 << 10));
        story.journal.drain(..surplus);
        story.failed_units.truncate(half(MAX_UNITS).max(1));
        story.failed_checks.truncate(half(MAX_CHECKS).max(1));
        for check in &mut story.failed_checks {
            keep_end(&mut check.output, half(MAX_OUTPUT));
            keep_end(&mut check.said, half(MAX_OUTPUT));
            check.units.truncate(half(MAX_UNITS));
            check.unknown.clear();
        }
        if halvings > MAX_HALVINGS / 2 {
            // A cause that a newer build recorded can be as long as the ledger.
            story.end =
                story.end.take().filter(|end| serde_json::to_vec(end).is_ok_and(|it| it.len() < 4096));
        }
    }
    shorter
}

/// The end of a text says what went wrong.
fn keep_end(text: &mut String, bytes: usize) {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.drain(..from);
}
