//! GRUB, on BIOS and EFI. Source: GRUB manual, and NixOS's `install-grub.pl`.
//!
//! What boots by itself is `saved_entry` of the environment block, where the configuration obeys that; what boots once is
//! `next_entry`, which NixOS's configuration clears before the menu is shown.

mod device;
pub mod grubenv;
pub mod menu;
pub mod script;

use std::io;
use std::path::{Component, Path, PathBuf};

use golden_core::{Loader, OneShot, Toplevel};

use self::grubenv::{ARMED_IN, GrubEnv, NEXT_ENTRY, ONE_SHOT, SAVED_ENTRY, SIZE_BYTES};
use self::menu::{Boot, Default, GrubCfg, Place};
use super::boot_files::{Copied, LACKS_FILES, Standing, are_there, first_whole, say_unused, settle};
use super::mirrored::Mirrored;
use super::{BootLoader, interface};
use crate::{Error, Host, system};

/// Where the boot partition is mounted, unless it is a mirror.
const BOOT: &str = "/boot";
/// Longest configuration that is read, in bytes; one of a hundred generations has a fifth of that.
const MAX_BYTES: usize = 1 << 20;
/// What [`ONE_SHOT`] says once GRUB was seen not to clear `next_entry`.
const STAYS: &str = "stays";

/// GRUB with its configuration below one boot partition. NixOS's installer writes each mirror as it writes the first.
pub(super) struct Grub<'a> {
    host: &'a dyn Host,
    cfg: PathBuf,
    env: PathBuf,
    /// Where the installer copies kernels to.
    kernels: PathBuf,
    doubts: Vec<String>,
}

/// An entry that boots a system of ours.
#[derive(Debug)]
struct Listed {
    place: Place,
    boot: Boot,
    toplevel: Toplevel,
    standing: Standing,
}

/// Where a file that GRUB loads is for us.
#[derive(Debug, PartialEq, Eq)]
enum Location {
    /// The installer's copy on the boot partition.
    Copy(PathBuf),
    /// The store itself.
    Store(PathBuf),
}

impl Location {
    fn path(self) -> PathBuf {
        match self {
            Self::Copy(path) | Self::Store(path) => path,
        }
    }
}

impl<'a> Grub<'a> {
    /// `None` where there is no configuration with an entry of ours.
    pub fn find(host: &'a dyn Host, mirrors: &[PathBuf]) -> Option<Box<dyn BootLoader + 'a>> {
        let all = std::iter::once(Path::new(BOOT)).chain(mirrors.iter().map(PathBuf::as_path));
        let (there, missing): (Vec<Self>, Vec<Self>) =
            all.map(|boot| Self::at(host, boot)).partition(Self::has_entries);
        let doubts = missing.into_iter().filter(|grub| !grub.cfg.starts_with(BOOT));
        let doubts = doubts.map(|grub| format!("{} boots no system of NixOS", grub.cfg.display())).collect();
        let mut there = there.into_iter();
        let first = Self { doubts, ..there.next()? };
        Some(Mirrored::of(Box::new(first), there.map(|grub| Box::new(grub) as _).collect()))
    }

    fn at(host: &'a dyn Host, boot: &Path) -> Self {
        let (cfg, env) = (boot.join("grub/grub.cfg"), boot.join("grub/grubenv"));
        Self { host, cfg, env, kernels: boot.join("kernels"), doubts: Vec::new() }
    }

    fn has_entries(&self) -> bool {
        let is_ours = |(_, boot): &(Place, &Boot)| toplevel_of(boot).is_some();
        self.cfg().is_ok_and(|cfg| cfg.entries().iter().any(is_ours))
    }

    fn cfg(&self) -> Result<GrubCfg, Error> {
        match self.host.read(&self.cfg) {
            Ok(bytes) if bytes.len() > MAX_BYTES => {
                Err(Error::io("read", &self.cfg)(io::ErrorKind::FileTooLarge.into()))
            }
            Ok(bytes) => Ok(GrubCfg::parse(&bytes)),
            Err(error) => Err(Error::io("read", &self.cfg)(error)),
        }
    }

    /// What the block says. A block that is no block says nothing, as to GRUB.
    fn env(&self) -> Result<GrubEnv, Error> {
        match self.host.read(&self.env) {
            Ok(bytes) => Ok(GrubEnv::parse(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(GrubEnv::default()),
            Err(error) => Err(Error::io("read", &self.env)(error)),
        }
    }

    /// Whether there is a block that can be overwritten in its place.
    fn has_block(&self) -> Result<(), &'static str> {
        match self.host.read(&self.env) {
            Ok(bytes) if bytes.len() == SIZE_BYTES => Ok(()),
            Ok(_) => Err("is not 1024 bytes long"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err("is missing"),
            Err(_) => Err("cannot be read"),
        }
    }

    /// GRUB finds the block by its place on the disk, so it is overwritten there and never replaced.
    fn write(&self, env: &GrubEnv) -> Result<(), Error> {
        let block = self.env.as_path();
        self.has_block().map_err(Error::EnvironmentBlock)?;
        let bytes = env.render().ok_or(Error::EnvironmentBlock("is full"))?;
        if self.host.read(block).is_ok_and(|known| known == bytes) {
            return Ok(());
        }
        self.host.overwrite(block, &bytes).map_err(Error::io("write", block))?;
        self.host.sync_file(block).map_err(Error::io("sync", block))?;
        // A file system that writes elsewhere has to end what it began.
        match device::is_writable(self.host, block) {
            Ok(()) => Ok(()),
            Err(_) => settle(self.host, block),
        }
    }

    /// Entries that boot systems of ours, in the order of the menu.
    fn entries(&self, cfg: &GrubCfg) -> Vec<Listed> {
        let listed = |(place, boot): (Place, &Boot)| {
            let toplevel = toplevel_of(boot)?;
            let is_managed = boot.linux.as_deref().and_then(|name| locate(&self.kernels, name)).is_some();
            let is_there = is_managed && self.are_files_there(boot);
            let standing = Standing::of(self.host, &toplevel, &boot.options, is_managed, is_there);
            Some(Listed { place, boot: boot.clone(), toplevel, standing })
        };
        cfg.entries().into_iter().filter_map(listed).collect()
    }

    /// An entry by which a system is booted, with its files whole, and its name. The top of the menu is another system after
    /// the next switch, so what is in a submenu goes first; golden's own profile comes last there.
    fn entry(&self, cfg: &GrubCfg, toplevel: &Toplevel) -> Result<String, Error> {
        let mut entries = self.entries(cfg);
        entries.retain(|listed| listed.toplevel == *toplevel);
        let standings: Vec<Standing> = entries.iter().map(|listed| listed.standing).collect();
        let (mut used, others): (Vec<Listed>, Vec<Listed>) =
            entries.into_iter().partition(|listed| listed.standing.is_used_among(standings.iter().copied()));
        // Of equals, the last one in the menu.
        used.reverse();
        let mut named: Vec<((bool, bool), String, Listed)> = used
            .into_iter()
            .filter_map(|listed| {
                let (name, is_stable) = cfg.name(&listed.place)?;
                Some(((is_stable && listed.place.len() > 1, is_stable), name, listed))
            })
            .collect();
        named.sort_by_key(|(rank, ..)| std::cmp::Reverse(*rank));
        let name = |(_, name, _): &(_, String, _)| name.clone();
        let check = |(.., listed): &(_, _, Listed)| self.check_files(listed);
        let (_, name, _) = first_whole(self.host, toplevel, named, name, check)?;
        for listed in others.iter().filter(|listed| listed.standing.lacks_files()) {
            let name = cfg.name(&listed.place).map_or_else(|| "without a name".to_owned(), |(name, _)| name);
            say_unused(self.host, &name, LACKS_FILES);
        }
        Ok(name)
    }

    /// Whether everything that GRUB loads for this entry is there, as far as that can be told.
    fn are_files_there(&self, boot: &Boot) -> bool {
        let files = boot.linux.iter().chain(&boot.initrds).chain(&boot.device_tree);
        are_there(self.host, files.filter_map(|name| locate(&self.kernels, name)).map(Location::path))
    }

    /// An entry may outlive its system: nothing can be repaired then.
    fn is_in_store(&self, toplevel: &Toplevel) -> bool {
        self.host.list(Path::new(toplevel.as_str())).is_ok()
    }

    fn check_files(&self, listed: &Listed) -> Result<(), Error> {
        let top = PathBuf::from(listed.toplevel.as_str());
        let linux = listed.boot.linux.as_deref().unwrap_or_default();
        self.check_file(listed, linux, &top.join("kernel"))?;
        // NixOS has an owner's secrets in an initrd of their own, which only it can make.
        let (secrets, initrds): (Vec<&String>, Vec<&String>) =
            listed.boot.initrds.iter().partition(|name| name.ends_with("-secrets"));
        let [initrd] = initrds[..] else {
            return Err(listed.damaged("it has not exactly one initrd"));
        };
        self.check_file(listed, initrd, &top.join("initrd"))?;
        for name in secrets {
            let Some(Location::Copy(file)) = locate(&self.kernels, name) else {
                return Err(listed.damaged(&format!("{name} cannot be checked")));
            };
            let missing = |error: Error| listed.damaged(&error.chain());
            self.host.compare(&file, &file).map_err(Error::io("read", &file)).map_err(missing)?;
        }
        boot_device_tree(&self.kernels, listed).map_or(Ok(()), |file| {
            let missing = |error: Error| listed.damaged(&error.chain());
            self.host.size(&file).map(drop).map_err(Error::io("read", &file)).map_err(missing)
        })
    }

    fn check_file(&self, listed: &Listed, name: &str, store: &Path) -> Result<(), Error> {
        match locate(&self.kernels, name) {
            Some(Location::Copy(file)) => {
                Copied { toplevel: &listed.toplevel, store, file: &file, has_secrets: false }
                    .repair(self.host)
            }
            Some(Location::Store(file)) => match self.host.compare(store, &file) {
                Ok(crate::Comparison::Same) => Ok(()),
                Ok(_) => Err(listed.damaged(&format!("{} is not its own", file.display()))),
                Err(error) => Err(listed.damaged(&Error::io("read", &file)(error).chain())),
            },
            None => Err(listed.damaged(&format!("{name} is not the installer's"))),
        }
    }

    /// `next_entry` of an earlier boot that names what runs, and so was obeyed and not cleared.
    fn left_behind(&self, booted: &Toplevel) -> Result<bool, Error> {
        let env = self.env()?;
        let (Some(next), Some(armed_in)) = (env.get(NEXT_ENTRY), env.get(ARMED_IN)) else {
            return Ok(false);
        };
        let cfg = self.cfg()?;
        let names_booted = named(&cfg, &self.entries(&cfg), &next).as_ref() == Some(booted);
        Ok(names_booted && armed_in != system::boot(self.host)?.as_str() && self.was_started())
    }

    /// Whether GRUB started this kernel, and not a `kexec`: it says so on the command line. It did where there is none.
    /// Source: `LINUX_IMAGE` of `grub-core/loader`.
    fn was_started(&self) -> bool {
        let line = self.host.read(Path::new("/proc/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.is_empty() || line.split_ascii_whitespace().any(|word| word.starts_with("BOOT_IMAGE="))
    }
}

impl Listed {
    fn damaged(&self, why: &str) -> Error {
        Error::BootFiles { toplevel: self.toplevel.clone(), why: why.to_owned() }
    }
}

/// Where the device tree of an entry is, if it has one and that can be told. NixOS's installer copies none: it is the
/// owner's line of the entry that names one, and the store has no other copy of what it names.
fn boot_device_tree(kernels: &Path, listed: &Listed) -> Option<PathBuf> {
    let named = listed.boot.device_tree.as_deref()?;
    locate(kernels, named).map(Location::path)
}

/// Whether this is an entry by which its toplevel is booted: none of the owner's, and none that is better.
fn is_used(entries: &[Listed], listed: &Listed) -> bool {
    let of_it = entries.iter().filter(|other| other.toplevel == listed.toplevel);
    listed.standing.is_used_among(of_it.map(|other| other.standing))
}

/// The system whose entry has this name.
fn named(cfg: &GrubCfg, entries: &[Listed], name: &str) -> Option<Toplevel> {
    let place = cfg.resolve(name)?;
    let listed = entries.iter().find(|listed| listed.place == place)?;
    is_used(entries, listed).then(|| listed.toplevel.clone())
}

/// The system that an entry boots: never taken from its title.
fn toplevel_of(boot: &Boot) -> Option<Toplevel> {
    let mut inits = boot.options.iter().filter_map(|word| word.strip_prefix("init="));
    Toplevel::from_init(inits.next_back()?)
}

/// Where the installer's files are: copied to `kernels`, or in the store. `None` for anything else.
fn locate(kernels: &Path, name: &str) -> Option<Location> {
    let path = match name.strip_prefix('(') {
        Some(drive) => drive.split_once(')')?.1,
        None => name,
    };
    let is_plain = |component| matches!(component, Component::Normal(_) | Component::RootDir);
    if !Path::new(path).components().all(is_plain) {
        return None;
    }
    if let Some((_, file)) = path.rsplit_once("/store/") {
        return Some(Location::Store(Path::new("/nix/store").join(file)));
    }
    let (directory, file) = path.rsplit_once('/')?;
    let is_copy = directory.rsplit('/').next() == Some("kernels") && !file.is_empty();
    is_copy.then(|| Location::Copy(kernels.join(file)))
}

impl BootLoader for Grub<'_> {
    fn name(&self) -> &'static str {
        "GRUB"
    }

    fn has_one_shot(&self) -> Result<(), String> {
        self.has_block().map_err(|why| format!("GRUB's environment block {} {why}", self.env.display()))?;
        let env = self.env().map_err(|error| error.chain())?;
        if env.get(ONE_SHOT).as_deref() == Some(STAYS) {
            return Err("GRUB was seen not to take a one-shot back".to_owned());
        }
        self.cfg().map_err(|error| error.chain())?.one_shot.map_err(str::to_owned)?;
        device::is_writable(self.host, &self.env)
    }

    /// NixOS's own configuration boots the top of the menu, whatever is saved.
    fn takes_default(&self) -> Result<(), String> {
        if self.cfg().map_err(|error| error.chain())?.default != Default::Saved {
            return Err("GRUB's configuration does not take it from saved_entry".to_owned());
        }
        self.has_block().map_err(|why| format!("GRUB's environment block {} {why}", self.env.display()))
    }

    fn doubts(&self) -> Vec<String> {
        self.doubts.clone()
    }

    /// GRUB takes it back itself. Where it was seen not to, nothing is armed this way any more.
    fn consume_one_shot(&self, booted: &Toplevel) -> Result<(), Error> {
        if !self.left_behind(booted)? {
            return Ok(());
        }
        let error = Error::OneShotStayed(self.name());
        self.host.complain(error.trouble(), &error.chain());
        let mut env = self.env()?;
        env.remove(NEXT_ENTRY);
        env.remove(ARMED_IN);
        env.set(ONE_SHOT, STAYS);
        self.write(&env)
    }

    fn see(&self) -> Result<Loader, Error> {
        let (cfg, env) = (self.cfg()?, self.env()?);
        let entries = self.entries(&cfg);
        let named = |name: &str| named(&cfg, &entries, name);
        let default = match &cfg.default {
            Default::Saved => named(&env.get(SAVED_ENTRY).unwrap_or_default()),
            Default::Fixed(name) => named(name),
            Default::Unknown => None,
        };
        let one_shot = match env.get(NEXT_ENTRY) {
            None => OneShot::Clear,
            Some(name) => named(&name).map_or(OneShot::Foreign, OneShot::Armed),
        };
        let mut listed: Vec<Toplevel> = Vec::new();
        for entry in entries.iter().filter(|entry| is_used(&entries, entry)) {
            if !listed.contains(&entry.toplevel) && self.is_in_store(&entry.toplevel) {
                listed.push(entry.toplevel.clone());
            }
        }
        Ok(Loader {
            listed,
            default,
            one_shot,
            // It does not say.
            selected: None,
            started_by: interface::started_by(self.host),
            firmware_boots: self.host.firmware_boots().ok().flatten(),
            // GRUB waits at its menu for a person there.
            incomplete: Vec::new(),
            is_bypassed: false,
            consumes_one_shot: true,
        })
    }

    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let cfg = self.cfg()?;
        if cfg.default != Default::Saved {
            return Err(Error::NotObeyed("saved_entry of GRUB's environment block"));
        }
        let name = self.entry(&cfg, toplevel)?;
        settle(self.host, &self.cfg)?;
        let mut env = self.env()?;
        env.set(SAVED_ENTRY, &name);
        self.write(&env)?;
        match self.see()?.default {
            Some(default) if default == *toplevel => Ok(()),
            _ => Err(Error::DidNotStick("GRUB's saved_entry")),
        }
    }

    /// An installer changes the menu, and not the environment block.
    fn follow_installer(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let is_followed =
            self.cfg()?.default != Default::Saved || self.see()?.default.as_ref() == Some(toplevel);
        if is_followed { Ok(()) } else { self.set_default(toplevel) }
    }

    fn arm(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let name = self.entry(&self.cfg()?, toplevel)?;
        settle(self.host, &self.cfg)?;
        let mut env = self.env()?;
        env.set(NEXT_ENTRY, &name);
        env.set(ARMED_IN, system::boot(self.host)?.as_str());
        self.write(&env)?;
        match self.see()?.one_shot {
            OneShot::Armed(armed) if armed == *toplevel => Ok(()),
            _ => Err(Error::DidNotStick("GRUB's next_entry")),
        }
    }

    fn disarm(&self) -> Result<(), Error> {
        let mut env = self.env()?;
        if env.get(NEXT_ENTRY).is_none() {
            return Ok(());
        }
        env.remove(NEXT_ENTRY);
        env.remove(ARMED_IN);
        self.write(&env)?;
        match self.see()?.one_shot {
            OneShot::Clear => Ok(()),
            _ => Err(Error::DidNotStick("GRUB's next_entry")),
        }
    }

    /// GRUB counts nothing.
    fn bless(&self, _toplevel: &Toplevel) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.entry(&self.cfg()?, toplevel).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_installers_files_are_found() {
        let copy = |name: &str| Some(Location::Copy(Path::new("/boot/kernels").join(name)));
        let locate = |name: &str| locate(Path::new("/boot/kernels"), name);
        assert_eq!(locate("(${drive1})/kernels/a-bzImage"), copy("a-bzImage"));
        assert_eq!(locate("(hd0,gpt2)//boot/kernels/a-bzImage"), copy("a-bzImage"));
        assert_eq!(locate("/kernels/a-bzImage"), copy("a-bzImage"));
        let store = Some(Location::Store("/nix/store/aaa-linux/bzImage".into()));
        assert_eq!(locate("(${drive1})/@nix/store/aaa-linux/bzImage"), store);
        for other in ["/vmlinuz", "/kernels/", "/kernels/../vmlinuz", "(hd0", "", "/store/../etc/passwd"] {
            assert_eq!(locate(other), None, "{other}");
        }
    }
}
