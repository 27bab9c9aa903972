//! Ctrl-C while checks run: they are in process groups of their own, so nobody else tells them.

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::{self, pipe};

const SIGNALS: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// What signals do from the first run on: what they always did, or, while checks run, wake us up.
struct Handlers {
    /// Whether no checks run.
    is_idle: Arc<AtomicBool>,
    /// The last one that came.
    last: Arc<AtomicUsize>,
    /// Has something to read once one came.
    wakes: UnixStream,
}

/// Signals that would end us are kept until what was started is gone.
pub(crate) struct Interrupt {
    handlers: Option<&'static Handlers>,
}

impl Interrupt {
    /// Without handlers, what was started is for the unit's cgroup to end.
    pub(crate) fn begin() -> Self {
        static HANDLERS: OnceLock<Option<Handlers>> = OnceLock::new();
        let handlers = HANDLERS.get_or_init(|| Handlers::install().ok()).as_ref();
        if let Some(handlers) = handlers {
            handlers.last.store(0, Ordering::SeqCst);
            handlers.is_idle.store(false, Ordering::SeqCst);
        }
        Self { handlers }
    }

    /// Has something to read once a signal came.
    pub(crate) fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.handlers.map(|handlers| handlers.wakes.as_fd())
    }

    /// The signal that came.
    pub(crate) fn came(&self) -> Option<i32> {
        let handlers = self.handlers?;
        // Nobody is woken twice.
        let _ = (&handlers.wakes).read(&mut [0; 64]);
        i32::try_from(handlers.last.load(Ordering::SeqCst)).ok().filter(|&signal| signal != 0)
    }
}

impl Drop for Interrupt {
    /// Signals do what they always did, also the one that came.
    fn drop(&mut self) {
        if let Some(handlers) = self.handlers {
            handlers.is_idle.store(true, Ordering::SeqCst);
        }
        if let Some(signal) = self.came() {
            let _ = low_level::emulate_default_handler(signal);
        }
    }
}

impl Handlers {
    fn install() -> io::Result<Self> {
        let (wakes, wake) = UnixStream::pair()?;
        wakes.set_nonblocking(true)?;
        let (is_idle, last) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let ignored = ignored();
        // What is ignored (nohup) goes on being so.
        for signal in SIGNALS.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0) {
            // In this order: the first one does not come back where it has something to do.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&is_idle))?;
            signal_hook::flag::register_usize(signal, Arc::clone(&last), signal.unsigned_abs() as usize)?;
            pipe::register(signal, wake.try_clone()?)?;
        }
        Ok(Self { is_idle, last, wakes })
    }
}

/// Signals that we ignore, one bit each. Source: `proc_pid_status(5)`, "`SigIgn`".
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
