//! systemd-boot. Source: `systemd-boot(7)` and systemd.io, "The Boot Loader Interface".

use std::io;
use std::path::{Path, PathBuf};

use golden_core::{Loader, OneShot, Toplevel};

use super::entry::{Entry, is_managed};
use super::loader_conf::Key;
use super::{BootLoader, loader_conf};
use crate::{Comparison, Error, Host, durable};

/// Where boot partitions are mounted, by custom. With XBOOTLDR there are two: its entries are on `/boot`, and what is on
/// `/efi` or `/boot/efi` is the ESP.
const PARTITIONS: [&str; 3] = ["/efi", "/boot/efi", "/boot"];
const ONE_SHOT: &str = "LoaderEntryOneShot";
/// Set by a person in the menu; they go before the lines of that name in `loader.conf`.
const DEFAULT: &str = "LoaderEntryDefault";
const PREFERRED: &str = "LoaderEntryPreferred";
const SELECTED: &str = "LoaderEntrySelected";

/// systemd-boot with its boot partitions.
pub struct SystemdBoot<'a> {
    host: &'a dyn Host,
    /// Where `loader.conf` is: the loader reads no other one.
    esp: &'static Path,
    /// Where there are entries.
    partitions: Vec<&'static Path>,
}

/// An entry, and where it is.
#[derive(Debug)]
struct Listed {
    entry: Entry,
    partition: &'static Path,
    standing: Standing,
}

/// Whose entry it is, as far as that can be told. Only the best one of a toplevel is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// The owner's own. Never made the default, never armed, its files never touched.
    Owners,
    /// Its files are the installer's, its command line is not what the system says.
    Changed,
    /// As NixOS's installer writes it.
    Installers,
}

impl<'a> SystemdBoot<'a> {
    pub(super) fn find(host: &'a dyn Host) -> Option<Self> {
        // A directory of that name on another file system is none that the firmware reads.
        let mounted = mounted(host);
        let is_partition = |path: &&Path| mounted.is_empty() || mounted.contains(path);
        let all = || PARTITIONS.iter().map(|partition| Path::new(*partition)).filter(is_partition);
        let has_entries = |partition: &&Path| host.list(&entries_of(partition)).is_ok();
        let has_conf = |partition: &&Path| host.read(&conf_of(partition)).is_ok();
        let partitions: Vec<&Path> = all().filter(has_entries).collect();
        let esp = all().find(has_conf).or(partitions.first().copied())?;
        (!partitions.is_empty()).then_some(Self { host, esp, partitions })
    }

    fn conf(&self) -> PathBuf {
        conf_of(self.esp)
    }

    /// Entries that boot systems of ours, by name. One that cannot be read is none.
    fn entries(&self) -> Result<Vec<Listed>, Error> {
        let mut entries = Vec::new();
        for &partition in &self.partitions {
            let directory = entries_of(partition);
            let names = self.host.list(&directory).map_err(Error::io("list", &directory))?;
            let names = names.iter().filter_map(|name| name.to_str()).filter(|name| is_entry(name));
            let read = |name: &str| Entry::parse(name, &self.host.read(&directory.join(name)).ok()?);
            let listed = |entry| Listed { standing: self.standing(&entry), entry, partition };
            entries.extend(names.filter_map(read).map(listed));
        }
        entries.sort_by(|left, right| left.entry.file.cmp(&right.entry.file));
        Ok(entries)
    }

    fn standing(&self, entry: &Entry) -> Standing {
        let parameters = Path::new(entry.toplevel.as_str()).join("kernel-params");
        let parameters = self.host.read(&parameters).ok();
        let is_own = |bytes: Vec<u8>| entry.has_parameters(&String::from_utf8_lossy(&bytes));
        match entry.linux.as_deref().map(is_managed) {
            Some(true) if parameters.is_none_or(is_own) => Standing::Installers,
            Some(true) => Standing::Changed,
            _ => Standing::Owners,
        }
    }

    /// An entry may outlive its system: nothing can be repaired then.
    fn is_in_store(&self, toplevel: &Toplevel) -> bool {
        self.host.list(Path::new(toplevel.as_str())).is_ok()
    }

    fn entry(&self, toplevel: &Toplevel) -> Result<Listed, Error> {
        let mut entries = self.entries()?;
        entries.retain(|listed| listed.entry.toplevel == *toplevel);
        let index = entries.iter().position(|listed| is_used(&entries, listed));
        index.map(|index| entries.swap_remove(index)).ok_or_else(|| Error::NoEntry(toplevel.clone()))
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

    fn set_variable(&self, name: &'static str, text: &str) -> Result<(), Error> {
        let failed = |source| Error::EfiVariable { action: "set", name, source };
        self.host.efi_write(name, &to_utf16(text)).map_err(failed)?;
        if self.variable(name)?.as_deref() == Some(text) { Ok(()) } else { Err(Error::DidNotStick(name)) }
    }

    /// What boots by itself: the first of these that names an entry.
    fn default_of(&self, entries: &[Listed]) -> Result<Option<Toplevel>, Error> {
        let conf = self.conf_bytes()?;
        let named = [
            (Key::Preferred, self.variable(PREFERRED)?),
            (Key::Preferred, loader_conf::pattern(&conf, Key::Preferred)),
            (Key::Default, self.variable(DEFAULT)?),
            (Key::Default, loader_conf::pattern(&conf, Key::Default)),
        ];
        let patterns = named.into_iter().filter_map(|(key, pattern)| Some((key, pattern?)));
        let named: Vec<&Listed> = patterns
            .map(|(key, pattern)| named_by(entries, key, &pattern))
            .find(|named| !named.is_empty())
            .unwrap_or_default();
        // A pattern that matches entries of several toplevels says nothing certain.
        let first = named.first().map(|first| first.toplevel());
        let is_certain =
            |other: &&Listed| Some(&other.entry.toplevel) == first.as_ref() && is_used(entries, other);
        Ok(first.clone().filter(|_| named.iter().all(is_certain)))
    }

    /// Kernel and initrd on the boot partition are the store's. Some loaders hang for ever on a missing initrd or a
    /// corrupt kernel, so nothing is armed or pinned whose files are not whole.
    fn check_files(&self, listed: &Listed) -> Result<(), Error> {
        let Listed { entry, .. } = listed;
        let top = PathBuf::from(entry.toplevel.as_str());
        if let Some(linux) = &entry.linux {
            self.check_file(listed, &top.join("kernel"), linux, false)?;
        }
        // NixOS appends an owner's secrets to the copy on the boot partition.
        let secrets = self.host.read(&top.join("append-initrd-secrets")).is_ok();
        let (managed, others): (Vec<&String>, Vec<&String>) =
            entry.initrds.iter().partition(|path| is_managed(path));
        for other in others {
            let file = listed.on_partition(other);
            let missing = |error: Error| listed.damaged(&error.chain());
            self.host.compare(&file, &file).map_err(Error::io("read", &file)).map_err(missing)?;
        }
        match managed[..] {
            [] => Ok(()),
            [initrd] => self.check_file(listed, &top.join("initrd"), initrd, secrets),
            _ => Err(listed.damaged("it has more than one initrd of the installer's")),
        }
    }

    fn check_file(&self, listed: &Listed, store: &Path, name: &str, may_go_on: bool) -> Result<(), Error> {
        let file = listed.on_partition(name);
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
        if may_go_on {
            let why = format!("{} is damaged and holds secrets that only NixOS can add", file.display());
            return Err(listed.damaged(&why));
        }
        durable::replace_with_copy(self.host, store, &file)
            .map_err(|error| listed.damaged(&error.chain()))?;
        if whole()? { Ok(()) } else { Err(listed.damaged(&format!("{} cannot be repaired", file.display()))) }
    }
}

impl Listed {
    fn toplevel(&self) -> Toplevel {
        self.entry.toplevel.clone()
    }

    fn on_partition(&self, path: &str) -> PathBuf {
        self.partition.join(path.replace('\\', "/").trim_start_matches('/'))
    }

    fn damaged(&self, why: &str) -> Error {
        Error::BootFiles { toplevel: self.toplevel(), why: why.to_owned() }
    }
}

/// Whether this is an entry by which its toplevel is booted: none of the owner's, and none that is better.
fn is_used(entries: &[Listed], listed: &Listed) -> bool {
    let of_it = entries.iter().filter(|other| other.entry.toplevel == listed.entry.toplevel);
    let best = of_it.map(|other| other.standing).max();
    listed.standing != Standing::Owners && best == Some(listed.standing)
}

/// The entries that a pattern names.
fn named_by<'a>(entries: &'a [Listed], key: Key, pattern: &str) -> Vec<&'a Listed> {
    // What is preferred and has no tries left is passed over.
    let boots = |listed: &&Listed| key == Key::Default || !listed.entry.is_exhausted();
    let bootable = || entries.iter().filter(boots);
    match bootable().find(|listed| listed.entry.is_called(pattern)) {
        Some(listed) => vec![listed],
        None => bootable().filter(|listed| loader_conf::matches(pattern, &listed.entry.id())).collect(),
    }
}

/// Where the kernel says that a partition is which firmware can read; empty where it does not say.
fn mounted(host: &dyn Host) -> Vec<&'static Path> {
    let bytes = host.read(Path::new("/proc/self/mountinfo")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    // `36 35 98:0 /root /mount/point options … - type source options`. Source: proc_pid_mountinfo(5).
    let is_mounted = |partition: &Path| {
        text.lines().filter_map(|line| line.split_once(" - ")).any(|(left, right)| {
            left.split(' ').nth(4).map(Path::new) == Some(partition) && right.starts_with("vfat ")
        })
    };
    PARTITIONS
        .iter()
        .map(|partition| Path::new(*partition))
        .filter(|partition| is_mounted(partition))
        .collect()
}

fn conf_of(partition: &Path) -> PathBuf {
    partition.join("loader/loader.conf")
}

fn entries_of(partition: &Path) -> PathBuf {
    partition.join("loader/entries")
}

impl BootLoader for SystemdBoot<'_> {
    fn name(&self) -> &'static str {
        "systemd-boot"
    }

    fn has_one_shot(&self) -> Result<(), String> {
        match self.host.efi_read(ONE_SHOT) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the firmware's variables cannot be used: {error}")),
        }
    }

    fn see(&self) -> Result<Loader, Error> {
        let entries = self.entries()?;
        let called = |id: &String| entries.iter().find(|listed| listed.entry.is_called(id));
        let used = |listed: &&Listed| is_used(&entries, listed);
        let one_shot = match self.variable(ONE_SHOT)? {
            None => OneShot::Clear,
            Some(id) => {
                called(&id).filter(used).map_or(OneShot::Foreign, |listed| OneShot::Armed(listed.toplevel()))
            }
        };
        let selected = self.variable(SELECTED)?;
        Ok(Loader {
            default: self.default_of(&entries)?,
            one_shot,
            selected: selected.as_ref().and_then(called).map(Listed::toplevel),
            // Evidence that is welcome and not needed.
            firmware_boots: self.host.firmware_boots().ok().flatten(),
            consumes_one_shot: true,
            listed: entries
                .iter()
                .filter(used)
                .map(Listed::toplevel)
                .filter(|top| self.is_in_store(top))
                .collect(),
        })
    }

    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let listed = self.entry(toplevel)?;
        self.check_files(&listed)?;
        let id = listed.entry.id();
        let text = loader_conf::with_default(&self.conf_bytes()?, &id);
        durable::replace_text_in_place(self.host, &self.conf(), &text)?;
        for name in [PREFERRED, DEFAULT] {
            if self.variable(name)?.is_some() {
                self.set_variable(name, &id)?;
            }
        }
        match self.see()?.default {
            Some(default) if default == *toplevel => Ok(()),
            _ => Err(Error::DidNotStick("the loader's default")),
        }
    }

    fn arm(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let listed = self.entry(toplevel)?;
        self.check_files(&listed)?;
        self.set_variable(ONE_SHOT, &listed.entry.id())
    }

    fn disarm(&self) -> Result<(), Error> {
        let failed = |source| Error::EfiVariable { action: "remove", name: ONE_SHOT, source };
        self.host.efi_remove(ONE_SHOT).map_err(failed)
    }

    fn bless(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let entries = self.entries()?;
        let counted = |listed: &&Listed| listed.entry.toplevel == *toplevel && listed.entry.is_counted();
        for listed in entries.iter().filter(counted).filter(|listed| is_used(&entries, listed)) {
            let Listed { entry, partition, .. } = listed;
            let is_taken = |other: &Listed| other.partition == *partition && other.entry.file == entry.id();
            if entries.iter().any(is_taken) {
                continue;
            }
            let directory = entries_of(partition);
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
