//! What another machine wrote, made fit to be shown: bounded, and without characters that change how the rest is read.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Longest text that is kept, in characters.
pub const MAX_CHARS: usize = 1000;
/// Most elements of a list that are kept.
pub const MAX_ELEMENTS: usize = 256;

/// A text of at most [`MAX_CHARS`] characters. It may still look like HTML: whoever shows it escapes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut kept: String = text.chars().take(MAX_CHARS).map(tame).collect();
        if text.chars().nth(MAX_CHARS).is_some() {
            kept.push('…');
        }
        Self(kept)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Control characters move cursors and ring bells; the marks of writing direction make a sentence read backwards.
fn tame(letter: char) -> char {
    match letter {
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{61c}'
        | '\u{feff}' => char::REPLACEMENT_CHARACTER,
        '\u{2028}' | '\u{2029}' => '\n',
        letter if letter.is_control() && letter != '\n' => ' ',
        letter => letter,
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;

        impl Visitor<'_> for AnyText {
            type Value = Text;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text::from(text))
            }
        }

        deserializer.deserialize_str(AnyText)
    }
}

/// The first [`MAX_ELEMENTS`] of a list; the rest is read and forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = List<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<List<T>, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < MAX_ELEMENTS {
                    match sequence.next_element()? {
                        Some(element) => kept.push(element),
                        None => return Ok(List(kept)),
                    }
                }
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                Ok(List(kept))
            }
        }

        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use super::*;

    #[test]
    fn a_megabyte_becomes_a_paragraph_and_nothing_reads_backwards() {
        let long = serde_json::to_string(&"x\n".repeat(500_000)).unwrap();
        let text: Text = serde_json::from_str(&long).unwrap();
        assert_eq!(text.chars().count(), MAX_CHARS + 1);
        assert_eq!(&*Text::from("a\u{202e}b\u{0}c\u{1b}[31m"), "a\u{fffd}b c [31m");
        // A character is never cut in two.
        assert!(Text::from("ü".repeat(2000).as_str()).ends_with("ü…"));
    }

    #[test]
    fn of_a_long_list_the_first_elements_are_kept() {
        let long = serde_json::to_string(&(0..100_000).collect::<Vec<u32>>()).unwrap();
        let list: List<u32> = serde_json::from_str(&long).unwrap();
        assert_eq!((list.len(), list[255]), (MAX_ELEMENTS, 255));
        assert!(serde_json::from_str::<List<u32>>("[1,2,").is_err());
    }
}
