//! Answers on standard output.

use std::io::{self, Write};
use std::process::ExitCode;

use golden_host::Exit;
use serde::Serialize;

/// Print an answer whole. A reader that has seen enough (`golden history | head`) is no error.
pub(crate) fn answer(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("cannot write the answer: {error}");
            Exit::Io.into()
        }
        _ => Exit::Success.into(),
    }
}

/// One JSON document that ends in a line feed.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|error| error.to_string(), |text| text + "\n")
}
