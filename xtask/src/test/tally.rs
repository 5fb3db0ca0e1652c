//! Counting tests.

use std::fmt;
use std::iter::Sum;

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    pub(crate) const PASSED: Tally = Tally { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Tally = Tally { passed: 0, failed: 1, skipped: 0 };

    /// What a test binary says at its end: `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    pub(crate) fn of_line(line: &str) -> Option<Tally> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |what: &str| {
            counts.split("; ").find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok())
        };
        Some(Tally { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(tallies: I) -> Tally {
        tallies.fold(Tally::default(), |sum, tally| Tally {
            passed: sum.passed + tally.passed,
            failed: sum.failed + tally.failed,
            skipped: sum.skipped + tally.skipped,
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_test_binaries_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 27 ignored; 0 measured; 4 filtered out; finished in 0.47s";
        assert_eq!(Tally::of_line(line), Some(Tally { passed: 12, failed: 3, skipped: 27 }));
        assert_eq!(Tally::of_line("test result: is what I print"), None);
        assert_eq!(Tally::of_line("12 passed; 3 failed"), None);
    }

    #[test]
    fn the_sum_is_one_line() {
        let tallies = [Tally::PASSED, Tally::FAILED, Tally { passed: 4, failed: 0, skipped: 2 }];
        assert_eq!(tallies.into_iter().sum::<Tally>().to_string(), "5 passed, 1 failed, 2 skipped");
        assert_eq!(Tally::PASSED.to_string(), "1 passed, 0 failed");
    }
}
