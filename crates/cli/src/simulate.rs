//! `golden simulate`

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use golden_host::Exit;
use golden_host::command::{answer, say};
use golden_host::simulated::scenario;

/// Most that is read of a scenario, in bytes.
const MAX_BYTES: u64 = 1 << 20;

pub(crate) fn run(file: &Path) -> ExitCode {
    let text = match read(file) {
        Ok(text) => text,
        Err(error) => {
            say(&format!("cannot read {}: {error}", file.display()));
            return Exit::Io.into();
        }
    };
    match scenario::run(&text) {
        Ok(timeline) => answer(&timeline),
        Err(error) => {
            say(&format!("{}: {error}", file.display()));
            Exit::Usage.into()
        }
    }
}

fn read(file: &Path) -> io::Result<String> {
    let from: &mut dyn Read = if file == Path::new("-") { &mut io::stdin() } else { &mut File::open(file)? };
    let mut text = String::new();
    from.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}
