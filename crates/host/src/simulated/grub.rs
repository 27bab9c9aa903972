//! GRUB as it was read to behave, with what NixOS's installer writes for it.
//! Source: `grub-core/normal/menu.c`, `grub-core/lib/envblk.c`, NixOS's `install-grub.pl`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::Toplevel;

use super::boot::{Choice, Foreseen, Start, Why, run};
use super::disk::{Bytes, Disk};
use super::installer::{Files, Parts, system_profile};
use super::world::{ESP, Lie, Loader, World};

const HEADER: &str = "# GRUB Environment Block\n";
const SIZE_BYTES: usize = 1024;

/// What `grub-install` leaves of an environment block.
pub(super) fn create_environment(esp: &mut Disk) {
    let block = format!("{HEADER:#<SIZE_BYTES$}");
    if esp.write(&on_boot("grub/grubenv"), block.as_bytes()).is_ok() {
        esp.sync();
    }
}

/// Power on. The one-shot is taken back before the menu is shown, whatever is picked there.
pub(super) fn start(world: &mut World, pick: Option<&Toplevel>) -> Start {
    let menu = Menu::read(world);
    if menu.next.is_some()
        && world.loader == (Loader::Grub { writes: true })
        && world.lie != Some(Lie::KeepsOneShots)
    {
        clear_next_entry(world);
    }
    let chosen = match pick.and_then(|pick| menu.of(pick)) {
        Some(entry) => Some((entry, Why::Menu)),
        None => menu.once().or_else(|| menu.default()),
    };
    let Some((entry, why)) = chosen else { return Start::Stuck("there is no entry") };
    let choice = Choice { entry: entry.names.join(">"), toplevel: entry.toplevel.clone(), why };
    let given = |name: &str| world.esp.read(&on_boot(name)).ok();
    let stored = |part: &str| world.bytes(&Path::new(entry.toplevel.as_str()).join(part)).ok();
    let is_whole =
        |part: &str, given: &Option<Bytes>| stored(part).is_none_or(|stored| *given == Some(stored));
    let (kernel, initrd) = (given(&entry.linux), given(&entry.initrd));
    if kernel.is_none() {
        return Start::Stuck("the kernel is missing: the menu waits");
    }
    // Of a missing initrd GRUB says something, and goes on.
    let initrd_is_whole = initrd.is_some() && is_whole("initrd", &initrd);
    run(world, choice, is_whole("kernel", &kernel), initrd_is_whole)
}

/// As GRUB does it: in the place where the block lies on the disk.
fn clear_next_entry(world: &mut World) {
    let path = on_boot("grub/grubenv");
    let Ok(bytes) = world.esp.read(&path) else { return };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let cleared = |line: &str| {
        if line.starts_with("next_entry=") { "next_entry=\n".to_owned() } else { line.to_owned() }
    };
    let text: String = text.split_inclusive('\n').map(cleared).collect();
    let esp = Arc::make_mut(&mut world.esp);
    if esp.overwrite(&path, format!("{text:#<SIZE_BYTES$}").as_bytes()).is_ok() {
        esp.sync();
    }
}

/// The menu, and what the environment block says.
#[derive(Debug)]
pub(super) struct Menu {
    entries: Vec<Entry>,
    next: Option<String>,
    /// What names the default: `saved_entry`, or a number in the configuration.
    named: Option<String>,
}

#[derive(Debug)]
struct Entry {
    /// Of the submenu it is in, and its own.
    names: Vec<String>,
    linux: String,
    initrd: String,
    toplevel: Toplevel,
}

impl Menu {
    pub fn read(world: &World) -> Self {
        let text = |name: &str| {
            let bytes = world.esp.read(&on_boot(name)).ok();
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        };
        let (cfg, env) = (text("grub/grub.cfg"), text("grub/grubenv"));
        let variable = |name: &str| {
            let lines = env.strip_prefix(HEADER).filter(|_| env.len() == SIZE_BYTES)?.lines();
            let value = lines.filter_map(|line| line.split_once('=')).filter(|(known, _)| *known == name);
            value.map(|(_, value)| value.to_owned()).next_back().filter(|value| !value.is_empty())
        };
        let fixed = cfg.lines().filter_map(|line| line.trim().strip_prefix("set default=")).next_back();
        let named = match fixed {
            Some("\"${saved_entry}\"") => variable("saved_entry"),
            fixed => fixed.map(str::to_owned),
        };
        Self { entries: entries(&cfg), next: variable("next_entry"), named }
    }

    pub fn foresee(&self) -> Foreseen {
        let default = self.default();
        Foreseen {
            once: self.once().map(|(entry, _)| entry.toplevel.clone()),
            is_named: default.is_some_and(|(_, why)| why == Why::Default),
            default: default.map(|(entry, _)| entry.toplevel.clone()),
        }
    }

    fn once(&self) -> Option<(&Entry, Why)> {
        self.named(self.next.as_deref()?).or_else(|| self.entries.first()).map(|entry| (entry, Why::OneShot))
    }

    fn default(&self) -> Option<(&Entry, Why)> {
        let named =
            self.named.as_deref().and_then(|name| self.named(name)).map(|entry| (entry, Why::Default));
        named.or_else(|| Some((self.entries.first()?, Why::First)))
    }

    fn of(&self, toplevel: &Toplevel) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.toplevel == *toplevel)
    }

    /// The entry of this name. In a submenu, what is not there is the first one.
    fn named(&self, name: &str) -> Option<&Entry> {
        let (top, rest) = name.split_once('>').unwrap_or((name, ""));
        let mut tops: Vec<&str> = self.entries.iter().map(|entry| entry.names[0].as_str()).collect();
        tops.dedup();
        let top = top.parse::<usize>().ok().and_then(|number| tops.get(number).copied()).unwrap_or(top);
        let mut below = self.entries.iter().filter(|entry| entry.names[0] == top);
        let number = rest.parse::<usize>().ok();
        let is_named = |(at, entry): &(usize, &Entry)| {
            entry.names.get(1).is_some_and(|name| name == rest) || number == Some(*at)
        };
        let first = below.clone().next();
        below.by_ref().enumerate().find(is_named).map(|(_, entry)| entry).or(first)
    }
}

/// The entries of what our installer wrote: one command a line.
fn entries(cfg: &str) -> Vec<Entry> {
    let (mut entries, mut submenu, mut title) = (Vec::new(), None, None);
    let (mut linux, mut toplevel) = (None, None);
    for line in cfg.lines().map(str::trim) {
        let name = || line.split('"').nth(1).unwrap_or_default().to_owned();
        match line.split(' ').next().unwrap_or_default() {
            "submenu" => submenu = Some(name()),
            "menuentry" => title = Some(name()),
            "linux" => {
                let mut words = line.split(' ').skip(1);
                linux = words.next().map(str::to_owned);
                toplevel = words.find_map(|word| Toplevel::from_init(word.strip_prefix("init=")?));
            }
            "initrd" => {
                let initrd = line.split(' ').nth(1).unwrap_or_default().to_owned();
                if let (Some(linux), Some(toplevel), Some(title)) = (linux.take(), toplevel.take(), &title) {
                    let names = submenu.iter().chain([title]).cloned().collect();
                    entries.push(Entry { names, linux, initrd, toplevel });
                }
            }
            "}" if title.take().is_none() => submenu = None,
            _ => {}
        }
    }
    entries
}

/// What the boot partition is to hold: kernels first, so that no entry is without. `obeys` says that the default is the
/// saved entry, as our module has it.
pub(super) fn wanted(world: &World, default: &Toplevel, obeys: bool) -> Files {
    let default_is = if obeys { "\"${saved_entry}\"" } else { "0" };
    let mut cfg = format!(
        "if [ -s $prefix/grubenv ]; then\n  load_env\nfi\nif [ \"${{next_entry}}\" ]; then\n  set default=\"${{next_entry}}\"\n  \
         set next_entry=\n  save_env next_entry\n  set timeout=1\nelse\n  set timeout=5\n  set default={default_is}\nfi\n\n"
    );
    let mut files = Vec::new();
    let mut entry = |cfg: &mut String, title: &str, toplevel: &Toplevel| {
        let Some(parts) = Parts::of(world, toplevel, "kernels") else { return };
        let [linux, initrd] = &parts.names;
        // Writing to a string cannot fail.
        let _ = write!(
            cfg,
            "menuentry \"{title}\" --class nixos --unrestricted {{\n  linux /{linux} init={toplevel}/init quiet\n  \
             initrd /{initrd}\n}}\n\n"
        );
        files.extend(parts.files);
    };
    entry(&mut cfg, "NixOS", default);
    for profile in world.profiles() {
        let name = profile.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let title = if profile == system_profile() {
            "NixOS - All configurations".to_owned()
        } else {
            format!("NixOS - Profile '{name}'")
        };
        let _ = writeln!(cfg, "submenu \"{title}\" --class submenu {{");
        for (number, toplevel) in world.generations(&profile).into_iter().rev() {
            let title = format!("NixOS - Configuration {number} ({})", toplevel.short());
            entry(&mut cfg, &title, &toplevel);
        }
        cfg.push_str("}\n");
    }
    files.push((on_boot("grub/grub.cfg"), Bytes::from(cfg.as_bytes())));
    files
}

fn on_boot(path: &str) -> PathBuf {
    Path::new(ESP).join(path.trim_start_matches('/'))
}
