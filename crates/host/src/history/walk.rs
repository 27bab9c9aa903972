//! Every line of a history of any length: one block of it is in memory at a time.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{Line, current, previous, size};
use crate::{Error, Host};

/// Bytes of one read.
const BLOCK_BYTES: usize = 1 << 18;
/// Longest line, in bytes. The suite writes no longer one: it is skipped.
const MAX_LINE_BYTES: usize = 1 << 20;

/// From which end history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The oldest line first.
    OldestFirst,
    /// The newest line first.
    NewestFirst,
}

/// Called for each line; returns whether to go on.
type Visit<'a> = &'a mut dyn FnMut(Line) -> ControlFlow<()>;

/// Visit all events until `visit` breaks. A torn line, an event that only a newer build knows, and anything but a regular file are
/// left out.
///
/// # Errors
/// A file is there and cannot be read.
pub fn visit_history(
    host: &dyn Host,
    directory: &Path,
    direction: Direction,
    visit: Visit<'_>,
) -> Result<(), Error> {
    let sizes = (size(host, &previous(directory))?, size(host, &current(directory))?);
    let walk = Walk { host, directory, older_bytes: sizes.0, newer_bytes: sizes.1 };
    let files = match direction {
        Direction::OldestFirst => [File::Older, File::Newer],
        Direction::NewestFirst => [File::Newer, File::Older],
    };
    for file in files {
        let ended = match direction {
            Direction::OldestFirst => walk.forward(file, visit)?,
            Direction::NewestFirst => walk.backward(file, visit)?,
        };
        if ended.is_break() {
            break;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum File {
    Older,
    Newer,
}

/// The two files as they were when the walk began.
struct Walk<'a> {
    host: &'a dyn Host,
    directory: &'a Path,
    older_bytes: u64,
    newer_bytes: u64,
}

impl Walk<'_> {
    /// Where a file is now; `None` once it is gone. A file only grows until it is rotated: then the newer one is where the older
    /// one was.
    fn path(&self, file: File) -> Result<Option<PathBuf>, Error> {
        let (older, newer) = (previous(self.directory), current(self.directory));
        Ok(match file {
            File::Older => (size(self.host, &older)? == self.older_bytes).then_some(older),
            File::Newer if size(self.host, &newer)? >= self.newer_bytes => Some(newer),
            File::Newer => Some(older),
        })
    }

    fn bytes(&self, file: File) -> u64 {
        match file {
            File::Older => self.older_bytes,
            File::Newer => self.newer_bytes,
        }
    }

    /// Bytes `start..end` of a file; fewer if it is gone.
    fn block(&self, file: File, start: u64, end: u64) -> Result<Vec<u8>, Error> {
        let Some(path) = self.path(file)? else { return Ok(Vec::new()) };
        let length = usize::try_from(end - start).unwrap_or(BLOCK_BYTES);
        self.host.read_part(&path, start, length).map_err(Error::io("read", path))
    }

    fn forward(&self, file: File, visit: Visit<'_>) -> Result<ControlFlow<()>, Error> {
        let (end, mut at, mut text, mut is_too_long) = (self.bytes(file), 0, Vec::new(), false);
        while at < end {
            let block = self.block(file, at, end.min(at + BLOCK_BYTES as u64))?;
            if block.is_empty() {
                break;
            }
            at += block.len() as u64;
            text.extend_from_slice(&block);
            let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
            let rest = text.split_off(whole);
            // The rest of a line that is too long is no line.
            for line in text.split(|&byte| byte == b'\n').skip(usize::from(is_too_long && whole > 0)) {
                if show(line, visit).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            is_too_long &= whole == 0;
            text = rest;
            if text.len() > MAX_LINE_BYTES {
                (text, is_too_long) = (Vec::new(), true);
            }
        }
        Ok(if is_too_long { ControlFlow::Continue(()) } else { show(&text, visit) })
    }

    fn backward(&self, file: File, visit: Visit<'_>) -> Result<ControlFlow<()>, Error> {
        // `text` is the end of a line whose beginning has not been read yet.
        let (mut at, mut text, mut is_too_long) = (self.bytes(file), Vec::new(), false);
        while at > 0 {
            let start = at.saturating_sub(BLOCK_BYTES as u64);
            let mut block = self.block(file, start, at)?;
            if block.is_empty() {
                break;
            }
            at = start;
            block.append(&mut text);
            let first = block.iter().position(|&byte| byte == b'\n');
            let lines = first.map_or_else(Vec::new, |first| block.split_off(first));
            for line in lines.rsplit(|&byte| byte == b'\n').filter(|_| !lines.is_empty()) {
                let is_end_of_too_long = std::mem::take(&mut is_too_long);
                if !is_end_of_too_long && show(line, visit).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            text = block;
            if text.len() > MAX_LINE_BYTES {
                (text, is_too_long) = (Vec::new(), true);
            }
        }
        Ok(if is_too_long { ControlFlow::Continue(()) } else { show(&text, visit) })
    }
}

fn show(line: &[u8], visit: Visit<'_>) -> ControlFlow<()> {
    match serde_json::from_slice(line) {
        Ok(line) => visit(line),
        Err(_) => ControlFlow::Continue(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use std::fs;

    use super::*;
    use crate::{LinuxHost, read_history};

    const BOOT: &str = "00000000000000000000000000000001";

    fn line(number: usize) -> String {
        let event = format!(r#""event":"adopted","toplevel":"/nix/store/aaaa-{number}""#);
        format!("{{\"time\":\"2026-01-01T00:00:00Z\",\"written_in\":\"{BOOT}\",{event}}}\n")
    }

    /// The numbers of the lines, in the order in which they are visited.
    fn visited(root: &Path, direction: Direction, most: usize) -> Vec<usize> {
        let mut numbers = Vec::new();
        visit_history(&LinuxHost::new(root), Path::new("/"), direction, &mut |line| {
            let golden_core::Event::Adopted { toplevel } = line.event else { panic!() };
            numbers.push(toplevel.as_str().rsplit('-').next().unwrap().parse().unwrap());
            if numbers.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
        numbers
    }

    #[test]
    fn every_line_of_both_files_is_visited_once_from_either_end() {
        let root = tempfile::tempdir().unwrap();
        let (older, newer) = (root.path().join("history.1.jsonl"), root.path().join("history.jsonl"));
        let of = |numbers: std::ops::Range<usize>| numbers.map(line).collect::<String>();
        let long = "x".repeat(MAX_LINE_BYTES + BLOCK_BYTES + 1);
        // Lines cross blocks, one is too long, one is torn, and one is cut off at the end.
        fs::write(&older, of(0..5000) + &long + "\n\n{ torn\n" + &of(5000..5100)).unwrap();
        fs::write(&newer, of(5100..9000) + "{\"time\":").unwrap();
        let all: Vec<usize> = (0..9000).collect();
        assert_eq!(visited(root.path(), Direction::OldestFirst, usize::MAX), all);
        let mut back = visited(root.path(), Direction::NewestFirst, usize::MAX);
        back.reverse();
        assert_eq!(back, all);
        assert_eq!(visited(root.path(), Direction::NewestFirst, 2), [8999, 8998]);
        fs::write(&newer, "").unwrap();
        fs::remove_file(&older).unwrap();
        fs::create_dir(&older).unwrap();
        assert!(visited(root.path(), Direction::OldestFirst, usize::MAX).is_empty());
    }

    #[test]
    fn a_rotation_in_the_middle_of_a_walk_shows_no_line_twice_and_loses_none_of_the_newer_file() {
        for direction in [Direction::OldestFirst, Direction::NewestFirst] {
            let root = tempfile::tempdir().unwrap();
            let (older, newer) = (root.path().join("history.1.jsonl"), root.path().join("history.jsonl"));
            fs::write(&newer, (0..9000).map(line).collect::<String>()).unwrap();
            let mut count = 0;
            visit_history(&LinuxHost::new(root.path()), Path::new("/"), direction, &mut |_| {
                if count == 0 {
                    fs::rename(&newer, &older).unwrap();
                    fs::write(&newer, line(9000)).unwrap();
                }
                count += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(count, 9000, "{direction:?}");
        }
    }

    #[test]
    fn a_history_that_is_too_long_for_memory_still_tells_the_newest_events_and_grows() {
        let root = tempfile::tempdir().unwrap();
        let newer = root.path().join("history.jsonl");
        let file = fs::File::create(&newer).unwrap();
        // A hole: nothing is ever read of it.
        file.set_len(150 << 20).unwrap();
        let tail: String = std::iter::once("\n".to_owned()).chain((0..100).map(line)).collect();
        std::os::unix::fs::FileExt::write_all_at(&file, tail.as_bytes(), 150 << 20).unwrap();
        let host = LinuxHost::new(root.path());
        let recent = read_history(&host, Path::new("/")).unwrap();
        assert_eq!(recent.len(), 100);
        assert_eq!(visited(root.path(), Direction::NewestFirst, 3), [99, 98, 97]);
        crate::append_history(&host, Path::new("/"), &recent[0].written_in, &recent[7].event).unwrap();
        assert_eq!(visited(root.path(), Direction::NewestFirst, 2), [7, 99]);
        assert_eq!(fs::read_to_string(&newer).unwrap().lines().count(), 1, "it was rotated");
    }
}
