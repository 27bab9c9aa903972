//! U-Boot, as NixOS's `generic-extlinux-compatible` sets it up, and whatever else reads an `extlinux.conf`. It boots
//! nothing once. Source: U-Boot manual, "Generic Distro Configuration Concept".

pub mod conf;

use std::path::{Component, Path, PathBuf};

use golden_core::{Loader, OneShot, Toplevel};

use self::conf::{ExtlinuxConf, Label, differ_in_one_sector, with_default};
use super::boot_files::{Copied, Standing};
use super::{BootLoader, interface};
use crate::{Comparison, Error, Host, durable};

const CONF: &str = "/boot/extlinux/extlinux.conf";
/// The label that is another system after every switch.
const NEWEST: &str = "nixos-default";

/// A loader with an `extlinux.conf`.
pub(super) struct Extlinux<'a> {
    host: &'a dyn Host,
}

/// A label that boots a system of ours.
#[derive(Debug)]
struct Listed {
    label: Label,
    toplevel: Toplevel,
    standing: Standing,
}

impl<'a> Extlinux<'a> {
    /// `None` where there is no configuration with a label of ours.
    pub fn find(host: &'a dyn Host) -> Option<Self> {
        let extlinux = Self { host };
        let conf = ExtlinuxConf::parse(&extlinux.bytes().ok()?);
        conf.labels.iter().any(|label| toplevel_of(label).is_some()).then_some(extlinux)
    }

    fn bytes(&self) -> Result<Vec<u8>, Error> {
        self.host.read(Path::new(CONF)).map_err(Error::io("read", CONF))
    }

    /// Labels that boot systems of ours, in the order of the file.
    fn labels(&self, conf: &ExtlinuxConf) -> Vec<Listed> {
        let listed = |label: &Label| {
            let toplevel = toplevel_of(label)?;
            let is_managed = label.linux.as_deref().and_then(locate).is_some();
            let standing = Standing::of(self.host, &toplevel, &label.options, is_managed);
            Some(Listed { label: label.clone(), toplevel, standing })
        };
        conf.labels.iter().filter_map(listed).collect()
    }

    /// The label by which a system is booted.
    fn label(&self, conf: &ExtlinuxConf, toplevel: &Toplevel) -> Result<Listed, Error> {
        let mut labels = self.labels(conf);
        labels.retain(|listed| listed.toplevel == *toplevel);
        let used = (0..labels.len()).filter(|&at| is_used(&labels, &labels[at]));
        let best = used.max_by_key(|&at| (labels[at].label.name != NEWEST, at));
        best.map(|at| labels.swap_remove(at)).ok_or_else(|| Error::NoEntry(toplevel.clone()))
    }

    fn check_files(&self, listed: &Listed) -> Result<(), Error> {
        let top = PathBuf::from(listed.toplevel.as_str());
        let linux = listed.label.linux.as_deref().unwrap_or_default();
        self.check_file(listed, linux, &top.join("kernel"))?;
        let [initrd] = &listed.label.initrds[..] else {
            return Err(listed.damaged("it has not exactly one initrd"));
        };
        self.check_file(listed, initrd, &top.join("initrd"))
    }

    fn check_file(&self, listed: &Listed, name: &str, store: &Path) -> Result<(), Error> {
        let Some(file) = locate(name) else {
            return Err(listed.damaged(&format!("{name} is not the installer's")));
        };
        if !file.starts_with("/nix/store") {
            return Copied { toplevel: &listed.toplevel, store, file: &file, has_secrets: false }
                .repair(self.host);
        }
        match self.host.compare(store, &file) {
            Ok(Comparison::Same) => Ok(()),
            Ok(_) => Err(listed.damaged(&format!("{} is not its own", file.display()))),
            Err(error) => Err(listed.damaged(&Error::io("read", &file)(error).chain())),
        }
    }

    /// Where a power cut could leave half of a change in its place, the file is replaced.
    fn write(&self, old: &[u8], new: &[u8]) -> Result<(), Error> {
        let path = Path::new(CONF);
        if old == new {
            return Ok(());
        }
        if differ_in_one_sector(old, new) {
            self.host.overwrite(path, new).map_err(Error::io("write", path))?;
            self.host.sync_file(path).map_err(Error::io("sync", path))?;
        } else {
            durable::replace(self.host, path, new)?;
        }
        // U-Boot reads no journal.
        self.host.sync_file_system(path).map_err(Error::io("sync", path))
    }
}

impl Listed {
    fn damaged(&self, why: &str) -> Error {
        Error::BootFiles { toplevel: self.toplevel.clone(), why: why.to_owned() }
    }
}

/// Whether this is a label by which its toplevel is booted: none of the owner's, and none that is better.
fn is_used(labels: &[Listed], listed: &Listed) -> bool {
    let of_it = labels.iter().filter(|other| other.toplevel == listed.toplevel);
    listed.standing.is_used_among(of_it.map(|other| other.standing))
}

/// The system that a label boots: never taken from its name.
fn toplevel_of(label: &Label) -> Option<Toplevel> {
    let mut inits = label.options.iter().filter_map(|word| word.strip_prefix("init="));
    Toplevel::from_init(inits.next_back()?)
}

/// Where a file of the installer's is: below `nixos` beside the configuration's directory, or in the store. `None` for
/// anything else.
fn locate(name: &str) -> Option<PathBuf> {
    let is_plain = |path: &str| {
        let plain = |component| matches!(component, Component::Normal(_) | Component::RootDir);
        !path.is_empty() && Path::new(path).components().all(plain)
    };
    if let Some((_, file)) = name.rsplit_once("/store/").filter(|_| is_plain(name)) {
        return Some(Path::new("/nix/store").join(file));
    }
    let beside = name.strip_prefix("../")?;
    let (directory, file) = beside.rsplit_once('/')?;
    let is_installers = matches!(directory, "nixos" | "golden/nixos") && is_plain(beside) && !file.is_empty();
    is_installers.then(|| Path::new("/boot").join(beside))
}

impl BootLoader for Extlinux<'_> {
    fn name(&self) -> &'static str {
        "extlinux"
    }

    fn has_one_shot(&self) -> Result<(), String> {
        Err("U-Boot boots nothing once".to_owned())
    }

    fn see(&self) -> Result<Loader, Error> {
        let conf = ExtlinuxConf::parse(&self.bytes()?);
        let labels = self.labels(&conf);
        let boots = conf.boots().map(|label| &label.name);
        let default = labels
            .iter()
            .find(|listed| Some(&listed.label.name) == boots)
            .filter(|listed| is_used(&labels, listed))
            .map(|listed| listed.toplevel.clone());
        let mut listed: Vec<Toplevel> = Vec::new();
        for label in labels.iter().filter(|label| is_used(&labels, label)) {
            let is_in_store = self.host.list(Path::new(label.toplevel.as_str())).is_ok();
            if is_in_store && !listed.contains(&label.toplevel) {
                listed.push(label.toplevel.clone());
            }
        }
        Ok(Loader {
            listed,
            default,
            one_shot: OneShot::Clear,
            // It does not say.
            selected: None,
            started_by: interface::started_by(self.host),
            firmware_boots: self.host.firmware_boots().ok().flatten(),
            incomplete: Vec::new(),
            consumes_one_shot: false,
        })
    }

    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let bytes = self.bytes()?;
        let listed = self.label(&ExtlinuxConf::parse(&bytes), toplevel)?;
        self.check_files(&listed)?;
        self.write(&bytes, &with_default(&bytes, &listed.label.name))?;
        match self.see()?.default {
            Some(default) if default == *toplevel => Ok(()),
            _ => Err(Error::DidNotStick("DEFAULT of extlinux.conf")),
        }
    }

    fn arm(&self, _toplevel: &Toplevel) -> Result<(), Error> {
        Err(Error::NoOneShot(self.name()))
    }

    fn disarm(&self) -> Result<(), Error> {
        Ok(())
    }

    /// U-Boot counts nothing in this file.
    fn bless(&self, _toplevel: &Toplevel) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let conf = ExtlinuxConf::parse(&self.bytes()?);
        self.check_files(&self.label(&conf, toplevel)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_installers_files_are_found() {
        for (name, expected) in [
            ("../nixos/a-Image", Some("/boot/nixos/a-Image")),
            ("../golden/nixos/a-Image", Some("/boot/golden/nixos/a-Image")),
            ("/nix/store/aaa-linux/Image", Some("/nix/store/aaa-linux/Image")),
            ("/@nix/store/aaa-linux/Image", Some("/nix/store/aaa-linux/Image")),
            ("../nixos/../vmlinuz", None),
            ("/nix/store/../../etc/passwd", None),
            ("../vmlinuz", None),
            ("/vmlinuz", None),
            ("", None),
        ] {
            assert_eq!(locate(name), expected.map(PathBuf::from), "{name}");
        }
    }
}
