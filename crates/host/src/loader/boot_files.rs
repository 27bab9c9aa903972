//! Kernel and initrd of an entry against those of the store.

use std::io;
use std::path::Path;

use golden_core::Toplevel;

use crate::{Comparison, Error, Host, durable};

/// Whose entry it is, as far as that can be told. Only the best one of a toplevel is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// The owner's own. Never made the default, never armed, its files never touched.
    Owners,
    /// Its files are the installer's, its command line is not what the system says.
    Changed,
    /// As NixOS's installer writes it.
    Installers,
}

impl Standing {
    /// Of an entry with this command line; `is_managed` says that its kernel is the installer's.
    pub fn of(host: &dyn Host, toplevel: &Toplevel, options: &[String], is_managed: bool) -> Self {
        if !is_managed {
            return Self::Owners;
        }
        let parameters = host.read(&Path::new(toplevel.as_str()).join("kernel-params")).ok();
        let init = format!("init={toplevel}/init");
        let is_own = |bytes: Vec<u8>| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let own = options.iter().filter(|word| **word != init).map(String::as_str);
            let count = options.iter().filter(|word| **word == init).count();
            count == 1 && own.eq(text.split_ascii_whitespace())
        };
        if parameters.is_none_or(is_own) { Self::Installers } else { Self::Changed }
    }
}

/// A file on the boot partition that an installer copied from the store.
pub(super) struct Copied<'a> {
    pub toplevel: &'a Toplevel,
    /// The store's.
    pub store: &'a Path,
    /// The copy.
    pub file: &'a Path,
}

impl Copied<'_> {
    /// Make sure that the copy is the store's: some loaders hang for ever on what is damaged.
    pub fn repair(&self, host: &dyn Host) -> Result<(), Error> {
        if self.is_whole(host)? {
            return Ok(());
        }
        durable::replace_with_copy(host, self.store, self.file)
            .map_err(|error| Error::not_repaired(self.toplevel, error))?;
        let text = || format!("{} cannot be repaired", self.file.display());
        if self.is_whole(host)? { Ok(()) } else { Err(self.damaged(&text())) }
    }

    fn is_whole(&self, host: &dyn Host) -> Result<bool, Error> {
        match host.compare(self.store, self.file) {
            Ok(comparison) => Ok(comparison == Comparison::Same),
            // Missing in the store is beyond repair; the copying says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("compare", self.file)(error)),
        }
    }

    fn damaged(&self, why: &str) -> Error {
        Error::BootFiles { toplevel: self.toplevel.clone(), why: why.to_owned() }
    }
}
