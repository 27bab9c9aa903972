//! What an earlier boot left that ended without a word.

use std::path::Path;

use golden_core::Evidence;

use crate::Host;

/// Where the kernel keeps what it said before it died. Source: the kernel's documentation, "pstore".
const PSTORE: &str = "/sys/fs/pstore";
/// Source: the kernel's documentation, "sysfs-class-watchdog".
const WATCHDOGS: &str = "/sys/class/watchdog";
/// `WDIOF_CARDRESET`: the watchdog reset the machine. Source: `linux/watchdog.h`.
const CARD_RESET: u32 = 0x20;
/// Longest line that is kept, in characters.
const MAX_CHARS: usize = 200;

/// What there is. Welcome and not needed: what cannot be read is not there.
pub(crate) fn gather(host: &dyn Host) -> Evidence {
    Evidence { panic: panic(host), watchdog: watchdog(host) }
}

/// Every part of every dump is looked at: the panic is in the last one, and they are in no order.
fn panic(host: &dyn Host) -> Option<String> {
    let names = host.list(Path::new(PSTORE)).ok()?;
    let dumps = names.iter().filter(|name| name.to_str().is_some_and(|name| name.starts_with("dmesg-")));
    let mut texts = dumps.filter_map(|name| host.read(&Path::new(PSTORE).join(name)).ok());
    texts.find_map(|bytes| last_words(&String::from_utf8_lossy(&bytes)))
}

/// The line that says why, without what the kernel puts before it.
fn last_words(dump: &str) -> Option<String> {
    const SAYS_WHY: [&str; 2] = ["Kernel panic - not syncing", "Oops: "];
    let line = |mark: &&str| dump.lines().rev().find_map(|line| Some(&line[line.find(*mark)?..]));
    let found = SAYS_WHY.iter().find_map(line)?;
    Some(found.trim().chars().filter(|letter| !letter.is_control()).take(MAX_CHARS).collect())
}

fn watchdog(host: &dyn Host) -> bool {
    let names = host.list(Path::new(WATCHDOGS)).unwrap_or_default();
    let status = |name: &std::ffi::OsString| {
        let bytes = host.read(&Path::new(WATCHDOGS).join(name).join("bootstatus")).ok()?;
        String::from_utf8_lossy(&bytes).trim().parse::<u32>().ok()
    };
    names.iter().filter_map(status).any(|status| status & CARD_RESET != 0)
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn a_dump_gives_the_line_that_says_why() {
        let dump = "Panic#1 Part1\n<6>[    1.2] x\n<0>[    2.1] Kernel panic - not syncing: sysrq triggered crash\n<4>[ 2.2] CPU: 0\n";
        assert_eq!(last_words(dump).as_deref(), Some("Kernel panic - not syncing: sysrq triggered crash"));
        assert_eq!(last_words("<6>[ 1.2] all is well\n"), None);
        let long = format!("Oops: {}\u{7}", "x".repeat(1000));
        assert_eq!(last_words(&long).map(|line| line.len()), Some(200));
    }
}
