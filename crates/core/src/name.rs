//! Names that are parsed once, at the edge, and trusted afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Not `/nix/store/HASH-NAME`.
    #[error("{0:?} is not the store path of a system (/nix/store/HASH-NAME)")]
    Toplevel(String),
    /// Not 32 hexadecimal digits.
    #[error("{0:?} is not a boot ID (32 hexadecimal digits)")]
    BootId(String),
    /// Not one word that can be printed.
    #[error("{0:?} is not a source revision (one word of at most 128 printable ASCII characters)")]
    Revision(String),
}

/// The store path of one built system: `/nix/store/HASH-NAME`, nothing below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Toplevel(String);

impl Toplevel {
    /// Where Nix keeps every system. Source: Nix manual, "Store path".
    const STORE: &str = "/nix/store/";
    /// Longest name of a file on the file systems in use, in bytes.
    const MAX_NAME_BYTES: usize = 255;

    /// The store path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without the store and the hash, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        let name = &self.0[Self::STORE.len()..];
        name.split_once('-').map_or(name, |(_, rest)| rest)
    }

    /// The toplevel that an `init=` of a kernel command line names: `TOPLEVEL/init`.
    #[must_use]
    pub fn from_init(init: &str) -> Option<Self> {
        init.strip_suffix("/init")?.parse().ok()
    }
}

impl FromStr for Toplevel {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName::Toplevel(text.chars().take(300).collect());
        let name = text.strip_prefix(Self::STORE).ok_or_else(invalid)?;
        let (hash, rest) = name.split_once('-').ok_or_else(invalid)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
        let fits = name.len() <= Self::MAX_NAME_BYTES && !hash.is_empty() && !rest.is_empty();
        if fits && hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) && rest.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(invalid())
        }
    }
}

/// One boot of the kernel: 128 bits, written as 32 lower-case hexadecimal digits, as the journal writes them.
/// Source: `/proc/sys/kernel/random/boot_id`, whose dashes are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BootId(String);

impl BootId {
    /// The 32 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BootId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let digits: String = text.trim().chars().filter(|&digit| digit != '-').collect();
        if digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            Ok(Self(digits.to_ascii_lowercase()))
        } else {
            Err(InvalidName::BootId(text.chars().take(100).collect()))
        }
    }
}

/// What a system was built from, in the words of whoever deploys: a commit, mostly.
/// Source: the NixOS option `system.configurationRevision`, or a deployer's `GOLDEN_REVISION`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

impl Revision {
    /// Longest one, in bytes.
    const MAX_BYTES: usize = 128;
    /// Fewest digits that stand for a whole commit, as Git shortens it.
    const MIN_DIGITS: usize = 7;

    /// The revision as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names `other`: it is the same, or the beginning of a commit.
    #[must_use]
    pub fn names(&self, other: &Self) -> bool {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_short = self.0.len() >= Self::MIN_DIGITS && is_hex(&self.0) && is_hex(&other.0);
        self == other || is_short && other.0.starts_with(&self.0)
    }
}

impl FromStr for Revision {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let word = text.trim();
        let fits = !word.is_empty() && word.len() <= Self::MAX_BYTES;
        if fits && word.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(word.to_owned()))
        } else {
            Err(InvalidName::Revision(text.chars().take(100).collect()))
        }
    }
}

macro_rules! text_conversions {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}
text_conversions!(Toplevel, BootId, Revision);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_store_path_is_a_toplevel() {
        for (text, good) in [
            ("/nix/store/0c5z-nixos-system-host-25.11", true),
            ("/nix/store/0c5z-nixos-system-host-25.11/init", false),
            ("/nix/store/../etc", false),
            ("/nix/store/0c5z", false),
            ("/nix/store/-x", false),
            ("/nix/store/0c5z-", false),
            ("/nix/store/0c5z-a b", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Toplevel>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn an_init_names_its_toplevel() {
        let init = "/nix/store/0c5z-host/init";
        assert_eq!(Toplevel::from_init(init).map(String::from), Some("/nix/store/0c5z-host".to_owned()));
        assert_eq!(Toplevel::from_init("/sbin/init"), None);
    }

    #[test]
    fn a_revision_is_one_word_and_a_commit_may_be_shortened() {
        let revision = |text: &str| text.parse::<Revision>();
        assert_eq!(revision(" 3f2a9c1\n").unwrap().as_str(), "3f2a9c1");
        for text in ["", " ", "two words", "bell\u{7}", "\u{fc}", &"x".repeat(129)] {
            assert!(revision(text).is_err(), "{text:?}");
        }
        let commit = revision("3f2a9c1d00000000000000000000000000000000").unwrap();
        for (text, names) in [
            (commit.as_str(), true),
            ("3f2a9c1", true),
            ("3f2a9c", false),
            ("3f2a9c2", false),
            ("main", false),
            ("3f2a9c1-dirty", false),
        ] {
            assert_eq!(revision(text).unwrap().names(&commit), names, "{text}");
        }
        assert!(!revision("3f2a9c1").unwrap().names(&revision("3f2a9c1d-dirty").unwrap()));
    }

    #[test]
    fn a_boot_id_is_read_with_and_without_dashes() {
        let dashed: BootId = "B0A1c2d3-0000-1111-2222-333344445555\n".parse().unwrap();
        assert_eq!(dashed.as_str(), "b0a1c2d3000011112222333344445555");
        assert!("short".parse::<BootId>().is_err());
    }
}
