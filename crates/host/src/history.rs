//! What happened, one JSON object a line, for people and dashboards. Never read to decide anything.

mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use golden_core::{BootId, Event, Toplevel};
use serde::{Deserialize, Serialize};

use crate::store::is_no_file;
use crate::{Error, Host, durable};

pub use walk::{Direction, visit_history};

/// Size at which history is rotated, in bytes. One old file is kept: together at most twice this.
const ROTATE_AT_BYTES: u64 = 1 << 20;

/// Most of either file that is held in memory, in bytes. The suite itself never makes one that large.
const RECENT_BYTES: usize = 4 << 20;

/// Rotations in the middle of a reading that are waited for. Each is a megabyte of events.
const MAX_ROTATIONS: u32 = 3;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Wall-clock time in UTC, RFC 3339. Only ever shown: it may be wrong.
    pub time: String,
    /// The boot that wrote it.
    pub written_in: BootId,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A line about to be written.
#[derive(Serialize)]
struct NewLine<'a> {
    time: String,
    written_in: &'a BootId,
    #[serde(flatten)]
    event: &'a Event,
}

/// Add a line, durably.
///
/// # Errors
/// It cannot be read, written or synced.
pub fn append(host: &dyn Host, directory: &Path, boot: &BootId, event: &Event) -> Result<(), Error> {
    let path = current(directory);
    let line = NewLine { time: stamp(host.now()), written_in: boot, event };
    let mut bytes =
        serde_json::to_vec(&line).map_err(|source| Error::Serialize { path: path.clone(), source })?;
    bytes.push(b'\n');
    let before = match host.size(&path) {
        Ok(before) => before,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        // No reboot happens that history does not know: what is in the way must not be what keeps the machine from one.
        Err(error) if is_no_file(&error) => {
            durable::rename_unread(host, &path, &previous(directory))?;
            0
        }
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let is_full = before + bytes.len() as u64 > ROTATE_AT_BYTES;
    if is_full {
        durable::rename(host, &path, &previous(directory))?;
    } else if before > 0 && host.read_part(&path, before - 1, 1).map_err(Error::io("read", &path))? != b"\n" {
        // A power cut tore the last line: it must not take this one with it.
        bytes.insert(0, b'\n');
    }
    host.append(&path, &bytes).map_err(Error::io("write", &path))?;
    host.sync_file(&path).map_err(Error::io("sync", &path))?;
    if before == 0 || is_full {
        host.sync_directory(directory).map_err(Error::io("sync", directory))?;
    }
    Ok(())
}

/// The newest events, the oldest of them first: the last [`RECENT_BYTES`] of either file, which is everything unless another program
/// writes there. A torn line, an event that only a newer build knows, and anything but a regular file are left out.
///
/// # Errors
/// A file is there and cannot be read.
pub fn read_history(host: &dyn Host, directory: &Path) -> Result<Vec<Line>, Error> {
    let lines = read_history_as_written(host, directory)?;
    Ok(lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// The same lines as they were written, those that mean nothing to this build among them.
///
/// # Errors
/// A file is there and cannot be read.
pub fn read_history_as_written(host: &dyn Host, directory: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let mut older = recent(host, &previous(directory))?;
    let mut newer = recent(host, &current(directory))?;
    // What is rotated between the two would be in neither.
    for _ in 0..MAX_ROTATIONS {
        let again = recent(host, &previous(directory))?;
        if again == older {
            break;
        }
        (older, newer) = (again, recent(host, &current(directory))?);
    }
    let lines = [older, newer];
    let lines = lines.iter().flat_map(|bytes| bytes.split(|&byte| byte == b'\n'));
    Ok(lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Whether history has said that this system could not be armed since it was marked and since its last attempt began.
pub(crate) fn says_not_armed(host: &dyn Host, directory: &Path, toplevel: &Toplevel) -> bool {
    let lines = read_history(host, directory).unwrap_or_default();
    let last = lines.iter().rev().find_map(|line| match &line.event {
        Event::NotArmed { toplevel: of, .. } if of == toplevel => Some(true),
        Event::Marked { toplevel: of, .. }
        | Event::Inferred { toplevel: of }
        | Event::AttemptBegan { toplevel: of, .. } => (of == toplevel).then_some(false),
        _ => None,
    });
    last == Some(true)
}

/// The whole lines among the last [`RECENT_BYTES`] of a file.
fn recent(host: &dyn Host, path: &Path) -> Result<Vec<u8>, Error> {
    let size = size(host, path)?;
    let start = size.saturating_sub(RECENT_BYTES as u64);
    if size == 0 {
        return Ok(Vec::new());
    }
    let bytes = match host.read_part(path, start, RECENT_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    if start == 0 {
        return Ok(bytes);
    }
    let torn = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
    Ok(bytes[torn..].to_vec())
}

/// Bytes of a file; 0 if it is missing, or no regular file.
fn size(host: &dyn Host, path: &Path) -> Result<u64, Error> {
    match host.size(path) {
        Ok(size) => Ok(size),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_file(&error) => Ok(0),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

pub(crate) fn current(directory: &Path) -> PathBuf {
    directory.join("history.jsonl")
}

pub(crate) fn previous(directory: &Path) -> PathBuf {
    directory.join("history.1.jsonl")
}

/// RFC 3339 in UTC, to the second.
#[must_use]
pub fn stamp(time: SystemTime) -> String {
    // Beyond the year 9999 there is no such form.
    let latest = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(time.clamp(SystemTime::UNIX_EPOCH, latest)).to_string()
}
