//! Boot loader specification entries. Source: UAPI group, "Boot Loader Specification": type 1 is a text that names files,
//! type 2 a unified kernel image.

use golden_core::Toplevel;

use super::boot_files::has_parameters;
use super::uki::Image;

/// What of an entry concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of its file.
    pub file: String,
    /// The toplevel its `init=` names. Never taken from the name of the file.
    pub toplevel: Toplevel,
    /// The kernel's command line, word by word.
    pub options: Vec<String>,
    /// What it boots.
    pub payload: Payload,
    /// What decides its place in the menu.
    pub sorted_by: SortedBy,
}

/// What decides the place of an entry in the menu, besides its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SortedBy {
    /// Of its kind. Without one, the rest counts for nothing.
    pub sort_key: Option<String>,
    /// Of its system.
    pub machine_id: Option<String>,
    /// Of what it boots; the newest is the first.
    pub version: Option<String>,
}

/// What an entry boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Type 1: paths on the boot partition.
    Files(Files),
    /// Type 2: the entry itself.
    Image(Box<Image>),
}

/// Paths on the boot partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Kernel; `None` for an entry that starts something else.
    pub linux: Option<String>,
    /// Initrds, in their order.
    pub initrds: Vec<String>,
    /// Device tree; `None` where the firmware's is used.
    pub device_tree: Option<String>,
}

impl Files {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.linux.iter().chain(&self.initrds).chain(&self.device_tree)
    }
}

impl Entry {
    /// The entry in these bytes, if it boots a system of ours: another OS is none.
    #[must_use]
    pub fn parse(file: &str, bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let values = |key: &'static str| lines(&text).filter(move |line| line.0 == key).map(|line| line.1);
        let options: Vec<String> = values("options").flat_map(words).map(str::to_owned).collect();
        let files = Files {
            linux: values("linux").last().map(str::to_owned),
            initrds: values("initrd").map(str::to_owned).collect(),
            device_tree: values("devicetree").last().map(str::to_owned),
        };
        let last = |key| values(key).last().map(str::to_owned);
        let sorted_by =
            SortedBy { sort_key: last("sort-key"), machine_id: last("machine-id"), version: last("version") };
        Self::new(file, options, Payload::Files(files), sorted_by)
    }

    /// The entry that this image is, if it boots a system of ours.
    #[must_use]
    pub fn of_image(file: &str, image: Image) -> Option<Self> {
        let options = words(&image.command_line).map(str::to_owned).collect();
        let told = |keys: &[&str]| keys.iter().find_map(|key| image.release.get(*key).cloned());
        // Source: `bootspec_pick_name_version_sort_key()` of systemd.
        let sorted_by = SortedBy {
            sort_key: told(&["IMAGE_ID", "ID"]),
            machine_id: None,
            version: told(&["IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"]),
        };
        Self::new(file, options, Payload::Image(Box::new(image)), sorted_by)
    }

    fn new(file: &str, options: Vec<String>, payload: Payload, sorted_by: SortedBy) -> Option<Self> {
        let init = options.iter().filter_map(|word| word.strip_prefix("init=")).next_back()?;
        let toplevel = Toplevel::from_init(init)?;
        Some(Self { file: file.to_owned(), toplevel, options, payload, sorted_by })
    }

    /// Whether the kernel's command line is the system's own: its `init=` and `parameters`, and nothing else.
    #[must_use]
    pub fn has_parameters(&self, parameters: &str) -> bool {
        has_parameters(&self.toplevel, &self.options, parameters)
    }

    /// The identifier without boot counters.
    #[must_use]
    pub fn id(&self) -> String {
        without_counters(&self.file)
    }

    /// What to write where the loader is to find this entry. Versions before 259 have the counters in the identifier, which
    /// change with every boot, later ones do not; a pattern says both. Source: systemd, pull request 38897.
    #[must_use]
    pub fn name_for_loader(&self) -> String {
        let id = self.id();
        match id.rsplit_once('.') {
            Some((stem, suffix)) if self.is_counted() => format!("{}[+.]*{suffix}", literally(stem)),
            _ => literally(&id),
        }
    }

    /// Whether the loader counts the boots of this entry.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.id() != self.file
    }

    /// Whether the loader has counted it out: no tries are left.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.tries().is_some_and(|(left, _)| left == 0)
    }

    /// How many tries are left, and how many were made; `None` where they are not counted.
    pub(super) fn tries(&self) -> Option<(u64, u64)> {
        let stem = self.file.rsplit_once('.').map_or(self.file.as_str(), |(stem, _)| stem);
        let counter = stem.rsplit_once('+').map(|(_, counter)| counter).filter(|_| self.is_counted())?;
        let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
        // More than that is no counter to the loader; it is many.
        Some((left.parse().unwrap_or(u64::MAX), done.parse().unwrap_or(u64::MAX)))
    }

    /// Whether the loader means this entry by `id`, which may carry counters or lack its suffix.
    #[must_use]
    pub fn is_called(&self, id: &str) -> bool {
        is_called(&self.file, id)
    }

    /// The files beside it that it needs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let (named, image) = match &self.payload {
            Payload::Files(files) => (Some(files.all()), None),
            Payload::Image(image) => (None, Some(image.files())),
        };
        named.into_iter().flatten().map(String::as_str).chain(image.into_iter().flatten())
    }
}

/// Whether the entry in this file is meant by `id`, which may carry counters or lack its suffix.
pub(super) fn is_called(file: &str, id: &str) -> bool {
    let suffix = file.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    let with_suffix = format!("{id}.{suffix}");
    let names = [id, &without_counters(id), &with_suffix, &without_counters(&with_suffix)];
    names.iter().any(|name| name.eq_ignore_ascii_case(&without_counters(file)))
}

/// The pattern that matches this name and no other. Source: `efi_fnmatch()` of systemd-boot.
fn literally(name: &str) -> String {
    let escaped = |character| match character {
        '*' | '?' | '[' => format!("[{character}]"),
        '\\' => "\\\\".to_owned(),
        plain => plain.to_string(),
    };
    name.chars().map(escaped).collect()
}

/// Whether this path on the boot partition is a file that NixOS's installer copies from the store, and removes.
#[must_use]
pub fn is_managed(path: &str) -> bool {
    let path = path.replace('\\', "/").to_ascii_lowercase();
    let name = path.trim_start_matches('/').strip_prefix("efi/nixos/");
    name.is_some_and(|name| !["", ".", ".."].contains(&name) && !name.contains('/'))
}

/// `key value` lines; comments, empty lines and carriage returns are dropped.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (key, value) = line.split_once([' ', '\t'])?;
        Some((key, value.trim()))
    })
}

fn words(options: &str) -> impl Iterator<Item = &str> {
    options.split_ascii_whitespace().map(|word| word.trim_matches('"'))
}

/// `name+LEFT.conf` and `name+LEFT-DONE.conf` without the counters; `.efi` likewise. Source: `systemd-boot(7)`, "Boot
/// counting".
#[must_use]
pub fn without_counters(file: &str) -> String {
    let Some((stem, suffix)) = file.rsplit_once('.') else { return file.to_owned() };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_counter = |text: &str| match text.split_once('-') {
        Some((left, done)) => is_number(left) && is_number(done),
        None => is_number(text),
    };
    match stem.rsplit_once('+') {
        Some((name, counter)) if is_counter(counter) => format!("{name}.{suffix}"),
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::loader_conf::matches;

    fn toplevel_of(text: &str) -> Option<String> {
        Some(Entry::parse("x.conf", text.as_bytes())?.toplevel.to_string())
    }

    #[test]
    fn the_toplevel_comes_from_init() {
        let a = Some("/nix/store/aaa-a".to_owned());
        for (what, text, expected) in [
            ("plain", "options init=/nix/store/aaa-a/init quiet\n", a.clone()),
            ("carriage returns", "title x\r\noptions quiet init=/nix/store/aaa-a/init\r\n", a.clone()),
            ("the last init= wins", "options init=/bin/sh init=/nix/store/aaa-a/init\n", a.clone()),
            ("options add up", "options init=/bin/sh\noptions init=/nix/store/aaa-a/init\n", a.clone()),
            ("tabs", "options\tinit=/nix/store/aaa-a/init\n", a),
            ("a comment is none", "# options init=/nix/store/aaa-a/init\n", None),
            ("another OS", "title Windows\nefi /EFI/Microsoft/bootmgfw.efi\n", None),
            ("another init", "options init=/sbin/init\n", None),
            ("not init", "options noinit=/nix/store/aaa-a/init\n", None),
        ] {
            assert_eq!(toplevel_of(text), expected, "{what}");
        }
    }

    #[test]
    fn an_entry_of_the_installer_has_the_command_line_of_the_system_and_no_more() {
        let entry =
            |options: &str| Entry::parse("x.conf", format!("options {options}\n").as_bytes()).unwrap();
        let parameters = "quiet  loglevel=4\n";
        assert!(entry("init=/nix/store/aaa-a/init quiet loglevel=4").has_parameters(parameters));
        for other in [
            "quiet loglevel=4 systemd.unit=rescue.target",
            "quiet",
            "loglevel=4 quiet",
            "quiet loglevel=4 init=/nix/store/aaa-a/init",
        ] {
            assert!(
                !entry(&format!("init=/nix/store/aaa-a/init {other}")).has_parameters(parameters),
                "{other}"
            );
        }
        assert!(is_managed("/EFI/nixos/a-kernel.efi") && is_managed("\\EFI\\nixos\\a-kernel.efi"));
        for other in
            ["/vmlinuz", "/EFI/nixos/", "/EFI/nixos/..", "/EFI/nixos/../../vmlinuz", "/EFI/Linux/a.efi"]
        {
            assert!(!is_managed(other), "{other}");
        }
    }

    #[test]
    fn counters_are_no_part_of_the_name() {
        for (file, id) in [
            ("x.conf", "x.conf"),
            ("x+3.conf", "x.conf"),
            ("x+2-1.conf", "x.conf"),
            ("x+a.conf", "x+a.conf"),
            ("x+.conf", "x+.conf"),
            ("x+1-.conf", "x+1-.conf"),
            ("a+b+3.conf", "a+b.conf"),
        ] {
            assert_eq!(without_counters(file), id);
        }
    }

    #[test]
    fn an_entry_is_called_by_its_name_with_or_without_counters_and_suffix() {
        let entry = |file: &str| Entry::parse(file, b"options init=/nix/store/aaa-a/init\n").unwrap();
        for file in ["x.conf", "x+3.conf", "x+2-1.conf", "X+0-3.CONF"] {
            for name in ["x.conf", "x", "x+3.conf", "x+2-1.conf", "X.conf"] {
                assert!(entry(file).is_called(name), "{file} {name}");
            }
            for name in ["x.efi", "y.conf", "x+.conf", "", ".conf"] {
                assert!(!entry(file).is_called(name), "{file} {name}");
            }
        }
        assert!(entry("x+1+2.conf").is_called("x+1.conf"), "only the last counter is one");
    }

    #[test]
    fn the_loader_finds_a_counted_entry_in_either_spelling() {
        for (file, name) in [
            ("x.conf", "x.conf"),
            ("x+3.conf", "x[+.]*conf"),
            ("x-1+2-1.efi", "x-1[+.]*efi"),
            ("x*+3.conf", "x[*][+.]*conf"),
            ("x*.conf", "x[*].conf"),
            ("x[1]?.conf", "x[[]1][?].conf"),
            ("x[1]+3.conf", "x[[]1][+.]*conf"),
            ("x\\a.conf", "x\\\\a.conf"),
        ] {
            let entry = Entry::parse(file, b"options init=/nix/store/aaa-a/init\n").unwrap();
            assert_eq!(entry.name_for_loader(), name);
            assert!(matches(name, file), "{file}");
            assert!(matches(name, &entry.id()), "{file}");
            for other in ["x1.conf", "x-2.efi", "y.conf", "x.confx"] {
                assert!(!matches(name, other), "{name} {other}");
            }
        }
    }

    #[test]
    fn an_entry_without_tries_is_exhausted() {
        for (file, expected) in [
            ("x.conf", false),
            ("x+3.conf", false),
            ("x+0.conf", true),
            ("x+0-2.conf", true),
            ("x+10-0.conf", false),
            ("x+.conf", false),
        ] {
            let entry = Entry::parse(file, b"options init=/nix/store/aaa-a/init\n").unwrap();
            assert_eq!(entry.is_exhausted(), expected, "{file}");
        }
    }

    #[test]
    fn garbage_is_no_entry() {
        assert_eq!(Entry::parse("x.conf", b"\xff\xfe\0options init=\xff/init"), None);
        assert_eq!(Entry::parse("\u{fffd}.conf", b""), None);
    }
}
