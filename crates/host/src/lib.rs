//! Everything golden-generation does, behind one trait.
//!
//! [`operation`] holds what the programs do, [`Host`] every effect that takes. [`LinuxHost`] is the real machine,
//! [`simulated`] one that can be crashed after any effect; [`command`] is what all command lines share.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic where nobody listens")]

pub mod activation;
mod closure;
pub mod command;
mod config;
mod durable;
mod error;
mod evidence;
mod execute;
mod exit;
mod golden;
mod history;
mod host;
mod journal;
mod linux;
pub mod loader;
mod manager;
pub mod operation;
pub mod postmortem;
mod profile;
mod routes;
pub mod settings;
pub mod simulated;
mod source;
mod store;
mod system;
pub mod whole;

pub use config::{default_options, load_options};
pub use durable::{remove as remove_durably, rename_unread as rename_durably, replace as replace_durably};
pub use error::Error;
pub use evidence::{Usual, last_words, usual_before};
pub use exit::Exit;
pub use golden::golden;
pub use history::{
    Direction, Line, append as append_history, read_history, read_history_as_written, stamp, visit_history,
};
pub use host::{Comparison, Ended, Host, Limits, LockGuard, Output};
pub use journal::{
    Delivery, Priority, Trouble, describe, describe_cause, describe_evidence, describe_injection,
    describe_not_started, describe_reason, message_id, priority,
};
pub use linux::{LinuxHost, run_within};
pub use manager::SafetyNet;
pub use profile::{NO_MARK, others_that_name, system};
pub use routes::{Route, default_routes, network_is_down};
pub use source::revision_of;
pub use source::told_by_deployer;
pub use store::{Reading, Store};
pub use system::{boot, booted, is_disabled, see};
