//! One run: read on for every target, then deliver what is due, all targets at the same time.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use golden_core::{Revision, Toplevel};
use golden_host::{
    Delivery, Error, Host, LockGuard, Reading, Store, Trouble, boot, booted, read_history_as_written,
    revision_of,
};

use crate::courier::{Courier, Letter, Outcome, Parcel};
use crate::message::{Kind, Message, SCHEMA};
use crate::news::{Here, History, identity, read_on};
use crate::outbox::{Found, MAX_MESSAGES, Outbox, Outboxes, Tested};
use crate::settings::{Settings, Target};
use crate::target;
use crate::template;
use crate::words::{self, Facts};

/// Time of all deliveries together. Must stay below `TimeoutStartSec=` of the unit.
const ROUND: Duration = Duration::from_secs(100);
/// How often history is read on in one run, if it grows meanwhile.
const READINGS: u32 = 8;
/// How often a target may have something against the same message until that is given up.
const MAX_REFUSALS: u32 = 3;
/// Where one run is kept from another. Not in the state directory: a full disk is just what an owner wants to hear of.
const RUNTIME: &str = "/run/golden-generation";
const LOCK: &str = "/run/golden-generation/notify.lock";
/// Mode of the runtime directory: units test for files in it.
const PUBLIC: u32 = 0o755;

/// What every run needs.
pub struct Round<'a> {
    host: &'a dyn Host,
    settings: &'a Settings,
    outboxes: Outboxes<'a>,
    state_dir: &'a Path,
    here: Here,
}

/// What a run left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Messages that are new.
    pub new: usize,
    /// Messages that were delivered.
    pub delivered: usize,
    /// Messages that wait for another try.
    pub waiting: usize,
}

/// What became of a message that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The target has it.
    Delivered,
    /// It was not delivered, and why.
    Failed(String),
    /// Nobody tried.
    No,
}

/// A target with what waits for it.
struct Open<'a> {
    target: &'a Target,
    outbox: Outbox,
}

fn is_rolling_back(host: &dyn Host, state_dir: &Path) -> bool {
    match Store::new(host, state_dir).read() {
        Ok(Reading::Whole(ledger)) => ledger.rollback.is_some(),
        _ => false,
    }
}

impl<'a> Round<'a> {
    /// Look where this is.
    ///
    /// # Errors
    /// The machine does not say which boot this is.
    pub fn new(host: &'a dyn Host, state_dir: &'a Path, settings: &'a Settings) -> Result<Self, Error> {
        let name = host.read(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
        let name = words::clean(&String::from_utf8_lossy(&name));
        let name = settings.host.clone().unwrap_or(name);
        let here = Here {
            host: if name.is_empty() { "localhost".to_owned() } else { name },
            boot: boot(host)?,
            // A message is worth more than to know what runs.
            booted: booted(host).unwrap_or_default(),
            is_rolling_back: is_rolling_back(host, state_dir),
        };
        Ok(Self { host, settings, outboxes: Outboxes::new(host, state_dir), state_dir, here })
    }

    /// Do it.
    ///
    /// # Errors
    /// Another run has not ended, or history cannot be read. What goes wrong with one target is said in the journal.
    pub fn run(&self, courier: &mut dyn Courier) -> Result<Done, Error> {
        let _lock = self.lock()?;
        let began = self.host.monotonic();
        let mut done = Done::default();
        let mut lines = read_history_as_written(self.host, self.state_dir)?;
        for _ in 0..READINGS {
            self.tell(&History::new(&lines), courier, began, &mut done);
            let now = read_history_as_written(self.host, self.state_dir)?;
            // Whoever wrote it meanwhile started nobody, for this was running.
            if now == lines {
                break;
            }
            lines = now;
        }
        let known = |name: &str| self.settings.names.contains(name);
        self.said(self.outboxes.forget_all_but(known));
        Ok(done)
    }

    /// Put what is new into the outboxes, and deliver what is due.
    fn tell(&self, history: &History, courier: &mut dyn Courier, began: Duration, done: &mut Done) {
        let mut open: Vec<Option<Open<'_>>> = Vec::new();
        for target in &self.settings.targets {
            let read = self.read_on(target, history, done);
            open.push(self.said(read).map(|outbox| Open { target, outbox }));
        }
        self.deliver(&mut open, courier, began, done);
        done.waiting = open.iter().flatten().map(|open| open.outbox.queue.len()).sum();
    }

    /// Put a message in front for every target, by which an owner sees whether messages arrive; its id.
    ///
    /// # Errors
    /// Another run has not ended, or there is no place to put it.
    pub fn put_test(&self) -> Result<String, Error> {
        let _lock = self.lock()?;
        let seed = format!("test {} {:?}", self.here.boot, self.host.monotonic());
        let words = words::say(Kind::Test, &Facts { host: &self.here.host, ..Facts::default() });
        let message = Message {
            schema: SCHEMA,
            id: identity(&seed),
            kind: Kind::Test,
            severity: words.severity,
            host: self.here.host.clone(),
            time: golden_host::stamp(self.host.now()),
            boot: Some(self.here.boot.clone()),
            title: words.title,
            text: words.text,
            next: words.next,
            failed: None,
            revision: None,
            runs: None,
            attempts: Vec::new(),
        };
        for target in &self.settings.targets {
            let mut outbox = self.open(target)?;
            outbox.push_front(message.clone());
            self.keep(target, &mut outbox)?;
        }
        Ok(message.id)
    }

    /// What became of the message with this id, by target.
    ///
    /// # Errors
    /// An outbox cannot be read.
    pub fn outcomes(&self, id: &str) -> Result<Vec<(String, Tried)>, Error> {
        let outcome = |target: &Target| {
            let tested = match self.outboxes.read(&target.name)? {
                Found::Outbox(outbox) => outbox.tested.filter(|tested| tested.id == id),
                _ => None,
            };
            let tried = tested.map_or(Tried::No, |it| it.said.map_or(Tried::Delivered, Tried::Failed));
            Ok((target.name.clone(), tried))
        };
        self.settings.targets.iter().map(outcome).collect()
    }

    fn lock(&self) -> Result<Box<dyn LockGuard + '_>, Error> {
        let directory = Path::new(RUNTIME);
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| match source.kind() {
                io::ErrorKind::WouldBlock => Error::LockHeld(path),
                _ => Error::Io { action, path, source },
            }
        };
        self.host.create_directory(directory, PUBLIC).map_err(io("create", directory))?;
        self.host.lock(Path::new(LOCK)).map_err(io("lock", Path::new(LOCK)))
    }

    /// Trouble with one target goes to the journal.
    fn said<T>(&self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.host.complain(error.trouble(), &error.chain())).ok()
    }

    /// What waits for a target. A file that is none is kept aside, and the target will be told.
    fn open(&self, target: &Target) -> Result<Outbox, Error> {
        match self.outboxes.read(&target.name)? {
            Found::Outbox(outbox) => Ok(*outbox),
            Found::Nothing => Ok(Outbox::default()),
            Found::Damaged(why) => {
                let text = format!(
                    "the outbox of {} was not readable ({why}) and is kept aside: what was sent to it may come again",
                    target.name
                );
                self.host.complain(Trouble::Io, &text);
                self.said(self.outboxes.set_aside(&target.name));
                Ok(Outbox::after_damage())
            }
        }
    }

    fn keep(&self, target: &Target, outbox: &mut Outbox) -> Result<(), Error> {
        if let Some(error) = self.outboxes.write(&target.name, outbox)? {
            self.host.complain(
                error.trouble(),
                &format!("{}; it is kept in /run until the next boot", error.chain()),
            );
        }
        Ok(())
    }

    fn read_on(&self, target: &Target, history: &History, done: &mut Done) -> Result<Outbox, Error> {
        let mut outbox = self.open(target)?;
        let news = read_on(history, outbox.place.as_ref(), &target.events, &self.here);
        if outbox.place.as_ref() == Some(&news.place) {
            return Ok(outbox);
        }
        outbox.place = Some(news.place);
        let number = news.messages.len();
        done.new += number;
        let mut given_up = Vec::new();
        for (index, mut message) in news.messages.into_iter().enumerate() {
            if index + MAX_MESSAGES < number {
                outbox.dropped += 1;
                given_up.push(message);
            } else {
                message.revision = message.failed.as_ref().and_then(|failed| self.revision_of(failed));
                given_up.extend(outbox.push(message));
            }
        }
        self.keep(target, &mut outbox)?;
        // One line for all of them: there may be as many as history has lines.
        if let Some(last) = given_up.last() {
            let why =
                format!("too many wait for it, and {} older ones are given up with it", given_up.len() - 1);
            self.report(Delivery::Dropped, target, last, &why);
        }
        Ok(outbox)
    }

    /// The ledger knows it of what was tried, even where the store has lost it.
    fn revision_of(&self, failed: &Toplevel) -> Option<Revision> {
        let known = match Store::new(self.host, self.state_dir).read() {
            Ok(Reading::Whole(ledger)) => {
                let of =
                    ledger.quarantine.into_iter().rev().find(|quarantined| quarantined.toplevel == *failed);
                of.and_then(|quarantined| quarantined.revision)
            }
            _ => None,
        };
        known.or_else(|| revision_of(self.host, failed))
    }

    fn deliver(
        &self,
        open: &mut [Option<Open<'_>>],
        courier: &mut dyn Courier,
        began: Duration,
        done: &mut Done,
    ) {
        let left = || ROUND.saturating_sub(self.host.monotonic().saturating_sub(began));
        let mut under_way = 0_usize;
        for number in 0..open.len() {
            under_way += usize::from(self.start(number, open, courier, left()));
        }
        while under_way > 0 {
            let Some((number, outcome)) = courier.finished(left()) else { break };
            under_way -= 1;
            if self.finish(number, open, &outcome, done) {
                under_way += usize::from(self.start(number, open, courier, left()));
            }
        }
    }

    /// Send the oldest message of a target, if it is due and there is time; whether it is under way.
    fn start(
        &self,
        number: usize,
        open: &mut [Option<Open<'_>>],
        courier: &mut dyn Courier,
        left: Duration,
    ) -> bool {
        let Some(Open { target, outbox }) = &mut open[number] else { return false };
        let (boot, now) = (&self.here.boot, self.host.monotonic());
        if left < target.timeout || !outbox.is_due(boot, now) {
            return false;
        }
        outbox.begin(boot, now);
        // What nobody remembers to have sent would be sent for ever.
        if self.said(self.keep(target, outbox)).is_none() {
            return false;
        }
        let Some(letter) = self.write(target, outbox) else { return false };
        let issue = outbox.issue(&target::subject_of(&letter.message));
        courier.start(Parcel { number, target: (*target).clone(), letter, issue });
        true
    }

    /// The oldest message in the words for this target.
    fn write(&self, target: &Target, outbox: &Outbox) -> Option<Letter> {
        let queued = outbox.queue.front()?;
        let message = queued.message.clone();
        let (title, text) = (target.title.as_deref(), target.text.as_deref());
        let rendered = template::render(&message, outbox.dropped, title, text);
        let mut text = rendered.text;
        let mut notes = rendered.faults;
        for fault in &notes {
            self.host.complain(Trouble::Configuration, &format!("target.{}: {fault}", target.name));
        }
        if outbox.dropped > 0 {
            notes.push(format!(
                "{} earlier messages to you were given up, because you could not be reached or did not take them; `golden history` \
                 has what they were about",
                outbox.dropped
            ));
        }
        if outbox.is_record_lost {
            notes.push("the record of what was sent to you was damaged: this may come twice, and something may be missing".to_owned());
        }
        for note in notes {
            let _ = write!(text, "\n\n({note})");
        }
        let is_in_doubt = queued.tries > 1;
        Some(Letter { message, title: rendered.title, text, dropped: outbox.dropped, is_in_doubt })
    }

    /// Note what came out; whether the target answers.
    fn finish(
        &self,
        number: usize,
        open: &mut [Option<Open<'_>>],
        outcome: &Outcome,
        done: &mut Done,
    ) -> bool {
        let Some(Some(Open { target, outbox })) = open.get_mut(number) else { return false };
        let Some(message) = outbox.queue.front().map(|queued| queued.message.clone()) else { return false };
        let said = match outcome {
            Outcome::Delivered { .. } => None,
            Outcome::Failed { said, .. } | Outcome::Refused { said } => Some(said.clone()),
        };
        if message.kind == Kind::Test {
            outbox.tested = Some(Tested { id: message.id.clone(), said: said.clone() });
        }
        let why = said.unwrap_or_default();
        let (delivery, goes_on) = match outcome {
            Outcome::Delivered { issue } => {
                if let Some(number) = issue {
                    outbox.remember(target::subject_of(&message), *number);
                }
                outbox.arrived(outbox.dropped);
                done.delivered += 1;
                (Delivery::Delivered, true)
            }
            // Whoever asked for it reads what came out; nobody wants it in an hour.
            _ if message.kind == Kind::Test => {
                outbox.queue.pop_front();
                (Delivery::Failed, false)
            }
            Outcome::Failed { retry_after, .. } => {
                let (boot, now) = (&self.here.boot, self.host.monotonic());
                if let Some(pause) = retry_after {
                    outbox.wait_at_least(boot, now, *pause);
                }
                (Delivery::Failed, false)
            }
            Outcome::Refused { .. } => {
                let refusals = outbox.queue.front_mut().map_or(0, |queued| {
                    queued.refusals += 1;
                    queued.refusals
                });
                if refusals < MAX_REFUSALS {
                    (Delivery::Failed, false)
                } else {
                    outbox.give_up();
                    outbox.succeed();
                    (Delivery::Dropped, true)
                }
            }
        };
        let kept = self.said(self.keep(target, outbox)).is_some();
        self.report(delivery, target, &message, &why);
        goes_on && kept
    }

    fn report(&self, delivery: Delivery, target: &Target, message: &Message, why: &str) {
        let what = match delivery {
            Delivery::Delivered => "was delivered",
            Delivery::Failed => "was not delivered and is tried again",
            Delivery::Dropped => "is given up",
        };
        let what = if message.kind == Kind::Test && delivery == Delivery::Failed {
            "was not delivered"
        } else {
            what
        };
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let text = format!("the message {:?} to {} {what}{why}", message.title, target.name);
        self.host.report(delivery, &text);
    }
}
