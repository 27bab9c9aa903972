//! What waits for one target: one file, replaced as a whole.
//!
//! Reading on in history and putting a message into the queue are one step, and so are the attempt to deliver and the time of
//! the next one. Where the state directory takes no more bytes, the file is kept in `/run` for as long as the machine
//! runs: a full disk is just what an owner wants to hear of.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use golden_core::BootId;
use golden_host::{Error, Host, remove_durably, rename_durably, replace_durably};
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::news::Place;

/// Version of the file.
const FORMAT: u32 = 1;
/// Messages that wait, at most. The oldest is given up first.
pub(crate) const MAX_MESSAGES: usize = 32;
/// What they may take on disk, in bytes.
const MAX_QUEUE_BYTES: usize = 1 << 17;
/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Issues that are remembered. Another one is searched for.
const MAX_ISSUES: usize = 32;
/// Pause after the first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(20);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3000);
/// Where it is kept while the state directory takes nothing.
const VOLATILE: &str = "/run/golden-generation/outbox";
/// Mode of both directories: messages say what failed, which is nobody else's business.
const PRIVATE: u32 = 0o700;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    format: u32,
    /// Write counter.
    revision: u64,
    /// How far history was read.
    pub(crate) place: Option<Place>,
    /// The oldest first.
    pub(crate) queue: VecDeque<Queued>,
    /// Deliveries that failed since the last one that did not.
    failures: u32,
    /// Until when nothing is tried, after a failure.
    pause: Option<Pause>,
    /// Messages that were given up, and of which the target does not know yet.
    pub(crate) dropped: u64,
    /// Whether the record of what was sent before was not readable, and the target does not know that yet.
    #[serde(default)]
    pub(crate) is_record_lost: bool,
    /// What became of the last test, for whoever waits for it.
    #[serde(default)]
    pub(crate) tested: Option<Tested>,
    /// Issues by what they are about.
    #[serde(default)]
    issues: VecDeque<(String, u64)>,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// What it says.
    pub message: Message,
    /// How often it was about to be sent. After a crash nobody knows whether the last time it was.
    pub tries: u32,
    /// How often the target had something against this very message.
    #[serde(default)]
    pub refusals: u32,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tested {
    pub id: String,
    /// Why it was not delivered; `None` if it was.
    pub said: Option<String>,
}

/// On the clock that stops in sleep and counts from the start of the machine: wall time may be anything, and a new boot is
/// a reason to try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pause {
    boot: BootId,
    until_secs: u64,
}

/// What was found in the place of the file.
pub(crate) enum Found {
    Outbox(Box<Outbox>),
    Nothing,
    /// Something that is no outbox, and why.
    Damaged(String),
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            format: FORMAT,
            revision: 0,
            place: None,
            queue: VecDeque::new(),
            failures: 0,
            pause: None,
            dropped: 0,
            is_record_lost: false,
            tested: None,
            issues: VecDeque::new(),
        }
    }
}

impl Outbox {
    /// A new one in place of one that could not be read.
    pub(crate) fn after_damage() -> Self {
        Self { is_record_lost: true, ..Self::default() }
    }

    /// Put a message at the end. Messages that are given up for it come out.
    pub(crate) fn push(&mut self, message: Message) -> Vec<Message> {
        self.queue.push_back(Queued { message, tries: 0, refusals: 0 });
        let mut given_up = Vec::new();
        while self.queue.len() > 1 && (self.queue.len() > MAX_MESSAGES || self.bytes() > MAX_QUEUE_BYTES) {
            given_up.extend(self.give_up());
        }
        given_up
    }

    /// Put a message in front, to be sent at once.
    pub(crate) fn push_front(&mut self, message: Message) {
        self.queue.push_front(Queued { message, tries: 0, refusals: 0 });
        self.pause = None;
    }

    /// Give up the oldest message.
    pub(crate) fn give_up(&mut self) -> Option<Message> {
        let queued = self.queue.pop_front()?;
        self.dropped += 1;
        Some(queued.message)
    }

    fn bytes(&self) -> usize {
        let bytes = |queued: &Queued| serde_json::to_vec(queued).map_or(0, |bytes| bytes.len());
        self.queue.iter().map(bytes).sum()
    }

    /// Whether there is something to send now.
    pub(crate) fn is_due(&self, boot: &BootId, now: Duration) -> bool {
        let waits = |pause: &Pause| {
            // A time that no pause leads to is none of ours.
            let longest = now.as_secs() + LONGEST_PAUSE.as_secs() + 3600;
            pause.boot == *boot && (now.as_secs() + 1..=longest).contains(&pause.until_secs)
        };
        !self.queue.is_empty() && !self.pause.as_ref().is_some_and(waits)
    }

    /// The oldest message is about to be sent. What follows a failure is set already, in case nobody lives to see one.
    pub(crate) fn begin(&mut self, boot: &BootId, now: Duration) {
        if let Some(first) = self.queue.front_mut() {
            first.tries = first.tries.saturating_add(1);
        }
        self.failures = self.failures.saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_PAUSE);
        self.wait(boot, now, pause);
    }

    fn wait(&mut self, boot: &BootId, now: Duration, pause: Duration) {
        self.pause = Some(Pause { boot: boot.clone(), until_secs: (now + pause).as_secs() });
    }

    /// The target wants more time than it would get.
    pub(crate) fn wait_at_least(&mut self, boot: &BootId, now: Duration, pause: Duration) {
        if self.pause.as_ref().is_none_or(|ours| ours.until_secs < (now + pause).as_secs()) {
            self.wait(boot, now, pause.min(LONGEST_PAUSE + Duration::from_secs(600)));
        }
    }

    /// The target answers.
    pub(crate) fn succeed(&mut self) {
        (self.failures, self.pause) = (0, None);
    }

    /// The oldest message arrived; `told` of those that were given up the target knows now.
    pub(crate) fn arrived(&mut self, told: u64) -> Option<Message> {
        self.succeed();
        self.dropped = self.dropped.saturating_sub(told);
        self.is_record_lost = false;
        self.queue.pop_front().map(|queued| queued.message)
    }

    /// The issue about this.
    pub(crate) fn issue(&self, subject: &str) -> Option<u64> {
        self.issues.iter().find(|(known, _)| known == subject).map(|(_, number)| *number)
    }

    /// Remember the issue about this.
    pub(crate) fn remember(&mut self, subject: String, number: u64) {
        self.issues.retain(|(known, _)| *known != subject);
        self.issues.push_back((subject, number));
        if self.issues.len() > MAX_ISSUES {
            self.issues.pop_front();
        }
    }
}

/// All outboxes of a machine.
pub(crate) struct Outboxes<'a> {
    host: &'a dyn Host,
    directory: PathBuf,
}

impl<'a> Outboxes<'a> {
    pub(crate) fn new(host: &'a dyn Host, state_dir: &Path) -> Self {
        Self { host, directory: state_dir.join("outbox") }
    }

    /// The one of this target: of the two places, what was written last.
    pub(crate) fn read(&self, name: &str) -> Result<Found, Error> {
        let durable = self.read_in(&self.directory, name)?;
        Ok(match (durable, self.read_in(Path::new(VOLATILE), name)?) {
            (Found::Outbox(durable), Found::Outbox(volatile)) if volatile.revision > durable.revision => {
                Found::Outbox(volatile)
            }
            (Found::Nothing | Found::Damaged(_), Found::Outbox(volatile)) => Found::Outbox(volatile),
            (durable, _) => durable,
        })
    }

    fn read_in(&self, directory: &Path, name: &str) -> Result<Found, Error> {
        let path = directory.join(format!("{name}.json"));
        let bytes = match self.host.read_part(&path, 0, usize::try_from(MAX_BYTES + 1).unwrap_or(usize::MAX))
        {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            // A directory, a FIFO, a loop of links: what somebody put there.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput) =>
            {
                return Ok(Found::Damaged(error.to_string()));
            }
            Err(source) => return Err(Error::Io { action: "read", path, source }),
        };
        if bytes.len() as u64 > MAX_BYTES {
            return Ok(Found::Damaged("it is longer than any outbox".to_owned()));
        }
        Ok(match serde_json::from_slice::<Outbox>(&bytes) {
            Ok(outbox) if outbox.format > FORMAT => Found::Damaged("a newer build wrote it".to_owned()),
            Ok(outbox) => Found::Outbox(Box::new(outbox)),
            Err(error) => Found::Damaged(error.to_string()),
        })
    }

    /// Keep what is no outbox under another name, in place of what was kept there before.
    pub(crate) fn set_aside(&self, name: &str) -> Result<(), Error> {
        let path = self.directory.join(format!("{name}.json"));
        rename_durably(self.host, &path, &self.directory.join(format!("{name}.damaged")))
    }

    /// Replace it. If the state directory takes nothing, it is kept in `/run`; why is `Some` then.
    pub(crate) fn write(&self, name: &str, outbox: &mut Outbox) -> Result<Option<Error>, Error> {
        outbox.revision = outbox.revision.saturating_add(1);
        match self.write_in(&self.directory, name, outbox) {
            Ok(()) => Ok(None),
            Err(error) => match self.write_in(Path::new(VOLATILE), name, outbox) {
                Ok(()) => Ok(Some(error)),
                Err(_) => Err(error),
            },
        }
    }

    fn write_in(&self, directory: &Path, name: &str, outbox: &Outbox) -> Result<(), Error> {
        let path = directory.join(format!("{name}.json"));
        let io = |source| Error::Io { action: "create", path: directory.to_owned(), source };
        self.host.create_directory(directory, PRIVATE).map_err(io)?;
        let bytes =
            serde_json::to_vec(outbox).map_err(|source| Error::Serialize { path: path.clone(), source })?;
        replace_durably(self.host, &path, &bytes)
    }

    /// Remove what belongs to no target any more.
    pub(crate) fn forget_all_but(&self, is_known: impl Fn(&str) -> bool) -> Result<(), Error> {
        for directory in [self.directory.as_path(), Path::new(VOLATILE)] {
            // It may never have been made.
            for name in self.host.list(directory).unwrap_or_default() {
                if stem(&name).is_some_and(|stem| !is_known(stem)) {
                    remove_durably(self.host, &directory.join(name))?;
                }
            }
        }
        Ok(())
    }
}

/// The name of the target whose file this is.
fn stem(name: &OsString) -> Option<&str> {
    let name = name.to_str()?;
    let name = name.strip_prefix('.').and_then(|name| name.strip_suffix(".new")).unwrap_or(name);
    name.strip_suffix(".json").or_else(|| name.strip_suffix(".damaged"))
}
