//! Pages, rendered from templates that escape whatever they are given.

use std::time::SystemTime;

use minijinja::{Environment, Value, context};
use serde::Serialize;

use crate::document::{Document, State};
use crate::member::{Known, Member};
use crate::view::{Badge, Host, MAX_SENTENCE, STALE_AFTER, age, clipped, in_words, shortened};

/// The one style sheet.
pub const STYLE: &str = include_str!("../templates/style.css");

/// Least rank of a host that needs nobody.
const CALM: u8 = 7;

/// Everything that can be shown.
pub struct Pages {
    templates: Environment<'static>,
}

/// What stands between a page and what it should show.
#[derive(Serialize)]
struct Problem {
    word: &'static str,
    says: String,
}

/// One host among others.
#[derive(Serialize)]
struct Row {
    slug: String,
    name: String,
    badge: Badge,
    happened: String,
    advice: String,
    age: String,
}

impl Pages {
    /// The templates are part of the program: each of them is rendered by a test.
    ///
    /// # Errors
    /// One of them does not parse.
    pub fn new() -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        templates.add_filter("code", |text: &str| Value::from_safe_string(with_code(text)));
        for (name, text) in [
            ("base.html", include_str!("../templates/base.html")),
            ("host.html", include_str!("../templates/host.html")),
            ("timeline.html", include_str!("../templates/timeline.html")),
            ("fleet.html", include_str!("../templates/fleet.html")),
            ("message.html", include_str!("../templates/message.html")),
            ("icon.html", include_str!("../templates/icon.svg")),
        ] {
            templates.add_template(name, text)?;
        }
        Ok(Self { templates })
    }

    /// The page of the host that serves it.
    ///
    /// # Errors
    /// A template is wrong, which is a bug.
    pub fn host(&self, document: &Document, now: SystemTime) -> Result<String, minijinja::Error> {
        let host = Host::new(document, now);
        self.render(
            "host.html",
            context! { icon => host.badge.class, host => value(&host), is_member => false },
        )
    }

    /// The page of one of many; `None` if nothing was ever heard of it but that it does not answer.
    ///
    /// # Errors
    /// A template is wrong, which is a bug.
    pub fn member(&self, member: &Member, now: SystemTime) -> Result<String, minijinja::Error> {
        let problem = problem(&member.known, now);
        let Some(document) = member.known.document() else {
            let badge = badge(&member.known, now);
            let says = problem.map_or_else(String::new, |problem| problem.says);
            let advice = "Look at the host itself: golden status. If it works, look at its status page and at the network.";
            return self.message(badge.class, &format!("{}: {}", member.name(), badge.word), &says, advice);
        };
        let host = Host { name: member.name(), ..Host::new(document, now) };
        self.render("host.html", context! { icon => host.badge.class, host => value(&host), is_member => true, problem => value(&problem) })
    }

    /// All of them, the worst first.
    ///
    /// # Errors
    /// A template is wrong, which is a bug.
    pub fn fleet(&self, members: &[Member], now: SystemTime) -> Result<String, minijinja::Error> {
        let mut members: Vec<&Member> = members.iter().collect();
        members.sort_by_cached_key(|member| (rank(&member.known, now), member.name()));
        let rows: Vec<Row> = members.iter().map(|member| row(member, now)).collect();
        let worst = rows.first().map_or("unknown", |row| row.badge.class);
        let calm = members.iter().filter(|member| rank(&member.known, now) >= CALM).count();
        let headline = match members.len() - calm {
            0 if members.is_empty() => "No hosts".to_owned(),
            0 => "All hosts are well".to_owned(),
            1 => format!("1 of {} hosts needs somebody", members.len()),
            trouble => format!("{trouble} of {} hosts need somebody", members.len()),
        };
        let counts = counts(&rows);
        self.render("fleet.html", context! { icon => worst, headline, counts, members => value(&rows) })
    }

    /// A page that says one thing.
    ///
    /// # Errors
    /// A template is wrong, which is a bug.
    pub fn message(
        &self,
        icon: &str,
        headline: &str,
        happened: &str,
        advice: &str,
    ) -> Result<String, minijinja::Error> {
        self.render("message.html", context! { icon, headline, happened, advice })
    }

    /// A dot in the colour of the state.
    ///
    /// # Errors
    /// A template is wrong, which is a bug.
    pub fn icon(&self, class: &str) -> Result<String, minijinja::Error> {
        let colour = match class {
            "ok" => "#1a6e37",
            "trial" => "#1c5aa8",
            "rolled-back" | "unprotected" => "#c24a00",
            "safe-mode" => "#c81e2c",
            _ => "#6b727b",
        };
        self.render("icon.html", context! { colour })
    }

    fn render(&self, name: &str, values: Value) -> Result<String, minijinja::Error> {
        self.templates.get_template(name)?.render(values)
    }
}

fn value(shown: &impl Serialize) -> Value {
    Value::from(minijinja::value::Serde(shown))
}

/// How a member is called at a glance: by what it said last, if that says anything still.
fn badge(known: &Known, now: SystemTime) -> Badge {
    match known {
        Known::Document(document) if is_stale(document, now) => Badge::STALE,
        Known::Document(document) => document.status.state.into(),
        Known::Unreachable { .. } => Badge::UNREACHABLE,
        Known::Unreadable { .. } => Badge::UNREADABLE,
    }
}

/// How badly somebody is needed; the worst is the least.
fn rank(known: &Known, now: SystemTime) -> u8 {
    match known {
        Known::Unreachable { .. } => 2,
        Known::Unreadable { .. } => 4,
        Known::Document(document) if is_stale(document, now) => 5,
        Known::Document(document) => match document.status.state {
            State::SafeMode => 0,
            State::RolledBack => 1,
            State::Unprotected => 3,
            State::Unknown => 6,
            State::Trial => 7,
            State::Ok if fails_checks(document) => 8,
            State::Ok => 9,
        },
    }
}

fn fails_checks(document: &Document) -> bool {
    let findings = document.assessment.iter().flat_map(|assessment| assessment.findings.iter());
    findings.filter(|finding| finding.excuse.is_none()).any(|finding| !finding.passed)
}

fn is_stale(document: &Document, now: SystemTime) -> bool {
    age(document, now).is_none_or(|age| age > STALE_AFTER)
}

fn ago(time: SystemTime, now: SystemTime) -> String {
    in_words(now.duration_since(time).unwrap_or_default())
}

fn problem(known: &Known, now: SystemTime) -> Option<Problem> {
    match known {
        Known::Document(_) => None,
        Known::Unreachable { since, why, .. } => Some(Problem {
            word: "Unreachable",
            says: format!("It has not answered since {} ({}): {why}", stamp(*since), ago(*since, now)),
        }),
        Known::Unreadable { why, .. } => {
            Some(Problem { word: "Not readable", says: format!("It answers with something else: {why}") })
        }
    }
}

fn row(member: &Member, now: SystemTime) -> Row {
    let badge = badge(&member.known, now);
    let document = member.known.document();
    let short = |text: &str| clipped(&shortened(text), MAX_SENTENCE);
    let says = |document: &Document| short(&document.summary.happened);
    let (happened, advice) = match (&member.known, document) {
        (Known::Document(document), _) if is_stale(document, now) => {
            (format!("Nothing new since. Last: {}", says(document)), "See whether the host runs.".to_owned())
        }
        (Known::Document(document), _) if document.status.state == State::Ok => {
            (says(document), String::new())
        }
        (Known::Document(document), _) => (says(document), short(&document.summary.advice)),
        (known, Some(document)) => {
            let says = format!(
                "{}. Last: {}, {}",
                problem(known, now).map_or_else(String::new, |problem| problem.says),
                Badge::from(document.status.state).word.to_lowercase(),
                says(document)
            );
            (says, "See whether the host runs, and whether its network does.".to_owned())
        }
        (known, None) => (
            problem(known, now).map_or_else(String::new, |problem| problem.says),
            "See whether the host runs, and whether it publishes its state at that address.".to_owned(),
        ),
    };
    let heard = document.and_then(|document| age(document, now));
    Row {
        slug: member.slug.clone(),
        name: member.name(),
        badge,
        happened,
        advice,
        age: heard.map_or_else(String::new, in_words),
    }
}

/// `1 rolled back, 1 unreachable, 12 OK`.
fn counts(rows: &[Row]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for row in rows {
        match counts.iter_mut().find(|(word, _)| *word == row.badge.word) {
            Some((_, count)) => *count += 1,
            None => counts.push((row.badge.word, 1)),
        }
    }
    let said = |(word, count): &(&str, usize)| match *word {
        "OK" => format!("{count} OK"),
        word => format!("{count} {}", word.to_lowercase()),
    };
    counts.iter().map(said).collect::<Vec<_>>().join(", ")
}

/// What is between backticks as code, and everything escaped.
fn with_code(text: &str) -> String {
    let mut html = String::new();
    let mut parts = text.split('`').peekable();
    let mut is_code = false;
    while let Some(part) = parts.next() {
        // One that nobody closes is shown as it is.
        let is_closed = parts.peek().is_some();
        match (is_code, is_closed) {
            (true, true) => html.push_str("<code>"),
            (true, false) => html.push('`'),
            _ => {}
        }
        html.push_str(&escaped(part));
        if is_code && is_closed {
            html.push_str("</code>");
        }
        is_code = !is_code;
    }
    html
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            letter => html.push(letter),
        }
    }
    html
}

/// A moment as people write it, in UTC.
fn stamp(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.get(..16).map_or(text.clone(), |minute| minute.replace('T', " ") + " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_are_code_and_nothing_else_is_markup() {
        for (text, html) in [
            ("read `golden why`.", "read <code>golden why</code>."),
            ("`<b>` & \"'", "<code>&lt;b&gt;</code> &amp; &quot;&#39;"),
            ("an odd ` one <i>", "an odd ` one &lt;i&gt;"),
            ("``", "<code></code>"),
            ("", ""),
        ] {
            assert_eq!(with_code(text), html);
        }
    }
}
