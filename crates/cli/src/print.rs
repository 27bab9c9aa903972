//! Answers as JSON.

use serde::Serialize;

/// One JSON document that ends in a line feed.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|error| error.to_string(), |text| text + "\n")
}

/// What a system that failed is the source of, such as the name of a check, is not to be trusted with a terminal.
pub(crate) fn printable(text: &str) -> String {
    let spaced = text.chars().map(|letter| if letter == '\t' { ' ' } else { letter });
    spaced.filter(|letter| !letter.is_control()).collect()
}
