//! `loader.conf`: of all its lines, only `default` is ours. Source: `loader.conf(5)`.

use super::entry::lines;

/// The pattern of the default entry; the last one counts.
#[must_use]
pub fn default_pattern(text: &str) -> Option<&str> {
    lines(text).filter(|line| line.0 == "default").map(|line| line.1).last()
}

/// The same file with another default. Every other line stays as it is, but for empty ones at the end.
#[must_use]
pub fn with_default(text: &str, id: &str) -> String {
    let is_default = |line: &&str| line.trim().split([' ', '\t']).next() == Some("default");
    let mut kept: String = text
        .trim_end()
        .lines()
        .filter(|line| !is_default(line))
        .fold(String::new(), |text, line| text + line + "\n");
    kept.push_str("default ");
    kept.push_str(id);
    kept.push('\n');
    kept
}

/// Whether a shell pattern of `*` and `?` matches the whole text, upper and lower case alike.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    // The pattern positions that are reachable after each character.
    let advance = |from: &[bool]| {
        let mut reached = from.to_vec();
        for (index, &wanted) in pattern.iter().enumerate() {
            reached[index + 1] |= wanted == '*' && reached[index];
        }
        reached
    };
    let mut start = vec![false; pattern.len() + 1];
    start[0] = true;
    let end = text.to_lowercase().chars().fold(advance(&start), |from, character| {
        let mut next = vec![false; from.len()];
        for (index, &wanted) in pattern.iter().enumerate() {
            next[index] |= from[index] && wanted == '*';
            next[index + 1] |= from[index] && (wanted == '?' || wanted == character);
        }
        advance(&next)
    });
    end.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_changes() {
        let before = "# mine\r\ntimeout 5\ndefault a.conf\neditor no\n";
        assert_eq!(with_default(before, "b.conf"), "# mine\ntimeout 5\neditor no\ndefault b.conf\n");
        assert_eq!(default_pattern("default a\ndefault b.conf\n#default c\n"), Some("b.conf"));
        assert_eq!(with_default("timeout 5\n\n\n", "b.conf"), "timeout 5\ndefault b.conf\n");
        assert_eq!(with_default("", "b.conf"), "default b.conf\n");
    }

    #[test]
    fn patterns_match_as_a_shell_does() {
        for (pattern, text, expected) in [
            ("a.conf", "A.conf", true),
            ("nixos-*", "nixos-generation-1.conf", true),
            ("*", "", true),
            ("n?xos", "nixos", true),
            ("nixos", "nixos-1", false),
            ("*1.conf", "nixos-2.conf", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
