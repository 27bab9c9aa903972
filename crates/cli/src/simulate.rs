//! `golden simulate`

use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use golden_host::Exit;
use golden_host::simulated::scenario;

pub(crate) fn run(file: &Path) -> ExitCode {
    let text = match read(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("cannot read {}: {error}", file.display());
            return Exit::Io.into();
        }
    };
    match scenario::run(&text) {
        Ok(timeline) => crate::print::answer(&timeline),
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            Exit::Usage.into()
        }
    }
}

fn read(file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    }
}
