//! The story: sentences first, and details after.

use std::fmt::Write;

use golden_core::{Cause, End, Ledger, Revision, Toplevel};
use golden_host::postmortem::Story;
use golden_host::{describe_evidence, describe_reason};

use super::{State, Why};
use crate::print::printable;
use crate::style::{Look, paint};
use crate::summary::{NOT_STARTED_ADVICE, capitalised};

/// Lines of the output of a check, and of the difference of two closures, that are shown to people; `--json` has all.
const SHOWN: usize = 20;

pub(super) fn summary(why: &Why) -> Vec<String> {
    let Some(failed) = &why.failed else {
        return vec![match &why.asked_of {
            Some(of) => format!(
                "Nothing that failed on this machine is meant by {:?}: `golden why` alone tells of the last failure, and `golden \
                 history` of everything.",
                printable(of)
            ),
            None if why.is_in_history => {
                "The ledger knows of no system that failed; `golden history` tells of one before that."
                    .to_owned()
            }
            None => "No trial has failed on this machine.".to_owned(),
        }];
    };
    let mut sentences = vec![what_happened(why, failed)];
    let failures = why.attempts.iter().filter(|story| story.has_failed()).count();
    if failures > 0 || !why.asked {
        let times = |number: usize| if number == 1 { "once".to_owned() } else { format!("{number} times") };
        let tried = why.attempts.len();
        let last = why.attempts.iter().rev().find_map(|story| match &story.end {
            Some(End::Failed { cause }) => Some(cause_of(cause)),
            _ => None,
        });
        let last = match last {
            None => String::new(),
            Some(cause) if failures == 1 => format!(": {cause}"),
            Some(cause) => format!("; the last time, {cause}"),
        };
        sentences.push(match (tried, failures) {
            (0, _) => "It was not booted yet.".to_owned(),
            (tried, 0) => format!("It was tried {}, and has not failed yet.", times(tried)),
            (tried, failures) if tried == failures => {
                format!("It was tried {} and failed{last}.", times(tried))
            }
            (tried, failures) => {
                format!("It was tried {} and failed {}{last}.", times(tried), times(failures))
            }
        });
    }
    if let (State::Trial, Some((times, because))) = (why.state, why.stands.not_started) {
        sentences.push(format!("It was armed and not started {times}, which is no failure: {because}."));
    }
    for landing in &why.failed_landings {
        sentences.push(format!("The machine came back to {}, which did not work either.", landing.toplevel));
    }
    if !why.failed_on_landing_too.is_empty() {
        sentences.push(format!(
            "The same checks failed on the system that the machine came back to ({}): the cause is more likely around the machine, \
             such as the network, a disk or another host, than in the deployed system.",
            printable(&why.failed_on_landing_too.join(", "))
        ));
    }
    sentences.extend(what_the_machine_did(why));
    sentences
}

fn what_happened(why: &Why, failed: &Toplevel) -> String {
    let failed = with_revision(failed, why.failed_revision.as_ref());
    let to = why.landed_on.as_ref().map(|to| with_revision(to, why.landed_on_revision.as_ref()));
    match (why.state, to) {
        (State::Trial, _) => format!("{failed} is on trial."),
        (State::GoingBack, Some(to)) => format!("Rolling back from {failed}\nto {to}."),
        (_, Some(to)) => format!("Rolled back from {failed}\nto {to}."),
        (_, None) if why.asked => format!("A person put {failed} into quarantine."),
        (_, None) => format!("{failed} failed here."),
    }
}

fn with_revision(toplevel: &Toplevel, revision: Option<&Revision>) -> String {
    revision.map_or(toplevel.to_string(), |revision| format!("{toplevel} (revision {revision})"))
}

/// The actions of the machine, and the present state of the default, the profiles and the quarantine.
fn what_the_machine_did(why: &Why) -> Vec<String> {
    let mut sentences = Vec::new();
    let is_over = !matches!(why.state, State::Nothing | State::Trial);
    if why.asked && is_over && why.landed_on.is_some() {
        sentences.push("A person asked for that.".to_owned());
    }
    match why.state {
        State::Nothing | State::Trial | State::Past | State::Released => {}
        State::GoingBack => sentences.push(
            "The rollback is not finished: `systemctl status golden-rollback` says why, and the next boot goes on with it."
                .to_owned(),
        ),
        State::Back => sentences.extend(where_it_is_back(why)),
        State::Works => sentences.push("It was deployed again since, and was confirmed.".to_owned()),
    }
    if let (true, Some(failed)) = (is_over && why.unreadable.is_none(), &why.failed) {
        sentences.extend(profiles_left_behind(why));
        let name = name_of(failed);
        sentences.extend(match (why.state, why.stands.is_quarantined) {
            (_, true) => Some(format!("{name} is quarantined: deployers are refused it.")),
            (State::Works, false) => None,
            (_, false) => Some(format!("{name} is not quarantined: it may be deployed again.")),
        });
    }
    sentences
}

fn where_it_is_back(why: &Why) -> Vec<String> {
    let Some(to) = &why.landed_on else { return Vec::new() };
    let is_golden = why.stands.golden.as_ref() == Some(to);
    let here = if is_golden { "golden".to_owned() } else { name_of(to) };
    let default = match &why.stands.default {
        Some(default) if default == to => format!("{} is the default boot entry.", capitalised(&here)),
        Some(default) => format!("The default boot entry is {}, and not {here}.", name_of(default)),
        None => "The default boot entry is unknown: `golden status` says more.".to_owned(),
    };
    let profile = match &why.stands.profile {
        Some(profile) if profile == to => Some(format!("The system profile names {here}.")),
        Some(profile) if why.failed.as_ref() == Some(profile) => None,
        Some(profile) => Some(format!("The system profile names {}.", name_of(profile))),
        None => None,
    };
    [default].into_iter().chain(profile).collect()
}

/// Profiles that still name the failed system: a program that activates such a profile activates that system.
fn profiles_left_behind(why: &Why) -> Vec<String> {
    let Some(failed) = &why.failed else { return Vec::new() };
    let mut left: Vec<String> = Vec::new();
    if why.state == State::Back && why.stands.profile.as_ref() == Some(failed) {
        left.push(
            "The system profile still names it: `systemctl start golden-rollback` puts that right."
                .to_owned(),
        );
    }
    if why.state != State::Works {
        let others = why.stands.others.iter();
        left.extend(
            others.map(|name| format!("The profile {} still names {}.", printable(name), name_of(failed))),
        );
    }
    left
}

/// A system without the directory of the store and the hash.
fn name_of(toplevel: &Toplevel) -> String {
    let name = toplevel.as_str().rsplit('/').next().unwrap_or_default();
    name.split_once('-').map_or(name, |(_, name)| name).to_owned()
}

pub(super) fn to_do(why: &Why, ledger: &Ledger) -> Vec<String> {
    let Some(failed) = &why.failed else { return Vec::new() };
    let mut sentences = Vec::new();
    if let Some(safe) = &ledger.safe_mode {
        sentences.push(format!(
            "The machine is in safe mode ({}): repair it, then `systemctl isolate multi-user.target` tries the normal boot.",
            describe_reason(&safe.reason)
        ));
    }
    let release = format!("`golden quarantine release {failed}`");
    sentences.push(match why.state {
        State::Nothing | State::Works => return sentences,
        State::Trial => match (&why.stands.not_armed, &why.stands.not_started) {
            (None, None) => "Nothing: the machine tries it again, or comes back by itself. `golden rollback` does not wait for that.".to_owned(),
            (None, Some(_)) => NOT_STARTED_ADVICE.to_owned(),
            (Some(cause), _) => format!(
                "It is not armed, and the next boot does not try it: {}. Each boot tries to arm it again.",
                printable(cause)
            ),
        },
        State::Released => "Deploy it again, or something else.".to_owned(),
        _ if !why.stands.is_quarantined => {
            "Change the configuration and deploy it, or deploy this system once more.".to_owned()
        }
        _ if !why.failed_on_landing_too.is_empty() => {
            format!(
                "Repair the surroundings of the machine first. Then allow the same system again: {release}, and deploy it."
            )
        }
        _ if why.asked => format!("Deploy something else, or allow this again: {release}."),
        _ => format!(
            "Correct the configuration and deploy again: a changed system is not refused. If the configuration was right: {release}."
        ),
    });
    sentences
}

pub(super) fn all(why: &Why, colours: bool) -> String {
    let mut text = String::new();
    if let Some(unreadable) = &why.unreadable {
        let _ = writeln!(text, "the ledger is not readable: {}", printable(unreadable));
        if why.failed.is_none() {
            return text;
        }
    }
    for sentence in &why.summary {
        let _ = writeln!(text, "{sentence}");
    }
    let heading = |text: &str| paint(colours, Look::Bold, text);
    for sentence in &why.to_do {
        let _ = writeln!(text, "{} {sentence}", heading("To do:"));
    }
    write_attempts(&mut text, &why.attempts, &heading);
    for landing in &why.failed_landings {
        let _ = writeln!(text, "\n{} {}", heading("Came back to"), landing.toplevel);
        write_attempts(&mut text, &landing.attempts, &heading);
    }
    write_closures(&mut text, why, &heading);
    if let Some(path) = &why.post_mortem {
        let _ = writeln!(text, "\nAll of it is kept in {}.", path.display());
    }
    text
}

/// The same for a page: a sentence each.
pub(super) fn published(why: &Why) -> Vec<String> {
    // A terminal breaks the line between two store paths.
    let mut lines: Vec<String> = why.summary.iter().map(|sentence| sentence.replace('\n', " ")).collect();
    let mut attempts = String::new();
    write_attempts(&mut attempts, &why.attempts, &str::to_owned);
    for landing in &why.failed_landings {
        let _ = writeln!(attempts, "Came back to {}:", landing.toplevel);
        write_attempts(&mut attempts, &landing.attempts, &str::to_owned);
    }
    lines.extend(attempts.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    lines
}

fn write_attempts(text: &mut String, attempts: &[Story], heading: &dyn Fn(&str) -> String) {
    for (index, story) in attempts.iter().enumerate() {
        let end = match &story.end {
            Some(End::Failed { cause }) => format!("failed: {}", cause_of(cause)),
            Some(End::Innocent { .. }) => {
                "was interrupted by an orderly shutdown, which does not count".to_owned()
            }
            Some(End::Unknown(_)) => "ended in a way that a newer build recorded".to_owned(),
            None => "runs".to_owned(),
        };
        let boot = story.boot.as_ref().map_or("unseen boot".to_owned(), |boot| format!("boot {boot}"));
        let attempt = heading(&format!("Attempt {}", index + 1));
        let _ =
            writeln!(text, "\n{attempt} ({boot}) {end}.{}", printable(&describe_evidence(&story.evidence)));
        write_story(text, story);
    }
}

fn write_story(text: &mut String, story: &Story) {
    if !story.failed_units.is_empty() {
        let units: Vec<String> = story.failed_units.iter().map(|unit| printable(unit)).collect();
        let _ = writeln!(text, "  failed units: {}", units.join(", "));
    }
    for check in &story.failed_checks {
        let _ = writeln!(text, "  check {}: {}", printable(&check.check), printable(&check.said));
        let lines: Vec<String> = check.output.lines().map(printable).collect();
        for line in lines.iter().skip(lines.len().saturating_sub(SHOWN)) {
            let _ = writeln!(text, "    {line}");
        }
    }
    if !story.journal.is_empty() {
        text.push_str("  its last errors:\n");
    }
    for line in story.journal.iter().skip(story.journal.len().saturating_sub(SHOWN)) {
        let _ = writeln!(text, "    {}", printable(line));
    }
    for missing in &story.missing {
        let _ = writeln!(text, "  {}", printable(missing));
    }
}

fn write_closures(text: &mut String, why: &Why, heading: &dyn Fn(&str) -> String) {
    let Some(closures) = &why.closures else { return };
    let _ = writeln!(text, "\n{}", heading("What the deployment changed:"));
    for line in closures.changes.iter().take(SHOWN) {
        let _ = writeln!(text, "  {}", printable(line));
    }
    let more = closures.changes.len().saturating_sub(SHOWN);
    if more > 0 {
        let _ = writeln!(text, "  ... and {more} more (--json has them)");
    }
    match &closures.unknown {
        Some(unknown) => {
            let _ = writeln!(text, "  {}", printable(unknown));
        }
        None if closures.changes.is_empty() => text.push_str("  no package that has a version\n"),
        None => {}
    }
}

fn cause_of(cause: &Cause) -> String {
    printable(&golden_host::describe_cause(cause))
}
