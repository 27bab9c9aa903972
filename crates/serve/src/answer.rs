//! What each address of the page answers.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::document::Document;
use crate::fleet::Fleet;
use crate::member::{NoDocument, read_bytes};
use crate::metrics::metrics;
use crate::page::{Pages, STYLE};
use crate::server::Options;

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
/// Source: Prometheus, "Exposition formats".
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Nothing is loaded but the style sheet and the icon of this page, and nobody else may embed or read it.
const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("cache-control", "no-store"),
];

/// What a client wants.
#[derive(Debug, Clone)]
pub struct Asked {
    method: Method,
    path: String,
    host: Option<String>,
    is_loopback: bool,
}

impl Asked {
    /// What of a request is looked at.
    pub fn new<B>(request: &Request<B>, is_loopback: bool) -> Self {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or(request.uri().host()).map(str::to_owned);
        Self { method: request.method().clone(), path: request.uri().path().to_owned(), host, is_loopback }
    }
}

/// Everything that answers are made of.
pub struct Site {
    published: PathBuf,
    pages: Pages,
    fleet: Option<Arc<Fleet>>,
    names: Vec<String>,
}

/// An answer before it has its headers.
struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
}

impl Answer {
    fn ok(kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, kind, body: body.into() }
    }

    fn plain(status: StatusCode, text: &'static str) -> Self {
        Self { status, kind: PLAIN, body: text.into() }
    }
}

impl Site {
    /// # Errors
    /// A template does not parse.
    pub(crate) fn new(options: &Options, fleet: Arc<Fleet>) -> Result<Self, minijinja::Error> {
        let is_fleet = !options.sources.addresses.is_empty() || options.sources.directory.is_some();
        Ok(Self {
            published: options.published.clone(),
            pages: Pages::new()?,
            fleet: is_fleet.then_some(fleet),
            names: options.names.clone(),
        })
    }

    /// The answer to one request.
    #[must_use]
    pub fn answer(&self, asked: &Asked) -> Response<Full<Bytes>> {
        let answer = if !self.is_meant(asked) {
            let text = "This page is not known by that name here. Name it with --name.\n";
            Answer::plain(StatusCode::MISDIRECTED_REQUEST, text)
        } else if !matches!(asked.method, Method::GET | Method::HEAD) {
            Answer::plain(StatusCode::METHOD_NOT_ALLOWED, "There is nothing to do here but to read.\n")
        } else {
            self.page(&asked.path, SystemTime::now()).unwrap_or_else(|_| {
                Answer::plain(StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be rendered.\n")
            })
        };
        finished(answer)
    }

    /// A page of somebody else, open in a browser on this machine, can point a name of its own at loopback and read what is
    /// there: only names that are none of its own are answered.
    fn is_meant(&self, asked: &Asked) -> bool {
        let Some(host) = asked.host.as_deref().filter(|_| asked.is_loopback) else { return true };
        let name = match host.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn page(&self, path: &str, now: SystemTime) -> Result<Answer, minijinja::Error> {
        Ok(match path {
            "/" => match &self.fleet {
                Some(fleet) => Answer::ok(HTML, self.pages.fleet(&fleet.members(self.own().ok()), now)?),
                None => match self.own() {
                    Ok(document) => Answer::ok(HTML, self.pages.host(&document, now)?),
                    Err(why) => self.nothing(&why)?,
                },
            },
            "/status.json" => match self.own_bytes() {
                Ok((bytes, _)) => Answer::ok("application/json", bytes),
                Err(_) => Answer::plain(StatusCode::SERVICE_UNAVAILABLE, "Nothing is published.\n"),
            },
            "/metrics" => match self.own() {
                Ok(document) => Answer::ok(METRICS, metrics(&document)),
                Err(_) => Answer::plain(StatusCode::SERVICE_UNAVAILABLE, "Nothing is published.\n"),
            },
            "/healthz" => Answer::ok(PLAIN, "ok\n"),
            "/style.css" => Answer::ok("text/css; charset=utf-8", STYLE),
            path => match (path.strip_prefix("/icon/"), path.strip_prefix("/host/"), &self.fleet) {
                (Some(icon), ..) => {
                    let class = icon.strip_suffix(".svg").unwrap_or_default();
                    Answer::ok("image/svg+xml", self.pages.icon(class)?)
                }
                (_, Some(slug), Some(fleet)) => self.member(slug, fleet, now)?,
                _ => Answer::plain(StatusCode::NOT_FOUND, "There is no such page.\n"),
            },
        })
    }

    fn member(&self, slug: &str, fleet: &Fleet, now: SystemTime) -> Result<Answer, minijinja::Error> {
        let members = fleet.members(self.own().ok());
        Ok(match members.iter().find(|member| member.slug == slug) {
            Some(member) => Answer::ok(HTML, self.pages.member(member, now)?),
            None => Answer::plain(StatusCode::NOT_FOUND, "There is no such host.\n"),
        })
    }

    fn own(&self) -> Result<Document, NoDocument> {
        self.own_bytes().map(|(_, document)| document)
    }

    fn own_bytes(&self) -> Result<(Vec<u8>, Document), NoDocument> {
        let bytes =
            read_bytes(&self.published).map_err(|error| NoDocument::Unreachable(error.to_string()))?;
        let document = Document::parse(&bytes).map_err(NoDocument::Unreadable)?;
        Ok((bytes, document))
    }

    fn nothing(&self, why: &NoDocument) -> Result<Answer, minijinja::Error> {
        let why = match why {
            NoDocument::Unreachable(why) => why.clone(),
            NoDocument::Unreadable(why) => why.to_string(),
        };
        let happened = format!("Nothing can be read from {}: {why}.", self.published.display());
        let advice = "Look at the host: systemctl status golden-publish.service says why, and golden status how it stands.";
        let page = self.pages.message("unknown", "Nothing published", &happened, advice)?;
        Ok(Answer { status: StatusCode::SERVICE_UNAVAILABLE, kind: HTML, body: page.into() })
    }
}

/// What a client gets whose page could not be made at all.
pub(crate) fn refused() -> Response<Full<Bytes>> {
    finished(Answer::plain(StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be rendered.\n"))
}

fn finished(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.kind));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if answer.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
