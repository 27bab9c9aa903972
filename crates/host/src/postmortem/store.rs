//! The files of post-mortems. A number puts them in order, for no clock can; what they are about is in the name as well, so
//! that a phase two that is repeated finds its file again.

use std::io;
use std::path::{Path, PathBuf};

use golden_core::{Assessment, BootId};
use sha2::{Digest as _, Sha256};

use super::{MAX_BYTES, MAX_FILES, PostMortem};
use crate::{Error, Host, durable};

/// Mode of the directory: what failed on a host is nobody else's business.
const PRIVATE: u32 = 0o700;
/// Longest assessment that is read, in bytes.
const MAX_ASSESSMENT_BYTES: usize = 4 << 20;

fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("postmortem")
}

/// The checks of a boot, as they were left by whoever ran them; `None` where there are none that can be read.
#[must_use]
pub fn assessment(host: &dyn Host, state_dir: &Path, boot: &BootId) -> Option<Assessment> {
    let path = directory(state_dir).join(format!("assessment-{boot}.json"));
    let bytes = host.read_part(&path, 0, MAX_ASSESSMENT_BYTES).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// All post-mortems that can be read, with their paths, the newest first.
///
/// # Errors
/// The directory is there and cannot be read.
pub fn all(host: &dyn Host, state_dir: &Path) -> Result<Vec<(PathBuf, PostMortem)>, Error> {
    let files = files(host, state_dir)?;
    let readable = files.into_iter().rev().take(2 * MAX_FILES).filter_map(|file| {
        let path = directory(state_dir).join(&file.name);
        let bytes = host.read_part(&path, 0, 2 * MAX_BYTES).ok()?;
        Some((path, serde_json::from_slice(&bytes).ok()?))
    });
    Ok(readable.collect())
}

/// What one rollback is, and nothing that changes when it is looked at again.
pub(super) fn identity(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Whether this rollback has its post-mortem.
pub(super) fn has(host: &dyn Host, state_dir: &Path, identity: &str) -> Result<bool, Error> {
    Ok(files(host, state_dir)?.iter().any(|file| file.identity == identity))
}

/// Write it durably, under the number after the last one, and remove the oldest ones beyond what is kept.
pub(super) fn add(host: &dyn Host, state_dir: &Path, identity: &str, bytes: &[u8]) -> Result<(), Error> {
    let place = directory(state_dir);
    host.create_directory(&place, PRIVATE).map_err(Error::io("create", &place))?;
    let files = files(host, state_dir)?;
    // Room first: the disk may be full of them.
    let surplus = (files.len() + 1).saturating_sub(MAX_FILES);
    for file in files.iter().take(surplus) {
        durable::remove(host, &place.join(&file.name))?;
    }
    // So is what a power cut has left half written.
    let halves = host.list(&place).unwrap_or_default().into_iter().filter_map(|name| name.into_string().ok());
    for half in halves.filter(|name| name.starts_with(".rollback-")) {
        durable::remove(host, &place.join(half))?;
    }
    let number = files.last().map_or(1, |last| last.number.saturating_add(1));
    durable::replace(host, &place.join(format!("rollback-{number:06}-{identity}.json")), bytes)
}

struct File {
    number: u32,
    identity: String,
    name: String,
}

/// No machine gets this far: what has such a number is none of ours, and would end the counting.
const MAX_NUMBER: u32 = 1_000_000;

/// All of them, the oldest first.
fn files(host: &dyn Host, state_dir: &Path) -> Result<Vec<File>, Error> {
    let place = directory(state_dir);
    let names = match host.list(&place) {
        Ok(names) => names,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Error::io("list", place)(error)),
    };
    let file = |name: std::ffi::OsString| {
        let name = name.into_string().ok()?;
        let (number, identity) = name.strip_prefix("rollback-")?.strip_suffix(".json")?.split_once('-')?;
        let number = number.parse().ok().filter(|&number| number < MAX_NUMBER)?;
        Some(File { number, identity: identity.to_owned(), name })
    };
    let mut files: Vec<File> = names.into_iter().filter_map(file).collect();
    files.sort_by_key(|file| file.number);
    Ok(files)
}
