//! GRUB's scripting language, as far as words, quotes and blocks. Source: GRUB manual, "Shell-like scripting".

/// A piece of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word, without its quotes.
    Word(Word),
    /// The end of a command.
    End,
    /// The beginning of a block.
    Open,
    /// The end of a block.
    Close,
}

/// A word; references to variables in it are written `${name}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// Whether all of it is known here: no variable is in it, and no byte that is no text.
    pub is_known: bool,
}

/// Split a script. Whatever has no end ends with the text.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '\n' | ';' | '&' | '|' => {
                tokens.push(Token::End);
                rest = &rest[1..];
            }
            '#' => rest = rest.find('\n').map_or("", |end| &rest[end..]),
            '{' | '}' if is_alone(rest) => {
                tokens.push(if first == '{' { Token::Open } else { Token::Close });
                rest = &rest[1..];
            }
            _ if first.is_whitespace() => rest = &rest[first.len_utf8()..],
            _ => {
                let (word, after) = word(rest);
                // A continued line that is nothing else.
                tokens.extend(word.map(Token::Word));
                rest = after;
            }
        }
    }
    tokens
}

/// Whether a brace is a word of its own; in others it is a letter.
fn is_alone(rest: &str) -> bool {
    rest[1..].chars().next().is_none_or(ends_word)
}

fn ends_word(next: char) -> bool {
    next.is_whitespace() || matches!(next, ';' | '&' | '|')
}

/// The first word, and what comes after it.
fn word(text: &str) -> (Option<Word>, &str) {
    let mut word = Word { text: String::new(), is_known: true };
    let mut is_word = false;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        match next {
            _ if ends_word(next) => break,
            '\\' => {
                let escaped = after.chars().next();
                word.text.extend(escaped.filter(|&escaped| escaped != '\n'));
                is_word |= escaped != Some('\n');
                rest = &after[escaped.map_or(0, char::len_utf8)..];
                continue;
            }
            '\'' => {
                let end = after.find('\'').unwrap_or(after.len());
                word.text.push_str(&after[..end]);
                rest = after.get(end + 1..).unwrap_or_default();
            }
            '"' => rest = quoted(&mut word, after),
            '$' => rest = variable(&mut word, after),
            _ => {
                word.text.push(next);
                rest = after;
            }
        }
        is_word = true;
    }
    word.is_known &= !word.text.contains(char::REPLACEMENT_CHARACTER);
    (is_word.then_some(word), rest)
}

/// What is between double quotes, and what comes after them.
fn quoted<'a>(word: &mut Word, text: &'a str) -> &'a str {
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        rest = match (next, after.chars().next()) {
            ('"', _) => return after,
            ('\\', Some('\n')) => &after[1..],
            ('\\', Some(escaped @ ('$' | '"' | '\\'))) => {
                word.text.push(escaped);
                &after[1..]
            }
            ('$', _) => variable(word, after),
            _ => {
                word.text.push(next);
                after
            }
        };
    }
    rest
}

/// A reference to a variable, of which the `$` is read.
fn variable<'a>(word: &mut Word, text: &'a str) -> &'a str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '?';
    let braced = text.strip_prefix('{').and_then(|inner| inner.split_once('}'));
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = braced.unwrap_or((&text[..end], &text[end..]));
    word.is_known = false;
    word.text.extend(["${", name, "}"]);
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        let say = |token| match token {
            Token::Word(word) => word.text,
            other => format!("{other:?}"),
        };
        tokens(text).into_iter().map(say).collect()
    }

    #[test]
    fn words_are_split_as_grub_splits_them() {
        for (text, expected) in [
            ("set a=1; b", &["set", "a=1", "End", "b"][..]),
            ("a 'b c' \"d \\\"e\\\" \\x\" f\\ g", &["a", "b c", "d \"e\" \\x", "f g"]),
            ("a{b} { c }", &["a{b}", "Open", "c", "Close"]),
            ("a # b\nc#d", &["a", "End", "c#d"]),
            ("$a ${b}c \"$d\" '$e' \\$f", &["${a}", "${b}c", "${d}", "$e", "$f"]),
            ("a \\\n b\\\nc", &["a", "bc"]),
            ("'' \"\"", &["", ""]),
            ("'no end", &["no end"]),
            ("\"no end", &["no end"]),
            ("${no end", &["${}{no", "end"]),
            ("a}", &["a}"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in "[ab{}'\"\\\\$#; \nä\u{fffd}]{0,60}") {
            prop_assert!(tokens(&text).len() <= text.len());
        }
    }
}
