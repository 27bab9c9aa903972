//! What the kernel said before it died. Source: the kernel's documentation, "pstore".

use std::path::Path;

use super::printable;
use crate::Host;

const PSTORE: &str = "/sys/fs/pstore";

/// Every part of every dump is looked at: the panic is in the last one, and they are in no order.
pub(super) fn panic(host: &dyn Host) -> Option<String> {
    let names = host.list(Path::new(PSTORE)).ok()?;
    let dumps = names.iter().filter(|name| name.to_str().is_some_and(|name| name.starts_with("dmesg-")));
    let mut texts = dumps.filter_map(|name| host.read(&Path::new(PSTORE).join(name)).ok());
    texts.find_map(|bytes| last_words(&String::from_utf8_lossy(&bytes)))
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
