//! U-Boot, as NixOS's `generic-extlinux-compatible` sets it up, and whatever else reads an `extlinux.conf`. It boots
//! nothing once. Source: U-Boot manual, "Generic Distro Configuration Concept".

pub mod conf;

use std::path::{Component, Path, PathBuf};

use golden_core::{Loader, OneShot, Toplevel};

use self::conf::{DeviceTree, ExtlinuxConf, Label, differ_in_one_sector, with_default};
use super::boot_files::{
    Copied, CopiedTree, LACKS_FILES, Standing, are_there, first_whole, say_unused, settle,
};
use super::{BootLoader, interface};
use crate::{Comparison, Error, Host, durable};

const CONF: &str = "/boot/extlinux/extlinux.conf";
/// The label that is another system after every switch.
const NEWEST: &str = "nixos-default";
/// Most links that lead to a system's device trees; NixOS makes one or two.
const MAX_LINKS: usize = 8;

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
            let is_there = is_managed && self.are_files_there(label);
            let standing = Standing::of(self.host, &toplevel, &label.options, is_managed, is_there);
            Some(Listed { label: label.clone(), toplevel, standing })
        };
        conf.labels.iter().filter_map(listed).collect()
    }

    /// A label by which a system is booted, with its files whole.
    fn label(&self, conf: &ExtlinuxConf, toplevel: &Toplevel) -> Result<Listed, Error> {
        let mut labels = self.labels(conf);
        labels.retain(|listed| listed.toplevel == *toplevel);
        let standings: Vec<Standing> = labels.iter().map(|listed| listed.standing).collect();
        let (mut used, others): (Vec<Listed>, Vec<Listed>) =
            labels.into_iter().partition(|listed| listed.standing.is_used_among(standings.iter().copied()));
        // The later ones are the older ones, and stay.
        used.reverse();
        used.sort_by_key(|listed| listed.label.name == NEWEST);
        let name = |listed: &Listed| listed.label.name.clone();
        let whole = first_whole(self.host, toplevel, used, name, |listed| self.check_files(listed))?;
        for listed in others.iter().filter(|listed| listed.standing.lacks_files()) {
            say_unused(self.host, &listed.label.name, LACKS_FILES);
        }
        Ok(whole)
    }

    /// Whether everything that U-Boot loads for this label is there, as far as that can be told.
    fn are_files_there(&self, label: &Label) -> bool {
        let files = label.linux.iter().chain(&label.initrds).filter_map(|name| locate(name));
        let tree = match &label.device_tree {
            Some(DeviceTree::File(name)) => locate_below(name).map(|(tree, file)| tree.join(file)),
            _ => None,
        };
        are_there(self.host, files.chain(tree))
    }

    fn check_files(&self, listed: &Listed) -> Result<(), Error> {
        let top = PathBuf::from(listed.toplevel.as_str());
        let linux = listed.label.linux.as_deref().unwrap_or_default();
        self.check_file(listed, linux, &top.join("kernel"))?;
        let [initrd] = &listed.label.initrds[..] else {
            return Err(listed.damaged("it has not exactly one initrd"));
        };
        self.check_file(listed, initrd, &top.join("initrd"))?;
        match &listed.label.device_tree {
            None => Ok(()),
            Some(DeviceTree::File(name)) => self.check_device_tree(listed, name, &top.join("dtbs")),
            Some(DeviceTree::Directory(name)) => self.check_device_trees(listed, name, &top.join("dtbs")),
        }
    }

    fn check_file(&self, listed: &Listed, name: &str, store: &Path) -> Result<(), Error> {
        let Some(file) = locate(name) else {
            return Err(listed.damaged(&format!("{name} is not the installer's")));
        };
        self.check_located(listed, &file, store)
    }

    fn check_located(&self, listed: &Listed, file: &Path, store: &Path) -> Result<(), Error> {
        if !file.starts_with("/nix/store") {
            return Copied { toplevel: &listed.toplevel, store, file, has_secrets: false }.repair(self.host);
        }
        match self.host.compare(store, file) {
            Ok(Comparison::Same) => Ok(()),
            Ok(_) => Err(listed.damaged(&format!("{} is not its own", file.display()))),
            Err(error) => Err(listed.damaged(&Error::io("read", file)(error).chain())),
        }
    }

    /// U-Boot passes over a label whose device tree it cannot load. Source: `label_boot` of its `boot/pxe_utils.c`.
    fn check_device_tree(&self, listed: &Listed, name: &str, store: &Path) -> Result<(), Error> {
        let Some((tree, file)) = locate_below(name) else {
            return self.check_owners(listed, name);
        };
        if tree.starts_with("/nix/store") {
            let store = self.resolved(store);
            let whole = tree.join(&file);
            let own = whole.strip_prefix(&store).map(|below| store.join(below));
            return match own {
                Ok(own) => self.check_located(listed, &whole, &own),
                Err(_) => Err(listed.damaged(&format!("{} is not its own", whole.display()))),
            };
        }
        CopiedTree { toplevel: &listed.toplevel, store, directory: &tree }.repair_file(self.host, &file)
    }

    /// U-Boot chooses one of them; which one, only it knows.
    fn check_device_trees(&self, listed: &Listed, name: &str, store: &Path) -> Result<(), Error> {
        let Some(directory) = locate(name) else { return Ok(()) };
        if !directory.starts_with("/nix/store") {
            return CopiedTree { toplevel: &listed.toplevel, store, directory: &directory }.repair(self.host);
        }
        if directory == self.resolved(store) {
            return Ok(());
        }
        Err(listed.damaged(&format!("{} is not its own", directory.display())))
    }

    /// What no installer put there has to be there, where it can be told where that is.
    fn check_owners(&self, listed: &Listed, name: &str) -> Result<(), Error> {
        let Some(file) = name.strip_prefix("../").filter(|name| is_plain(name)) else { return Ok(()) };
        let file = Path::new("/boot").join(file);
        match self.host.size(&file) {
            Ok(_) => Ok(()),
            Err(error) => Err(listed.damaged(&Error::io("read", file)(error).chain())),
        }
    }

    /// Where a link of the store's leads, in as many steps as NixOS makes.
    fn resolved(&self, link: &Path) -> PathBuf {
        let follow = |path: &PathBuf| {
            let target = self.host.read_link(path).ok()?;
            Some(path.parent().unwrap_or(Path::new("/")).join(target))
        };
        let mut steps = std::iter::successors(Some(link.to_owned()), follow).take(MAX_LINKS);
        let first = steps.next().unwrap_or_default();
        steps.last().unwrap_or(first)
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
        settle(self.host, path)
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

/// Systems none of whose labels has all of its files: U-Boot passes over them.
fn incomplete(labels: &[Listed]) -> Vec<Toplevel> {
    let used = labels.iter().filter(|listed| is_used(labels, listed));
    used.filter(|listed| listed.standing.lacks_files()).map(|listed| listed.toplevel.clone()).collect()
}

/// The system that a label boots: never taken from its name.
fn toplevel_of(label: &Label) -> Option<Toplevel> {
    let mut inits = label.options.iter().filter_map(|word| word.strip_prefix("init="));
    Toplevel::from_init(inits.next_back()?)
}

/// Where a file of the installer's is: below `nixos` beside the configuration's directory, or in the store. `None` for
/// anything else.
fn locate(name: &str) -> Option<PathBuf> {
    let (directory, below) = locate_below(name)?;
    let is_alone = below.as_os_str().is_empty() || directory.starts_with("/nix/store");
    is_alone.then(|| if below.as_os_str().is_empty() { directory.clone() } else { directory.join(below) })
}

/// The same for a file in a directory of the installer's: that directory, and the path below it.
fn locate_below(name: &str) -> Option<(PathBuf, PathBuf)> {
    if let Some((_, file)) = name.rsplit_once("/store/").filter(|_| is_plain(name)) {
        return split(Path::new("/nix/store"), file);
    }
    let beside = name.strip_prefix("../").filter(|beside| is_plain(beside))?;
    let directory =
        ["nixos/", "golden/nixos/"].into_iter().find(|directory| beside.starts_with(directory))?;
    split(&Path::new("/boot").join(directory), &beside[directory.len()..])
}

/// The first name of a path below a directory, and what comes below that.
fn split(directory: &Path, path: &str) -> Option<(PathBuf, PathBuf)> {
    let (first, below) = path.split_once('/').unwrap_or((path, ""));
    (!first.is_empty()).then(|| (directory.join(first), PathBuf::from(below)))
}

/// Whether a path leads nowhere but down.
fn is_plain(path: &str) -> bool {
    let plain = |component| matches!(component, Component::Normal(_) | Component::RootDir);
    !path.is_empty() && Path::new(path).components().all(plain)
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
            incomplete: incomplete(&labels),
            is_bypassed: false,
            consumes_one_shot: false,
        })
    }

    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let bytes = self.bytes()?;
        let listed = self.label(&ExtlinuxConf::parse(&bytes), toplevel)?;
        settle(self.host, Path::new(CONF))?;
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
        self.label(&conf, toplevel).map(drop)
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
            ("../nixos/a-dtbs", Some("/boot/nixos/a-dtbs")),
            ("../nixos/a-dtbs/vendor/board.dtb", None),
            ("../vmlinuz", None),
            ("/vmlinuz", None),
            ("", None),
        ] {
            assert_eq!(locate(name), expected.map(PathBuf::from), "{name}");
        }
    }

    #[test]
    fn a_device_tree_is_below_a_directory_of_the_installers() {
        for (name, expected) in [
            ("../nixos/a-dtbs/vendor/board.dtb", Some(("/boot/nixos/a-dtbs", "vendor/board.dtb"))),
            ("../golden/nixos/a-dtbs/board.dtb", Some(("/boot/golden/nixos/a-dtbs", "board.dtb"))),
            ("/@nix/store/aaa-linux/dtbs/board.dtb", Some(("/nix/store/aaa-linux", "dtbs/board.dtb"))),
            ("../nixos/a-dtbs/../../board.dtb", None),
            ("../dtbs/board.dtb", None),
            ("/dtbs/board.dtb", None),
            ("../nixos/", None),
            ("", None),
        ] {
            let expected = expected.map(|(tree, file)| (PathBuf::from(tree), PathBuf::from(file)));
            assert_eq!(locate_below(name), expected, "{name}");
        }
    }
}
