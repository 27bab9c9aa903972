//! The ledger on disk.

mod numbers;
mod salvage;

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
    /// The readable part of a ledger, and why the other fields are not readable. Those have their defaults.
    Partly(Box<Ledger>, String),
    /// These bytes are no ledger.
    Corrupt(String),
}

impl Reading {
    fn of(bytes: &[u8]) -> Self {
        let error = match serde_json::from_slice(bytes) {
            Ok(ledger) => return Self::Whole(Box::new(ledger)),
            Err(error) => error.to_string(),
        };
        match salvage::salvage(bytes) {
            Some(found) if found.without.is_empty() => Self::Partly(Box::new(found.ledger), error),
            Some(found) => Self::Partly(Box::new(found.ledger), found.without),
            None => Self::Corrupt(error),
        }
    }

    /// The ledger, or the readable part of it; `None` if there is none or nothing is readable.
    #[must_use]
    pub fn known(self) -> Option<Ledger> {
        match self {
            Self::Whole(ledger) | Self::Partly(ledger, _) => Some(*ledger),
            Self::Missing | Self::Corrupt(_) => None,
        }
    }

    /// The same, and why the rest is not readable.
    #[must_use]
    pub fn told(self) -> (Option<Ledger>, Option<String>) {
        match self {
            Self::Whole(ledger) => (Some(*ledger), None),
            Self::Partly(ledger, why) => (Some(*ledger), Some(why)),
            Self::Missing => (None, None),
            Self::Corrupt(why) => (None, Some(why)),
        }
    }
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
        let bytes = numbers::wrap(&bytes);
        match serde_json::from_slice::<Header>(&bytes) {
            Ok(Header { min_reader, .. }) if min_reader > READER => {
                Err(Error::LedgerTooNew { path, needs: min_reader, have: READER })
            }
            _ => Ok(Reading::of(&bytes)),
        }
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
            Reading::Partly(ledger, why) => {
                let aside = self.set_aside()?;
                let text = format!(
                    "a part of the ledger was not readable ({why}): the rest of it stays, and the whole is kept as {}",
                    aside.display()
                );
                self.host.complain(Trouble::LedgerCorrupt, &text);
                Ok(*ledger)
            }
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
        let text = serde_json::to_string_pretty(&ledger)
            .map_err(|source| Error::Serialize { path: path.clone(), source })?;
        let text = numbers::unwrap(&text) + "\n";
        durable::replace(self.host, &path, text.as_bytes())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use super::*;
    use crate::LinuxHost;

    fn with_ledger(text: &str, check: impl FnOnce(&Store<'_>, &Path)) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("state")).unwrap();
        std::fs::write(root.path().join("state/ledger.json"), text).unwrap();
        let host = LinuxHost::new(root.path());
        check(&Store::new(&host, Path::new("/state")), &root.path().join("state"));
    }

    #[test]
    fn a_number_of_a_newer_build_comes_back_digit_for_digit() {
        let numbers =
            ["18446744073709551617", "1e400", "-0.0", "1.10", "-0", "18446744073709551615", "-7", "1E+2"];
        let fields = numbers.map(|number| format!("\"later {number}\": [{{\"n\": {number}}}]")).join(",");
        let text = format!(
            r#"{{"format":1,"min_reader":1,"revision":4,{fields},
            "confirmed":[{{"toplevel":"/nix/store/aaaa-a","later":{{"n":1.50}}}}]}}"#
        );
        with_ledger(&text, |store, directory| {
            let mut ledger = store.open().unwrap();
            store.commit(&mut ledger).unwrap();
            let now = std::fs::read_to_string(directory.join("ledger.json")).unwrap();
            let now: String = now.split_whitespace().collect::<Vec<_>>().join(" ");
            for number in numbers {
                assert!(
                    now.contains(&format!("\"later {number}\": [ {{ \"n\": {number} }} ]")),
                    "{number}: {now}"
                );
            }
            assert!(now.contains("\"n\": 1.50"), "{now}");
            assert_eq!(store.open().unwrap(), ledger);
        });
    }

    #[test]
    fn a_ledger_with_an_odd_field_keeps_the_rest_and_the_original_stays_aside() {
        let text = r#"{"format":1,"min_reader":1,"revision":4,"automatic_reboots":3,"trial":{"toplevel":7},
            "confirmed":[{"toplevel":"/nix/store/aaaa-a"}],"later":1}"#;
        with_ledger(text, |store, directory| {
            let Reading::Partly(_, why) = store.read().unwrap() else { panic!() };
            assert!(why.starts_with("trial: "), "{why}");
            let ledger = store.open().unwrap();
            assert!(ledger.is_confirmed(&"/nix/store/aaaa-a".parse().unwrap()) && ledger.trial.is_none());
            assert_eq!((ledger.automatic_reboots, ledger.revision), (3, 4));
            assert!(ledger.unknown.contains_key("later"));
            let aside = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
            let aside: Vec<_> = aside.filter(|path| path.to_string_lossy().contains("corrupt")).collect();
            assert_eq!(std::fs::read_to_string(&aside[0]).unwrap(), text);
        });
    }
}
