//! A read-only status page for one host or a fleet, from what the hosts publish of themselves.
//!
//! [`document`] is what a host publishes, [`metrics`] the same for Prometheus, [`page`] the same for people, [`server`] how both
//! are served. Nothing here can change a host.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic where nobody listens")]

pub mod answer;
pub mod document;
pub mod fleet;
pub mod member;
mod metrics;
pub mod page;
pub mod server;
pub mod text;
pub mod view;

pub use document::Document;
pub use metrics::metrics;
pub use server::{Limits, Options, Server};
