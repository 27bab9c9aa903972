//! What each kind of message says, in the words of whoever is woken by it: first what happened and whether the machine is
//! well, then why, then what to do.

use std::fmt::Write as _;

use golden_core::Toplevel;

use crate::message::{Attempt, Kind, Severity};

/// Longest part of a text that comes from elsewhere, in characters.
const MAX_CHARS: usize = 300;

/// What is known when a message is written.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    pub host: &'a str,
    pub failed: Option<&'a Toplevel>,
    pub runs: Option<&'a Toplevel>,
    pub attempts: &'a [Attempt],
    /// What the event itself says, as a sentence without its full stop.
    pub event: String,
    /// Whether a rollback was left unfinished, or a rehearsal not passed.
    pub is_unfinished: bool,
    /// Whether a person asked for the rollback.
    pub is_asked: bool,
}

/// The words of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub severity: Severity,
    pub title: String,
    pub text: String,
    pub next: String,
}

/// Say it.
pub(crate) fn say(kind: Kind, facts: &Facts<'_>) -> Words {
    let Facts { host, event, .. } = facts;
    let (severity, title, first) = first(kind, facts);
    let next = next(kind, facts);
    let mut text = String::new();
    if let Some(failed) = facts.failed {
        let _ = write!(text, "\nFailed: {}", failed.short());
    }
    if let Some(runs) = facts.runs {
        let _ = write!(text, "\nRuns:   {}", runs.short());
    }
    for (number, attempt) in facts.attempts.iter().enumerate() {
        let whose = if facts.failed == Some(&attempt.toplevel) {
            String::new()
        } else {
            format!(" of {}", attempt.toplevel.short())
        };
        let what = match kind {
            Kind::WentBack | Kind::FailedLate => "Why".to_owned(),
            _ => format!("Failed boot {}{whose}", number + 1),
        };
        let _ = write!(text, "\n{what}: {}", attempt.cause);
    }
    if !event.is_empty() && !first.contains(event.as_str()) {
        let _ = write!(text, "\n{}.", capital(event));
    }
    let details = if text.is_empty() { text } else { format!("\n\n{}", text.trim()) };
    let text = format!("{first}{details}\n\n{next}");
    Words { severity, title: format!("{host} {title}"), text, next }
}

/// How bad it is, the title behind the name of the machine, and the first sentences.
fn first(kind: Kind, facts: &Facts<'_>) -> (Severity, String, String) {
    let boots = match facts.attempts.len() {
        0 => "A new system failed".to_owned(),
        1 => "A boot of a new system failed".to_owned(),
        number => format!("{number} boots of a new system failed"),
    };
    let because = capital(&facts.event);
    let (severity, title, first) = match kind {
        Kind::RolledBack if facts.is_unfinished => (
            Severity::High,
            "rolled back, and could not finish that",
            format!(
                "{boots}, and the machine went back to the system before it. It runs, but the system profile or the boot loader \
                 may still name the one that failed."
            ),
        ),
        Kind::RolledBack if facts.is_asked => (
            Severity::Normal,
            "rolled back, as somebody asked",
            "Somebody asked for a rollback, and the machine went back to the system before. It is up.".to_owned(),
        ),
        Kind::RolledBack => (
            Severity::High,
            "rolled back",
            format!("{boots}, and the machine went back to the system before it by itself. It is up."),
        ),
        Kind::WentBack => (
            Severity::High,
            "went back after a switch",
            "A switch of the running system failed, and what ran before runs again.".to_owned(),
        ),
        Kind::FailedLate => (
            Severity::High,
            "fails after it was confirmed",
            "A system that was confirmed fails now. It still runs.".to_owned(),
        ),
        Kind::SafeMode => (
            Severity::Urgent,
            "is in safe mode and needs you",
            format!("{because}. The machine stays up as far as it came, with network and sshd if they work, and waits for a person."),
        ),
        Kind::SafeModeEnded => {
            (Severity::Low, "left safe mode", "A boot was confirmed, and safe mode is over.".to_owned())
        }
        Kind::LandingFailed => (
            Severity::High,
            "failed on the system it rolled back to",
            "What the machine came back to does not work either. It goes on to what else is known to be good.".to_owned(),
        ),
        Kind::AttemptFailed => {
            (Severity::Normal, "failed a boot of a new system", format!("{boots}. It is tried again, or rolled back."))
        }
        Kind::ChecksFailed => (
            Severity::Normal,
            "has failing checks",
            "Checks fail, and the system that runs stays: they are only wanted, or excused, or it is no trial.".to_owned(),
        ),
        Kind::DrillEnded if facts.is_unfinished => {
            (Severity::High, "did not pass its rehearsal", format!("{because}."))
        }
        Kind::DrillEnded => (Severity::Low, "passed its rehearsal", format!("{because}.")),
        Kind::GoldenDamaged => (
            Severity::High,
            "has a damaged golden",
            format!("{because}. The machine runs, and a rollback would have to go elsewhere."),
        ),
        Kind::GoldenPutBack => (
            Severity::Low,
            "has put golden's profile back",
            format!("{because}. Golden was not in danger: a root of garbage collection of its own holds it."),
        ),
        Kind::OneShotStayed => (Severity::Normal, "is not covered against a panic", format!("{because}.")),
        Kind::NotStarted => (Severity::Normal, "does not start a new system", format!("{because}.")),
        Kind::Unprotected => (Severity::Normal, "deployed without a way back", format!("{because}.")),
        Kind::Refused => (Severity::Normal, "refused a system that failed before", format!("{because}.")),
        Kind::Confirmed => (Severity::Low, "confirmed a new system", format!("{because}.")),
        Kind::Pinned => (Severity::Low, "has a new golden", format!("{because}.")),
        Kind::Test => (Severity::Low, "can reach you", "This is a test, which somebody asked for.".to_owned()),
    };
    (severity, title.to_owned(), first)
}

fn next(kind: Kind, facts: &Facts<'_>) -> String {
    let host = facts.host;
    match kind {
        Kind::RolledBack if facts.is_unfinished => {
            format!(
                "Look why: `systemctl status golden-rollback` on {host}. It is tried again at the next boot."
            )
        }
        Kind::RolledBack | Kind::WentBack => format!(
            "Nothing has to be done at once. What failed is not deployed again; `golden why` on {host} tells more, and a changed \
             system can be deployed any time."
        ),
        Kind::SafeMode => {
            format!("Log in on {host}: `golden why` says what failed and what to do.")
        }
        Kind::LandingFailed => format!("If no other message follows soon, look after {host}."),
        Kind::AttemptFailed => format!("Nothing has to be done. `golden why` on {host} tells more."),
        Kind::FailedLate => {
            format!("Look after {host}: `golden check` runs the checks again, `golden rollback` goes back.")
        }
        Kind::ChecksFailed => format!("`golden check` on {host} runs them again."),
        Kind::DrillEnded if facts.is_unfinished => {
            format!("Repair it before it is needed: `golden why` and `golden status` on {host}.")
        }
        Kind::GoldenDamaged => {
            format!(
                "Repair it before it is needed (`nix-store --repair-path`), or pin another on {host}: `pin-golden`."
            )
        }
        Kind::GoldenPutBack => {
            "Nothing has to be done. comin removes the profile with every deployment.".to_owned()
        }
        Kind::OneShotStayed => format!("`golden status` on {host} says what to do."),
        Kind::NotStarted => format!(
            "Look at {host}: `golden status` names the cause. Put the boot order of the firmware right, or remove the other boot \
             loader."
        ),
        Kind::Unprotected => format!("Pin a system that works on {host}: `pin-golden`."),
        Kind::Refused => {
            format!("Deploy a changed system on {host}, or release this one: `golden quarantine release`.")
        }
        Kind::SafeModeEnded | Kind::DrillEnded | Kind::Confirmed | Kind::Pinned | Kind::Test => {
            "Nothing has to be done.".to_owned()
        }
    }
}

/// What comes from elsewhere, as people can read it, and not more of it than they want to.
pub(crate) fn clean(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|it: char| it.is_whitespace() || it.is_control()).filter(|it| !it.is_empty()).collect();
    let text = words.join(" ");
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn capital(text: &str) -> String {
    // A path is what it is.
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
