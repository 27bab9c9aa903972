//! Whether a web server answers as it should.

use std::error::Error as _;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Error};

use super::Answer;

/// Redirects that are followed.
const MAX_REDIRECTS: u32 = 5;
/// What of an answer is waited for, in bytes. What is longer is as good.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// Longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 1 << 16;

/// Ask for it, and wait for all of the answer.
pub(super) fn get(url: &str, status: Option<u16>, time: Duration) -> Answer {
    let config = Agent::config_builder()
        .timeout_global(Some(time))
        .http_status_as_error(false)
        // A redirect that is expected is not followed.
        .max_redirects(if status.is_some_and(|status| (300..400).contains(&status)) {
            0
        } else {
            MAX_REDIRECTS
        })
        .max_redirects_will_error(true)
        .max_response_header_size(MAX_HEAD_BYTES)
        .user_agent(concat!("golden-generation/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls())
        .build();
    let response = match Agent::new_with_config(config).get(url).header("connection", "close").call() {
        Ok(response) => response,
        Err(error) => return Answer::failed(explain(&error)),
    };
    let found = response.status();
    let read = io::copy(&mut response.into_body().into_reader().take(MAX_BODY_BYTES), &mut io::sink());
    let said = format!("answers with status {found}");
    let is_expected = status.map_or(found.is_success(), |status| found.as_u16() == status);
    match read {
        _ if !is_expected => {
            let expected = status.and_then(|status| StatusCode::from_u16(status).ok());
            let expected =
                expected.map_or_else(|| "one from 200 to 299".to_owned(), |status| status.to_string());
            Answer::failed(format!("{said}, and {expected} is expected"))
        }
        Err(error) => Answer::failed(format!("{said}, and then the answer breaks off: {error}")),
        Ok(_) => Answer::passed(said),
    }
}

/// Who is trusted is for the machine to say: `SSL_CERT_FILE`, or where distributions keep it.
fn tls() -> TlsConfig {
    let found = rustls_native_certs::load_native_certs();
    let trusted: Vec<Certificate<'static>> =
        found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(trusted)))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build()
}

fn explain(error: &Error) -> String {
    match error {
        Error::Timeout(what) => format!("no whole answer in time ({what})"),
        Error::TooManyRedirects => format!("redirects more than {MAX_REDIRECTS} times"),
        Error::LargeResponseHeader(..) => "answers with a head without end".to_owned(),
        other => {
            let mut text = other.to_string();
            let mut cause = other.source();
            while let Some(source) = cause {
                let source_text = source.to_string();
                if !text.contains(&source_text) {
                    text = format!("{text}: {source_text}");
                }
                cause = source.source();
            }
            text
        }
    }
}
