//! A topic of an ntfy server. Source: docs.ntfy.sh, "Publish as JSON".

use std::time::Instant;

use serde_json::json;

use super::{address, cut, outcome};
use crate::courier::{Letter, Outcome};
use crate::http::{self, Call};
use crate::message::Severity;
use crate::secret::Credentials;
use crate::settings::Ntfy;

/// Longest message, in bytes: the server makes an attachment of what is longer than 4096.
const MAX_BYTES: usize = 4000;
/// Longest title, in bytes.
const MAX_TITLE_BYTES: usize = 250;

pub(super) fn deliver(
    ntfy: &Ntfy,
    letter: &Letter,
    credentials: &Credentials,
    until: Instant,
) -> Result<Outcome, String> {
    let (url, secret) = address(&ntfy.url, credentials)?;
    let token = credentials.read_if(ntfy.token_credential.as_deref())?;
    let (server, topic) = split(&url).ok_or("the address of an ntfy topic is https://SERVER/TOPIC")?;
    let (priority, tag) = match letter.message.severity {
        Severity::Urgent => (5, "rotating_light"),
        Severity::High => (4, "warning"),
        Severity::Normal => (3, "eyes"),
        Severity::Low => (2, "white_check_mark"),
    };
    let body = json!({
        "topic": topic,
        "title": cut(&letter.title, MAX_TITLE_BYTES),
        "message": cut(&letter.text, MAX_BYTES),
        "priority": priority,
        "tags": [tag],
        // A server since 2.16 shows what comes twice once. Source: docs.ntfy.sh, "Updating notifications".
        "sequence_id": letter.message.id,
    });
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(token.iter().map(|token| ("authorization", format!("Bearer {}", token.reveal()))));
    let body = body.to_string().into_bytes();
    let answer = http::call(Call { method: "POST", url: server, headers, body, until })?;
    let secrets: Vec<_> = token.iter().chain(&secret).collect();
    Ok(outcome(&answer, &secrets))
}

/// The server and the topic.
fn split(url: &str) -> Option<(&str, &str)> {
    let (server, topic) = url.trim_end_matches('/').rsplit_once('/')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_topic = (1..=64).contains(&topic.len()) && topic.bytes().all(plain);
    // A proxy in front may have the server in a directory; `https:/` is none.
    (is_topic && http::check(server).is_ok()).then_some((server, topic))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn the_topic_is_the_end_of_the_address() {
        assert_eq!(split("https://ntfy.sh/web1"), Some(("https://ntfy.sh", "web1")));
        assert_eq!(split("https://example.org/ntfy/web1/"), Some(("https://example.org/ntfy", "web1")));
        for url in ["https://ntfy.sh", "https://ntfy.sh/", "https://ntfy.sh/a?b", "web1"] {
            assert_eq!(split(url), None, "{url}");
        }
    }
}
