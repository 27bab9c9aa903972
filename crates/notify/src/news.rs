//! Reads on in history, and makes messages of what is new there.
//!
//! A rollback is many lines: attempts, the decision, reboots, its end. They are one story, and what is new of a story in one
//! reading is one message. A story in the middle of which the machine reboots waits for its end, which is told from the
//! system that the machine came back to.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use golden_core::{BootId, Cause, Event, Toplevel};
use golden_host::{Line, describe, describe_cause};
use sha2::{Digest as _, Sha256};

use crate::message::{Attempt, Kind, MAX_ATTEMPTS, Message, SCHEMA};
use crate::words::{self, Facts, clean};

/// Lines by which the place in history is found again. One is enough unless it is damaged, or was lost with the power.
const LANDMARKS: usize = 16;
/// Lines that made messages, remembered beyond the place.
const MAX_TOLD: usize = 256;

/// Where this is read.
#[derive(Debug, Clone)]
pub struct Here {
    /// Name of the machine.
    pub host: String,
    /// This boot.
    pub boot: BootId,
    /// The system of this boot.
    pub booted: Option<Toplevel>,
    /// Whether the ledger says that a rollback is not finished. History may lack its last line: a crash came first.
    pub is_rolling_back: bool,
}

/// How far history was read for one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The last lines that were read, the newest last. At most [`LANDMARKS`].
    landmarks: Vec<String>,
    /// Lines that made messages. At most [`MAX_TOLD`].
    told: Vec<String>,
}

/// What is new.
#[derive(Debug)]
pub struct News {
    /// The oldest first.
    pub messages: Vec<Message>,
    /// Where the next reading begins.
    pub place: Place,
}

/// All that is known of what happened, the oldest first.
#[derive(Debug, Default)]
pub struct History(Vec<Entry>);

impl History {
    /// From the lines as they were written.
    #[must_use]
    pub fn new(lines: &[Vec<u8>]) -> Self {
        Self(lines.iter().map(|bytes| Entry::new(bytes)).collect())
    }
}

/// One line of history.
#[derive(Debug)]
struct Entry {
    /// What tells it from others, damaged or not.
    digest: String,
    /// What it says; `None` for a torn one, and one that only a newer build knows.
    line: Option<Line>,
}

/// A trial, and what became of it.
#[derive(Default)]
struct Story {
    trial: Option<Toplevel>,
    attempts: Vec<Attempt>,
    /// The last rollback that was decided: in which boot, and where it goes.
    began: Option<(BootId, Toplevel)>,
    rolled_back: Option<Toplevel>,
    /// A switch of the running system that failed: in which boot.
    live_failed: Option<BootId>,
    /// Whether a person asked for the rollback.
    is_asked: bool,
    /// Why there is nothing left to do, while that is so.
    safe_mode: Option<String>,
    is_confirmed: bool,
    /// What is new, by the number of its line.
    new: Vec<(usize, Kind)>,
    last: String,
}

/// Read on from `place`, or from where a first reading begins, and make messages of what is wanted.
#[must_use]
pub fn read_on(history: &History, place: Option<&Place>, wanted: &BTreeSet<Kind>, here: &Here) -> News {
    let History(entries) = history;
    let start = place.and_then(|place| place.find(entries)).unwrap_or_else(|| match place {
        // Not a line of it is left: all that is there came later.
        Some(_) => 0,
        None => first(entries, here),
    });
    let told: BTreeSet<&String> = place.iter().flat_map(|place| &place.told).collect();
    let is_new = |number: usize, kind: Kind| {
        number >= start && wanted.contains(&kind) && !told.contains(&entries[number].digest)
    };
    let mut telling = Telling {
        entries,
        is_new: &is_new,
        here,
        stories: Vec::new(),
        messages: Vec::new(),
        said: HashSet::new(),
    };
    for (number, line) in
        entries.iter().enumerate().filter_map(|(number, it)| Some((number, it.line.as_ref()?)))
    {
        telling.hear(number, line);
    }
    telling.finish(place, start)
}

/// Where the first reading begins: after the last boot before this one that was confirmed. What is older is no news.
fn first(entries: &[Entry], here: &Here) -> usize {
    let is_of_this_boot =
        |entry: &Entry| entry.line.as_ref().is_some_and(|line| line.written_in == here.boot);
    let ours = entries.iter().position(is_of_this_boot).unwrap_or(entries.len());
    let is_well = |entry: &Entry| {
        let event = entry.line.as_ref().map(|line| &line.event);
        matches!(event, Some(Event::Confirmed { .. } | Event::Adopted { .. } | Event::Pinned { .. }))
    };
    entries[..ours].iter().rposition(is_well).map_or(0, |well| well + 1)
}

impl Entry {
    fn new(bytes: &[u8]) -> Self {
        Self { digest: digest(&[bytes])[..16].to_owned(), line: serde_json::from_slice(bytes).ok() }
    }
}

impl Place {
    /// The number of the line after the place; `None` if not one of its lines is there.
    fn find(&self, entries: &[Entry]) -> Option<usize> {
        if self.landmarks.is_empty() {
            return Some(0);
        }
        // The newest landmark that is there, where most of those before it are there too.
        self.landmarks.iter().enumerate().rev().find_map(|(index, landmark)| {
            let before = |at: usize| {
                let ours = self.landmarks[..=index].iter().rev();
                ours.zip(entries[..=at].iter().rev()).take_while(|(ours, it)| **ours == it.digest).count()
            };
            let at = (0..entries.len()).filter(|&at| entries[at].digest == *landmark);
            at.max_by_key(|&at| (before(at), at)).map(|at| at + 1)
        })
    }

    fn moved(place: Option<&Self>, entries: &[Entry], end: usize, told: Vec<String>) -> Self {
        let last = entries[..end].iter().rev().take(LANDMARKS).rev().map(|entry| entry.digest.clone());
        let mut told: Vec<String> = place.iter().flat_map(|place| &place.told).cloned().chain(told).collect();
        told.drain(..told.len().saturating_sub(MAX_TOLD));
        Self { landmarks: last.collect(), told }
    }
}

struct Telling<'a> {
    entries: &'a [Entry],
    is_new: &'a dyn Fn(usize, Kind) -> bool,
    here: &'a Here,
    stories: Vec<Story>,
    /// With the numbers of the lines that each is made of.
    messages: Vec<(Vec<usize>, Message)>,
    /// What may be said again and again, by boot.
    said: HashSet<(BootId, String)>,
}

impl Telling<'_> {
    fn hear(&mut self, number: usize, line: &Line) {
        match &line.event {
            Event::Marked { toplevel, .. }
            | Event::Inferred { toplevel }
            | Event::LiveBegan { to: toplevel, .. } => {
                // Who deploys while a switch goes back has ended that: nothing more will be said of it.
                self.stories.iter_mut().for_each(|story| story.live_failed = None);
                self.stories.push(Story { trial: Some(toplevel.clone()), ..Story::default() });
            }
            Event::AttemptFailed { toplevel, boot, cause, .. } => {
                self.of(toplevel).fail(toplevel, boot.as_ref(), cause);
                self.note(number, Kind::AttemptFailed, line);
            }
            Event::LandingFailed { toplevel, boot, cause } => {
                self.current().fail(toplevel, boot.as_ref(), cause);
                self.note(number, Kind::LandingFailed, line);
            }
            Event::RollbackBegan { to, .. } => {
                let story = self.current();
                story.began = Some((line.written_in.clone(), to.clone()));
                story.rolled_back = None;
                self.note(number, Kind::RolledBack, line);
            }
            Event::RolledBack { from, to } => {
                let story = self.current();
                story.trial.get_or_insert_with(|| from.clone());
                (story.began, story.rolled_back) = (None, Some(to.clone()));
                self.note(number, Kind::RolledBack, line);
            }
            Event::RollbackAsked { from, .. } => self.of(from).is_asked = true,
            Event::FailedLate { toplevel, boot, cause } => {
                self.of(toplevel).fail(toplevel, Some(boot), cause);
                self.note(number, Kind::FailedLate, line);
            }
            Event::LiveFailed { from, cause, .. } => {
                let story = self.of(from);
                story.fail(from, Some(&line.written_in), cause);
                story.live_failed = Some(line.written_in.clone());
                self.note(number, Kind::WentBack, line);
            }
            Event::WentBack { from, .. } => {
                self.of(from).live_failed = None;
                self.note(number, Kind::WentBack, line);
            }
            Event::SafeMode { .. } => {
                let story = self.current();
                // A rollback that comes after it takes the machine there; one before it has come to its end.
                (story.safe_mode, story.began) = (Some(describe(&line.event)), None);
                self.note(number, Kind::SafeMode, line);
            }
            Event::SafeModeEnded { .. } => {
                self.current().safe_mode = None;
                self.note(number, Kind::SafeModeEnded, line);
            }
            Event::Confirmed { toplevel, .. } => {
                let story = self.current();
                story.is_confirmed = true;
                if story.trial.as_ref() == Some(toplevel) {
                    self.alone(number, Kind::Confirmed, line, None, Some(toplevel), false);
                }
            }
            other => self.hear_other(number, line, other),
        }
    }

    /// What is no part of a trial.
    fn hear_other(&mut self, number: usize, line: &Line, event: &Event) {
        match event {
            Event::ChecksFailed { toplevel, .. } if !self.is_repeated(line) => {
                self.alone(number, Kind::ChecksFailed, line, None, Some(toplevel), false);
            }
            Event::DrillEnded { toplevel, passed, .. } => {
                self.alone(number, Kind::DrillEnded, line, None, Some(toplevel), !passed);
            }
            Event::GoldenDamaged { toplevel, .. } if !self.is_repeated(line) => {
                self.alone(number, Kind::GoldenDamaged, line, Some(toplevel), None, false);
            }
            // Some deployers remove it with every deployment.
            Event::GoldenPutBack { toplevel, .. } if !self.is_repeated(line) => {
                self.alone(number, Kind::GoldenPutBack, line, None, Some(toplevel), false);
            }
            Event::OneShotStayed { toplevel } => {
                self.alone(number, Kind::OneShotStayed, line, None, Some(toplevel), false);
            }
            Event::NotStarted { toplevel, .. } => {
                self.alone(number, Kind::NotStarted, line, None, Some(toplevel), false);
            }
            Event::Unprotected { toplevel } => {
                self.alone(number, Kind::Unprotected, line, None, Some(toplevel), false);
            }
            // Who deploys by himself tries every minute.
            Event::Refused { toplevel } if !self.is_repeated(line) => {
                self.alone(number, Kind::Refused, line, Some(toplevel), None, false);
            }
            Event::Pinned { toplevel, .. } => {
                self.alone(number, Kind::Pinned, line, None, Some(toplevel), false);
            }
            _ => {}
        }
    }

    /// Whether the same was said before in the same boot.
    fn is_repeated(&mut self, line: &Line) -> bool {
        !self.said.insert((line.written_in.clone(), describe(&line.event)))
    }

    /// The story that goes on.
    fn current(&mut self) -> &mut Story {
        if self.stories.is_empty() {
            self.stories.push(Story::default());
        }
        let last = self.stories.len() - 1;
        &mut self.stories[last]
    }

    /// The same, if it is about this trial; a new one otherwise.
    fn of(&mut self, trial: &Toplevel) -> &mut Story {
        let story = self.current();
        let is_other = story.is_confirmed || story.trial.as_ref().is_some_and(|it| it != trial);
        if is_other {
            self.stories.push(Story::default());
        }
        let story = self.current();
        story.trial.get_or_insert_with(|| trial.clone());
        story
    }

    fn note(&mut self, number: usize, kind: Kind, line: &Line) {
        let is_new = (self.is_new)(number, kind);
        let story = self.current();
        story.last = describe(&line.event);
        if is_new {
            story.new.push((number, kind));
        }
    }

    /// A message about one line.
    fn alone(
        &mut self,
        number: usize,
        kind: Kind,
        line: &Line,
        failed: Option<&Toplevel>,
        runs: Option<&Toplevel>,
        is_unfinished: bool,
    ) {
        if (self.is_new)(number, kind) {
            let event = clean(&describe(&line.event));
            let (host, attempts) = (&*self.here.host, &[][..]);
            let facts = Facts { host, failed, runs, attempts, event, is_unfinished, is_asked: false };
            let message = self.write(kind, &facts, &[number]);
            self.messages.push((vec![number], message));
        }
    }

    /// Every story that is not in the middle of a reboot becomes a message.
    fn finish(mut self, place: Option<&Place>, start: usize) -> News {
        let mut end = self.entries.len();
        for story in std::mem::take(&mut self.stories) {
            let Some((first, _)) = story.new.first() else { continue };
            if story.is_under_way(self.here) {
                end = end.min(*first);
                continue;
            }
            let numbers: Vec<usize> = story.new.iter().map(|(number, _)| *number).collect();
            let message = self.write_story(&story, &numbers);
            self.messages.push((numbers, message));
        }
        self.messages.sort_by_key(|(numbers, _)| numbers.last().copied());
        // What comes after a story that waits, waits with it.
        self.messages.retain(|(numbers, _)| numbers.iter().all(|number| *number < end));
        let told = self.messages.iter().flat_map(|(numbers, _)| numbers);
        let told = told.map(|&number| self.entries[number].digest.clone()).collect();
        let place = Place::moved(place, self.entries, end.max(start), told);
        News { messages: self.messages.into_iter().map(|(_, message)| message).collect(), place }
    }

    fn write_story(&self, story: &Story, numbers: &[usize]) -> Message {
        let is_new = |kind: Kind| story.new.iter().any(|(_, new)| *new == kind);
        let kind = if story.safe_mode.is_some() && is_new(Kind::SafeMode) {
            Kind::SafeMode
        } else {
            let kinds = [
                Kind::SafeModeEnded,
                Kind::RolledBack,
                Kind::LandingFailed,
                Kind::WentBack,
                Kind::FailedLate,
                Kind::SafeMode,
            ];
            kinds.into_iter().find(|kind| is_new(*kind)).unwrap_or(Kind::AttemptFailed)
        };
        let is_unfinished =
            kind == Kind::RolledBack && story.rolled_back.is_none() && self.here.is_rolling_back;
        let event = match kind {
            Kind::SafeMode => story.safe_mode.clone().unwrap_or_default(),
            // All of it is said by the rest.
            _ => String::new(),
        };
        let runs = self.here.booted.as_ref().or(story.rolled_back.as_ref());
        let skip = story.attempts.len().saturating_sub(MAX_ATTEMPTS);
        let attempts = &story.attempts[skip..];
        let failed = story.trial.as_ref();
        let is_asked = story.is_asked;
        let facts = Facts { host: &self.here.host, failed, runs, attempts, event, is_unfinished, is_asked };
        self.write(kind, &facts, numbers)
    }

    fn write(&self, kind: Kind, facts: &Facts<'_>, numbers: &[usize]) -> Message {
        let digests: Vec<&[u8]> =
            numbers.iter().map(|number| self.entries[*number].digest.as_bytes()).collect();
        let line = numbers.last().and_then(|number| self.entries[*number].line.as_ref());
        let words = words::say(kind, facts);
        Message {
            schema: SCHEMA,
            id: digest(&digests)[..32].to_owned(),
            kind,
            severity: words.severity,
            host: facts.host.to_owned(),
            time: line.map(|line| line.time.clone()).unwrap_or_default(),
            boot: line.map(|line| line.written_in.clone()),
            title: words.title,
            text: words.text,
            next: words.next,
            failed: facts.failed.cloned(),
            revision: None,
            runs: facts.runs.cloned(),
            attempts: facts.attempts.to_vec(),
        }
    }
}

impl Story {
    fn fail(&mut self, toplevel: &Toplevel, boot: Option<&BootId>, cause: &Cause) {
        let cause = clean(&describe_cause(cause));
        self.attempts.push(Attempt { toplevel: toplevel.clone(), boot: boot.cloned(), cause });
    }

    /// The machine is about to reboot into what it rolls back to: that is where this is told.
    fn is_under_way(&self, here: &Here) -> bool {
        let is_here =
            |(boot, to): &(BootId, Toplevel)| *boot == here.boot && here.booted.as_ref() != Some(to);
        // What ran before comes back at once, or the machine reboots.
        let is_going_back = self.live_failed.as_ref() == Some(&here.boot);
        is_going_back || self.began.as_ref().is_some_and(is_here)
    }
}

/// SHA-256 of all of them, each with its length, in hexadecimal digits.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The `id` of a message that is made of nothing in history.
pub(crate) fn identity(of: &str) -> String {
    digest(&[of.as_bytes()])[..32].to_owned()
}
