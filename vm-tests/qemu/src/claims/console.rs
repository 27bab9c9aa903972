//! What the console of a machine said last.

use std::fs;
use std::path::Path;
use std::str::Chars;

/// Lines that are shown.
const LINES: usize = 12;
/// Longest line that is shown, in characters.
const MAX_CHARS: usize = 160;

/// The last lines of a machine whose files are in `directory`; none if it never said anything.
pub(super) fn last_lines(directory: &Path) -> Vec<String> {
    let log = fs::read(directory.join("console.log")).unwrap_or_default();
    let text = plain(&String::from_utf8_lossy(&log));
    let said: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let last = &said[said.len().saturating_sub(LINES)..];
    last.iter().map(|line| line.chars().take(MAX_CHARS).collect()).collect()
}

/// Without what moves the cursor, sets colours and titles; of a line that was written over, what was written last.
/// Source: ECMA-48, "Control sequences".
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut is_at_start = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => skip_sequence(&mut letters),
            '\r' => is_at_start = true,
            '\n' => {
                plain.push('\n');
                is_at_start = false;
            }
            letter if letter.is_control() => {}
            letter => {
                if is_at_start {
                    plain.truncate(plain.rfind('\n').map_or(0, |end| end + 1));
                    is_at_start = false;
                }
                plain.push(letter);
            }
        }
    }
    plain
}

fn skip_sequence(letters: &mut Chars) {
    match letters.next() {
        // Parameters, then one letter that says what it is.
        Some('[') => while letters.next().is_some_and(|letter| !('@'..='~').contains(&letter)) {},
        // A title, up to BEL or the end of the string.
        Some(']') => while letters.next().is_some_and(|letter| !matches!(letter, '\u{7}' | '\\')) {},
        // A character set is named by one more letter.
        Some('(' | ')') => drop(letters.next()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_is_shown_of_a_console_has_no_control_sequences() {
        let said = "\u{1b}[2J\u{1b}[01;01H\u{1b}[=3hBdsDxe: loading\r\r\n\u{1b}]0;title\u{7}\u{1b}(Bhost login: \u{0}\n3 s\r2 s\r\nend\u{1b}[0m";
        assert_eq!(plain(said), "BdsDxe: loading\nhost login: \n2 s\nend");
        assert_eq!(plain("cut off \u{1b}["), "cut off ");
    }
}
