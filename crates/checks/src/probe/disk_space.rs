//! How much room there is.

use std::path::Path;

use rustix::fs::statvfs;

use super::Answer;

/// What an ordinary program may use counts, not what is kept for root.
pub(super) fn look(path: &Path, bytes: Option<u64>, percent: Option<u32>) -> Answer {
    let found = match statvfs(path) {
        Ok(found) => found,
        Err(error) => return Answer::failed(format!("cannot look at {}: {error}", path.display())),
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    // What `df` calls available, of what is not kept for root.
    let usable = found.f_blocks.saturating_sub(found.f_bfree).saturating_add(found.f_bavail);
    let hundredths = u128::from(found.f_bavail) * 100 / u128::from(usable.max(1));
    let said = format!("{} has {} free, {hundredths} %", path.display(), in_words(free));
    if let Some(bytes) = bytes.filter(|&bytes| free < bytes) {
        return Answer::failed(format!("{said}; {} are needed", in_words(bytes)));
    }
    if let Some(percent) = percent.filter(|&percent| hundredths < percent.into()) {
        return Answer::failed(format!("{said}; {percent} % are needed"));
    }
    Answer::passed(said)
}

/// In the largest unit of which there are a few, rounded down.
fn in_words(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut words = format!("{bytes} bytes");
    for (number, unit) in UNITS.iter().enumerate() {
        let amount = bytes >> (10 * (number + 1));
        if amount < 10 {
            break;
        }
        words = format!("{amount} {unit}");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_is_enough_or_not() {
        let look = |bytes, percent| look(Path::new("/"), bytes, percent);
        assert!(look(Some(0), Some(0)).passed);
        for (bytes, percent) in [(Some(u64::MAX), None), (None, Some(101)), (Some(0), Some(101))] {
            let answer = look(bytes, percent);
            assert!(!answer.passed && answer.said.contains("needed"), "{answer:?}");
        }
        assert!(!super::look(Path::new("/nothing/there"), Some(0), None).passed);
    }

    #[test]
    fn sizes_are_in_units_that_people_use() {
        for (bytes, words) in
            [(0, "0 bytes"), (9_000, "9000 bytes"), (10_240, "10 KiB"), (u64::MAX, "16383 PiB")]
        {
            assert_eq!(in_words(bytes), words);
        }
    }
}
