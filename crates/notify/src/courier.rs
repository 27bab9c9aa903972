//! Who carries messages to targets, each at its own speed.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::message::Message;
use crate::secret::Credentials;
use crate::settings::Target;
use crate::target;

/// A message in the words for one target.
#[derive(Debug, Clone)]
pub struct Letter {
    /// What it is made of.
    pub message: Message,
    /// One line.
    pub title: String,
    /// A few lines.
    pub text: String,
    /// Messages to this target that were given up since the last one that it got.
    pub dropped: u64,
    /// Whether it was sent before, and nobody knows whether it arrived.
    pub is_in_doubt: bool,
}

/// A letter on its way.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// Number of the target, by which its outcome is known.
    pub number: usize,
    /// Where it goes.
    pub target: Target,
    /// What it says.
    pub letter: Letter,
    /// The issue that this is about, if it was made already.
    pub issue: Option<u64>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The target has it.
    Delivered {
        /// The issue that it is in.
        issue: Option<u64>,
    },
    /// Not now.
    Failed {
        /// Why, in one line.
        said: String,
        /// When the target wants to be asked again, at the earliest.
        retry_after: Option<Duration>,
    },
    /// The target has something against this very message.
    Refused {
        /// What, in one line.
        said: String,
    },
}

impl Outcome {
    /// It can be tried again.
    pub(crate) fn failed(said: impl Into<String>) -> Self {
        Self::Failed { said: said.into(), retry_after: None }
    }
}

/// Carries parcels, several at a time.
pub trait Courier {
    /// Take one along. At most one for each target at a time.
    fn start(&mut self, parcel: Parcel);
    /// The next one that has arrived or failed, and the number of its target; `None` if there is none in that time.
    fn finished(&mut self, wait: Duration) -> Option<(usize, Outcome)>;
}

/// A thread for each parcel: a target that hangs keeps no other from its message.
pub struct Threads {
    credentials: Credentials,
    sender: Sender<(usize, Outcome)>,
    receiver: Receiver<(usize, Outcome)>,
}

impl Threads {
    /// With these secrets.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        let (sender, receiver) = channel();
        Self { credentials, sender, receiver }
    }
}

impl Courier for Threads {
    fn start(&mut self, parcel: Parcel) {
        let (sender, credentials) = (self.sender.clone(), self.credentials.clone());
        let number = parcel.number;
        let carry = move || {
            let outcome = target::deliver(&parcel, &credentials);
            // Nobody listens any more once the round is over.
            let _ = sender.send((parcel.number, outcome));
        };
        if let Err(error) = thread::Builder::new().spawn(carry) {
            let outcome = Outcome::failed(format!("there is no thread to send it from: {error}"));
            let _ = self.sender.send((number, outcome));
        }
    }

    fn finished(&mut self, wait: Duration) -> Option<(usize, Outcome)> {
        self.receiver.recv_timeout(wait).ok()
    }
}
