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
        let is_own = |bytes: Vec<u8>| has_parameters(toplevel, options, &String::from_utf8_lossy(&bytes));
        if parameters.is_none_or(is_own) { Self::Installers } else { Self::Changed }
    }

    /// Whether an entry of this standing is one by which its toplevel is booted, among all that the toplevel has: it is none
    /// of the owner's, and none is better.
    pub fn is_used_among(self, all: impl Iterator<Item = Self>) -> bool {
        self != Self::Owners && all.max() == Some(self)
    }
}

/// Whether a kernel's command line is the system's own: its `init=` and `parameters`, and nothing else. Quotes around a word
/// are left out, as loaders do.
pub(super) fn has_parameters(toplevel: &Toplevel, options: &[String], parameters: &str) -> bool {
    let init = format!("init={toplevel}/init");
    let words = options.iter().map(|word| word.trim_matches('"'));
    let (inits, own): (Vec<&str>, Vec<&str>) = words.partition(|word| *word == init);
    let parameters = parameters.split_ascii_whitespace().map(|word| word.trim_matches('"'));
    inits.len() == 1 && own.into_iter().eq(parameters)
}

/// A file on the boot partition that an installer copied from the store.
pub(super) struct Copied<'a> {
    pub toplevel: &'a Toplevel,
    /// The store's.
    pub store: &'a Path,
    /// The copy.
    pub file: &'a Path,
    /// Whether NixOS has appended the owner's secrets to it, which the store does not have.
    pub has_secrets: bool,
}

impl Copied<'_> {
    /// Make sure that the copy is the store's: some loaders hang for ever on what is damaged.
    pub fn repair(&self, host: &dyn Host) -> Result<(), Error> {
        if self.is_whole(host)? {
            return Ok(());
        }
        if self.has_secrets {
            return Err(self.damaged("is damaged and holds secrets that only NixOS can add"));
        }
        self.replace(host)?;
        if self.is_whole(host)? { Ok(()) } else { Err(self.damaged("cannot be repaired")) }
    }

    /// Copy it anew.
    pub fn replace(&self, host: &dyn Host) -> Result<(), Error> {
        durable::replace_with_copy(host, self.store, self.file)
            .map_err(|error| Error::not_repaired(self.toplevel, error))
    }

    fn is_whole(&self, host: &dyn Host) -> Result<bool, Error> {
        match host.compare(self.store, self.file) {
            Ok(Comparison::Same) => Ok(true),
            Ok(Comparison::Longer) => Ok(self.has_secrets),
            Ok(Comparison::Different) => Ok(false),
            // Missing in the store is beyond repair; the copying says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("compare", self.file)(error)),
        }
    }

    pub fn damaged(&self, why: &str) -> Error {
        Error::BootFiles { toplevel: self.toplevel.clone(), why: format!("{} {why}", self.file.display()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_the_systems_own_whether_its_words_are_quoted_or_not() {
        let toplevel: Toplevel = "/nix/store/aaa-a".parse().unwrap();
        let is_own = |options: &str, parameters: &str| {
            let options: Vec<String> = options.split(' ').map(str::to_owned).collect();
            has_parameters(&toplevel, &options, parameters)
        };
        // What GRUB has read has no quotes any more, what systemd-boot's entries say has.
        for options in ["init=/nix/store/aaa-a/init a b", "init=/nix/store/aaa-a/init \"a\" b"] {
            assert!(is_own(options, "a b\n") && is_own(options, "\"a\"  \"b\""), "{options}");
            assert!(
                !is_own(options, "b a") && !is_own(options, "a") && !is_own(options, "a b c"),
                "{options}"
            );
        }
        assert!(!is_own("a", "a"), "it boots another system");
        assert!(!is_own("init=/nix/store/aaa-a/init init=/nix/store/aaa-a/init a", "a"));
    }

    #[test]
    fn the_best_entry_is_used_and_none_of_the_owners_ever() {
        use Standing::{Changed, Installers, Owners};
        for (own, others, expected) in [
            (Installers, vec![Owners, Changed], true),
            (Changed, vec![Owners], true),
            (Changed, vec![Installers], false),
            (Owners, vec![], false),
        ] {
            let all = others.iter().copied().chain([own]);
            assert_eq!(own.is_used_among(all), expected, "{own:?} among {others:?}");
        }
    }
}
