//! systemd-boot and the firmware before it, as they were seen to behave.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;

use golden_core::Toplevel;

use super::boot::{Choice, Foreseen, Start, Why};
use super::world::{ESP, Lie, World};

const ONE_SHOT: &str = "LoaderEntryOneShot";
const DEFAULT: &str = "LoaderEntryDefault";
/// An entry of another operating system, which systemd-boot finds by itself.
const OTHER_SYSTEM: &str = "auto-windows";

/// Power on. A person may pick the entry of a system in the menu.
pub(super) fn start(world: &mut World, pick: Option<&Toplevel>) -> Start {
    let menu = Menu::read(world);
    if forgets(world) {
        Arc::make_mut(&mut world.variables).remove(ONE_SHOT);
    }
    // Consumed before anything is started, whatever becomes of it.
    let one_shot = world.variables.get(ONE_SHOT).map(|value| from_utf16(value));
    if one_shot.is_some() && world.lie != Some(Lie::KeepsOneShots) {
        Arc::make_mut(&mut world.variables).remove(ONE_SHOT);
    }
    if pick.is_none() && one_shot.as_deref() == Some(OTHER_SYSTEM) {
        // It runs, and starts the machine again.
        world.firmware_boots = world.firmware_boots.map(|boots| boots.wrapping_add(1));
    }
    let Some((entry, why)) = menu.choose(world, one_shot.as_deref(), pick) else {
        return Start::Stuck("no entry whose kernel is there");
    };
    let choice = Choice { entry: entry.id.clone(), toplevel: entry.toplevel.clone(), why };
    let told = Arc::make_mut(&mut world.told_by_loader);
    told.insert("LoaderInfo".to_owned(), to_utf16("systemd-boot 257.8"));
    told.insert("LoaderEntrySelected".to_owned(), to_utf16(&entry.id));
    count_down(world, entry);
    load(world, entry, choice)
}

/// Whether the variables that a running system has set are gone at the next start.
fn forgets(world: &World) -> bool {
    matches!(world.lie, Some(Lie::ForgetsVariables | Lie::SaysItForgets))
}

/// Have another operating system started once, as `systemctl reboot --boot-loader-entry=` does.
pub(super) fn send_elsewhere(world: &mut World) {
    Arc::make_mut(&mut world.variables).insert(ONE_SHOT.to_owned(), to_utf16(OTHER_SYSTEM));
}

pub(super) fn is_sent_elsewhere(world: &World) -> bool {
    world.variables.get(ONE_SHOT).is_some_and(|value| from_utf16(value) == OTHER_SYSTEM)
}

/// The entries as the loader lists them, and what its configuration names.
#[derive(Debug)]
pub(super) struct Menu {
    /// Counted out entries last, then by sort key, the newest version first.
    entries: Vec<Entry>,
    configured: Option<String>,
}

impl Menu {
    /// What the ESP says. It does not depend on variables.
    #[must_use]
    pub fn read(world: &World) -> Self {
        let directory = Path::new(ESP).join("loader/entries");
        let names = world.esp.list(&directory).unwrap_or_default();
        let read = |name: &std::ffi::OsString| {
            let bytes = world.esp.read(&directory.join(name)).ok()?;
            Entry::parse(name.to_str()?, std::str::from_utf8(&bytes).ok()?)
        };
        // An entry whose kernel is missing is not even listed.
        let has_kernel = |entry: &Entry| world.esp.read(&on_esp(&entry.linux)).is_ok();
        let mut entries: Vec<Entry> = names.iter().filter_map(read).filter(has_kernel).collect();
        entries.sort_by_key(|entry| {
            (entry.left == Some(0), entry.sort_key.clone(), Reverse(entry.version), Reverse(entry.id.clone()))
        });
        let configuration = world.esp.read(&Path::new(ESP).join("loader/loader.conf")).ok();
        let configuration = configuration.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Self { entries, configured: configuration.as_deref().and_then(default_of).map(str::to_owned) }
    }

    /// What boots with these variables, if nobody touches the keyboard.
    #[must_use]
    pub fn foresee(&self, world: &World) -> Foreseen {
        let one_shot = world.variables.get(ONE_SHOT).filter(|_| !forgets(world));
        let one_shot = one_shot.map(|value| from_utf16(value));
        let once = one_shot.as_deref().and_then(|name| self.choose(world, Some(name), None));
        let default = self.choose(world, None, None);
        Foreseen {
            once: once.filter(|(_, why)| *why == Why::OneShot).map(|(entry, _)| entry.toplevel.clone()),
            is_named: default.is_some_and(|(_, why)| why == Why::Default),
            default: default.map(|(entry, _)| entry.toplevel.clone()),
        }
    }

    fn choose(
        &self,
        world: &World,
        one_shot: Option<&str>,
        pick: Option<&Toplevel>,
    ) -> Option<(&Entry, Why)> {
        let of = |toplevel: &Toplevel| self.entries.iter().find(|entry| entry.toplevel == *toplevel);
        let named = |pattern: &str| self.entries.iter().find(|entry| matches(pattern, &entry.id));
        let variable = world.variables.get(DEFAULT).map(|value| from_utf16(value));
        let default = variable.as_deref().and_then(named).or_else(|| named(self.configured.as_deref()?));
        let picked = pick.and_then(of).map(|entry| (entry, Why::Menu));
        picked
            .or_else(|| Some((one_shot.and_then(named)?, Why::OneShot)))
            .or_else(|| Some((default?, Why::Default)))
            .or_else(|| Some((self.entries.first()?, Why::First)))
    }
}

fn default_of(configuration: &str) -> Option<&str> {
    let mut pairs = configuration.lines().filter_map(|line| line.trim().split_once([' ', '\t']));
    pairs.rfind(|(key, _)| *key == "default").map(|(_, value)| value.trim())
}

/// One try fewer, before the kernel starts; the name is changed durably.
fn count_down(world: &mut World, entry: &Entry) {
    let Some(left) = entry.left.filter(|left| *left > 0) else { return };
    let directory = Path::new(ESP).join("loader/entries");
    let stem = entry.id.trim_end_matches(".conf");
    let renamed = format!("{stem}+{}-{}.conf", left - 1, entry.done + 1);
    let esp = Arc::make_mut(&mut world.esp);
    // What the firmware writes is written when it returns.
    if esp.rename(&directory.join(&entry.file), &directory.join(renamed)).is_ok() {
        esp.sync();
    }
}

fn load(world: &World, entry: &Entry, choice: Choice) -> Start {
    let stored = |part: &str| world.bytes(&Path::new(entry.toplevel.as_str()).join(part)).ok();
    let given = |path: &str| world.esp.read(&on_esp(path)).ok();
    let initrds: Option<Vec<_>> = entry.initrds.iter().map(|path| given(path)).collect();
    let Some(initrds) = initrds else { return Start::Stuck("the initrd is missing: EFI shell") };
    // Without the store's copy there is nothing to compare with; the installer had it when it copied.
    if stored("kernel").is_some_and(|kernel| given(&entry.linux) != Some(kernel)) {
        return Start::Stuck("the kernel is corrupt: exceptions for ever");
    }
    if stored("initrd").is_some_and(|initrd| initrds != [initrd]) {
        return Start::Panicked(choice, "the initrd is corrupt");
    }
    if !world.has_built(&choice.toplevel) {
        return Start::Panicked(choice, "its system is not in the store any more");
    }
    Start::Booted(choice)
}

#[derive(Debug)]
struct Entry {
    file: String,
    id: String,
    left: Option<u32>,
    done: u32,
    sort_key: String,
    version: u32,
    linux: String,
    initrds: Vec<String>,
    toplevel: Toplevel,
}

impl Entry {
    fn parse(file: &str, text: &str) -> Option<Self> {
        let stem = file.strip_suffix(".conf")?;
        let (name, left, done) = counters(stem);
        let values = |key: &'static str| {
            text.lines().filter_map(move |line| {
                let (found, value) = line.trim().split_once([' ', '\t'])?;
                (found == key).then(|| value.trim())
            })
        };
        let digits = |text: &str| text.chars().skip_while(|c| !c.is_ascii_digit()).collect::<String>();
        let number = |text: &str| digits(text).split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
        let mut init =
            values("options").flat_map(str::split_whitespace).filter_map(|word| word.strip_prefix("init="));
        Some(Self {
            file: file.to_owned(),
            id: format!("{name}.conf"),
            left,
            done,
            sort_key: values("sort-key").next_back().unwrap_or_default().to_owned(),
            version: values("version").next_back().and_then(number).unwrap_or(0),
            linux: values("linux").next_back()?.to_owned(),
            initrds: values("initrd").map(str::to_owned).collect(),
            toplevel: init.next_back().and_then(Toplevel::from_init)?,
        })
    }
}

/// `x+3-1` is `x` with three tries left and one done.
fn counters(stem: &str) -> (&str, Option<u32>, u32) {
    let Some((name, counts)) = stem.rsplit_once('+') else { return (stem, None, 0) };
    let (left, done) = counts.split_once('-').unwrap_or((counts, "0"));
    match (left.parse(), done.parse()) {
        (Ok(left), Ok(done)) => (name, Some(left), done),
        _ => (stem, None, 0),
    }
}

/// Shell patterns with `*`, `?` and sets, without regard to case.
fn matches(pattern: &str, name: &str) -> bool {
    fn match_bytes(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                match_bytes(rest, name) || (!name.is_empty() && match_bytes(pattern, &name[1..]))
            }
            (Some((b'?', rest)), Some((_, name))) => match_bytes(rest, name),
            (Some((b'[', rest)), Some((byte, name))) => {
                let end = rest.iter().position(|&byte| byte == b']').unwrap_or(rest.len());
                rest[..end].contains(byte) && match_bytes(rest.get(end + 1..).unwrap_or_default(), name)
            }
            (Some((byte, rest)), Some((other, name))) => {
                byte.eq_ignore_ascii_case(other) && match_bytes(rest, name)
            }
            _ => false,
        }
    }
    match_bytes(pattern.as_bytes(), name.as_bytes())
}

fn on_esp(path: &str) -> std::path::PathBuf {
    Path::new(ESP).join(path.trim_start_matches('/'))
}

/// The text of a variable: UTF-16LE with a NUL at the end.
pub(super) fn from_utf16(value: &[u8]) -> String {
    let (units, _) = value.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

pub(super) fn to_utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_the_last_one_named() {
        assert_eq!(default_of("timeout 3\ndefault a.conf\ndefault  b.conf \n"), Some("b.conf"));
        assert_eq!(default_of("timeout 3\n#default a\ndefaults x\n"), None);
        assert_eq!(default_of(""), None);
    }

    #[test]
    fn a_name_may_carry_counters() {
        assert_eq!(counters("x+3"), ("x", Some(3), 0));
        assert_eq!(counters("x+2-1"), ("x", Some(2), 1));
        assert_eq!(counters("x+y"), ("x+y", None, 0));
        assert_eq!(counters("x"), ("x", None, 0));
    }

    #[test]
    fn a_pattern_matches_like_a_shell() {
        assert!(matches("nixos-*", "nixos-generation-1.conf"));
        assert!(matches("NixOS-generation-?.conf", "nixos-generation-1.conf"));
        assert!(!matches("nixos-*.conf", "other.conf"));
        assert!(matches("a[+.]*conf", "a.conf") && !matches("a[+.]*conf", "ab.conf"));
    }

    #[test]
    fn a_variable_is_utf_16_with_a_nul() {
        assert_eq!(from_utf16(&to_utf16("nixos-ä.conf")), "nixos-ä.conf");
        assert_eq!(from_utf16(b"a"), "");
    }
}
