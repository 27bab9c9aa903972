//! `loader.conf`: of all its lines, only `default` and `preferred` are ours. Source: `loader.conf(5)`.

use std::str::Chars;

/// Which line names an entry that boots by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Boots as long as it has tries left. Since systemd-boot 260; NixOS writes it where it counts boots.
    Preferred,
    /// Boots whatever was counted.
    Default,
}

impl Key {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Preferred => b"preferred",
            Self::Default => b"default",
        }
    }
}

/// Longest pattern that can match, in bytes: several times the longest name on vfat.
const MAX_PATTERN_BYTES: usize = 1024;

/// What the loader reads of a file: it stops at the first NUL, and a power cut on vfat can leave many.
fn known(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The value, if the line has this key.
fn value_in(line: &[u8], key: Key) -> Option<&[u8]> {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    let value = line[end..].trim_ascii();
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    (&line[..end] == key.word()).then_some(unquoted.unwrap_or(value))
}

/// The pattern of the entry; the last one of each key counts.
#[must_use]
pub fn pattern(bytes: &[u8], key: Key) -> Option<String> {
    let value =
        known(bytes).split(|&byte| byte == b'\n').filter_map(|line| value_in(line, key)).next_back()?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The same file with another default, and nothing preferred to it. Every other line stays as it is, but for empty
/// ones at the end.
#[must_use]
pub fn with_default(bytes: &[u8], id: &str) -> Vec<u8> {
    let others = known(bytes).trim_ascii_end().split_inclusive(|&byte| byte == b'\n');
    let is_ours =
        |line: &&[u8]| [Key::Preferred, Key::Default].iter().any(|&key| value_in(line, key).is_some());
    let mut kept = others.filter(|line| !is_ours(line)).collect::<Vec<_>>().concat();
    if kept.last().is_some_and(|&last| last != b'\n') {
        kept.push(b'\n');
    }
    kept.extend_from_slice(format!("default {id}\n").as_bytes());
    kept
}

/// Whether a pattern of `*`, `?`, sets such as `[a-z.]` and backslashes before what is meant as it is matches the whole text,
/// upper and lower case alike. A set that does not end matches nothing. Source: `efi_fnmatch()` of systemd-boot.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    if pattern.len() > MAX_PATTERN_BYTES {
        return false;
    }
    if !pattern.contains(['*', '?', '[', '\\']) {
        return pattern.to_lowercase() == text.to_lowercase();
    }
    let Some(pattern) = pieces(&pattern.to_lowercase()) else { return false };
    // The pattern positions that are reachable after each character.
    let advance = |from: &[bool]| {
        let mut reached = from.to_vec();
        for (index, wanted) in pattern.iter().enumerate() {
            reached[index + 1] |= *wanted == Piece::Any && reached[index];
        }
        reached
    };
    let mut start = vec![false; pattern.len() + 1];
    start[0] = true;
    let end = text.to_lowercase().chars().fold(advance(&start), |from, character| {
        let mut next = vec![false; from.len()];
        for (index, wanted) in pattern.iter().enumerate() {
            match wanted {
                Piece::Any => next[index] |= from[index],
                Piece::One(set) => next[index + 1] |= from[index] && is_in(set, character),
            }
        }
        advance(&next)
    });
    end.last().copied().unwrap_or(false)
}

/// A part of a pattern.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// Any characters, or none.
    Any,
    /// One character of these ranges.
    One(Vec<(char, char)>),
}

fn is_in(set: &[(char, char)], character: char) -> bool {
    set.iter().any(|&(first, last)| (first..=last).contains(&character))
}

/// `None` for a pattern that matches nothing.
fn pieces(pattern: &str) -> Option<Vec<Piece>> {
    let mut rest = pattern.chars();
    let mut pieces = Vec::new();
    let exactly = |character| Piece::One(vec![(character, character)]);
    while let Some(character) = rest.next() {
        pieces.push(match character {
            '*' => Piece::Any,
            '?' => Piece::One(vec![(char::MIN, char::MAX)]),
            '[' => Piece::One(set(&mut rest)?),
            '\\' => exactly(rest.next()?),
            plain => exactly(plain),
        });
    }
    Some(pieces)
}

/// The set up to the next `]`, which may be its first character. A `-` stands for itself at either end and after a range.
fn set(rest: &mut Chars<'_>) -> Option<Vec<(char, char)>> {
    let mut set: Vec<(char, char)> = Vec::new();
    // What a range can begin with.
    let mut low = None;
    loop {
        match rest.next()? {
            ']' if !set.is_empty() => return Some(set),
            '-' if low.is_some() && !rest.as_str().starts_with(']') => {
                let high = match rest.next()? {
                    '\\' => rest.next()?,
                    plain => plain,
                };
                set.extend(low.take().map(|low| (low, high)));
            }
            character => {
                let meant = if character == '\\' { rest.next()? } else { character };
                set.push((meant, meant));
                low = Some(meant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_changes() {
        for (before, after) in [
            (
                &b"# caf\xe9\r\ntimeout 5\ndefault a.conf\neditor no\n"[..],
                &b"# caf\xe9\r\ntimeout 5\neditor no\ndefault b.conf\n"[..],
            ),
            (b"timeout 5\n\n\n", b"timeout 5\ndefault b.conf\n"),
            (b"timeout 5", b"timeout 5\ndefault b.conf\n"),
            (b"preferred a.conf\ndefault nixos-*\ntimeout 5\n", b"timeout 5\ndefault b.conf\n"),
            (b"", b"default b.conf\n"),
            (b"\0\0\0", b"default b.conf\n"),
            (b"timeout 5\n\0\0default a.conf\n", b"timeout 5\ndefault b.conf\n"),
        ] {
            assert_eq!(with_default(before, "b.conf"), after, "{}", before.escape_ascii());
        }
    }

    #[test]
    fn the_last_default_counts() {
        for (text, expected) in [
            ("default a\ndefault b.conf\n#default c\n", Some("b.conf")),
            ("default\t\"nixos-*\"\r\n", Some("nixos-*")),
            ("defaults a\ndefault\n", None),
            ("timeout 1\n\0default a\n", None),
        ] {
            assert_eq!(pattern(text.as_bytes(), Key::Default).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn each_key_has_its_own_pattern() {
        let text = b"preferred a.conf\ndefault nixos-*\n";
        assert_eq!(pattern(text, Key::Preferred).as_deref(), Some("a.conf"));
        assert_eq!(pattern(text, Key::Default).as_deref(), Some("nixos-*"));
        assert_eq!(pattern(b"default a.conf\n", Key::Preferred), None);
    }

    #[test]
    fn patterns_match_as_the_loader_has_it() {
        for (pattern, text, expected) in [
            ("a.conf", "A.conf", true),
            ("nixos-*", "nixos-generation-1.conf", true),
            ("*", "", true),
            ("n?xos", "nixos", true),
            ("nixos", "nixos-1", false),
            ("*1.conf", "nixos-2.conf", false),
            ("a[+.]*conf", "a.conf", true),
            ("a[+.]*conf", "A+2-1.conf", true),
            ("a[+.]*conf", "ab.conf", false),
            ("[a-c]x[]]", "bx]", true),
            ("[a-c]x", "dx", false),
            ("[a-", "[a-", false),
            ("[]", "[]", false),
            ("x[1].conf", "x[1].conf", false),
            ("x[1].conf", "x1.conf", true),
            ("x[[]1].conf", "x[1].conf", true),
            ("x\\[1].conf", "x[1].conf", true),
            ("x\\", "x\\", false),
            ("[a\\]b]", "]", true),
            ("[a-c-f]", "-", true),
            ("[a-c-f]", "e", false),
            ("[-a]", "-", true),
            ("[a-]", "-", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
