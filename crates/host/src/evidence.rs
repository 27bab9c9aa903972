//! What an earlier boot left that ended without a word.

mod journal;
mod pstore;
mod usual;
mod watchdog;

use golden_core::Evidence;

use crate::Host;

pub(crate) use journal::{failed_units, last_errors};
pub use journal::{last_words, usual_before};
pub(crate) use pstore::Dumps;
pub use usual::Usual;

/// Longest line that is kept, in characters.
const MAX_CHARS: usize = 200;

/// What there is, but for dumps that were there before. Welcome and not needed: what cannot be read is not there.
pub(crate) fn gather(host: &dyn Host, dumps: &Dumps, known_dumps: &[String]) -> Evidence {
    Evidence { panic: dumps.panic_besides(known_dumps), watchdog: watchdog::has_reset(host) }
}

/// A line as people can read it, and not more of it than they want to.
pub(crate) fn printable(line: &str) -> String {
    line.trim().chars().filter(|letter| !letter.is_control()).take(MAX_CHARS).collect()
}
