//! U-Boot as it was read to behave, with what NixOS's installer and our module write for it.
//! Source: U-Boot's `boot/pxe_utils.c`, NixOS's `extlinux-conf-builder.sh`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use golden_core::Toplevel;

use super::boot::{Choice, Foreseen, Start, Why, run};
use super::disk::Bytes;
use super::installer::{Files, Parts, golden_profile, system_profile};
use super::world::{ESP, World};

/// Power on. A label whose files are not there is passed over.
pub(super) fn start(world: &World, pick: Option<&Toplevel>) -> Start {
    let menu = Menu::read(world);
    let first = match pick.and_then(|pick| menu.labels.iter().find(|label| label.toplevel == *pick)) {
        Some(label) => Some((label, Why::Menu)),
        None => menu.default(),
    };
    let others = menu.labels.iter().map(|label| (label, Why::First));
    let given = |name: &str| world.esp.read(&beside(name)).ok();
    let mut bootable = first
        .into_iter()
        .chain(others)
        .filter_map(|(label, why)| Some((label, why, given(&label.linux)?, given(&label.initrd)?)));
    let Some((label, why, kernel, initrd)) = bootable.next() else {
        return Start::Stuck("no label whose files are there");
    };
    let choice = Choice { entry: label.name.clone(), toplevel: label.toplevel.clone(), why };
    let stored = |part: &str| world.bytes(&Path::new(label.toplevel.as_str()).join(part)).ok();
    let is_whole = |part: &str, given: Bytes| stored(part).is_none_or(|stored| stored == given);
    run(world, choice, is_whole("kernel", kernel), is_whole("initrd", initrd))
}

/// The labels of the file.
#[derive(Debug)]
pub(super) struct Menu {
    labels: Vec<Label>,
    named: Option<String>,
}

#[derive(Debug)]
struct Label {
    name: String,
    linux: String,
    initrd: String,
    toplevel: Toplevel,
}

impl Menu {
    pub fn read(world: &World) -> Self {
        let bytes = world.esp.read(&conf()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = bytes.unwrap_or_default();
        let value = |line: &str, key: &str| Some(line.trim().strip_prefix(key)?.trim().to_owned());
        let (head, labels) = text.split_once("LABEL ").unwrap_or((&text, ""));
        let label = |text: &str| {
            let of = |key: &str| text.lines().find_map(|line| value(line, key));
            let init =
                of("APPEND ")?.split(' ').find_map(|word| word.strip_prefix("init=").map(str::to_owned))?;
            let name = text.lines().next()?.trim().to_owned();
            Some(Label {
                name,
                linux: of("LINUX ")?,
                initrd: of("INITRD ")?,
                toplevel: Toplevel::from_init(&init)?,
            })
        };
        // `MENU LABEL` is none.
        let labels = labels.split("\nLABEL ").filter_map(label).collect();
        Self { labels, named: head.lines().filter_map(|line| value(line, "DEFAULT ")).next_back() }
    }

    pub fn foresee(&self) -> Foreseen {
        let default = self.default();
        Foreseen {
            once: None,
            is_named: default.is_some_and(|(_, why)| why == Why::Default),
            default: default.map(|(label, _)| label.toplevel.clone()),
        }
    }

    fn default(&self) -> Option<(&Label, Why)> {
        let named = self.labels.iter().find(|label| Some(&label.name) == self.named.as_ref());
        named.map(|label| (label, Why::Default)).or_else(|| Some((self.labels.first()?, Why::First)))
    }
}

/// What the boot partition is to hold. NixOS lists the generations of the system profile; `lists_golden` says that our
/// module adds golden.
pub(super) fn wanted(world: &World, default: &Toplevel, lists_golden: bool) -> Files {
    let mut text = "# Generated file, all changes will be lost on nixos-rebuild!\n\n\
        # Change this to e.g. nixos-42 to temporarily boot to an older configuration.\nDEFAULT nixos-default\n\n\
        MENU TITLE ------------------------------------------------------------\nTIMEOUT 50\n"
        .to_owned();
    let mut files = Vec::new();
    let mut label = |name: &str, toplevel: &Toplevel| {
        let Some(parts) = Parts::of(world, toplevel, "nixos") else { return };
        let [linux, initrd] = &parts.names;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\nLABEL {name}\n  MENU LABEL NixOS - {name}\n  LINUX ../{linux}\n  INITRD ../{initrd}\n  \
             APPEND init={toplevel}/init quiet\n"
        );
        files.extend(parts.files);
    };
    label("nixos-default", default);
    for (number, toplevel) in world.generations(&system_profile()).into_iter().rev() {
        label(&format!("nixos-{number}-default"), &toplevel);
    }
    if let Some((_, golden)) = world.current(&golden_profile()).filter(|_| lists_golden) {
        label("golden", &golden);
    }
    files.push((conf(), Bytes::from(text.as_bytes())));
    files
}

fn conf() -> PathBuf {
    Path::new(ESP).join("extlinux/extlinux.conf")
}

fn beside(name: &str) -> PathBuf {
    Path::new(ESP).join(name.trim_start_matches("../"))
}
