//! The ledger on disk.

use std::io;
use std::path::{Path, PathBuf};

use golden_core::{Header, Ledger, READER};

use crate::{Error, Host, LockGuard, Trouble, durable};

/// Mode of everything below the state directory: what failed on a host is nobody else's business.
const PRIVATE: u32 = 0o700;

/// Where the suite keeps its state.
pub struct Store<'a> {
    host: &'a dyn Host,
    directory: &'a Path,
}

/// Three readings, three outcomes; an error of the disk is none of them.
#[derive(Debug)]
pub enum Reading {
    /// There is no ledger: nothing has happened on this machine yet.
    Missing,
    /// The ledger.
    Whole(Box<Ledger>),
    /// These bytes are no ledger.
    Corrupt(String),
}

impl<'a> Store<'a> {
    /// The state below `directory`.
    #[must_use]
    pub fn new(host: &'a dyn Host, directory: &'a Path) -> Self {
        Self { host, directory }
    }

    fn ledger(&self) -> PathBuf {
        self.directory.join("ledger.json")
    }

    /// Read the ledger, without the lock: a rename replaced it whole or not at all.
    ///
    /// # Errors
    /// It cannot be read, or only a newer build may act on it.
    pub fn read(&self) -> Result<Reading, Error> {
        let path = self.ledger();
        let bytes = match self.host.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Reading::Missing),
            Err(error) if is_no_file(&error) => return Ok(Reading::Corrupt(error.to_string())),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let header: Header = match serde_json::from_slice(&bytes) {
            Ok(header) => header,
            Err(error) => return Ok(Reading::Corrupt(error.to_string())),
        };
        if header.min_reader > READER {
            return Err(Error::LedgerTooNew { path, needs: header.min_reader, have: READER });
        }
        Ok(match serde_json::from_slice(&bytes) {
            Ok(ledger) => Reading::Whole(Box::new(ledger)),
            Err(error) => Reading::Corrupt(error.to_string()),
        })
    }

    /// Hold the ledger against other programs of the suite. The lock file is never renamed or removed.
    ///
    /// # Errors
    /// Somebody else holds it for too long, or there is no place for it.
    pub fn lock(&self) -> Result<Box<dyn LockGuard + 'a>, Error> {
        self.host.create_directory(self.directory, PRIVATE).map_err(Error::io("create", self.directory))?;
        let path = self.directory.join("lock");
        self.host.lock(&path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Error::LockHeld(path),
            _ => Error::io("lock", path)(error),
        })
    }

    /// Read the ledger for changing it; call with the lock held. A corrupt one is kept aside and said.
    pub(crate) fn open(&self) -> Result<Ledger, Error> {
        match self.read()? {
            Reading::Whole(ledger) => Ok(*ledger),
            Reading::Missing => Ok(Ledger::default()),
            Reading::Corrupt(why) => {
                let aside = self.set_aside()?;
                let text = format!("the ledger was not readable ({why}) and is kept as {}", aside.display());
                self.host.complain(Trouble::LedgerCorrupt, &text);
                Ok(Ledger::default())
            }
        }
    }

    /// Make this the ledger. Gives it the next revision.
    pub(crate) fn commit(&self, ledger: &mut Ledger) -> Result<(), Error> {
        let path = self.ledger();
        ledger.revision = ledger.revision.saturating_add(1);
        let mut bytes = serde_json::to_vec_pretty(&ledger)
            .map_err(|source| Error::Serialize { path: path.clone(), source })?;
        bytes.push(b'\n');
        durable::replace(self.host, &path, &bytes)
    }

    /// Keep what cannot be read under a name that says when, and that nothing has yet.
    fn set_aside(&self) -> Result<PathBuf, Error> {
        let taken = self.host.list(self.directory).map_err(Error::io("list", self.directory))?;
        let now = crate::history::stamp(self.host.now()).replace(':', "");
        let name = |number: u32| format!("ledger.corrupt-{now}-{number}.json");
        let free = |name: &String| !taken.iter().any(|taken| taken == name.as_str());
        let aside = (1..u32::MAX).map(name).find(free).unwrap_or_else(|| name(0));
        let aside = self.directory.join(aside);
        self.host.rename(&self.ledger(), &aside).map_err(Error::io("rename into place", &aside))?;
        self.host.sync_directory(self.directory).map_err(Error::io("sync", self.directory))?;
        Ok(aside)
    }
}

/// Whether something is there that is no file of the suite's: a directory, a FIFO, or more than is ever read.
pub(crate) fn is_no_file(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, InvalidInput, IsADirectory};
    matches!(error.kind(), FileTooLarge | InvalidInput | IsADirectory)
}
