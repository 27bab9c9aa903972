//! systemd-boot. Source: `systemd-boot(7)` and systemd.io, "The Boot Loader Interface".

use std::io;
use std::path::{Path, PathBuf};

use golden_core::{Loader, OneShot, Toplevel};

use super::entry::Entry;
use super::{BootLoader, loader_conf};
use crate::{Comparison, Error, Host, durable};

/// Where the boot partition is mounted, by custom.
const BOOT: [&str; 3] = ["/boot", "/efi", "/boot/efi"];
const ONE_SHOT: &str = "LoaderEntryOneShot";
/// Set by a person in the menu; it goes before `loader.conf`.
const DEFAULT: &str = "LoaderEntryDefault";
const SELECTED: &str = "LoaderEntrySelected";

/// systemd-boot on one boot partition.
pub struct SystemdBoot<'a> {
    host: &'a dyn Host,
    boot: &'static Path,
}

impl<'a> SystemdBoot<'a> {
    pub(super) fn find(host: &'a dyn Host) -> Option<Self> {
        let has_entries = |boot: &&'static str| host.list(&Path::new(boot).join("loader/entries")).is_ok();
        BOOT.iter().copied().find(has_entries).map(|boot| Self { host, boot: Path::new(boot) })
    }

    fn entries_directory(&self) -> PathBuf {
        self.boot.join("loader/entries")
    }

    fn conf(&self) -> PathBuf {
        self.boot.join("loader/loader.conf")
    }

    /// Entries that boot systems of ours, by name. One that cannot be read is none.
    fn entries(&self) -> Result<Vec<Entry>, Error> {
        let directory = self.entries_directory();
        let names = self.host.list(&directory).map_err(Error::io("list", &directory))?;
        let names = names.iter().filter_map(|name| name.to_str()).filter(|name| is_entry(name));
        let read = |name: &str| Entry::parse(name, &self.host.read(&directory.join(name)).ok()?);
        let mut entries: Vec<Entry> = names.filter_map(read).collect();
        entries.sort_by(|left, right| left.file.cmp(&right.file));
        Ok(entries)
    }

    fn entry(&self, toplevel: &Toplevel) -> Result<Entry, Error> {
        let mut entries = self.entries()?;
        let index = entries.iter().position(|entry| entry.toplevel == *toplevel);
        index.map(|index| entries.swap_remove(index)).ok_or_else(|| Error::NoEntry(toplevel.clone()))
    }

    fn conf_text(&self) -> Result<String, Error> {
        match self.host.read(&self.conf()) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Error::io("read", self.conf())(error)),
        }
    }

    /// The text of a variable; `None` where it is not set or the firmware has none.
    fn variable(&self, name: &'static str) -> Result<Option<String>, Error> {
        match self.host.efi_read(name) {
            Ok(value) => Ok(value.map(|bytes| from_utf16(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            Err(source) => Err(Error::EfiVariable { action: "read", name, source }),
        }
    }

    fn set_variable(&self, name: &'static str, text: &str) -> Result<(), Error> {
        let failed = |source| Error::EfiVariable { action: "set", name, source };
        self.host.efi_write(name, &to_utf16(text)).map_err(failed)?;
        if self.variable(name)?.as_deref() == Some(text) { Ok(()) } else { Err(Error::DidNotStick(name)) }
    }

    /// A pattern that matches entries of several toplevels says nothing certain.
    fn default_of(&self, entries: &[Entry]) -> Result<Option<Toplevel>, Error> {
        let conf = self.conf_text()?;
        let in_menu = self.variable(DEFAULT)?;
        let pattern = match &in_menu {
            Some(id) => Some(id.as_str()),
            None => loader_conf::default_pattern(&conf),
        };
        let Some(pattern) = pattern else { return Ok(None) };
        if let Some(entry) = entries.iter().find(|entry| entry.is_called(pattern)) {
            return Ok(Some(entry.toplevel.clone()));
        }
        let mut matching = entries.iter().filter(|entry| loader_conf::matches(pattern, &entry.id()));
        let first = matching.next().map(|entry| entry.toplevel.clone());
        let certain = first.as_ref().is_some_and(|first| matching.all(|entry| entry.toplevel == *first));
        Ok(first.filter(|_| certain))
    }

    /// Kernel and initrd on the boot partition are the store's. Some loaders hang for ever on a missing initrd or a
    /// corrupt kernel, so nothing is armed or pinned whose files are not whole.
    fn check_files(&self, entry: &Entry) -> Result<(), Error> {
        let top = PathBuf::from(entry.toplevel.as_str());
        if let Some(linux) = &entry.linux {
            self.check_file(entry, &top.join("kernel"), linux, false)?;
        }
        if let Some(initrd) = entry.initrds.last() {
            // NixOS appends an owner's secrets to the copy on the boot partition.
            let secrets = self.host.read(&top.join("append-initrd-secrets")).is_ok();
            self.check_file(entry, &top.join("initrd"), initrd, secrets)?;
        }
        Ok(())
    }

    fn check_file(&self, entry: &Entry, store: &Path, name: &str, may_go_on: bool) -> Result<(), Error> {
        let file = self.boot.join(name.replace('\\', "/").trim_start_matches('/'));
        let whole = || match self.host.compare(store, &file) {
            Ok(Comparison::Same) => Ok(true),
            Ok(Comparison::Longer) => Ok(may_go_on),
            Ok(Comparison::Different) => Ok(false),
            // Missing in the store is beyond repair; `copy` below says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("compare", &file)(error)),
        };
        if whole()? {
            return Ok(());
        }
        let damaged = |why: String| Error::BootFiles { toplevel: entry.toplevel.clone(), why };
        if may_go_on {
            return Err(damaged(format!(
                "{} is damaged and holds secrets that only NixOS can add",
                file.display()
            )));
        }
        durable::replace_with_copy(self.host, store, &file).map_err(|error| damaged(error.chain()))?;
        if whole()? { Ok(()) } else { Err(damaged(format!("{} cannot be repaired", file.display()))) }
    }
}

impl BootLoader for SystemdBoot<'_> {
    fn see(&self) -> Result<Loader, Error> {
        let entries = self.entries()?;
        let called = |id: &String| entries.iter().find(|entry| entry.is_called(id));
        let one_shot = match self.variable(ONE_SHOT)? {
            None => OneShot::Clear,
            Some(id) => called(&id).map_or(OneShot::Foreign, |entry| OneShot::Armed(entry.toplevel.clone())),
        };
        let selected = self.variable(SELECTED)?;
        Ok(Loader {
            default: self.default_of(&entries)?,
            one_shot,
            selected: selected.as_ref().and_then(called).map(|entry| entry.toplevel.clone()),
            // Evidence that is welcome and not needed.
            firmware_boots: self.host.firmware_boots().ok().flatten(),
            listed: entries.iter().map(|entry| entry.toplevel.clone()).collect(),
        })
    }

    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let id = self.entry(toplevel)?.id();
        let text = loader_conf::with_default(&self.conf_text()?, &id);
        durable::replace_text_in_place(self.host, &self.conf(), &text)?;
        if self.variable(DEFAULT)?.is_some() {
            self.set_variable(DEFAULT, &id)?;
        }
        match self.see()?.default {
            Some(default) if default == *toplevel => Ok(()),
            _ => Err(Error::DidNotStick("the loader's default")),
        }
    }

    fn arm(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let entry = self.entry(toplevel)?;
        self.check_files(&entry)?;
        self.set_variable(ONE_SHOT, &entry.id())
    }

    fn disarm(&self) -> Result<(), Error> {
        let failed = |source| Error::EfiVariable { action: "remove", name: ONE_SHOT, source };
        self.host.efi_remove(ONE_SHOT).map_err(failed)
    }

    fn bless(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let directory = self.entries_directory();
        let counted = |entry: &Entry| entry.toplevel == *toplevel && entry.is_counted();
        for entry in self.entries()?.into_iter().filter(counted) {
            match durable::rename(self.host, &directory.join(&entry.file), &directory.join(entry.id())) {
                // systemd-bless-boot was faster.
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        Ok(())
    }

    fn check(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.check_files(&self.entry(toplevel)?)
    }
}

/// vfat knows no upper and lower case.
fn is_entry(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("conf"))
}

/// Variables of the boot loader interface are UTF-16, little-endian, ended by NUL.
fn from_utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|&unit| unit != 0).collect();
    String::from_utf16_lossy(&units)
}

fn to_utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}
