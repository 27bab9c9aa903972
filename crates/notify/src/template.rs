//! The owner's words instead of ours.

use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, context, filters};

use crate::message::Message;

/// Instructions of one template. Ours need a few dozen; a loop without an end stops here.
const FUEL: u64 = 20_000;
/// Longest result, in bytes.
const MAX_BYTES: usize = 1 << 15;
/// Longest title, in characters.
const MAX_TITLE_CHARS: usize = 200;

/// Title and text for one target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub title: String,
    pub text: String,
    /// What is wrong with the owner's templates, a sentence each: then ours were taken.
    pub faults: Vec<String>,
}

/// Render a message with the owner's templates, where there are any.
pub(crate) fn render(message: &Message, dropped: u64, title: Option<&str>, text: Option<&str>) -> Rendered {
    let mut faults = Vec::new();
    let mut with = |what: &str, template: Option<&str>, ours: &str| {
        let rendered = template.map(|template| render_one(template, message, dropped));
        match rendered {
            None => ours.to_owned(),
            Some(Ok(theirs)) if !theirs.trim().is_empty() => theirs.trim().to_owned(),
            Some(result) => {
                let why =
                    result.err().map_or_else(|| "it comes out empty".to_owned(), |error| describe(&error));
                faults.push(format!(
                    "the template of the {what} does not work, and the usual words are used: {why}"
                ));
                ours.to_owned()
            }
        }
    };
    let title = with("title", title, &message.title);
    let text = with("text", text, &message.text);
    let title: String =
        title.chars().map(|it| if it.is_control() { ' ' } else { it }).take(MAX_TITLE_CHARS).collect();
    // A form feed or an escape is no part of a text; and no environment holds a zero.
    let text = text.chars().filter(|it| !it.is_control() || matches!(it, '\n' | '\t')).collect();
    Rendered { title, text, faults }
}

fn render_one(template: &str, message: &Message, dropped: u64) -> Result<String, Error> {
    let mut environment = Environment::empty();
    environment.add_filter("upper", filters::upper);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("replace", filters::replace);
    environment.add_filter("default", filters::default);
    environment.add_filter("length", filters::length);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    let mut out = Bounded(Vec::new());
    let context = context! { dropped, ..Serde(message) };
    environment.template_from_str(template)?.render_captured_to(context, &mut out)?;
    String::from_utf8(out.0).map_err(|_| Error::new(ErrorKind::BadSerialization, "it is no UTF-8"))
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_BYTES {
            return Err(std::io::Error::other("it is longer than 32 KiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn describe(error: &Error) -> String {
    let why = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    crate::words::clean(&format!("{error}{why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use super::*;
    use crate::message::{Attempt, Kind, SCHEMA, Severity};

    fn message() -> Message {
        let toplevel: golden_core::Toplevel = "/nix/store/abc-nixos-web1".parse().unwrap();
        Message {
            schema: SCHEMA,
            id: "1".repeat(32),
            kind: Kind::RolledBack,
            severity: Severity::High,
            host: "web1".to_owned(),
            time: "1970-01-01T00:00:00Z".to_owned(),
            boot: None,
            title: "our title".to_owned(),
            text: "our text".to_owned(),
            next: "do this".to_owned(),
            failed: Some(toplevel.clone()),
            revision: None,
            runs: None,
            attempts: vec![Attempt { toplevel, boot: None, cause: "it stopped".to_owned() }],
        }
    }

    #[test]
    fn every_field_of_the_message_can_be_used() {
        let rendered = render(
            &message(),
            3,
            Some("{{ host | upper }}: {{ kind }} ({{ severity }})"),
            Some(
                "{{ text }}{% for a in attempts %} {{ loop.index }}={{ a.cause }}{% endfor %} {{ failed }} {{ runs or '?' }} {{ dropped }}",
            ),
        );
        assert_eq!(rendered.faults, [""; 0]);
        assert_eq!(rendered.title, "WEB1: rolled-back (high)");
        assert_eq!(rendered.text, "our text 1=it stopped /nix/store/abc-nixos-web1 ? 3");
    }

    #[test]
    fn a_template_that_does_not_work_is_replaced_by_ours_and_said() {
        let forever = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
        let long = "{% for a in 'x' * 3000 %}{% for b in 'x' * 3000 %}y{% endfor %}{% endfor %}";
        for template in [
            "{{ host",
            "{{ host | nothing }}",
            "{% for x in %}",
            " ",
            "{{ 1 / 0 }}",
            forever,
            long,
            "{{ 'x' * 40000 }}",
            "{{ 'x' * 9999999999 }}",
            "{{ host.x.y }}",
        ] {
            let rendered = render(&message(), 0, Some(template), Some(template));
            assert_eq!(
                (rendered.title.as_str(), rendered.text.as_str()),
                ("our title", "our text"),
                "{template}"
            );
            assert_eq!(rendered.faults.len(), 2, "{template}");
            assert!(rendered.faults.iter().all(|fault| fault.len() < 500), "{:?}", rendered.faults);
        }
    }

    #[test]
    fn what_comes_out_is_one_line_and_some_lines_without_control_characters() {
        let rendered = render(&message(), 0, Some("a\nb\x1b[31m\0"), Some("a\nb\x1b[31m\0c"));
        assert_eq!((rendered.title.as_str(), rendered.text.as_str()), ("a b [31m ", "a\nb[31mc"));
    }
}
