//! systemd-boot. Source: `systemd-boot(7)` and systemd.io, "The Boot Loader Interface".

mod boot_files;
mod entries;
mod order;

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use golden_core::{Loader, OneShot, StartedBy, Toplevel};

use super::interface::{self, INFO, from_utf16, to_utf16};
use super::loader_conf::Key;
use super::mirrored::Mirrored;
use super::mounts::Mounts;
use super::partitions::{self, Partitions};
use super::{BootLoader, loader_conf};
use crate::evidence::printable;
use crate::system::EFI_VARIABLES;
use crate::{Error, Host, durable};
use entries::{Entries, Listed, Named, Spelling, first_of_all, has_entries, named};

const ONE_SHOT: &str = "LoaderEntryOneShot";
/// Set by a person in the menu; they go before the lines of that name in `loader.conf`.
const DEFAULT: &str = "LoaderEntryDefault";
const PREFERRED: &str = "LoaderEntryPreferred";
const SELECTED: &str = "LoaderEntrySelected";

/// systemd-boot with its boot partitions.
pub struct SystemdBoot<'a> {
    host: &'a dyn Host,
    /// Where `loader.conf` is: the loader reads no other one.
    esp: PathBuf,
    /// Where there may be entries.
    partitions: Vec<Rc<Path>>,
    doubts: Vec<String>,
    /// Whether the firmware started it from a mirror that the owner named.
    started_from_mirror: bool,
    /// On a mirror, what it is a mirror of.
    original: Option<Rc<SystemdBoot<'a>>>,
    /// What is listed, once it was read.
    known: RefCell<Option<Rc<Entries>>>,
}

impl<'a> SystemdBoot<'a> {
    pub(super) fn find(
        host: &'a dyn Host,
        mirrors: &[PathBuf],
    ) -> Result<Option<Box<dyn BootLoader + 'a>>, Error> {
        let has_conf = |partition: &Path| host.size(&conf_of(partition)).is_ok();
        let has_entries = |partition: &Path| has_entries(host, partition);
        let Some(found) = partitions::find(host, mirrors, has_conf, has_entries)? else { return Ok(None) };
        if !found.all.iter().any(|partition| has_entries(partition)) {
            return Ok(None);
        }
        let Partitions { esp, all, mirrors, mut doubts, started_from_mirror } = found;
        let original = || Self::at(host, esp.clone(), &all, None);
        let mut readable: Vec<Box<dyn BootLoader + 'a>> = Vec::new();
        for place in mirrors {
            let mirror =
                Self::at(host, place.clone(), std::slice::from_ref(&place), Some(Rc::new(original())));
            match mirror.is_readable() {
                Ok(()) => readable.push(Box::new(mirror)),
                // Its disk has failed: it is left out as one that is not mounted.
                Err(error) => doubts.push(format!(
                    "{}, a mirror of the boot partition, cannot be read: {}",
                    place.display(),
                    error.chain()
                )),
            }
        }
        let first = Self { doubts, started_from_mirror, ..original() };
        Ok(Some(Mirrored::of(Box::new(first), readable)))
    }

    fn at(host: &'a dyn Host, esp: PathBuf, partitions: &[PathBuf], original: Option<Rc<Self>>) -> Self {
        let partitions = partitions.iter().map(|partition| Rc::from(partition.as_path())).collect();
        Self {
            host,
            esp,
            partitions,
            doubts: Vec::new(),
            started_from_mirror: false,
            original,
            known: RefCell::default(),
        }
    }

    /// Whether the entries and `loader.conf` of this partition can be read.
    fn is_readable(&self) -> Result<(), Error> {
        self.entries().and(self.conf_bytes()).map(drop)
    }

    fn conf(&self) -> PathBuf {
        conf_of(&self.esp)
    }

    /// What was listed is listed no more.
    fn reread(&self) {
        *self.known.borrow_mut() = None;
    }

    /// An entry may outlive its system: nothing can be repaired then.
    fn is_in_store(&self, toplevel: &Toplevel) -> bool {
        self.host.list(Path::new(toplevel.as_str())).is_ok()
    }

    fn conf_bytes(&self) -> Result<Vec<u8>, Error> {
        match self.host.read(&self.conf()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(Error::io("read", self.conf())),
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

    /// Whether the firmware keeps what a running system sets in memory only. Source: U-Boot's `EFI_RT_VOLATILE_STORE` and the
    /// EBBR specification: these name the file on the ESP that a running system would have to write, and nothing does.
    fn forgets_variables(&self) -> bool {
        let is_there = |name: &&str| {
            let path = format!("{EFI_VARIABLES}/{name}-b2ac5fc9-92b7-4acd-aeac-11e818c3130c");
            self.host.size(Path::new(&path)).is_ok()
        };
        ["RTStorageVolatile", "VarToFile"].iter().any(is_there)
    }

    /// Who started this boot instead, as far as the machine shows it, as a part of a sentence. systemd-boot says its name in every
    /// boot. That nobody does is no evidence by itself: a machine that is looked at from outside shows no variables.
    fn bypassed_by(&self) -> Option<String> {
        let has = |directory: &str| self.host.list(Path::new(directory)).is_ok();
        if has("/sys/firmware") && !has("/sys/firmware/efi") {
            return Some("the machine was started by a BIOS".to_owned());
        }
        match interface::started_by(self.host).loader {
            Some(info) if info.starts_with("systemd-boot") => None,
            Some(info) => Some(format!("{} started the machine", printable(&info))),
            None => {
                let can_say = self.host.efi_read(INFO).is_ok();
                let says_nothing = self.variable(SELECTED).is_ok_and(|selected| selected.is_none());
                let has_grub = self.host.size(Path::new("/boot/grub/grub.cfg")).is_ok();
                let is_other = can_say && says_nothing && has_grub;
                is_other.then(|| {
                    "GRUB is there too, and a loader that does not say its name started the machine"
                        .to_owned()
                })
            }
        }
    }

    /// A mirror has what the boot partition has: a boot that began there was started by the loader that was told what to boot.
    fn started_by(&self) -> StartedBy {
        let said = interface::started_by(self.host);
        if self.started_from_mirror { StartedBy { partition: None, ..said } } else { said }
    }

    fn spelling(&self) -> Result<Spelling, Error> {
        Ok(Spelling::of(self.variable(INFO)?.as_deref()))
    }

    fn set_variable(&self, name: &'static str, text: &str) -> Result<(), Error> {
        let failed = |source| Error::EfiVariable { action: "set", name, source };
        self.host.efi_write(name, &to_utf16(text)).map_err(failed)?;
        if self.variable(name)?.as_deref() == Some(text) { Ok(()) } else { Err(Error::DidNotStick(name)) }
    }

    /// What boots by itself: the first of these that names an entry, and where there is none, the first of the menu.
    fn default_of(&self, entries: &Entries) -> Result<Named, Error> {
        let conf = self.conf_bytes()?;
        let patterns = [
            (Key::Preferred, self.variable(PREFERRED)?),
            (Key::Preferred, loader_conf::pattern(&conf, Key::Preferred)),
            (Key::Default, self.variable(DEFAULT)?),
            (Key::Default, loader_conf::pattern(&conf, Key::Default)),
        ];
        let patterns = patterns.into_iter().filter_map(|(key, pattern)| Some((key, pattern?)));
        let spelling = self.spelling()?;
        let mut names = patterns.map(|(key, pattern)| named(entries, spelling, key, &pattern));
        let given = names.find(|names| *names != Named::Nothing);
        Ok(given.unwrap_or_else(|| first_of_all(entries, spelling)))
    }
}

fn conf_of(partition: &Path) -> PathBuf {
    partition.join("loader/loader.conf")
}

impl BootLoader for SystemdBoot<'_> {
    fn name(&self) -> &'static str {
        "systemd-boot"
    }

    fn has_one_shot(&self) -> Result<(), String> {
        let mounts = Mounts::read(self.host);
        let variables = mounts.at(Path::new(EFI_VARIABLES));
        if variables.is_none() && mounts.are_known() {
            return Err("the firmware's variables are not there".to_owned());
        }
        if variables.is_some_and(|mount| mount.is_read_only) {
            return Err("the firmware's variables can only be read".to_owned());
        }
        if self.forgets_variables() {
            return Err("the firmware forgets at the next start what a running system sets in its variables"
                .to_owned());
        }
        match self.host.efi_read(ONE_SHOT) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the firmware's variables cannot be used: {error}")),
        }
    }

    fn takes_default(&self) -> Result<(), String> {
        if let Some(other) = self.bypassed_by() {
            return Err(format!(
                "{other}, and systemd-boot is configured: what is set there is read by nobody"
            ));
        }
        let is_set = |name| self.variable(name).is_ok_and(|set| set.is_some());
        match [PREFERRED, DEFAULT].into_iter().find(|name| is_set(name)) {
            Some(name) if self.forgets_variables() => Err(format!(
                "{name} is set and goes before loader.conf, and the firmware forgets at the next start that it was changed"
            )),
            _ => Ok(()),
        }
    }

    fn doubts(&self) -> Vec<String> {
        let mut doubts = self.doubts.clone();
        match self.entries().and_then(|entries| self.default_of(&entries)) {
            Ok(Named::Only(_)) => {}
            Ok(Named::Unclear) => doubts.push(format!(
                "the default of {} matches several entries, and the loader does not say how it sorts them, or one of them is \
                 no system of NixOS",
                self.conf().display()
            )),
            Ok(Named::Nothing) => doubts.push(format!("the default of {} names no entry", self.conf().display())),
            Err(error) => doubts.push(error.chain()),
        }
        doubts
    }

    fn forget(&self) {
        self.reread();
        self.original.iter().for_each(|original| original.reread());
    }

    /// lanzaboote's installer names every system by one pattern, and the loader takes the first of them.
    fn follow_installer(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let pattern = loader_conf::pattern(&self.conf_bytes()?, Key::Default).unwrap_or_default();
        let is_pattern = pattern.contains(['*', '?', '[']);
        match self.default_of(&*self.entries()?)? {
            Named::Only(default) if default == *toplevel || !is_pattern => Ok(()),
            _ => self.set_default(toplevel),
        }
    }

    fn see(&self) -> Result<Loader, Error> {
        let entries = self.entries()?;
        let called = |id: &String| entries.ours.iter().find(|listed| listed.entry.is_called(id));
        let used = |listed: &&Listed| entries.is_used(listed);
        let one_shot = match self.variable(ONE_SHOT)? {
            None => OneShot::Clear,
            Some(name) => match named(&entries, self.spelling()?, Key::Default, &name) {
                Named::Only(toplevel) => OneShot::Armed(toplevel),
                Named::Nothing | Named::Unclear => OneShot::Foreign,
            },
        };
        let selected = self.variable(SELECTED)?;
        let listed =
            || entries.ours.iter().filter(used).filter(|listed| self.is_in_store(&listed.entry.toplevel));
        Ok(Loader {
            default: match self.default_of(&entries)? {
                Named::Only(toplevel) => Some(toplevel),
                Named::Nothing | Named::Unclear => None,
            },
            one_shot,
            selected: selected.as_ref().and_then(called).map(Listed::toplevel),
            started_by: self.started_by(),
            // Evidence that is welcome and not needed.
            firmware_boots: self.host.firmware_boots().ok().flatten(),
            is_bypassed: self.bypassed_by().is_some(),
            consumes_one_shot: true,
            incomplete: listed()
                .filter(|listed| listed.standing.lacks_files())
                .map(Listed::toplevel)
                .collect(),
            listed: listed().map(Listed::toplevel).collect(),
        })
    }

    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let listed = self.entry(toplevel)?;
        let id = listed.entry.name_for_loader();
        let text = loader_conf::with_default(&self.conf_bytes()?, &id);
        durable::replace_text_in_place(self.host, &self.conf(), &text)?;
        for name in [PREFERRED, DEFAULT] {
            match self.variable(name) {
                Ok(None) => {}
                // What says so already may stand where nothing can be written.
                Ok(Some(set)) if set == id => {}
                Ok(Some(_)) => self.set_variable(name, &id)?,
                // It may name any entry, and goes before what was written. Firmware that cannot read it may still replace it.
                Err(error) => self.set_variable(name, &id).map_err(|_| error)?,
            }
        }
        match self.see()?.default {
            Some(default) if default == *toplevel => Ok(()),
            _ => Err(Error::DidNotStick("the loader's default")),
        }
    }

    fn arm(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let listed = self.entry(toplevel)?;
        self.set_variable(ONE_SHOT, &listed.entry.name_for_loader())
    }

    fn disarm(&self) -> Result<(), Error> {
        let failed = |source| Error::EfiVariable { action: "remove", name: ONE_SHOT, source };
        self.host.efi_remove(ONE_SHOT).map_err(failed)
    }

    fn bless(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let entries = self.entries()?;
        let counted = |listed: &&Listed| listed.entry.toplevel == *toplevel && listed.entry.is_counted();
        for listed in entries.ours.iter().filter(counted).filter(|listed| entries.is_used(listed)) {
            let (entry, directory) = (&listed.entry, listed.directory());
            let is_taken = |other: &Listed| other.directory() == directory && other.entry.file == entry.id();
            if entries.ours.iter().any(is_taken) {
                continue;
            }
            self.reread();
            match durable::rename(self.host, &directory.join(&entry.file), &directory.join(entry.id())) {
                // systemd-bless-boot was faster.
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        Ok(())
    }

    fn check(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.entry(toplevel).map(drop)
    }
}
