//! Kernel and initrd of an entry against those of the store.

use std::io;
use std::path::{Path, PathBuf};

use golden_core::Toplevel;

use crate::{Comparison, Error, Host, Trouble, durable};

/// Deepest directory of device trees, below the first: the kernel's are two deep.
const MAX_DEPTH: usize = 6;
/// Mode of directories on a boot partition, as an installer makes them.
const PUBLIC: u32 = 0o755;

/// Whose entry it is, as far as that can be told, and whether what it names is there. Only the best one of a toplevel is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// The owner's own. Never made the default, never armed, its files never touched.
    Owners,
    /// Its files are the installer's, its command line is not what the system says.
    Changed { is_there: bool },
    /// As NixOS's installer writes it.
    Installers { is_there: bool },
}

impl Standing {
    /// Of an entry with this command line; `is_managed` says that its kernel is the installer's, `is_there` that all of its
    /// files are.
    pub fn of(
        host: &dyn Host,
        toplevel: &Toplevel,
        options: &[String],
        is_managed: bool,
        is_there: bool,
    ) -> Self {
        if !is_managed {
            return Self::Owners;
        }
        let parameters = host.read(&Path::new(toplevel.as_str()).join("kernel-params")).ok();
        let is_own = |bytes: Vec<u8>| has_parameters(toplevel, options, &String::from_utf8_lossy(&bytes));
        if parameters.is_none_or(is_own) { Self::Installers { is_there } } else { Self::Changed { is_there } }
    }

    /// Whether an entry of this standing is one by which its toplevel is booted, among all that the toplevel has: it is none
    /// of the owner's, and none is better.
    pub fn is_used_among(self, all: impl Iterator<Item = Self>) -> bool {
        self != Self::Owners && all.max() == Some(self)
    }

    /// Whether it names files that are not there.
    pub fn lacks_files(self) -> bool {
        matches!(self, Self::Changed { is_there: false } | Self::Installers { is_there: false })
    }
}

/// Whether these files are there. Costs little, and says nothing of what is in them.
pub(super) fn are_there(host: &dyn Host, mut files: impl Iterator<Item = PathBuf>) -> bool {
    let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    files.all(|file| !host.size(&file).is_err_and(is_missing))
}

/// The first of these entries of a toplevel, the best ones first, whose files are whole or were repaired. An entry that is
/// not whole keeps nobody from using another one, and is said.
pub(super) fn first_whole<T>(
    host: &dyn Host,
    toplevel: &Toplevel,
    entries: Vec<T>,
    name: impl Fn(&T) -> String,
    check: impl Fn(&T) -> Result<(), Error>,
) -> Result<T, Error> {
    let mut failed: Vec<(String, Error)> = Vec::new();
    for entry in entries {
        match check(&entry) {
            Ok(()) => {
                for (name, error) in failed {
                    say_unused(host, &name, &error.chain());
                }
                return Ok(entry);
            }
            Err(error) => failed.push((name(&entry), error)),
        }
    }
    Err(failed.into_iter().next().map_or_else(|| Error::NoEntry(toplevel.clone()), |(_, error)| error))
}

/// Why an entry is not used beside one whose files are there.
pub(super) const LACKS_FILES: &str = "boot files that it names are not there";

/// Say why an entry is not used although its toplevel has to be booted.
pub(super) fn say_unused(host: &dyn Host, name: &str, why: &str) {
    host.complain(Trouble::Loader, &format!("the boot entry {name} is not used: {why}"));
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

/// Whether NixOS's installer appends secrets of the owner's to the initrd of this system. Every system has the script that
/// does so; where the owner has named no secrets, it ends before it does anything.
///
/// A script that cannot be read is taken for one that appends: what it appended cannot be made again.
pub(super) fn has_secrets(host: &dyn Host, toplevel: &Toplevel) -> bool {
    match host.read(&Path::new(toplevel.as_str()).join("append-initrd-secrets")) {
        Ok(script) => appends(&String::from_utf8_lossy(&script)),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Whether this script does something to the file that it is given: its first command, after a function and two tests of its
/// arguments, is not `exit 0`. Source: `initialRamdiskSecretAppender` in nixpkgs, `nixos/modules/system/boot/stage-1.nix` and
/// `systemd/initrd.nix`.
fn appends(script: &str) -> bool {
    // Functions and tests are over where a line begins with their last word.
    let mut until = None;
    for line in script.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match until {
            Some(end) if line == end => until = None,
            Some(_) => {}
            None if line.starts_with("function ") && line.ends_with('{') => until = Some("}"),
            None if line.starts_with("if ") && line.ends_with("; then") => until = Some("fi"),
            None => return line != "exit 0",
        }
    }
    true
}

/// Sync the file system of this file, with new directories above it, because loaders read no journal. NixOS's installers for GRUB
/// and U-Boot sync nothing: the boot files have to be durable before a default or a one-shot names them.
pub(super) fn settle(host: &dyn Host, file: &Path) -> Result<(), Error> {
    host.sync_file_system(file).map_err(Error::io("sync", file))
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
            .and_then(|()| settle(host, self.file))
            .map_err(|error| Error::not_repaired(self.toplevel, error))
    }

    fn is_whole(&self, host: &dyn Host) -> Result<bool, Error> {
        match host.compare(self.store, self.file) {
            Ok(Comparison::Same) => Ok(true),
            Ok(Comparison::Longer) => Ok(self.has_secrets),
            Ok(Comparison::Different) => Ok(false),
            // Missing in the store is beyond repair; the copying says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            // Neither whole nor beyond repair: the disk does not say. Something else may be bootable.
            Err(error) => {
                let source = Box::new(Error::io("compare", self.file)(error));
                Err(Error::NotRepaired { toplevel: self.toplevel.clone(), source })
            }
        }
    }

    pub fn damaged(&self, why: &str) -> Error {
        Error::BootFiles { toplevel: self.toplevel.clone(), why: format!("{} {why}", self.file.display()) }
    }
}

/// A directory on the boot partition that an installer copied from the store, such as that of device trees.
pub(super) struct CopiedTree<'a> {
    pub toplevel: &'a Toplevel,
    /// The store's.
    pub store: &'a Path,
    /// The copy.
    pub directory: &'a Path,
}

impl CopiedTree<'_> {
    /// Make sure that every file of the store's is in the copy.
    pub fn repair(&self, host: &dyn Host) -> Result<(), Error> {
        self.names(host, self.store, 0)?.iter().try_for_each(|name| self.repair_file(host, name))
    }

    /// The same for the file of this name below it.
    pub fn repair_file(&self, host: &dyn Host, name: &Path) -> Result<(), Error> {
        let (store, file) = (self.store.join(name), self.directory.join(name));
        let directory = file.parent().unwrap_or(self.directory);
        let made = host.create_directory(directory, PUBLIC).map_err(Error::io("create", directory));
        made.map_err(|error| Error::not_repaired(self.toplevel, error))?;
        Copied { toplevel: self.toplevel, store: &store, file: &file, has_secrets: false }.repair(host)
    }

    /// Every file below this directory of the store's, by its path below the whole.
    fn names(&self, host: &dyn Host, directory: &Path, depth: usize) -> Result<Vec<PathBuf>, Error> {
        let listed = host.list(directory).map_err(Error::io("list", directory));
        let mut entries = listed.map_err(|error| Error::not_repaired(self.toplevel, error))?;
        entries.sort();
        let mut names = Vec::new();
        for entry in entries {
            let path = directory.join(entry);
            match host.list(&path) {
                // A link in the store may lead back to where it is.
                Ok(_) if depth < MAX_DEPTH => names.extend(self.names(host, &path, depth + 1)?),
                Ok(_) => {}
                Err(_) => names.extend(path.strip_prefix(self.store).map(Path::to_owned)),
            }
        }
        Ok(names)
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

    /// As NixOS writes it, with this in the place of the secrets.
    fn script(ends: &str, secrets: &str) -> String {
        format!(
            "#!/nix/store/bbb-bash/bin/bash -e\nfunction usage {{\n  echo \"USAGE: $0 INITRD_FILE\" >&2\n  \
             echo \"Appends this configuration's secrets to INITRD_FILE\" >&2\n}}\n\nif [ $# -ne 1 ]; then\n  \
             usage\n  exit 1\nfi\n\nif [ \"$1\"x = \"--helpx\" ]; then\n  usage\n  exit 0\nfi\n\n{ends}\n\n\
             export PATH=/nix/store/ccc-coreutils/bin\n\nfunction cleanup {{\n  if [ -n \"$tmp\" -a -d \"$tmp\" ]; then\n    \
             rm -fR \"$tmp\"\n  fi\n}}\ntrap cleanup EXIT\n\n\
             tmp=$(mktemp -d ${{TMPDIR:-/tmp}}/initrd-secrets.XXXXXXXXXX)\n\n{secrets}\n\n\
             (cd \"$tmp\" && find . -mindepth 1 | cpio -o -H newc | gzip) >> \"$1\"\n"
        )
    }

    #[test]
    fn a_system_has_secrets_only_where_its_script_appends_some() {
        let key =
            "mkdir -p $(dirname \"$tmp/.initrd-secrets//key\")\ncp -a /key \"$tmp/.initrd-secrets//key\"\n";
        assert!(!appends(&script("exit 0", "")));
        assert!(appends(&script("", key)));
        assert!(appends(&script("", &format!("{key}exit 0\n"))), "it ends after it did something");
        // Nothing is known of these.
        for other in ["", "exit 0 # or not", "#!/bin/sh\nsomething\nexit 0\n", "if true; then\n  exit 0\n"] {
            assert!(appends(other), "{other}");
        }
        assert!(!appends("#!/bin/sh\n\nexit 0\n"));
    }

    #[test]
    fn the_best_entry_is_used_and_none_of_the_owners_ever() {
        let changed = |is_there| Standing::Changed { is_there };
        let installers = |is_there| Standing::Installers { is_there };
        let owners = Standing::Owners;
        for (own, others, expected) in [
            (installers(true), vec![owners, changed(true)], true),
            (changed(true), vec![owners], true),
            (changed(true), vec![installers(true)], false),
            (changed(true), vec![installers(false)], false),
            (installers(false), vec![owners, changed(true)], true),
            (installers(false), vec![installers(true)], false),
            (installers(true), vec![installers(false)], true),
            (owners, vec![], false),
        ] {
            let all = others.iter().copied().chain([own]);
            assert_eq!(own.is_used_among(all), expected, "{own:?} among {others:?}");
        }
    }
}
