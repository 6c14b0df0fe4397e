//! Sums up what the test binaries said.

use std::{
    collections::BTreeSet,
    fmt,
    io::{BufRead, Write},
};

use anyhow::Result;

/// How many tests passed, failed, or were not carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// Adds what one line of output says; most say nothing.
    pub(crate) fn read(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else { return };
        for count in counts.split([';', '.']) {
            self.add(count.trim());
        }
    }

    /// Counts tests that skipped themselves: libtest took them for passed.
    pub(crate) fn skip(&mut self, skips: &BTreeSet<&str>) {
        let skipped = u64::try_from(skips.len()).expect("tests can be counted");
        self.passed = self.passed.saturating_sub(skipped);
        self.skipped += skipped;
    }

    /// Adds a count such as `23 passed`.
    fn add(&mut self, count: &str) {
        let Some((number, what)) = count.split_once(' ') else { return };
        let Ok(number) = number.parse::<u64>() else { return };
        match what {
            "passed" => self.passed += number,
            "failed" => self.failed += number,
            "ignored" => self.skipped += number,
            _ => {}
        }
    }
}

/// Copies lines, and reads the sums among them.
pub(crate) fn count(mut from: impl BufRead, to: &mut impl Write, tally: &mut Tally) -> Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        tally.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

/// Returns the names of the tests that skipped themselves; one that did so twice is one.
pub(crate) fn skipped_tests(skips: &str) -> BTreeSet<&str> {
    let tests = skips.lines().filter_map(|line| line.strip_prefix("SKIPPED: "));
    tests.filter_map(|line| line.split_once(": ")).map(|(test, _)| test).collect()
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_binaries_add_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 23 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 1.62s",
            "test a_test ... ok",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 12.00s",
        ] {
            tally.read(line);
        }
        assert_eq!(tally.to_string(), "25 passed, 3 failed, 1 skipped");
    }

    #[test]
    fn a_test_that_skipped_itself_did_not_pass() {
        let skips = "SKIPPED: a::one: no consul: run it\nSKIPPED: two: no grpcurl\nSKIPPED: two: again\n";
        let mut tally = Tally { passed: 5, failed: 0, skipped: 1 };
        tally.skip(&skipped_tests(skips));
        assert_eq!(tally, Tally { passed: 3, failed: 0, skipped: 3 });
    }

    #[test]
    fn output_passes_through_unchanged_while_it_is_counted() {
        let said: &[u8] = b"\xff\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\nno end";
        let (mut shown, mut tally) = (Vec::new(), Tally::default());
        count(said, &mut shown, &mut tally).unwrap();
        assert_eq!((shown.as_slice(), tally.passed), (said, 2));
    }
}
