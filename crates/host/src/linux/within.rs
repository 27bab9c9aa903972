//! Programs that must not keep a boot waiting.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Ended, Limits};

/// Pause between two looks at a program that has said everything and not ended.
const PAUSE: Duration = Duration::from_millis(5);

/// Run a program with all that it starts, and kill all of it when it breaks its limits.
///
/// # Errors
/// It cannot be started, or broke its limits: [`io::ErrorKind::TimedOut`] and [`io::ErrorKind::FileTooLarge`].
pub fn run(mut command: Command, limits: Limits) -> io::Result<Ended> {
    let deadline = Instant::now() + limits.time;
    let mut child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let ended = watch(&mut child, limits, deadline);
    if ended.is_err() {
        kill(&child);
        // It was killed: this takes no time.
        let _ = child.wait();
    }
    ended
}

fn watch(child: &mut Child, limits: Limits, deadline: Instant) -> io::Result<Ended> {
    let (stdout, stderr) = (
        child.stdout.take().map(|pipe| read(pipe, limits.output_bytes)),
        child.stderr.take().map(|pipe| read(pipe, limits.output_bytes)),
    );
    let text = |pipe: Option<Receiver<io::Result<Vec<u8>>>>| -> io::Result<String> {
        let Some(pipe) = pipe else { return Ok(String::new()) };
        // Whoever left the group may hold the pipe open: nobody waits for that either.
        let left = deadline.saturating_duration_since(Instant::now());
        let bytes = pipe.recv_timeout(left).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if bytes.len() > limits.output_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (stdout, stderr) = (text(stdout)?, text(stderr)?);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended { status: status.code(), stdout, stderr });
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(PAUSE);
    }
}

/// Read a pipe to its end, or to one byte more than is allowed.
fn read(pipe: impl Read + Send + 'static, limit: usize) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(limit as u64 + 1).read_to_end(&mut bytes);
        // Nobody listens any more once the time is over.
        let _ = sender.send(read.map(|_| bytes));
    });
    receiver
}

fn kill(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
