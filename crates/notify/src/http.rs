//! HTTP, with an end to everything: time, bytes and redirects.

use std::io::Read as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustls_native_certs::CertificateResult;
use ureq::http::{Request, Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::secret::Secret;

/// Most that is read of an answer, in bytes. A page of issues is the longest that is needed.
const MAX_ANSWER_BYTES: u64 = 4 << 20;
/// Of what a server says about its refusal, in characters.
const MAX_SAID_CHARS: usize = 200;
/// Longest that a server may ask to be left alone, in seconds.
const MAX_RETRY_AFTER_SECS: u64 = 3600;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub retry_after: Option<Duration>,
    location: Option<String>,
}

/// A request that is about to be made.
pub(crate) struct Call<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: Vec<(&'a str, String)>,
    pub body: Vec<u8>,
    pub until: Instant,
}

/// Whether this is an address that can be called; the error says what is wrong and nothing of the address.
pub(crate) fn check(url: &str) -> Result<(), &'static str> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err("it begins with https:// or http://");
    }
    let uri: Uri = url.parse().map_err(|_| "it is no address")?;
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Err("it holds a password, which belongs in a credential")
        }
        Some(authority) if !authority.host().is_empty() => Ok(()),
        _ => Err("it names no host"),
    }
}

/// The part of an address that is no secret.
fn origin(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or("the server");
    match uri.as_ref().and_then(Uri::port_u16) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Make one request. An answer is an answer, whatever its status; no redirect is followed, for what was written for one
/// server is nobody else's business.
pub(crate) fn call(call: Call<'_>) -> Result<Answer, String> {
    let origin = origin(call.url);
    let left = call.until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(format!("no time was left to ask {origin}"));
    }
    check(call.url)?;
    let mut request = Request::builder().method(call.method).uri(call.url);
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    // The error of the builder would name the header and its value.
    let request =
        request.body(call.body).map_err(|_| format!("no request to {origin} can be made of that"))?;
    let agent = agent();
    let request = agent.configure_request(request).timeout_global(Some(left)).build();
    let response = agent.run(request).map_err(|error| format!("{origin}: {}", describe(&error)))?;
    Ok(read(response))
}

fn read(response: Response<Body>) -> Answer {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let secs = header("retry-after").and_then(|text| text.trim().parse::<u64>().ok());
    let retry_after = secs.map(|secs| Duration::from_secs(secs.min(MAX_RETRY_AFTER_SECS)));
    let location = header("location").map(|location| self::origin(&location));
    let mut body = Vec::new();
    // A status is an answer, whether or not the server ever stops talking; JSON that is cut off is none.
    let _ = response.into_body().into_reader().take(MAX_ANSWER_BYTES).read_to_end(&mut body);
    Answer { status, body, retry_after, location }
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether another try with the same message is in vain.
    pub(crate) fn is_about_the_message(&self) -> bool {
        matches!(self.status, 400 | 413 | 415 | 422)
    }

    /// What the server said, in one line, without any of the secrets that it may have sent back.
    pub(crate) fn said(&self, secrets: &[&Secret]) -> String {
        let mut text = String::from_utf8_lossy(&self.body[..self.body.len().min(1 << 16)]).into_owned();
        for secret in secrets {
            text = secret.hide_in(&text);
        }
        let moved = match &self.location {
            Some(location) if (300..400).contains(&self.status) => {
                format!("; it points to {location}, and redirects are not followed: name the right address")
            }
            _ => String::new(),
        };
        let words: Vec<&str> = text.split(|it: char| it.is_whitespace() || it.is_control()).collect();
        let text: String = words.join(" ").trim().chars().take(MAX_SAID_CHARS).collect();
        let text = if text.is_empty() { text } else { format!(": {text}") };
        format!("it answered {}{moved}{text}", self.status)
    }
}

/// Without anything of the request: an address may be a secret.
fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "there is no host of that name, or no name service".to_owned(),
        ureq::Error::Rustls(error) => error.to_string(),
        ureq::Error::Tls(what) => (*what).to_owned(),
        ureq::Error::Protocol(_) => "it does not speak HTTP".to_owned(),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::InvalidProxyUrl => "the address of the proxy is wrong".to_owned(),
        _ => "the request failed".to_owned(),
    }
}

/// One for all: certificates are read once, and only where somebody is called.
fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(make_agent)
}

fn make_agent() -> Agent {
    // Another thread of this process may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let CertificateResult { certs, .. } = rustls_native_certs::load_native_certs();
    let certs: Vec<_> = certs.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certs)).build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("golden-notify/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_said_without_what_may_be_secret() {
        assert_eq!(origin("https://hooks.example.org:8443/T0/secret?x=secret"), "hooks.example.org:8443");
        assert_eq!(origin("/relative/secret"), "the server");
        for url in ["ftp://x/", "https://", "https://me:hidden@x/", "https:// x/", "", "https://x\n/"] {
            assert!(check(url).is_err(), "{url:?}");
        }
        assert!(check("http://[::1]:80/topic").is_ok());
    }
}
