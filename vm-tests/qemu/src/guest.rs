//! Commands inside the machine, over its second serial line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest a command may take. Nix on an emulated processor is slow.
const LONGEST: Duration = Duration::from_secs(180);

/// The agent of the system that runs. Connect anew after each boot.
pub(crate) struct Guest {
    line: BufReader<UnixStream>,
}

impl Guest {
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("cannot reach the agent")?;
        stream.set_read_timeout(Some(LONGEST))?;
        Ok(Self { line: BufReader::new(stream) })
    }

    /// Run a shell command; its exit status and what it printed.
    pub fn try_run(&mut self, command: &str) -> Result<(i32, String)> {
        self.send(command)?;
        loop {
            let mut answer = String::new();
            let length = self.line.read_line(&mut answer).context("the agent does not answer")?;
            ensure!(length > 0, "the agent hung up");
            // `READY` of a boot, and half a line that an earlier system did not finish, are no answers.
            let Some((status, output)) = answer.trim().split_once(' ') else { continue };
            let (Ok(status), Ok(output)) = (status.parse(), STANDARD.decode(output)) else { continue };
            return Ok((status, String::from_utf8_lossy(&output).trim_end().to_owned()));
        }
    }

    /// Run a shell command that must succeed.
    pub fn run(&mut self, command: &str) -> Result<String> {
        match self.try_run(command)? {
            (0, output) => Ok(output),
            (status, output) => bail!("`{command}` exited with {status} in the machine:\n{output}"),
        }
    }

    /// Send a command whose answer nobody will hear.
    pub fn send(&mut self, command: &str) -> Result<()> {
        let line = STANDARD.encode(command) + "\n";
        self.line.get_mut().write_all(line.as_bytes()).context("cannot reach the agent")
    }
}
