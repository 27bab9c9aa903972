//! Hosts of a fleet, and what is known of each. None of them is trusted: what they say is bounded in size and time.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};

use crate::document::{Document, MAX_BYTES, NotADocument};
use crate::view::{MAX_NAME, clipped};

/// One host.
#[derive(Debug, Clone)]
pub struct Member {
    /// How whoever set the fleet up calls it: a name from an address or of a file.
    pub label: String,
    /// The label as a part of an address; no two hosts have the same.
    pub slug: String,
    /// What is known of it.
    pub known: Known,
}

/// What is known of a host.
#[derive(Debug, Clone)]
pub enum Known {
    /// What it says.
    Document(Arc<Document>),
    /// It does not answer.
    Unreachable {
        /// The first time that it did not.
        since: SystemTime,
        /// What happened instead.
        why: String,
        /// What it said before.
        last: Option<Arc<Document>>,
    },
    /// It answers with something else.
    Unreadable {
        /// What is wrong with that.
        why: String,
        /// What it said before.
        last: Option<Arc<Document>>,
    },
}

/// Why there is no document.
#[derive(Debug)]
pub enum NoDocument {
    /// Nothing can be read.
    Unreachable(String),
    /// What can be read is none.
    Unreadable(NotADocument),
}

impl Known {
    /// The last that it said.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        match self {
            Self::Document(document) => Some(document),
            Self::Unreachable { last, .. } | Self::Unreadable { last, .. } => last.as_deref(),
        }
    }

    /// What is known after it was asked again.
    #[must_use]
    pub fn after(before: Option<Self>, answer: Result<Document, NoDocument>, now: SystemTime) -> Self {
        let began = match &before {
            Some(Self::Unreachable { since, .. }) => *since,
            _ => now,
        };
        let last = || match before {
            Some(Self::Document(last)) => Some(last),
            Some(Self::Unreachable { last, .. } | Self::Unreadable { last, .. }) => last,
            None => None,
        };
        match answer {
            Ok(document) => Self::Document(Arc::new(document)),
            Err(NoDocument::Unreachable(why)) => Self::Unreachable { since: began, why, last: last() },
            Err(NoDocument::Unreadable(why)) => Self::Unreadable { why: why.to_string(), last: last() },
        }
    }
}

impl Member {
    /// What it is called. A host may say that it is another one: both names are shown then.
    #[must_use]
    pub fn name(&self) -> String {
        let claimed = self.known.document().map(|document| &*document.host).filter(|host| !host.is_empty());
        match claimed {
            Some(host) if host != self.label && self.label.split(['.', ':']).next() != Some(host) => {
                format!("{} · {}", clipped(&self.label, MAX_NAME), clipped(host, MAX_NAME))
            }
            _ => clipped(&self.label, MAX_NAME),
        }
    }
}

/// Names for addresses: letters, digits, dots and dashes, each once.
#[must_use]
pub fn slugs<'a>(labels: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let plain = |letter: char| {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() || letter == '.' || letter == '-' { letter } else { '-' }
    };
    let mut unique = |label: &str| {
        let slug: String = label.chars().take(100).map(plain).collect();
        let numbered = (2..).map(|number| format!("{slug}-{number}"));
        let free = std::iter::once(slug.clone()).chain(numbered).find(|slug| !taken.contains(slug));
        let free = free.unwrap_or(slug);
        taken.insert(free.clone());
        free
    };
    labels.into_iter().map(&mut unique).collect()
}

/// The document in a file. What is no regular file is not waited for, and nothing is read without bound.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn read(path: &Path) -> Result<Document, NoDocument> {
    let bytes = read_bytes(path).map_err(|error| NoDocument::Unreachable(error.to_string()))?;
    Document::parse(&bytes).map_err(NoDocument::Unreadable)
}

/// The bytes of a file, one more than a document may have at most.
///
/// # Errors
/// It cannot be read, or is no regular file.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use super::*;

    #[test]
    fn every_slug_is_plain_and_there_once() {
        let slugs = slugs(["web1", "Web1", "a/../b", "<b>", "web1-2", "web1"]);
        assert_eq!(slugs, ["web1", "web1-2", "a-..-b", "-b-", "web1-2-2", "web1-3"]);
    }

    #[test]
    fn what_is_no_file_of_a_document_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        std::fs::write(path("long"), vec![b' '; MAX_BYTES + 2]).unwrap();
        std::fs::write(path("none"), b"{\"document\":\"x\",\"schema\":1}").unwrap();
        assert!(matches!(read(&path("fifo")), Err(NoDocument::Unreachable(_))));
        assert!(matches!(read(&path("missing")), Err(NoDocument::Unreachable(_))));
        assert!(matches!(read(directory.path()), Err(NoDocument::Unreachable(_))));
        assert!(matches!(read(Path::new("/dev/zero")), Err(NoDocument::Unreachable(_))));
        assert!(matches!(read(&path("long")), Err(NoDocument::Unreadable(NotADocument::TooLong))));
        assert!(matches!(read(&path("none")), Err(NoDocument::Unreadable(NotADocument::OtherKind))));
    }
}
