//! What the kernel said before it died. Source: the kernel's documentation, "pstore".

use std::cell::OnceCell;
use std::path::Path;

use golden_core::MAX_DUMPS;
use sha2::{Digest as _, Sha256};

use super::printable;
use crate::Host;

const PSTORE: &str = "/sys/fs/pstore";
/// Most that is read of one dump, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// As much of the hash of a dump as tells it from another one of the same name.
const HASH_BYTES: usize = 8;

/// What the kernel left, read once and not before somebody asks.
pub(crate) struct Dumps<'a> {
    host: &'a dyn Host,
    found: OnceCell<Vec<Dump>>,
}

/// One part of what was left.
struct Dump {
    /// Its name and what it hashes to: firmware keeps dumps until somebody clears them, memory takes the name of an old one for
    /// a new one, and the clock that is in either may be wrong.
    identity: String,
    says: Option<String>,
}

impl<'a> Dumps<'a> {
    pub fn new(host: &'a dyn Host) -> Self {
        Self { host, found: OnceCell::new() }
    }

    /// All that there are, as the ledger remembers them.
    pub fn identities(&self) -> Vec<String> {
        self.found().iter().map(|dump| dump.identity.clone()).collect()
    }

    /// The line that says why the kernel died, of a dump that is none of these.
    pub fn panic_besides(&self, known: &[String]) -> Option<String> {
        let mut new = self.found().iter().rev().filter(|dump| !known.contains(&dump.identity));
        new.find_map(|dump| dump.says.clone())
    }

    fn found(&self) -> &[Dump] {
        self.found.get_or_init(|| read(self.host))
    }
}

/// Every part of every dump is looked at: the panic is in the last one, and they are in no order. Firmware's are named by
/// number, so the last names are the newest ones.
fn read(host: &dyn Host) -> Vec<Dump> {
    let names = host.list(Path::new(PSTORE)).unwrap_or_default().into_iter();
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.starts_with("dmesg-"));
    names.sort();
    let last = names.iter().skip(names.len().saturating_sub(MAX_DUMPS));
    last.filter_map(|name| {
        Some(dump(name, &host.read_part(&Path::new(PSTORE).join(name), 0, MAX_BYTES).ok()?))
    })
    .collect()
}

fn dump(name: &str, bytes: &[u8]) -> Dump {
    let hash = Sha256::digest(bytes);
    let hash = hash.iter().take(HASH_BYTES).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
    Dump { identity: format!("{name} {hash:016x}"), says: last_words(&String::from_utf8_lossy(bytes)) }
}

/// The line that says why, without what the kernel puts before it.
fn last_words(dump: &str) -> Option<String> {
    const SAYS_WHY: [&str; 2] = ["Kernel panic - not syncing", "Oops: "];
    let line = |mark: &&str| dump.lines().rev().find_map(|line| Some(&line[line.find(*mark)?..]));
    SAYS_WHY.iter().find_map(line).map(printable)
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
