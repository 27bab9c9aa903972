//! Asking the hosts of a fleet: by address, now and then, and by file, when somebody wants to see.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hyper::Uri;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::document::{Document, MAX_BYTES};
use crate::member::{Known, Member, NoDocument, read, slugs};

/// Between two times that a host is asked.
pub const POLL_EVERY: Duration = Duration::from_secs(60);
/// Until a host has answered whole.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Hosts that are asked at once.
const AT_ONCE: usize = 16;
/// How long files are not read again, however many want to see.
const FILES_FRESH_FOR: Duration = Duration::from_secs(5);
/// Most files of a directory that are read.
const MAX_FILES: usize = 1000;
/// Most bytes of them, together.
const MAX_FILES_BYTES: u64 = 64 << 20;

/// Where other hosts' documents are.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Their addresses.
    pub addresses: Vec<Address>,
    /// A directory with a file for each.
    pub directory: Option<PathBuf>,
}

/// Where a host publishes its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    url: String,
    label: String,
}

/// What is no address of a document.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the address of a status page, such as https://web1.example.org:9843")]
pub struct NotAnAddress(String);

impl std::str::FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let invalid = || NotAnAddress(text.chars().take(200).collect());
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        let authority = uri.authority().ok_or_else(invalid)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        // A password would be shown to whoever looks at the page.
        if !is_http || authority.as_str().contains('@') {
            return Err(invalid());
        }
        let url = match uri.path() {
            "" | "/" => format!("{}/status.json", text.trim_end_matches('/')),
            _ => text.to_owned(),
        };
        Ok(Self { url, label: authority.as_str().to_owned() })
    }
}

impl Address {
    /// A host whose document is at a port of its own has the port in its name.
    fn label(&self) -> &str {
        self.label.strip_suffix(":9843").unwrap_or(&self.label)
    }
}

/// What files said when they were read, by their names.
type Files = (Instant, Vec<(String, Known)>);

/// All hosts that are asked.
#[derive(Debug)]
pub struct Fleet {
    sources: Sources,
    /// In the order of the addresses; nothing of those that were not asked yet.
    polled: Mutex<Vec<Option<Known>>>,
    files: Mutex<Option<Files>>,
}

impl Fleet {
    /// Nobody is asked yet.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let polled = Mutex::new(vec![None; sources.addresses.len()]);
        Self { sources, polled, files: Mutex::new(None) }
    }

    /// Whether there are addresses to ask.
    #[must_use]
    pub fn is_polled(&self) -> bool {
        !self.sources.addresses.is_empty()
    }

    /// Ask every address from now on, on a thread of its own.
    pub fn poll_for_ever(self: &Arc<Self>) {
        if !self.is_polled() {
            return;
        }
        let fleet = Arc::clone(self);
        thread::spawn(move || {
            let with_tls = fleet.sources.addresses.iter().any(|address| address.url.starts_with("https:"));
            let agent = agent(with_tls, ANSWER_WITHIN);
            loop {
                fleet.poll(&agent);
                thread::sleep(POLL_EVERY);
            }
        });
    }

    /// Ask every address once.
    pub fn poll(&self, agent: &Agent) {
        let addresses = &self.sources.addresses;
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..addresses.len().min(AT_ONCE) {
                scope.spawn(|| {
                    while let Some((index, address)) = {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        addresses.get(index).map(|address| (index, address))
                    } {
                        let answer = ask(agent, &address.url);
                        let mut polled = held(&self.polled);
                        if let Some(known) = polled.get_mut(index) {
                            *known = Some(Known::after(known.take(), answer, SystemTime::now()));
                        }
                    }
                });
            }
        });
    }

    /// What is known of each, and of the host itself if it publishes something.
    #[must_use]
    pub fn members(&self, own: Option<Document>) -> Vec<Member> {
        let own = own.map(|own| (own.host.to_string(), Known::Document(Arc::new(own))));
        let mut found: Vec<(String, Known)> = self.files();
        let polled = held(&self.polled).clone();
        found.extend(
            self.sources
                .addresses
                .iter()
                .zip(polled)
                .filter_map(|(address, known)| Some((address.label().to_owned(), known?))),
        );
        // It may be one of those it asks.
        let boot = |known: &Known| known.document().map(|it| it.boot.clone()).filter(|boot| !boot.is_empty());
        if let Some(own) = own
            .filter(|own| found.iter().all(|(_, known)| boot(known).is_none() || boot(known) != boot(&own.1)))
        {
            found.push(own);
        }
        let slugs = slugs(found.iter().map(|(label, _)| label.as_str()));
        let member = |((label, known), slug)| Member { label, slug, known };
        found.into_iter().zip(slugs).map(member).collect()
    }

    fn files(&self) -> Vec<(String, Known)> {
        let Some(directory) = &self.sources.directory else { return Vec::new() };
        let mut kept = held(&self.files);
        if let Some((_, files)) = kept.as_ref().filter(|(read, _)| read.elapsed() < FILES_FRESH_FOR) {
            return files.clone();
        }
        let before = kept.take().map(|(_, files)| files).unwrap_or_default();
        let files = read_directory(directory, &before);
        kept.insert((Instant::now(), files)).1.clone()
    }
}

/// A thread that panicked left whole values behind: each is put in place at once.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_directory(directory: &Path, before: &[(String, Known)]) -> Vec<(String, Known)> {
    let now = SystemTime::now();
    let known_before =
        |label: &str| before.iter().find(|(known, _)| known == label).map(|(_, it)| it.clone());
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let label = directory.display().to_string();
            let gone = Err(NoDocument::Unreachable(error.to_string()));
            let known = Known::after(known_before(&label), gone, now);
            return vec![(label, known)];
        }
    };
    let is_document = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|it| it.path()).filter(is_document).collect();
    paths.sort();
    paths.truncate(MAX_FILES);
    let mut left = MAX_FILES_BYTES;
    let document = |path: PathBuf| {
        let label = path.file_stem().unwrap_or_default().to_string_lossy();
        let label = crate::text::Text::from(&*label).to_string();
        left = left.saturating_sub(std::fs::metadata(&path).map_or(0, |it| it.len().min(MAX_BYTES as u64)));
        let answer = match left {
            0 => Err(NoDocument::Unreachable("the directory holds too much".to_owned())),
            _ => read(&path),
        };
        let known = Known::after(known_before(&label), answer, now);
        (label, known)
    };
    paths.into_iter().map(document).collect()
}

/// Who asks. The machine's own CA certificates say whom to believe; they are read only if somebody is asked by `https`.
#[must_use]
pub fn agent(with_tls: bool, within: Duration) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(within))
        .max_response_header_size(1 << 14)
        // A host must not send us to another one.
        .max_redirects(0)
        .user_agent(concat!("golden-generation/", env!("CARGO_PKG_VERSION")));
    if !with_tls {
        return config.build().into();
    }
    let roots: Vec<_> = rustls_native_certs::load_native_certs()
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    config.tls_config(tls).build().into()
}

fn ask(agent: &Agent, url: &str) -> Result<Document, NoDocument> {
    let unreachable = |error: ureq::Error| NoDocument::Unreachable(said(&error));
    let mut answer = agent.get(url).call().map_err(unreachable)?;
    if answer.status() != 200 {
        return Err(NoDocument::Unreachable(format!("it answers with status {}", answer.status().as_u16())));
    }
    let body = answer.body_mut().with_config().limit(MAX_BYTES as u64 + 1).read_to_vec();
    let bytes = body.map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => NoDocument::Unreadable(crate::document::NotADocument::TooLong),
        error => unreachable(error),
    })?;
    Document::parse(&bytes).map_err(NoDocument::Unreadable)
}

/// An error in words that a host has no part in.
fn said(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "it does not answer in time".to_owned(),
        ureq::Error::StatusCode(status) => format!("it answers with status {status}"),
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "it refuses the connection".to_owned()
        }
        ureq::Error::HostNotFound => "its name is not known".to_owned(),
        error => crate::text::Text::from(error.to_string().as_str()).chars().take(200).collect(),
    }
}
