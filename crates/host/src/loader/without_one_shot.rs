//! A loader that boots nothing once: its default is the trial until the system that runs puts that right.
//!
//! What stays the default meanwhile is kept beside the ledger. A trial that dies before its boot check is booted again, for
//! ever: nothing but the system that runs can take the default back.

use std::io;
use std::path::{Path, PathBuf};

use golden_core::{Loader, OneShot, Toplevel};
use serde::{Deserialize, Serialize};

use super::BootLoader;
use crate::store::is_no_file;
use crate::{Error, Host, durable};

/// Longest file that is looked at, in bytes: it names two systems.
const MAX_BYTES: usize = 1 << 12;

/// Any loader, with a one-shot that the boot check takes back.
pub(super) struct WithoutOneShot<'a> {
    host: &'a dyn Host,
    inner: Box<dyn BootLoader + 'a>,
    /// Why the loader has none of its own.
    why: String,
    directory: &'a Path,
}

/// What was armed, and what is the default besides.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Armed {
    armed: Toplevel,
    /// `None` where the loader did not say what its default was.
    default: Option<Toplevel>,
}

impl<'a> WithoutOneShot<'a> {
    pub fn new(
        host: &'a dyn Host,
        inner: Box<dyn BootLoader + 'a>,
        why: String,
        directory: &'a Path,
    ) -> Self {
        Self { host, inner, why, directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.join("one-shot.json")
    }

    /// What is armed, if the loader still has it as its default. A file that cannot be understood arms nothing.
    fn armed(&self, default: Option<&Toplevel>) -> Result<Option<Armed>, Error> {
        match self.host.read_part(&self.path(), 0, MAX_BYTES + 1) {
            Ok(bytes) if bytes.len() > MAX_BYTES => Ok(None),
            Ok(bytes) => {
                let armed: Option<Armed> = serde_json::from_slice(&bytes).ok();
                Ok(armed.filter(|armed| default == Some(&armed.armed)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_file(&error) => Ok(None),
            Err(error) => Err(Error::io("read", self.path())(error)),
        }
    }

    fn write(&self, armed: &Armed) -> Result<(), Error> {
        let path = self.path();
        let mut bytes =
            serde_json::to_vec(armed).map_err(|source| Error::Serialize { path: path.clone(), source })?;
        bytes.push(b'\n');
        durable::replace(self.host, &path, &bytes)
    }

    /// Durably: a file that came back would take a default for a trial. A directory in its place arms nothing.
    fn disuse(&self) -> Result<(), Error> {
        match durable::remove(self.host, &self.path()) {
            Err(Error::Io { source, .. }) if is_no_file(&source) => Ok(()),
            removed => removed,
        }
    }
}

impl BootLoader for WithoutOneShot<'_> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn has_one_shot(&self) -> Result<(), String> {
        Err(self.why.clone())
    }

    fn takes_default(&self) -> Result<(), String> {
        self.inner.takes_default()
    }

    fn doubts(&self) -> Vec<String> {
        self.inner.doubts()
    }

    fn forget(&self) {
        self.inner.forget();
    }

    /// Something else that was picked in the menu leaves the trial armed.
    fn consume_one_shot(&self, booted: &Toplevel) -> Result<(), Error> {
        match self.see()?.one_shot {
            OneShot::Armed(armed) if armed == *booted => self.disarm(),
            _ => Ok(()),
        }
    }

    fn follow_installer(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.inner.follow_installer(toplevel)?;
        self.disuse()
    }

    fn see(&self) -> Result<Loader, Error> {
        let seen = self.inner.see()?;
        Ok(match self.armed(seen.default.as_ref())? {
            None => Loader { one_shot: OneShot::Clear, consumes_one_shot: false, ..seen },
            Some(Armed { armed, default }) => {
                Loader { one_shot: OneShot::Armed(armed), default, consumes_one_shot: false, ..seen }
            }
        })
    }

    /// The default first: a crash in between leaves a file that arms nothing, or what is armed already as it was.
    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.inner.set_default(toplevel)?;
        self.disuse()
    }

    /// What is written first says what to go back to: a crash in between leaves a file that arms nothing. So does one that
    /// arms something else, which is why that is taken back before.
    fn arm(&self, toplevel: &Toplevel) -> Result<(), Error> {
        match self.see()?.one_shot {
            OneShot::Armed(armed) if armed == *toplevel => return self.inner.check(toplevel),
            _ => self.inner.check(toplevel)?,
        }
        self.disarm()?;
        let default = self.inner.see()?.default;
        self.write(&Armed { armed: toplevel.clone(), default })?;
        self.inner.set_default(toplevel)
    }

    /// The default first: a crash in between leaves a file that arms nothing.
    fn disarm(&self) -> Result<(), Error> {
        let Some(Armed { default, .. }) = self.armed(self.inner.see()?.default.as_ref())? else {
            return Ok(());
        };
        if let Some(default) = default {
            self.inner.set_default(&default)?;
        }
        self.disuse()
    }

    fn bless(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.inner.bless(toplevel)
    }

    fn check(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.inner.check(toplevel)
    }
}
