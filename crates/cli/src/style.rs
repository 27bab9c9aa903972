//! Colours, where somebody sees them, and a word of patience where somebody waits.

use std::env;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use golden_host::command::say;

/// Time after which whoever waits is told for what.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a text stands out. Source: ECMA-48, "Select Graphic Rendition".
#[derive(Clone, Copy)]
pub(crate) enum Look {
    Bold,
    Good,
    Warning,
    Bad,
}

/// Whether the answer goes to a terminal whose owner wants colours. Source: no-color.org.
pub(crate) fn has_colours() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|it| it != "dumb")
}

pub(crate) fn paint(colours: bool, look: Look, text: &str) -> String {
    let code = match look {
        Look::Bold => "1",
        Look::Good => "1;32",
        Look::Warning => "1;33",
        Look::Bad => "1;31",
    };
    if colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Do something that may take its time; whoever watches is told what it is.
pub(crate) fn during<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let (done, waits) = channel::<()>();
    let watcher = thread::spawn(move || {
        if waits.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            say(&format!("{what} ..."));
        }
    });
    let result = work();
    drop(done);
    // It has nothing more to say.
    let _ = watcher.join();
    result
}
