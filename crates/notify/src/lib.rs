//! Tells the owner what happened: one message about each thing, by whatever way the owner chose, once.
//!
//! History is the source: each line of it is durable before the reboot that it talks about. For every target there is one file
//! in the outbox, and it holds how far history was read, what still waits, and when it is tried again. It is replaced as a
//! whole, so reading on and putting a message into the queue are one step, and a target that is damaged or dead is nobody
//! else's trouble.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic where nobody listens")]

mod courier;
mod http;
mod message;
mod news;
mod outbox;
mod program;
mod round;
mod secret;
mod settings;
mod target;
mod template;
mod words;

pub use courier::{Courier, Letter, Outcome, Parcel, Threads};
pub use message::{Attempt, Kind, Message, SCHEMA, Severity};
pub use news::{Here, History, News, Place, read_on};
pub use outbox::{Outbox, Queued};
pub use program::{run, test};
pub use round::{Done, Round, Tried};
pub use secret::Credentials;
pub use settings::{Command, Forge, Issue, Mail, Ntfy, PATH, Settings, Target, Url, Way, Webhook};
