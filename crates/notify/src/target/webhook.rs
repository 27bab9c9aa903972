//! Any address that takes JSON. The form is documented in `docs/notifications.md`.

use std::fmt::Write as _;
use std::time::Instant;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{address, outcome};
use crate::courier::{Letter, Outcome};
use crate::http::{self, Call};
use crate::message::Message;
use crate::secret::Credentials;
use crate::settings::Webhook;

/// What is sent: the message, in the words for this target.
#[derive(serde::Serialize)]
struct Payload<'a> {
    #[serde(flatten)]
    message: &'a Message,
    dropped: u64,
}

/// The letter as JSON.
pub(super) fn payload(letter: &Letter) -> Result<Vec<u8>, String> {
    let Letter { title, text, .. } = letter;
    let message = Message { title: title.clone(), text: text.clone(), ..letter.message.clone() };
    let payload = Payload { message: &message, dropped: letter.dropped };
    serde_json::to_vec(&payload).map_err(|error| error.to_string())
}

pub(super) fn deliver(
    webhook: &Webhook,
    letter: &Letter,
    credentials: &Credentials,
    until: Instant,
) -> Result<Outcome, String> {
    let (url, secret) = address(&webhook.url, credentials)?;
    let token = credentials.read_if(webhook.token_credential.as_deref())?;
    let key = credentials.read_if(webhook.hmac_credential.as_deref())?;
    let body = payload(letter)?;
    let mut headers =
        vec![("content-type", "application/json".to_owned()), ("idempotency-key", letter.message.id.clone())];
    headers.extend(token.iter().map(|token| ("authorization", format!("Bearer {}", token.reveal()))));
    if let Some(key) = &key {
        headers.push(("x-golden-signature-256", format!("sha256={}", sign(key.reveal(), &body))));
    }
    let answer = http::call(Call { method: "POST", url: &url, headers, body, until })?;
    let secrets: Vec<_> = token.iter().chain(&secret).chain(&key).collect();
    Ok(outcome(&answer, &secrets))
}

/// HMAC with SHA-256, in hexadecimal digits.
fn sign(key: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(body);
    mac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_signature_is_that_of_the_standard() {
        // Source: RFC 4231, "Test Case 2".
        assert_eq!(
            super::sign("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
