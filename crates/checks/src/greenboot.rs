//! What of greenboot's configuration says which checks are run. Source: greenboot's README and `etc/greenboot/greenboot.conf`.

use std::path::Path;

use golden_host::Host;

/// Read by bash there. Other variables in it are read by the check scripts themselves.
pub(crate) const PATH: &str = "/etc/greenboot/greenboot.conf";
const DISABLED: &str = "DISABLED_HEALTHCHECKS=";

/// Names of the checks that the owner does not want, by the configuration that is there.
pub(crate) fn disabled(host: &dyn Host, path: &Path) -> Vec<String> {
    // Without it, nothing is disabled; what it says cannot be worse than a check too many.
    host.read(path).map_or_else(|_| Vec::new(), |bytes| parse(&String::from_utf8_lossy(&bytes)))
}

/// The words of the last array of that name, as bash reads them as long as nothing is expanded.
fn parse(text: &str) -> Vec<String> {
    let Some(start) = assigned(text) else { return Vec::new() };
    let value = text[start..].trim_start()[DISABLED.len()..].trim_start_matches('(');
    let (mut words, mut word, mut quote, mut is_comment) = (Vec::new(), None::<String>, None, false);
    for letter in value.chars() {
        match (letter, quote) {
            ('\n', _) if is_comment => is_comment = false,
            _ if is_comment => {}
            (letter, Some(closing)) if letter == closing => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (')', None) => break,
            ('#', None) if word.is_none() => is_comment = true,
            (' ' | '\t' | '\r' | '\n', None) => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Where in the text the last line begins that assigns it.
fn assigned(text: &str) -> Option<usize> {
    let mut at = 0;
    let mut last = None;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with(DISABLED) {
            last = Some(at);
        }
        at += line.len();
    }
    last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn disabled_checks_are_read_as_bash_reads_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("# DISABLED_HEALTHCHECKS=(\"a.sh\")\n", &[]),
            ("DISABLED_HEALTHCHECKS=()\n", &[]),
            ("DISABLED_HEALTHCHECKS=(\"01_a.sh\" '02 b.sh' c)\nX=1", &["01_a.sh", "02 b.sh", "c"]),
            ("A=1\n DISABLED_HEALTHCHECKS=( # these\n\t\"a.sh\" # not\n\tb.sh\n)\n", &["a.sh", "b.sh"]),
            ("DISABLED_HEALTHCHECKS=(a)\nDISABLED_HEALTHCHECKS=(b)\n", &["b"]),
            ("DISABLED_HEALTHCHECKS=(a", &["a"]),
            ("DISABLED_HEALTHCHECKS=(\"a", &["a"]),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_names_something_or_nothing(text in "(DISABLED_HEALTHCHECKS=|[()\"'# \n]|\\PC){0,40}") {
            prop_assert!(parse(&text).iter().all(|name| name.len() <= text.len()));
        }
    }
}
