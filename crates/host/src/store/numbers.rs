//! Numbers that no type of ours holds, such as 2⁶⁴ + 1, 1e400 or 1.10: a newer build may write them into a field that this one does
//! not know, and gets them back as it wrote them.
//!
//! serde's data model has no such number. Before the ledger is parsed, each becomes an object with one key ([`VERBATIM`]), which
//! [`golden_core::Value`] knows; after it is written, that object becomes the number again.

use golden_core::VERBATIM;

/// The text with every number wrapped that is no integer of 64 bits.
pub(super) fn wrap(text: &[u8]) -> Vec<u8> {
    let mut wrapped = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let length = match byte {
            b'"' => string(rest),
            b'-' | b'0'..=b'9' => rest.iter().take_while(|byte| is_of_number(**byte)).count(),
            _ => 1,
        };
        let (token, after) = rest.split_at(length);
        if byte == b'"' || length == 0 || !is_of_number(byte) || is_held(token) {
            wrapped.extend_from_slice(token);
        } else {
            wrapped.extend_from_slice(format!("{{\"{VERBATIM}\":\"").as_bytes());
            wrapped.extend_from_slice(token);
            wrapped.extend_from_slice(b"\"}");
        }
        rest = after;
    }
    wrapped
}

/// The text with every wrapped number as it was. A string never holds the quoted key: its quotes are escaped.
pub(super) fn unwrap(text: &str) -> String {
    let key = format!("\"{VERBATIM}\"");
    let mut unwrapped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, number, after)) = next(rest, &key) {
        unwrapped.push_str(before);
        unwrapped.push_str(number);
        rest = after;
    }
    unwrapped + rest
}

/// The text before the next wrapped number, the number, and the text after it.
fn next<'a>(text: &'a str, key: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, after) = text.split_once(key)?;
    let before = before.trim_end().strip_suffix('{')?;
    let value = after.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (number, after) = value.split_once('"')?;
    Some((before, number, after.trim_start().strip_prefix('}')?))
}

/// The length of the string that the text begins with, with its quotes.
fn string(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let is_end = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE".contains(&byte)
}

/// Whether serde keeps every digit: an integer of 64 bits in its only form. Anything but a number is left to the parser.
fn is_held(token: &[u8]) -> bool {
    let text = String::from_utf8_lossy(token);
    let is_integer = text != "-0" && (text.parse::<u64>().is_ok() || text.parse::<i64>().is_ok());
    is_integer || !is_number(&text)
}

/// Source: RFC 8259, "Numbers".
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && digits(fraction) && digits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_as_it_was_written_and_nothing_else_is_touched() {
        for (text, wrapped) in [
            (r#"{"a":18446744073709551617,"b":[1e400,-0.0]}"#, 3),
            (r#"{"a":1.10,"b":-0,"c":-9223372036854775809,"d":1E+2}"#, 4),
            (r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":0}"#, 0),
            (r#"{"a":"1e400 \\\" 1.10","b":"\\","c":2.50}"#, 1),
            // No JSON: the parser says so.
            (r#"{"a":007,"b":1.,"c":--1,"d":"1.10"#, 0),
        ] {
            let one = String::from_utf8(wrap(text.as_bytes())).unwrap_or_default();
            assert_eq!(one.matches(VERBATIM).count(), wrapped, "{text}");
            assert_eq!(unwrap(&one), text);
            let pretty = one.replace('{', "{\n  ").replace('}', "\n}").replace("\":\"", "\": \"");
            assert_eq!(unwrap(&pretty).matches(VERBATIM).count(), 0, "{pretty}");
        }
        let quoted = serde_json::json!({ "text": format!("{{\"{VERBATIM}\": \"1\"}}") }).to_string();
        assert_eq!(unwrap(&quoted), quoted);
    }
}
