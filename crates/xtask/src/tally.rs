//! How many passed.

use std::fmt;

/// Counts of tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl Tally {
    /// The sum of the closing lines of libtest: `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
    pub fn of_libtest(text: &str) -> Self {
        let mut tally = Self::default();
        for line in text.lines().filter(|line| line.starts_with("test result:")) {
            let count = |word: &str| {
                let parts = line.split(['.', ';']).map(str::trim);
                let mut numbers = parts.filter_map(|part| part.strip_suffix(word)?.trim().parse().ok());
                numbers.next().unwrap_or(0)
            };
            let (passed, failed, skipped) = (count("passed"), count("failed"), count("ignored"));
            tally.add(&Self { passed, failed, skipped });
        }
        tally
    }

    /// Count a claim that holds unless there is something to say against it.
    pub fn verdict(&mut self, claim: &str, against: &str) {
        if against.is_empty() {
            self.passed += 1;
        } else {
            self.failed += 1;
            println!("FAILED: {claim}\n{against}");
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(formatter, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\nx\n\
                    test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured\n";
        assert_eq!(Tally::of_libtest(text), Tally { passed: 5, failed: 4, skipped: 1 });
        assert_eq!(Tally::of_libtest(text).to_string(), "5 passed, 4 failed, 1 skipped");
    }
}
