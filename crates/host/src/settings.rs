//! Files of settings, read strictly: what is not understood is said with its place, and with what may have been meant.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::{Error, Host};

/// Longest file of settings, in bytes.
const MAX_BYTES: usize = 1 << 16;
/// Deepest nesting: the parser goes as deep as the text does.
const MAX_DEPTH: usize = 32;
/// Most dots without anything between them that no key has: each is a level, too.
const MAX_DOTS: usize = 64;
/// Longest sentence about what is not understood, in letters: it quotes what was written.
const MAX_SENTENCE: usize = 1000;
/// Most letters that are wrong in a word for which another one was meant: a third of them, rounded up, and no more than this.
const MAX_MISTAKES: usize = 4;

/// What a file of settings says that is not understood, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

impl Problem {
    /// A sentence in lower case, without a full stop.
    #[must_use]
    pub fn new(sentence: impl AsRef<str>) -> Self {
        Self(one_line(sentence.as_ref()))
    }
}

/// A sentence that quotes what was written, in one line that no terminal obeys, and no longer than anybody reads.
#[must_use]
pub fn one_line(sentence: &str) -> String {
    let plain = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    let mut line: String = sentence.chars().take(MAX_SENTENCE).map(plain).collect();
    if sentence.chars().nth(MAX_SENTENCE).is_some() {
        line.push('…');
    }
    line
}

/// The whole name of one unit, as systemd completes it.
///
/// # Errors
/// It is none, in one sentence.
pub fn unit_name(text: &str) -> Result<String, String> {
    let is_word = |c: char| !c.is_whitespace() && !c.is_control();
    if text.is_empty() || text.starts_with('-') || !text.chars().all(is_word) {
        return Err(format!("{text:?} is no unit, and the name of one is meant"));
    }
    if text.contains(['*', '?', '[', '/']) {
        return Err(format!("`{text}` is a pattern, and the name of one unit is meant"));
    }
    Ok(if text.contains('.') { text.to_owned() } else { format!("{text}.service") })
}

/// The settings in a file; `None` where there is none.
///
/// # Errors
/// The file cannot be read, is too long, or says something that is not understood.
pub fn read<Settings: DeserializeOwned>(host: &dyn Host, path: &Path) -> Result<Option<Settings>, Error> {
    let bytes = match host.read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    parse(&String::from_utf8_lossy(&bytes)).map(Some).map_err(|problem| problem.of(path))
}

impl Problem {
    /// The error about the file that says it.
    #[must_use]
    pub fn of(self, path: &Path) -> Error {
        Error::Config { path: path.into(), source: self }
    }
}

/// The settings that a text says.
///
/// # Errors
/// What is not understood, where it is, and the key that may have been meant.
pub fn parse<Settings: DeserializeOwned>(text: &str) -> Result<Settings, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::new(format!("it is longer than {MAX_BYTES} bytes")));
    }
    if is_too_deep(text.as_bytes()) {
        return Err(Problem::new(format!("it has tables, lists or keys of more than {MAX_DEPTH} levels")));
    }
    basic_toml::from_str(text).map_err(|error| match too_large::<Settings>(text, &error) {
        Some(problem) => problem,
        None => explain(text, &error),
    })
}

/// The sentence about a number that the parser refuses because it has more than 64 bits. To learn the range of the setting, the
/// text is parsed again with the largest possible number in its place.
fn too_large<Settings: DeserializeOwned>(text: &str, error: &basic_toml::Error) -> Option<Problem> {
    let (number, _) = error.line_col()?;
    let line = text.lines().nth(number)?;
    let is_of_number = |letter: char| letter.is_ascii_digit() || letter == '_';
    let written = line.split(|letter| !is_of_number(letter)).max_by_key(|word| word.len())?;
    let digits = written.replace('_', "");
    if digits.is_empty() || digits.parse::<i64>().is_ok() {
        return None;
    }
    let most = i64::MAX.to_string();
    let lines = text.lines().enumerate();
    let lines =
        lines.map(|(at, line)| if at == number { line.replace(written, &most) } else { line.to_owned() });
    let within = lines.collect::<Vec<_>>().join("\n");
    let sentence = match basic_toml::from_str::<Settings>(&within) {
        Err(error) => explain(&within, &error).0.replace(&most, &digits),
        Ok(_) => format!("line {}: {digits} is out of range: at most {most}", number + 1),
    };
    Some(Problem::new(sentence))
}

/// The unit that the name of a setting ends with, for a sentence that ends with its range.
fn unit(key: &str, what: &str) -> &'static str {
    const UNITS: [(&str, &str); 3] = [("_secs", " seconds"), ("_bytes", " bytes"), ("_percent", " percent")];
    let has_range = what.contains(" is out of range: ") || what.contains("a whole number: ");
    let unit = UNITS.into_iter().find(|(ending, _)| has_range && last_part(key).ends_with(ending));
    unit.map_or("", |(_, unit)| unit)
}

/// Whether the parser is better not asked.
pub(crate) fn is_too_much(bytes: &[u8]) -> bool {
    bytes.len() > MAX_BYTES || is_too_deep(bytes)
}

/// Whether more is opened than closed at any place, or a key has too many parts. Brackets and dots in strings count too:
/// settings need neither as many, and whoever tells a string from the rest is a parser.
fn is_too_deep(bytes: &[u8]) -> bool {
    let mut depth = 0_usize;
    let nested = bytes.iter().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    });
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii_start().starts_with(b"#"));
    let keys = lines.flat_map(|line| line.split(|byte| b"=,[]{}".contains(byte)));
    nested || keys.map(|key| key.split(|byte| *byte == b'.').count()).any(|parts| parts > MAX_DOTS + 1)
}

/// The parser's words as an owner reads them: `line 3: check.web.timeout_secs: …`.
fn explain(text: &str, error: &basic_toml::Error) -> Problem {
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    let (what, key) = match said.rsplit_once(" for key `") {
        Some((what, key)) => (what, key.strip_suffix('`').unwrap_or(key)),
        None => (said, ""),
    };
    let (written, what) = match Unknown::read(what) {
        Some(unknown) if unknown.kind == KEY => (unknown.word, unknown.sentence()),
        Some(unknown) => (last_part(key), unknown.sentence()),
        None => (last_part(key), in_words_of_toml(what)),
    };
    let line = error.line_col().map(|(line, _)| line_of(written, text, line));
    let place = line.map(|line| format!("line {}: ", line + 1)).unwrap_or_default();
    let unit = unit(key, &what);
    let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
    Problem::new(format!("{place}{key}{what}{unit}"))
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// What kind of word a key is.
const KEY: &str = "key";

/// A word that is none of those that are known.
struct Unknown<'a> {
    kind: &'static str,
    word: &'a str,
    known: Vec<&'a str>,
}

impl<'a> Unknown<'a> {
    /// Source: serde's `de::Error::unknown_field()` and `unknown_variant()`.
    fn read(said: &'a str) -> Option<Self> {
        let of = |kind, start| said.strip_prefix(start).map(|rest| (kind, rest));
        let (kind, rest) = of(KEY, "unknown field `").or_else(|| of("value", "unknown variant `"))?;
        let (word, rest) =
            rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once("`, there are no "))?;
        // What is between two backticks is a word, and what is between two words is not.
        Some(Self { kind, word, known: rest.split('`').skip(1).step_by(2).collect() })
    }

    fn sentence(&self) -> String {
        let Self { kind, word, known } = self;
        match nearest(word, known) {
            Some(meant) => format!("unknown {kind} `{word}`: did you mean `{meant}`?"),
            None => format!("unknown {kind} `{word}`: known are {}", known.join(", ")),
        }
    }
}

/// Where a key is written in a table that begins at this line; the line itself if it is not found.
fn line_of(key: &str, text: &str, table: usize) -> usize {
    let names = |line: &str| {
        let word = line.trim_start_matches([' ', '\t', '[']).trim_start_matches(['"', '\'']);
        word.strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', '\t', '=', '.', ']', '"', '\'']))
    };
    let is_of_table =
        |&(number, line): &(usize, &str)| number == table || !line.trim_start().starts_with('[');
    let mut lines = text.lines().enumerate().skip(table).take_while(is_of_table);
    lines.find(|(_, line)| names(line)).map_or(table, |(number, _)| number)
}

/// The known word that is most like this one, if any is like it at all.
#[must_use]
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let alike = |known: &&'a str| {
        let longer = known.chars().count().max(word.chars().count());
        let mistakes = mistakes(word, known);
        // One that only says more, or less, was begun right.
        let begun = word.len() > 2 && (known.starts_with(word) || word.starts_with(known));
        let is_alike = mistakes < longer && mistakes <= MAX_MISTAKES.min(longer.div_ceil(3));
        (begun || is_alike).then_some((mistakes, *known))
    };
    known.iter().filter_map(alike).min_by_key(|(mistakes, _)| *mistakes).map(|(_, known)| known)
}

/// Letters to put in, take out, change or swap with the next one to make one word of the other; case and the kind of dash are
/// none. Source: Damerau, "A technique for computer detection and correction of spelling errors" (1964).
fn mistakes(left: &str, right: &str) -> usize {
    let letters = |word: &str| -> Vec<char> {
        // A key may be as long as the file: nobody means one that is longer than any other.
        let letters = word.chars().take(64);
        letters.map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() }).collect()
    };
    let (left, right) = (letters(left), letters(right));
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for (row, letter) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let changed = rows[row][column] + usize::from(letter != other);
            let mut least = changed.min(rows[row][column + 1] + 1).min(next[column] + 1);
            let is_swap = row > 0 && column > 0 && left[row - 1] == *other && right[column - 1] == *letter;
            if is_swap {
                least = least.min(rows[row - 1][column - 1] + 1);
            }
            next.push(least);
        }
        rows.push(next);
    }
    rows[left.len()][right.len()]
}

/// The types of Rust under the names that TOML has for them.
fn in_words_of_toml(said: &str) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("expected a nonzero u32", "expected a whole number above 0"),
        ("expected u32", "expected a whole number"),
        ("expected i64", "expected a whole number"),
        ("expected path string", "expected a string"),
        ("expected a map", "expected a table"),
        ("expected a sequence", "expected a list"),
    ];
    // A table of one kind or another.
    let said = said
        .split_once("expected struct ")
        .map_or(said.to_owned(), |(before, _)| before.to_owned() + "expected a map");
    WORDS.iter().fold(said, |said, (rust, toml)| said.replace(rust, toml))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Example {
        max_failures: Option<NonZeroU32>,
        settle_secs: u32,
        names: Vec<String>,
        check: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "it is only parsed")]
    struct Inner {
        kind: Kind,
        timeout_secs: Option<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        Tcp,
        NoFailedUnits,
    }

    #[test]
    fn what_is_not_understood_is_said_in_one_sentence_with_its_place() {
        for (text, expected) in [
            ("\nmax_failure = 3", "line 2: unknown key `max_failure`: did you mean `max_failures`?"),
            ("maxFailures = 3", "line 1: unknown key `maxFailures`: did you mean `max_failures`?"),
            ("settle-secs = 3", "line 1: unknown key `settle-secs`: did you mean `settle_secs`?"),
            ("settle = 3", "line 1: unknown key `settle`: did you mean `settle_secs`?"),
            ("[chekc.web]\nkind = \"tcp\"", "line 1: unknown key `chekc`: did you mean `check`?"),
            (
                "[check.web]\nkind = \"x\"",
                "line 2: check.web.kind: unknown value `x`: known are tcp, no-failed-units",
            ),
            ("zzz = 3", "line 1: unknown key `zzz`: known are max_failures, settle_secs, names, check"),
            (
                "names = []\n[check.web]\nkind = \"tcp\"\n\n \"timeout\" = 3",
                "line 5: check.web: unknown key `timeout`: did you mean `timeout_secs`?",
            ),
            (
                "[check]\nweb = { kind = \"tcp\", timeout-sec = 1 }",
                "line 2: check.web: unknown key `timeout-sec`: did you mean `timeout_secs`?",
            ),
            (
                "[check.web]\nkind = \"tpc\"",
                "line 2: check.web.kind: unknown value `tpc`: did you mean `tcp`?",
            ),
            (
                "[check.web]\nkind = \"no_failed_unit\"",
                "line 2: check.web.kind: unknown value `no_failed_unit`: did you mean `no-failed-units`?",
            ),
            (
                "max_failures = 0",
                "line 1: max_failures: invalid value: integer `0`, expected a whole number above 0",
            ),
            ("settle_secs = -1", "line 1: settle_secs: invalid value: integer `-1`, expected a whole number"),
            (
                "settle_secs = \"3\"",
                "line 1: settle_secs: invalid type: string \"3\", expected a whole number",
            ),
            ("names = 3", "line 1: names: invalid type: integer `3`, expected a list"),
            ("check = 3", "line 1: check: invalid type: integer `3`, expected a table"),
            ("settle_secs = ", "line 1: unexpected eof encountered"),
        ] {
            assert_eq!(parse::<Example>(text).unwrap_err().to_string(), expected, "{text}");
        }
        assert_eq!(parse::<Example>("[check.a]\nkind = \"no-failed-units\"").unwrap().check.len(), 1);
    }

    #[test]
    fn a_number_that_no_type_holds_is_out_of_the_same_range_as_a_smaller_one() {
        use crate::whole::{Bytes, Whole};
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "it is only parsed")]
        struct Numbers {
            #[serde(default)]
            wait_secs: Whole<1, 600>,
            #[serde(default)]
            retries: Whole<0, 100>,
            free_bytes: Option<Bytes>,
        }
        for (text, expected) in [
            ("wait_secs = 0", "wait_secs: 0 is out of range: 1 to 600 seconds"),
            ("wait_secs = -5", "wait_secs: -5 is out of range: 1 to 600 seconds"),
            ("wait_secs = 601", "wait_secs: 601 is out of range: 1 to 600 seconds"),
            (
                "wait_secs = 99999999999999999999",
                "wait_secs: 99999999999999999999 is out of range: 1 to 600 seconds",
            ),
            (
                "wait_secs = -99999999999999999999",
                "wait_secs: -99999999999999999999 is out of range: 1 to 600 seconds",
            ),
            (
                "wait_secs = 99_999_999_999_999_999_999 # s",
                "wait_secs: 99999999999999999999 is out of range: 1 to 600 seconds",
            ),
            ("wait_secs = 1.5", "wait_secs: 1.5 is not a whole number: 1 to 600 seconds"),
            ("wait_secs = \"5m\"", "wait_secs: \"5m\" is not a whole number: 1 to 600 seconds"),
            ("wait_secs = true", "wait_secs: true is not a whole number: 1 to 600 seconds"),
            (
                "wait_secs = []",
                "wait_secs: invalid type: sequence, expected a whole number: 1 to 600 seconds",
            ),
            ("retries = 101", "retries: 101 is out of range: 0 to 100"),
            ("free_bytes = -1", "free_bytes: -1 is out of range: 0 to 9223372036854775807 bytes"),
        ] {
            let said = parse::<Numbers>(text).unwrap_err().to_string();
            assert_eq!(said, format!("line 1: {expected}"), "{text}");
        }
        let anything =
            parse::<BTreeMap<String, serde_json::Value>>("\nx = 99999999999999999999").unwrap_err();
        assert_eq!(
            anything.to_string(),
            "line 2: 99999999999999999999 is out of range: at most 9223372036854775807"
        );
    }

    #[test]
    fn what_is_quoted_is_one_line_that_no_terminal_obeys_and_no_longer_than_anybody_reads() {
        let long = format!("{} = 1", "x".repeat(60_000));
        for text in
            ["\"\\u001b[31m\\n\" = 1", "[check.\"\\u0007\"]\nkind = 3", "settle_secs = \"\\u009b\"", &long]
        {
            let said = parse::<Example>(text).unwrap_err().to_string();
            assert!(!said.contains(char::is_control) && said.chars().count() <= 1001, "{said:?}");
        }
    }

    #[test]
    fn nothing_is_so_deep_that_it_cannot_be_refused() {
        let deep = 20_000;
        for text in [
            format!("x = {}", "[".repeat(deep)),
            format!("x = {}", "{a=".repeat(deep)),
            format!("{}a = 1", "a.".repeat(deep)),
            format!("[{}a]", "a.".repeat(deep)),
            format!("[[{}a]]", "a.".repeat(deep)),
            format!("x = {{ {}a = 1 }}", "a.".repeat(deep)),
            format!("x = [\n{{ {}a = 1 }}]", "a.".repeat(deep)),
            format!("x = {{ b = \"=\", {}a = 1 }}", "a.".repeat(deep)),
            format!("x = {{ {}a = 1 }}", "\"a\" . ".repeat(deep / 3)),
            "x".repeat(MAX_BYTES + 1),
        ] {
            let said = parse::<BTreeMap<String, serde_json::Value>>(&text).unwrap_err().to_string();
            assert!(said.contains("levels") || said.contains("longer"), "{said}");
        }
        let deepest = format!("{{ {}a = ", "a.".repeat(MAX_DOTS)).repeat(MAX_DEPTH);
        let _ =
            parse::<BTreeMap<String, serde_json::Value>>(&format!("x = {deepest}1{}", "}".repeat(MAX_DEPTH)));
    }

    #[test]
    fn a_word_that_is_like_no_other_means_nothing() {
        assert_eq!(nearest("", &["a", "ab"]), None);
        assert_eq!(nearest("unit", &["unit", "units"]), Some("unit"));
        assert_eq!(nearest("adress", &["url", "address"]), Some("address"));
        assert_eq!(nearest(&"x".repeat(1 << 16), &["url"]), None);
    }

    proptest! {
        #[test]
        fn any_text_is_settings_or_one_line_about_them(text in "([a-z_.\"=\\[\\]{}\n -]|kind|check|\\PC){0,60}") {
            if let Err(problem) = parse::<Example>(&text) {
                prop_assert!(!problem.to_string().is_empty());
            }
        }
    }
}
