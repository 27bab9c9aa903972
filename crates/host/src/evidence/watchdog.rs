//! Whether the hardware watchdog reset the machine. Source: the kernel's documentation, "sysfs-class-watchdog".

use std::ffi::OsString;
use std::path::Path;

use crate::Host;

const WATCHDOGS: &str = "/sys/class/watchdog";
/// `WDIOF_CARDRESET`: the watchdog reset the machine. Source: `linux/watchdog.h`.
const CARD_RESET: u32 = 0x20;

/// Whether any of them says so of the boot before this one.
pub(super) fn has_reset(host: &dyn Host) -> bool {
    let names = host.list(Path::new(WATCHDOGS)).unwrap_or_default();
    let status = |name: &OsString| {
        let bytes = host.read(&Path::new(WATCHDOGS).join(name).join("bootstatus")).ok()?;
        String::from_utf8_lossy(&bytes).trim().parse::<u32>().ok()
    };
    names.iter().filter_map(status).any(|status| status & CARD_RESET != 0)
}
