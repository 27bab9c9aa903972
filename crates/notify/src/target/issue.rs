//! An issue for each system that failed, and a comment for what comes later about the same one.
//!
//! Source: Forgejo and Gitea, `/api/swagger`, "issue"; GitHub, "REST API endpoints for issues".

use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{cut, outcome};
use crate::courier::{Letter, Outcome};
use crate::http::{self, Answer, Call};
use crate::message::Message;
use crate::secret::{Credentials, Secret};
use crate::settings::{Forge, Issue};

/// Issues, or comments, on a page.
const PER_PAGE: usize = 50;
/// Pages that are looked through, the newest issues first.
const MAX_PAGES: usize = 6;
/// Longest text, in bytes.
const MAX_BYTES: usize = 60_000;
/// Longest title, in bytes.
const MAX_TITLE_BYTES: usize = 200;

/// The part of an issue that is looked at.
#[derive(Deserialize)]
struct Known {
    number: u64,
    #[serde(default)]
    body: Option<String>,
    /// GitHub lists pull requests too.
    #[serde(default)]
    pull_request: Option<Value>,
}

/// The part of a comment that is looked at.
#[derive(Deserialize)]
struct Comment {
    #[serde(default)]
    body: Option<String>,
}

/// One repository, with the right to write there.
struct Tracker<'a> {
    issue: &'a Issue,
    token: Secret,
    until: Instant,
}

pub(super) fn deliver(
    issue: &Issue,
    letter: &Letter,
    known: Option<u64>,
    credentials: &Credentials,
    until: Instant,
) -> Result<Outcome, String> {
    let token = credentials.read(&issue.token_credential)?;
    let tracker = Tracker { issue, token, until };
    match tracker.tell(letter, known) {
        Err(Stopped::ByAnswer(answer)) => Ok(outcome(&answer, &[&tracker.token])),
        Err(Stopped::WithoutAnswer(said)) => Err(said),
        Ok(number) => Ok(Outcome::Delivered { issue: Some(number) }),
    }
}

/// What ended the conversation.
enum Stopped {
    ByAnswer(Answer),
    WithoutAnswer(String),
}

impl From<String> for Stopped {
    fn from(said: String) -> Self {
        Self::WithoutAnswer(said)
    }
}

/// Which issue a message belongs to: the same for every machine on which the same system failed.
pub(crate) fn subject(message: &Message) -> String {
    match (&message.revision, &message.failed) {
        (Some(revision), _) => format!("revision {revision}"),
        (None, Some(failed)) => failed.to_string(),
        (None, None) => format!("{} on {}", message.kind, message.host),
    }
}

impl Tracker<'_> {
    /// Comment the issue that is there, or make one; its number.
    fn tell(&self, letter: &Letter, known: Option<u64>) -> Result<u64, Stopped> {
        let known = match known {
            Some(number) if self.comment(number, letter)? => return Ok(number),
            // It was removed meanwhile.
            Some(_) => None,
            None => self.find(letter)?,
        };
        match known {
            Some(issue) if issue.holds(&message_mark(letter)) => Ok(issue.number),
            Some(issue) if self.comment(issue.number, letter)? => Ok(issue.number),
            Some(issue) => Err(format!("issue {} is there and takes no comment", issue.number).into()),
            None => self.create(letter),
        }
    }

    /// The issue about this, if somebody made it: this machine before it lost its power, or another one.
    fn find(&self, letter: &Letter) -> Result<Option<Known>, Stopped> {
        let mark = subject_mark(letter);
        for page in 1..=MAX_PAGES {
            let of_forge = match self.issue.forge {
                Forge::Forgejo => format!("type=issues&limit={PER_PAGE}"),
                Forge::Github => format!("per_page={PER_PAGE}"),
            };
            let issues: Vec<Known> = self.get(&format!("issues?state=all&{of_forge}&page={page}"))?;
            let count = issues.len();
            let is_it =
                |issue: &Known| issue.pull_request.as_ref().is_none_or(Value::is_null) && issue.holds(&mark);
            if let Some(issue) = issues.into_iter().find(is_it) {
                return Ok(Some(issue));
            }
            // A server may have shorter pages than it was asked for.
            if count == 0 {
                break;
            }
        }
        Ok(None)
    }

    /// Whether the issue is still there and has the comment now.
    fn comment(&self, number: u64, letter: &Letter) -> Result<bool, Stopped> {
        if letter.is_in_doubt && self.has_comment(number, letter)? {
            return Ok(true);
        }
        let body = json!({ "body": body(letter) });
        let answer = self.call("POST", &format!("issues/{number}/comments"), Some(&body))?;
        match answer.status {
            404 | 410 => Ok(false),
            _ if answer.is_success() => Ok(true),
            _ => Err(Stopped::ByAnswer(answer)),
        }
    }

    fn has_comment(&self, number: u64, letter: &Letter) -> Result<bool, Stopped> {
        let mark = message_mark(letter);
        for page in 1..=MAX_PAGES {
            let path = format!("issues/{number}/comments?per_page={PER_PAGE}&limit={PER_PAGE}&page={page}");
            let comments: Vec<Comment> = match self.get(&path) {
                Err(Stopped::ByAnswer(answer)) if matches!(answer.status, 404 | 410) => return Ok(false),
                comments => comments?,
            };
            if comments.iter().any(|comment| comment.body.as_ref().is_some_and(|body| body.contains(&mark))) {
                return Ok(true);
            }
            // Forgejo has all of them on one page.
            if comments.len() < PER_PAGE || self.issue.forge == Forge::Forgejo {
                break;
            }
        }
        Ok(false)
    }

    fn create(&self, letter: &Letter) -> Result<u64, Stopped> {
        let title = match &letter.message.failed {
            // The same for every machine, unless the owner has words of his own.
            Some(failed) if letter.title == letter.message.title => {
                let revision =
                    letter.message.revision.iter().map(|revision| format!(" (revision {revision})"));
                format!("{} failed{}", failed.short(), revision.collect::<String>())
            }
            _ => letter.title.clone(),
        };
        let body = json!({ "title": cut(&title, MAX_TITLE_BYTES), "body": body(letter) });
        let answer = self.call("POST", "issues", Some(&body))?;
        if !answer.is_success() {
            return Err(Stopped::ByAnswer(answer));
        }
        let made: Result<Known, _> = serde_json::from_slice(&answer.body);
        Ok(made.map_err(|_| "the forge took an issue and did not say its number".to_owned())?.number)
    }

    fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, Stopped> {
        let answer = self.call("GET", path, None)?;
        if !answer.is_success() {
            return Err(Stopped::ByAnswer(answer));
        }
        let parsed = serde_json::from_slice(&answer.body);
        Ok(parsed.map_err(|_| "the forge answers something else than its API does".to_owned())?)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Stopped> {
        let Issue { forge, url, repository, .. } = self.issue;
        let (api, accept) = match forge {
            Forge::Forgejo => ("/api/v1", "application/json"),
            Forge::Github => ("", "application/vnd.github+json"),
        };
        let url = format!("{}{api}/repos/{repository}/{path}", url.trim_end_matches('/'));
        let scheme = if *forge == Forge::Github { "Bearer" } else { "token" };
        let mut headers = vec![
            ("accept", accept.to_owned()),
            ("authorization", format!("{scheme} {}", self.token.reveal())),
        ];
        if *forge == Forge::Github {
            headers.push(("x-github-api-version", "2022-11-28".to_owned()));
        }
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        Ok(http::call(Call { method, url: &url, headers, body, until: self.until })?)
    }
}

impl Known {
    fn holds(&self, mark: &str) -> bool {
        self.body.as_ref().is_some_and(|body| body.contains(mark))
    }
}

fn subject_mark(letter: &Letter) -> String {
    // What is in the name of a system or a host ends no comment of Markdown. Once leaves two of three dashes together.
    let apart = |text: String| text.replace("--", "-\u{200b}-");
    format!("<!-- golden-generation: {} -->", apart(apart(subject(&letter.message))))
}

fn message_mark(letter: &Letter) -> String {
    format!("<!-- golden-generation message {} -->", letter.message.id)
}

/// Text as it is: names of checks must call nobody, and be no link.
fn body(letter: &Letter) -> String {
    let text = cut(&letter.text, MAX_BYTES).replace("```", "'''");
    let title = letter.title.replace('@', "@\u{200b}");
    let marks = format!("{}\n{}", subject_mark(letter), message_mark(letter));
    format!("**{title}**\n\n```text\n{text}\n```\n\n{marks}\n")
}
