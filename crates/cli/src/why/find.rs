//! What is known of a failure, from whoever knows it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use golden_core::{Attempt, BootId, Cause, End, Event, Ledger, Revision, Toplevel};
use golden_host::operation::Options;
use golden_host::postmortem::{self, FailedLanding, PostMortem, Story};
use golden_host::{Error, Line, LinuxHost, Usual, last_words, read_history, usual_before};

use super::{SCHEMA, State, Why};
use crate::named;

/// A system that failed, or may have.
struct Candidate<'a> {
    toplevel: &'a Toplevel,
    attempts: &'a [Attempt],
    revision: Option<&'a Revision>,
    asked: bool,
    state: State,
}

pub(super) fn find(
    host: &LinuxHost,
    options: &Options,
    ledger: &Ledger,
    of: Option<&str>,
    with_journal: bool,
) -> Result<Why, Error> {
    // What is damaged or not there has nothing to tell; the ledger has.
    let kept = postmortem::all(host, &options.state_dir).unwrap_or_default();
    let history = read_history(host, &options.state_dir)?;
    let of = of.map(|text| named::generation(host, text));
    let candidates = candidates(ledger);
    let meant = |one: &&Candidate| match &of {
        Some(of) => is_meant(of, ledger, one),
        // A trial under way that has not failed yet is not what anybody asks about.
        None => one.state != State::Trial || one.attempts.iter().any(has_failed),
    };
    let found = candidates.iter().find(meant).or(candidates.first().filter(|_| of.is_none()));
    match found {
        Some(candidate) => {
            let mut why = of_candidate(ledger, candidate, kept, &history);
            if with_journal {
                ask_journal_for_all(host, &mut why);
            }
            Ok(why)
        }
        None => Ok(kept
            .into_iter()
            .find(|(_, kept)| of.as_deref().is_none_or(|of| is_about(of, kept)))
            .map_or_else(
                || Why { is_in_history: history.iter().any(is_failure), ..nothing() },
                |(path, kept)| of_the_past(ledger, path, kept, &history),
            )),
    }
}

/// The newest first.
fn candidates(ledger: &Ledger) -> Vec<Candidate<'_>> {
    let trial = ledger.trial.iter().map(|trial| Candidate {
        toplevel: &trial.toplevel,
        attempts: &trial.attempts,
        revision: trial.revision.as_ref(),
        asked: false,
        state: State::Trial,
    });
    let is_back = |from: &Toplevel| ledger.rolled_back.as_ref().is_some_and(|done| done.from == *from);
    let goes_back = |from: &Toplevel| ledger.rollback.as_ref().is_some_and(|begun| begun.from == *from);
    let state = move |from: &Toplevel| match (goes_back(from), is_back(from)) {
        (true, _) => State::GoingBack,
        (false, true) => State::Back,
        (false, false) => State::Past,
    };
    // A live switch that was taken back without a verdict is the last thing that happened.
    let undecided = ledger.undecided.iter().rev().filter(move |trial| is_back(&trial.toplevel));
    let undecided = undecided.map(move |trial| Candidate {
        toplevel: &trial.toplevel,
        attempts: &trial.attempts,
        revision: trial.revision.as_ref(),
        asked: false,
        state: State::Back,
    });
    let quarantined = ledger.quarantine.iter().rev().map(move |entry| Candidate {
        toplevel: &entry.toplevel,
        attempts: &entry.attempts,
        revision: entry.revision.as_ref(),
        asked: entry.by_person,
        state: if entry.second_chance { State::Released } else { state(&entry.toplevel) },
    });
    trial.chain(undecided).chain(quarantined).collect()
}

/// Whether it tells of a system that failed.
fn is_failure(line: &Line) -> bool {
    matches!(line.event, Event::AttemptFailed { .. } | Event::LiveFailed { .. } | Event::RollbackBegan { .. })
}

fn has_failed(attempt: &Attempt) -> bool {
    matches!(attempt.end, Some(End::Failed { .. }))
}

fn is_meant(of: &str, ledger: &Ledger, candidate: &Candidate) -> bool {
    let is_boot = |attempt: &Attempt| attempt.boot.as_ref().is_some_and(|boot| named::is_boot(of, boot));
    let mut landings =
        ledger.failed_landings.iter().chain(&ledger.landing).filter(|it| it.from == *candidate.toplevel);
    named::is_part(of, candidate.toplevel)
        || candidate.attempts.iter().any(is_boot)
        || landings.any(|landing| landing.attempts.iter().any(is_boot))
}

fn is_about(of: &str, kept: &PostMortem) -> bool {
    let is_boot = |story: &Story| story.boot.as_ref().is_some_and(|boot| named::is_boot(of, boot));
    named::is_part(of, &kept.from.toplevel)
        || kept.attempts.iter().any(is_boot)
        || named::is_boot(of, &kept.collected_in)
}

fn nothing() -> Why {
    Why {
        schema: SCHEMA,
        unreadable: None,
        summary: Vec::new(),
        to_do: Vec::new(),
        failed: None,
        failed_revision: None,
        asked: false,
        landed_on: None,
        landed_on_revision: None,
        attempts: Vec::new(),
        failed_landings: Vec::new(),
        failed_on_landing_too: Vec::new(),
        closures: None,
        post_mortem: None,
        asked_of: None,
        is_in_history: false,
        state: State::Nothing,
        stands: super::Stands::default(),
    }
}

/// It is not in the ledger any more: it was released, or is long ago.
fn of_the_past(ledger: &Ledger, path: PathBuf, kept: PostMortem, history: &[Line]) -> Why {
    let works = ledger.is_confirmed(&kept.from.toplevel);
    let mut why = Why { state: if works { State::Works } else { State::Released }, ..nothing() };
    take(&mut why, path, kept);
    why.failed_on_landing_too = failed_on_landing_too(&why, history);
    why
}

fn take(why: &mut Why, path: PathBuf, kept: PostMortem) {
    why.failed_revision = kept.from.revision;
    why.failed = Some(kept.from.toplevel);
    why.landed_on_revision = kept.to.revision;
    why.landed_on = Some(kept.to.toplevel);
    why.asked = kept.asked;
    why.attempts = kept.attempts;
    why.failed_landings = kept.failed_landings;
    why.closures = Some(kept.closures);
    why.post_mortem = Some(path);
}

fn of_candidate(
    ledger: &Ledger,
    candidate: &Candidate,
    kept: Vec<(PathBuf, PostMortem)>,
    history: &[Line],
) -> Why {
    let from = candidate.toplevel;
    let begun = ledger.rollback.iter().map(|begun| (&begun.from, &begun.to));
    let done = ledger.rolled_back.iter().map(|done| (&done.from, &done.to));
    // The one that has begun later, where the first landing did not work.
    let landed_on = begun.chain(done).find(|(failed, _)| *failed == from).map(|(_, to)| to);
    let mut why = nothing();
    let is_of_these = |kept: &PostMortem| {
        let last = |boot: Option<&Option<BootId>>| boot.cloned().flatten();
        kept.from.toplevel == *from
            && landed_on.is_none_or(|to| kept.to.toplevel == *to)
            && last(kept.attempts.last().map(|story| &story.boot))
                == last(candidate.attempts.last().map(|attempt| &attempt.boot))
    };
    if let Some((path, kept)) = kept.into_iter().find(|(_, kept)| is_of_these(kept)) {
        take(&mut why, path, kept);
    } else {
        why.failed = Some(from.clone());
        why.attempts = candidate.attempts.iter().map(Story::of).collect();
        why.failed_landings = failed_landings(ledger, from);
    }
    why.failed_revision = candidate.revision.cloned().or(why.failed_revision);
    why.landed_on = landed_on.cloned().or(why.landed_on);
    why.asked = candidate.asked;
    why.state = candidate.state;
    why.failed_on_landing_too = failed_on_landing_too(&why, history);
    why
}

fn ask_journal_for_all(host: &LinuxHost, why: &mut Why) {
    let boots: Vec<BootId> = why.attempts.iter().filter_map(|story| story.boot.clone()).collect();
    let landings = why.failed_landings.iter_mut().flat_map(|landing| &mut landing.attempts);
    let stories = why.attempts.iter_mut().chain(landings);
    let mut usual: Option<Usual> = None;
    // Without a post-mortem, the journal may still have it.
    for story in stories.filter(|story| story.journal.is_empty() && story.has_failed()) {
        if let Some(boot) = &story.boot {
            let usual = usual.get_or_insert_with(|| usual_before(host, &boots));
            story.journal = last_words(host, boot, usual);
        }
    }
}

fn failed_landings(ledger: &Ledger, from: &Toplevel) -> Vec<FailedLanding> {
    let landings = ledger.failed_landings.iter().chain(&ledger.landing);
    let landings = landings.filter(|landing| landing.from == *from && landing.attempts.failures() > 0);
    let landing = |landing: &golden_core::Landing| FailedLanding {
        toplevel: landing.toplevel.clone(),
        attempts: landing.attempts.iter().map(Story::of).collect(),
    };
    landings.map(landing).collect()
}

/// The landing's own checks come after its post-mortem: history has them, from the rollback on.
fn failed_on_landing_too(why: &Why, history: &[Line]) -> Vec<String> {
    let (Some(from), Some(to)) = (&why.failed, &why.landed_on) else { return Vec::new() };
    let began = |line: &Line| match &line.event {
        Event::RollbackBegan { from: failed, .. } | Event::LiveFailed { from: failed, .. } => failed == from,
        _ => false,
    };
    let since = history.iter().rposition(began).unwrap_or(history.len());
    let events = history[since..].iter().flat_map(|line| match &line.event {
        Event::ChecksFailed { toplevel, required, wanted, .. } if toplevel == to => {
            required.iter().chain(wanted).cloned().collect()
        }
        Event::LandingFailed { cause: Cause::ChecksFailed { checks }, .. } => checks.clone(),
        _ => Vec::new(),
    });
    let failed: BTreeSet<&str> = why.attempts.iter().flat_map(failed_checks).collect();
    let both: BTreeSet<String> = events.filter(|check| failed.contains(check.as_str())).collect();
    both.into_iter().collect()
}

fn failed_checks(story: &Story) -> Vec<&str> {
    let found = story.failed_checks.iter().map(|finding| finding.check.as_str());
    let cause = match &story.end {
        Some(End::Failed { cause: Cause::ChecksFailed { checks } }) => &checks[..],
        _ => &[],
    };
    found.chain(cause.iter().map(String::as_str)).collect()
}
