//! What QEMU says of the machine: its resets, and who caused them.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longest until QEMU listens.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection to QEMU's monitor. Source: QEMU's `docs/interop/qmp-spec.rst`.
pub(crate) struct Qmp {
    stream: UnixStream,
    unread: Vec<u8>,
    events: Vec<String>,
}

impl Qmp {
    pub fn connect(socket: &Path) -> Result<Self> {
        let deadline = Instant::now() + LONGEST;
        let mut stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => bail!("QEMU does not listen: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.write_all(b"{\"execute\": \"qmp_capabilities\"}\n").context("cannot reach QEMU")?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, unread: Vec::new(), events: Vec::new() })
    }

    /// How many events of that name there were.
    pub fn count(&mut self, event: &str) -> Result<usize> {
        self.receive()?;
        Ok(self.events.iter().filter(|name| *name == event).count())
    }

    fn receive(&mut self) -> Result<()> {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) => self.unread.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // QEMU is gone; what it said before was heard.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => return Err(error).context("cannot hear QEMU"),
            }
        }
        while let Some(length) = self.unread.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=length).collect();
            let said: Value = serde_json::from_slice(&line).context("QEMU does not speak JSON")?;
            self.events.extend(said["event"].as_str().map(str::to_owned));
        }
        Ok(())
    }
}
