//! `extlinux.conf`: labels, and the one that boots by itself. Source: U-Boot's `boot/pxe_utils.c`; the syslinux wiki.

/// Unit in which a disk writes all or nothing, in bytes.
const SECTOR_BYTES: usize = 512;

/// What of the file concerns us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtlinuxConf {
    /// The label that is named as the default, if any.
    pub default: Option<String>,
    /// In the order of the file.
    pub labels: Vec<Label>,
}

/// An entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// The kernel, relative to the file or absolute on its file system.
    pub linux: Option<String>,
    /// Initrds, in the same way.
    pub initrds: Vec<String>,
    /// The kernel's command line, word by word.
    pub options: Vec<String>,
    /// The device tree; `None` where the firmware's is used.
    pub device_tree: Option<DeviceTree>,
}

/// The device tree of a label, named as the kernel is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceTree {
    /// This file.
    File(String),
    /// The one in this directory that U-Boot finds to be the machine's.
    Directory(String),
}

impl ExtlinuxConf {
    /// Read a file. Lines that are not known are skipped, as U-Boot skips them.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut conf = Self::default();
        for line in text.lines() {
            let Some((key, value)) = key_and_value(line) else { continue };
            let text = || value.to_owned();
            match (key.as_str(), conf.labels.last_mut()) {
                ("default" | "ontimeout", _) => conf.default = Some(text()),
                ("label", _) => conf.labels.push(Label { name: text(), ..Label::default() }),
                ("linux" | "kernel", Some(label)) => label.linux = Some(text()),
                ("initrd", Some(label)) => label.initrds = value.split(',').map(str::to_owned).collect(),
                ("append", Some(label)) => {
                    label.options = value.split_ascii_whitespace().map(str::to_owned).collect();
                }
                ("fdt" | "devicetree", Some(label)) => label.set_device_tree(DeviceTree::File(text())),
                ("fdtdir" | "devicetreedir", Some(label)) => {
                    label.set_device_tree(DeviceTree::Directory(text()));
                }
                ("menu", Some(label)) if conf.default.is_none() && value.eq_ignore_ascii_case("default") => {
                    conf.default = Some(label.name.clone());
                }
                _ => {}
            }
        }
        conf
    }

    /// The label that boots by itself; the first one where none is named that is there. `None` where two have the name.
    #[must_use]
    pub fn boots(&self) -> Option<&Label> {
        let name = self.default.as_deref();
        let mut named = self.labels.iter().filter(|label| Some(label.name.as_str()) == name);
        match (named.next(), named.next()) {
            (Some(label), None) => Some(label),
            (None, _) => self.labels.first(),
            _ => None,
        }
    }
}

impl Label {
    /// Of several files, or several directories, the first one counts; a file goes before a directory. Source: `parse_label`
    /// and `label_boot` of U-Boot.
    fn set_device_tree(&mut self, named: DeviceTree) {
        let is_file = |tree: &DeviceTree| matches!(tree, DeviceTree::File(_));
        let is_better = self.device_tree.as_ref().is_none_or(|known| !is_file(known) && is_file(&named));
        if is_better {
            self.device_tree = Some(named);
        }
    }
}

/// `KEY value`, whatever the case of the key; `None` for comments and empty lines.
fn key_and_value(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    (!line.is_empty() && !line.starts_with('#')).then(|| (key.to_ascii_lowercase(), value.trim()))
}

/// The file with another default. Where there is a comment above the old one, as NixOS writes it, that makes room: the
/// file stays as long as it was.
#[must_use]
pub fn with_default(bytes: &[u8], label: &str) -> Vec<u8> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let names_default = |line: &&[u8]| {
        let text = String::from_utf8_lossy(line);
        key_and_value(&text).is_some_and(|(key, _)| key == "default" || key == "ontimeout")
    };
    let Some(at) = lines.iter().position(names_default) else {
        return [format!("DEFAULT {label}\n").as_bytes(), bytes].concat();
    };
    let is_comment = |line: &&&[u8]| line.starts_with(b"#");
    let comments = lines[..at].iter().rev().take_while(is_comment).count();
    let before = lines[..at - comments].concat();
    let after: Vec<&[u8]> = lines[at + 1..].iter().filter(|line| !names_default(line)).copied().collect();
    let comment = lines[at - comments..at].concat();
    let default = default_in(comment.len() + lines[at].len(), &comment, label);
    [before, default, after.concat()].concat()
}

/// The line of the default with as much of the comment above it as makes `bytes` together, if that is possible.
fn default_in(bytes: usize, comment: &[u8], label: &str) -> Vec<u8> {
    let line = format!("DEFAULT {label}\n").into_bytes();
    match bytes.checked_sub(line.len()) {
        None | Some(0) => line,
        Some(1) => format!("DEFAULT  {label}\n").into_bytes(),
        Some(free) => {
            let mut comment = comment.trim_ascii_end().to_vec();
            comment.resize(free - 1, b'#');
            [comment, b"\n".to_vec(), line].concat()
        }
    }
}

/// Whether a power cut leaves the old or the new of two texts, if one is written over the other.
#[must_use]
pub fn differ_in_one_sector(old: &[u8], new: &[u8]) -> bool {
    let differs = |at: &usize| old[*at] != new[*at];
    let mut all = 0..old.len();
    old.len() == new.len()
        && match (all.find(differs), all.rfind(differs)) {
            (Some(first), Some(last)) => first / SECTOR_BYTES == last / SECTOR_BYTES,
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As NixOS writes it.
    const NIXOS: &str = "# Generated file, all changes will be lost on nixos-rebuild!\n\n\
        # Change this to e.g. nixos-42 to temporarily boot to an older configuration.\nDEFAULT nixos-default\n\n\
        MENU TITLE ------------------------------------------------------------\nTIMEOUT 50\n\n\
        LABEL nixos-default\n  MENU LABEL NixOS - Default\n  LINUX ../nixos/b-Image\n  INITRD ../nixos/b-initrd\n  \
        APPEND init=/nix/store/bbbb-b/init quiet\n  FDTDIR ../nixos/b-dtbs\n\n\
        LABEL nixos-1-default\n  MENU LABEL NixOS - Configuration 1-default (2024-08-01 10:00 - 24.05)\n  \
        LINUX ../nixos/a-Image\n  INITRD ../nixos/a-initrd\n  APPEND init=/nix/store/aaaa-a/init quiet\n";

    fn default_of(bytes: &[u8]) -> Option<String> {
        Some(ExtlinuxConf::parse(bytes).boots()?.name.clone())
    }

    #[test]
    fn what_nixos_writes_is_understood() {
        let conf = ExtlinuxConf::parse(NIXOS.as_bytes());
        assert_eq!(conf.default.as_deref(), Some("nixos-default"));
        let a = &conf.labels[1];
        assert_eq!(
            (a.name.as_str(), a.linux.as_deref(), &a.initrds[..], &a.options[..]),
            (
                "nixos-1-default",
                Some("../nixos/a-Image"),
                &["../nixos/a-initrd".to_owned()][..],
                &["init=/nix/store/aaaa-a/init".to_owned(), "quiet".to_owned()][..]
            )
        );
    }

    #[test]
    fn what_boots_by_itself_is_what_u_boot_takes() {
        for (text, expected) in [
            ("default a\nlabel b\nlabel a\n", Some("a")),
            ("Default a\nDEFAULT b\nlabel a\nlabel b\n", Some("b")),
            ("default nowhere\nlabel b\nlabel a\n", Some("b")),
            ("label b\nlabel a\n  menu default\n", Some("a")),
            ("#default a\nlabel b\nlabel a\n", Some("b")),
            ("default a\nlabel a\nlabel a\n", None),
            ("default a\nontimeout b\nlabel a\nlabel b\n", Some("b")),
            ("", None),
        ] {
            assert_eq!(default_of(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn another_default_needs_no_more_room_and_touches_one_sector() {
        let mut text = NIXOS.as_bytes().to_vec();
        for label in [
            "nixos-1-default",
            "nixos-default",
            "a-name-that-is-as-long-as-the-comment-was-before-it-and-more",
            "x",
        ] {
            let next = with_default(&text, label);
            assert!(differ_in_one_sector(&text, &next), "{}", next.escape_ascii());
            assert_eq!(ExtlinuxConf::parse(&next).default.as_deref(), Some(label));
            assert_eq!(ExtlinuxConf::parse(&next).labels, ExtlinuxConf::parse(NIXOS.as_bytes()).labels);
            text = next;
        }
    }

    #[test]
    fn other_files_get_the_default_too() {
        for (before, after) in [
            ("label a\n", "DEFAULT x\nlabel a\n"),
            ("default a\nlabel a\n", "DEFAULT x\nlabel a\n"),
            ("default ab\nlabel a\n", "DEFAULT  x\nlabel a\n"),
            ("default abc\nlabel a\n", "#\nDEFAULT x\nlabel a\n"),
            ("default a\nontimeout b\nlabel a\n", "DEFAULT x\nlabel a\n"),
            ("#\ndefault", "DEFAULT x\n"),
            ("# a\n# b\ndefault x\n", "# a\n# b\nDEFAULT x\n"),
            ("# a\n# b\ndefault a-longer-one\n", "# a\n# b###########\nDEFAULT x\n"),
        ] {
            let text = with_default(before.as_bytes(), "x");
            assert_eq!(String::from_utf8(text).unwrap(), after, "{before}");
        }
    }

    #[test]
    fn sectors_are_told_apart() {
        let old = vec![b'a'; 2 * SECTOR_BYTES];
        let change = |at: &[usize]| {
            let mut new = old.clone();
            for &at in at {
                new[at] = b'b';
            }
            differ_in_one_sector(&old, &new)
        };
        assert!(change(&[]) && change(&[0, 511]) && change(&[512, 1023]));
        assert!(!change(&[511, 512]));
        assert!(!differ_in_one_sector(&old, b"a"));
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_gets_the_default(text in "(label |default |#|append |[ab ]{0,9}|\n){0,30}") {
            let next = with_default(text.as_bytes(), "x");
            prop_assert_eq!(ExtlinuxConf::parse(&next).default, Some("x".to_owned()));
        }
    }
}
