//! Everything golden-generation does, behind one trait.

mod host;

pub use host::{Comparison, Host, LockGuard, Output};
