//! The page over HTTP: read-only, to clients of whom nothing good is assumed.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::answer::{Asked, Site, refused};
use crate::fleet::{Fleet, Sources};

/// Longest request, and longest that is kept of an answer that nobody reads, in bytes.
const MAX_BUFFER_BYTES: usize = 16 << 10;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;
/// Threads that render.
const RENDERERS: usize = 4;

/// How the page is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen if systemd gives no socket.
    pub listen: Vec<SocketAddr>,
    /// What this host publishes.
    pub published: PathBuf,
    /// Other hosts.
    pub sources: Sources,
    /// Names by which the page is asked for on loopback, besides `localhost` and addresses.
    pub names: Vec<String>,
    /// Exit after so long without a client, if systemd starts the program again for the next one.
    pub idle: Duration,
    /// What clients may take.
    pub limits: Limits,
}

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; who comes later waits.
    pub connections: usize,
    /// Until a client has sent its request.
    pub request_within: Duration,
    /// Until it has read the answer, too.
    pub connection_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            request_within: Duration::from_secs(5),
            connection_within: Duration::from_secs(20),
        }
    }
}

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("cannot use the socket that systemd gave")]
    Socket(#[source] io::Error),
    #[error("cannot start")]
    Start(#[source] io::Error),
    #[error("a template is wrong")]
    Template(#[from] minijinja::Error),
}

/// Where clients come from.
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// When somebody came last, in milliseconds since the start.
struct Clock {
    start: Instant,
    last: AtomicU64,
}

impl Clock {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A page that is about to be served: its sockets are open.
pub struct Server {
    runtime: Runtime,
    listeners: Vec<Listener>,
    is_activated: bool,
    site: Arc<Site>,
    fleet: Arc<Fleet>,
    idle: Duration,
    limits: Limits,
}

impl Server {
    /// Take the sockets of systemd, or open our own.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let fleet = Arc::new(Fleet::new(options.sources.clone()));
        let site = Arc::new(Site::new(options, Arc::clone(&fleet))?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(RENDERERS)
            .build()
            .map_err(Error::Start)?;
        let (listeners, is_activated) = runtime.block_on(listeners(&options.listen))?;
        let (idle, limits) = (options.idle, options.limits);
        Ok(Self { runtime, listeners, is_activated, site, fleet, idle, limits })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |listener: &Listener| match listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        };
        self.listeners.iter().filter_map(address).collect()
    }

    /// Serve until nobody has come for a while, or for ever.
    pub fn run(self) {
        let Self { runtime, listeners, is_activated, site, fleet, idle, limits } = self;
        // What polls others has to be there to know since when one does not answer.
        let may_exit = is_activated && !fleet.is_polled();
        // Each listener holds a place for the client that it waits for.
        let waiting = listeners.len();
        runtime.block_on(async {
            fleet.poll_for_ever();
            let clock = Arc::new(Clock { start: Instant::now(), last: AtomicU64::new(0) });
            let free = Arc::new(Semaphore::new(limits.connections));
            for listener in listeners {
                let (site, free, clock) = (Arc::clone(&site), Arc::clone(&free), Arc::clone(&clock));
                tokio::spawn(accept(listener, site, free, clock, limits));
            }
            loop {
                sleep(idle.max(Duration::from_millis(100)) / 4).await;
                let last = clock.last.load(Ordering::Relaxed);
                let quiet = Duration::from_millis(clock.now().saturating_sub(last));
                if may_exit && quiet >= idle && free.available_permits() + waiting >= limits.connections {
                    return;
                }
            }
        });
        // A renderer that is at work is not waited for.
        runtime.shutdown_background();
    }
}

/// The sockets of systemd, or our own.
async fn listeners(addresses: &[SocketAddr]) -> Result<(Vec<Listener>, bool), Error> {
    let mut given = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..given.len() {
        listeners.push(from_systemd(&mut given, index).map_err(Error::Socket)?);
    }
    let is_activated = !listeners.is_empty();
    if !is_activated {
        for address in addresses {
            let listener = TcpListener::bind(address).await;
            listeners.push(Listener::Tcp(listener.map_err(|error| Error::Listen(*address, error))?));
        }
    }
    Ok((listeners, is_activated))
}

fn from_systemd(given: &mut listenfd::ListenFd, index: usize) -> io::Result<Listener> {
    if let Ok(Some(listener)) = given.take_tcp_listener(index) {
        listener.set_nonblocking(true)?;
        return Ok(Listener::Tcp(TcpListener::from_std(listener)?));
    }
    let listener = given.take_unix_listener(index)?;
    let listener = listener.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix(UnixListener::from_std(listener)?))
}

async fn accept(
    listener: Listener,
    site: Arc<Site>,
    free: Arc<Semaphore>,
    clock: Arc<Clock>,
    limits: Limits,
) {
    loop {
        let Ok(place) = Arc::clone(&free).acquire_owned().await else { return };
        let came: io::Result<()> = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                let is_loopback = stream.local_addr().is_ok_and(|address| address.ip().is_loopback());
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    talk(stream, site, is_loopback, limits).await;
                    drop(place);
                });
            }),
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    talk(stream, site, false, limits).await;
                    drop(place);
                });
            }),
        };
        clock.last.store(clock.now(), Ordering::Relaxed);
        if came.is_err() {
            // Out of descriptors, or a client that went away: neither is over at once.
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// One request, one answer.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    site: Arc<Site>,
    is_loopback: bool,
    limits: Limits,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let asked = Asked::new(&request, is_loopback);
        let site = Arc::clone(&site);
        async move {
            let answer = tokio::task::spawn_blocking(move || site.answer(&asked)).await;
            Ok::<Response<Full<Bytes>>, Infallible>(answer.unwrap_or_else(|_| refused()))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_within)
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever goes wrong on the way to one client is that client's.
    let _ = timeout(limits.connection_within, connection).await;
}
