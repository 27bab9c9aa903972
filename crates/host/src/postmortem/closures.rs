//! How two systems differ. Source: `nix store diff-closures` of the Nix manual.

use std::io;
use std::path::Path;
use std::time::Duration;

use golden_core::Toplevel;

use super::Closures;
use crate::evidence::printable;
use crate::{Host, Limits};

/// Lines that are kept.
const MAX_LINES: usize = 400;
/// A big closure is read from the store's database in seconds; its paths are not read.
const LIMITS: Limits = Limits { time: Duration::from_secs(30), output_bytes: 1 << 20 };

/// What the deployment changed, if nix says it before the deadline; whatever goes wrong is said in it.
pub(super) fn differ(host: &dyn Host, from: &Toplevel, to: &Toplevel, deadline: Duration) -> Closures {
    let time = deadline.saturating_sub(host.monotonic()).min(LIMITS.time);
    let limits = Limits { time, ..LIMITS };
    let experimental = ["--extra-experimental-features", "nix-command"];
    let arguments = [&experimental[..], &["store", "diff-closures", to.as_str(), from.as_str()]].concat();
    let unknown = |why: String| Closures { changes: Vec::new(), unknown: Some(why) };
    match host.run_within(limits, Path::new("nix"), &arguments) {
        Ok(ended) if ended.status == Some(0) => read(&ended.stdout),
        Ok(ended) => {
            let said = ended.stderr.lines().map(without_colours).find(|line| line.contains("error"));
            unknown(said.map_or("nix failed".to_owned(), |said| format!("nix says: {said}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => unknown("there is no nix here".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            unknown(format!("nix took longer than {} s", time.as_secs()))
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            unknown(format!("they differ in more than {} bytes of text", LIMITS.output_bytes))
        }
        Err(error) => unknown(format!("cannot run nix: {error}")),
    }
}

fn read(answer: &str) -> Closures {
    let lines = || answer.lines().map(without_colours).filter(|line| !line.is_empty());
    let left_out = lines().count().saturating_sub(MAX_LINES);
    let unknown = (left_out > 0).then(|| format!("{left_out} more lines are left out"));
    Closures { changes: lines().take(MAX_LINES).collect(), unknown }
}

/// Nix colours sizes whoever reads them. Source: ECMA-48, "Control Sequence Introducer".
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    let is_final = |letter: char| ('@'..='~').contains(&letter);
    let plain = parts.fold(first, |text, part| text + part.split_once(is_final).map_or("", |(_, rest)| rest));
    printable(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_and_so_is_what_is_too_much() {
        assert_eq!(
            without_colours("linux: 6.6.1 \u{2192} 6.6.2, \u{1b}[31;1m+12.3 KiB\u{1b}[0m\u{7}"),
            "linux: 6.6.1 \u{2192} 6.6.2, +12.3 KiB"
        );
        assert_eq!(without_colours("x\u{1b}[31"), "x");
        let many = "a: 1 \u{2192} 2\n".repeat(MAX_LINES + 7);
        let read = read(&many);
        assert_eq!(
            (read.changes.len(), read.unknown.as_deref()),
            (MAX_LINES, Some("7 more lines are left out"))
        );
    }
}
