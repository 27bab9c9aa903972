//! A web server of the test, which takes whatever a machine posts to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longest until a message comes: delivery waits for nothing, but an emulated processor is slow.
const LONGEST: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) struct Server {
    port: u16,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    /// Listen on a free port, until the process ends.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let taken = Arc::clone(&bodies);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(body) = body(&stream) else { continue };
                taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(body);
                let _ =
                    (&stream).write_all(b"HTTP/1.1 204 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Ok(Self { port, bodies })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What came until now.
    pub fn received(&self) -> Result<Vec<Value>> {
        let bodies = self.bodies.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        bodies.iter().map(|body| serde_json::from_slice(body).context("what came is no JSON")).collect()
    }

    /// Wait for the first message.
    pub fn wait_for_one(&self) -> Result<Value> {
        let deadline = Instant::now() + LONGEST;
        while Instant::now() < deadline {
            if let Some(first) = self.received()?.into_iter().next() {
                return Ok(first);
            }
            thread::sleep(LOOK_AGAIN);
        }
        bail!("nothing was told within {} s", LONGEST.as_secs())
    }
}

/// The body of one request.
fn body(stream: &TcpStream) -> Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}
