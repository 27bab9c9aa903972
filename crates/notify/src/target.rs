//! The ways to tell somebody, a file each.

mod command;
mod issue;
mod mail;
mod ntfy;
mod webhook;

use std::time::Instant;

use crate::courier::{Outcome, Parcel};
use crate::http::Answer;
use crate::secret::{Credentials, Secret};
use crate::settings::{Url, Way};

pub(crate) use issue::subject as subject_of;

/// Deliver one letter, within the time of its target.
pub(crate) fn deliver(parcel: &Parcel, credentials: &Credentials) -> Outcome {
    let Parcel { target, letter, issue, .. } = parcel;
    let until = Instant::now() + target.timeout;
    let outcome = match &target.way {
        Way::Ntfy(ntfy) => ntfy::deliver(ntfy, letter, credentials, until),
        Way::Webhook(webhook) => webhook::deliver(webhook, letter, credentials, until),
        Way::Mail(mail) => mail::deliver(mail, letter, target.timeout),
        Way::Issue(config) => issue::deliver(config, letter, *issue, credentials, until),
        Way::Command(command) => command::deliver(command, letter, target.timeout),
    };
    outcome.unwrap_or_else(Outcome::failed)
}

/// The address, and the secret that it is if it is one.
fn address(url: &Url, credentials: &Credentials) -> Result<(String, Option<Secret>), String> {
    match url {
        Url::Open(url) => Ok((url.clone(), None)),
        Url::Credential(name) => {
            let secret = credentials.read(name)?;
            crate::http::check(secret.reveal())
                .map_err(|why| format!("the credential {name} is no address: {why}"))?;
            Ok((secret.reveal().to_owned(), Some(secret)))
        }
    }
}

/// What an answer means for the letter.
fn outcome(answer: &Answer, secrets: &[&Secret]) -> Outcome {
    let said = answer.said(secrets);
    if answer.is_success() {
        Outcome::Delivered { issue: None }
    } else if answer.is_about_the_message() {
        Outcome::Refused { said }
    } else {
        Outcome::Failed { said, retry_after: answer.retry_after }
    }
}

/// As much of a text as fits, and nothing of half a letter.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
