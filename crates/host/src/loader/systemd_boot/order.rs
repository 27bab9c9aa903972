//! The order of the loader's menu: a pattern names the first entry in it. Sources: `boot_entry_compare()` of systemd-boot, and
//! UAPI group, "Version Format Specification".

use std::cmp::{Ordering, Reverse};

use crate::loader::entry::Entry;

/// How entries are sorted whose sort keys say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By the names of their files, with their counters.
    ByFile,
    /// By their identifiers.
    ByIdentifier,
}

impl Order {
    /// Which of two entries comes first in the menu.
    pub fn compare(self, left: &Entry, right: &Entry) -> Ordering {
        let name = |entry: &Entry| match self {
            Self::ByFile => entry.file.to_ascii_lowercase(),
            Self::ByIdentifier => entry.id().to_ascii_lowercase(),
        };
        let (by, with) = (&left.sorted_by, &right.sorted_by);
        let of_one_kind = || {
            let kind = by.sort_key.cmp(&with.sort_key).then_with(|| by.machine_id.cmp(&with.machine_id));
            let version = |version: &Option<String>| version.clone().unwrap_or_default();
            kind.then_with(|| compare_versions(&version(&with.version), &version(&by.version)))
        };
        let mut order = left.is_exhausted().cmp(&right.is_exhausted());
        order = order.then_with(|| by.sort_key.is_none().cmp(&with.sort_key.is_none()));
        if by.sort_key.is_some() && with.sort_key.is_some() {
            order = order.then_with(of_one_kind);
        }
        order.then_with(|| compare_versions(&name(right), &name(left))).then_with(|| {
            let tries = left.tries().zip(right.tries());
            tries.map_or(Ordering::Equal, |((left, tried), (right, tried_too))| {
                (Reverse(left), tried).cmp(&(Reverse(right), tried_too))
            })
        })
    }
}

/// Which of two versions is older.
pub(super) fn compare_versions(left: &str, right: &str) -> Ordering {
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '~' | '-' | '^' | '.');
    let (mut left, mut right) = (left, right);
    loop {
        left = left.trim_start_matches(|c| !is_known(c));
        right = right.trim_start_matches(|c| !is_known(c));
        // A pre-release is older than the end.
        if let Some(decided) = by_prefix('~', &mut left, &mut right) {
            return decided;
        }
        if left.is_empty() || right.is_empty() {
            return left.len().cmp(&right.len());
        }
        for prefix in ['-', '^', '.'] {
            if let Some(decided) = by_prefix(prefix, &mut left, &mut right) {
                return decided;
            }
        }
        if let Some(decided) = by_segment(&mut left, &mut right) {
            return decided;
        }
    }
}

/// The one that has this prefix is older; where both have it, it is passed.
fn by_prefix(prefix: char, left: &mut &str, right: &mut &str) -> Option<Ordering> {
    match (left.strip_prefix(prefix), right.strip_prefix(prefix)) {
        (Some(after), Some(behind)) => {
            (*left, *right) = (after, behind);
            None
        }
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (None, None) => None,
    }
}

/// Numbers are newer than letters, and compared as numbers; capital letters are older than small ones.
fn by_segment(left: &mut &str, right: &mut &str) -> Option<Ordering> {
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let compared = if is_number(left) || is_number(right) {
        let is = |c: char| c.is_ascii_digit();
        let (left, right) = (take(left, is), take(right, is));
        // An empty one is no number, and older.
        let (digits, more) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
        let by_value = digits.len().cmp(&more.len()).then_with(|| digits.cmp(more));
        left.is_empty().cmp(&right.is_empty()).reverse().then(by_value)
    } else {
        let is = |c: char| c.is_ascii_alphabetic();
        take(left, is).cmp(take(right, is))
    };
    (compared != Ordering::Equal).then_some(compared)
}

/// The longest beginning of such characters; the text goes on after it.
fn take<'a>(text: &mut &'a str, is: fn(char) -> bool) -> &'a str {
    let end = text.find(|c| !is(c)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_the_loader_does() {
        // The list of systemd's own comment, the oldest first.
        let sorted = [
            "122.1",
            "123~rc1-1",
            "123",
            "123-a",
            "123-a.1",
            "123-1",
            "123-1.1",
            "123^post1",
            "123.a-1",
            "123.1-1",
            "123a-1",
            "124-1",
        ];
        for (at, left) in sorted.iter().enumerate() {
            for (place, right) in sorted.iter().enumerate() {
                assert_eq!(compare_versions(left, right), at.cmp(&place), "{left} {right}");
            }
        }
        for (left, right, expected) in [
            ("Generation 9 NixOS 25.05", "Generation 10 NixOS 25.05", Ordering::Less),
            ("nixos-generation-009.conf", "nixos-generation-9.conf", Ordering::Equal),
            ("nixos-generation-5-specialisation-x.conf", "nixos-generation-5.conf", Ordering::Less),
            ("123_a", "123a", Ordering::Equal),
            ("", "1", Ordering::Less),
            ("a--b", "a-.b", Ordering::Greater),
            ("99999999999999999999999", "100000000000000000000000", Ordering::Less),
        ] {
            assert_eq!(compare_versions(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn the_menu_is_sorted_by_kind_then_version_then_name_and_what_has_no_tries_left_is_last() {
        let entry = |file: &str, lines: &str| {
            let text = format!("{lines}options init=/nix/store/aaa-a/init\n");
            Entry::parse(file, text.as_bytes()).unwrap()
        };
        for (first, second) in [
            (entry("a.conf", "sort-key nixos\nversion 10\n"), entry("b.conf", "sort-key nixos\nversion 9\n")),
            (entry("a.conf", "sort-key a\nversion 1\n"), entry("b.conf", "sort-key b\nversion 2\n")),
            (entry("a.conf", "sort-key x\n"), entry("b.conf", "version 3\n")),
            (entry("b.conf", "version 1\n"), entry("a.conf", "version 2\n")),
            (entry("a.conf", "sort-key x\n"), entry("b.conf", "sort-key x\nmachine-id 1\n")),
            (entry("n-10.conf", ""), entry("n-9.conf", "")),
            (entry("n-9.conf", ""), entry("n-10+0-3.conf", "")),
            (entry("n+3.conf", ""), entry("n+2.conf", "")),
            (entry("n+2.conf", ""), entry("n+2-1.conf", "")),
        ] {
            let compared = Order::ByIdentifier.compare(&first, &second);
            assert_eq!(compared, Ordering::Less, "{} {}", first.file, second.file);
        }
        let (left, right) = (entry("n+2.conf", ""), entry("n+3.conf", ""));
        assert_eq!(Order::ByFile.compare(&left, &right), Ordering::Greater);
    }
}
