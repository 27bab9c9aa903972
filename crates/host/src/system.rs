//! What the machine shows, read into the words of the core.

use std::io;
use std::path::Path;

use golden_core::{BootId, Evidence, Ledger, Loader, Seen, Toplevel};

use crate::{Error, Host, golden, profile};

/// Set by stage 2 before systemd starts.
const BOOTED: &str = "/run/booted-system";
/// Set by stage 2, and by every live switch before it starts units.
const CURRENT: &str = "/run/current-system";
/// Where Linux shows the variables of the firmware.
pub(crate) const EFI_VARIABLES: &str = "/sys/firmware/efi/efivars";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Everything that a decision depends on. `loader` is `None` where the loader cannot be asked, `ledger` where the ledger cannot be
/// read.
///
/// # Errors
/// The boot ID or a profile cannot be read.
pub fn see(host: &dyn Host, ledger: Option<&Ledger>, loader: Option<Loader>) -> Result<Seen, Error> {
    let (golden, profile) = (golden::golden(host, ledger)?, profile::system(host)?);
    Ok(Seen {
        booted: booted(host)?,
        boot: boot(host)?,
        kept: profile::kept(host)?,
        older_goldens: profile::older_goldens(host, golden.as_ref())?,
        golden,
        specialisations: profile::specialisations(host, profile.as_ref()),
        profile,
        loader,
        baseline: None,
        evidence: Evidence::default(),
        sources: Vec::new(),
        uptime_secs: host.monotonic().as_secs(),
        damaged: Vec::new(),
    })
}

/// The toplevel this boot started; `None` where nothing says so.
///
/// # Errors
/// It cannot be read.
pub fn booted(host: &dyn Host) -> Result<Option<Toplevel>, Error> {
    match host.read_link(Path::new(BOOTED)) {
        Ok(target) => Ok(target.to_str().and_then(|path| path.parse().ok())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(error) => Err(Error::io("read", BOOTED)(error)),
    }
}

/// This boot.
///
/// # Errors
/// It cannot be read, or is no boot ID.
pub fn boot(host: &dyn Host) -> Result<BootId, Error> {
    let bytes = host.read(Path::new(BOOT_ID)).map_err(Error::io("read", BOOT_ID))?;
    let invalid = |error| Error::io("parse", BOOT_ID)(io::Error::new(io::ErrorKind::InvalidData, error));
    String::from_utf8_lossy(&bytes).parse().map_err(invalid)
}

/// Whether the owner switched the suite off for this boot. systemd asks for its units; programs that something else
/// starts ask here.
#[must_use]
pub fn is_disabled(host: &dyn Host) -> bool {
    has_parameter(host, |word| word == "golden.disable=1")
}

/// Whether a panic started this kernel, by kexec, to save a dump. Source: the kernel's documentation, "Documentation for Kdump";
/// on Arm the device tree says where the dump is, and `/proc/vmcore` alone shows it.
pub(crate) fn is_crash_kernel(host: &dyn Host) -> bool {
    has_parameter(host, |word| word.starts_with("elfcorehdr="))
        || host.size(Path::new("/proc/vmcore")).is_ok()
}

fn has_parameter(host: &dyn Host, is_it: impl Fn(&str) -> bool) -> bool {
    let line = host.read(Path::new("/proc/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).split_ascii_whitespace().any(is_it)
}

/// What runs now; `None` where nothing says so.
pub(crate) fn running(host: &dyn Host) -> Option<Toplevel> {
    host.read_link(Path::new(CURRENT)).ok()?.to_str()?.parse().ok()
}

/// Whether the system that was booted is still the one that runs. After a live switch, what can be seen of the machine
/// says nothing about what was booted.
pub(crate) fn runs_as_booted(host: &dyn Host) -> bool {
    match (host.read_link(Path::new(BOOTED)), host.read_link(Path::new(CURRENT))) {
        (Ok(booted), Ok(current)) => booted == current,
        _ => true,
    }
}
