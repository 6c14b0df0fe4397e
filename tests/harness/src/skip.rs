//! Skips a test so that everybody sees it: never silently, and in CI not at all.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write},
    thread,
};

/// The file to which skips are written: libtest hides what a passing test prints.
const SKIPS: &str = "SELVEDGE_TEST_SKIPS";

/// Says that a test is not carried out, and why; the test then returns.
///
/// The line `SKIPPED: <test>: <why>` goes to standard error, and to the file that `cargo xtask test` counts.
///
/// # Panics
///
/// With `CI=true` in the environment: there, what is missing is a failure.
pub fn skip(test: &str, why: &str) {
    let in_ci = env::var("CI").is_ok_and(|value| value == "true");
    assert!(!in_ci, "{test} cannot be skipped in CI: {why}");
    let line = line(test, why);
    eprint!("{line}");
    let Some(path) = env::var_os(SKIPS) else { return };
    let written = OpenOptions::new().create(true).append(true).open(&path).and_then(|file| append(file, &line));
    assert!(written.is_ok(), "cannot write to {}: {written:?}", path.display());
}

/// Returns the name of the test that runs on this thread, which libtest names after it.
#[must_use]
pub fn current_test() -> String {
    thread::current().name().unwrap_or("unnamed test").to_owned()
}

/// Returns the line for one skip; whatever it is told, it is one line.
fn line(test: &str, why: &str) -> String {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("SKIPPED: {test}: {why}\n")
}

/// Writes a whole line at once, so that tests on several threads do not mix theirs.
fn append(mut file: impl Write, line: &str) -> io::Result<()> {
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_one_line_whatever_the_reason() {
        assert_eq!(line("a::test", "no consul:\n  build it"), "SKIPPED: a::test: no consul: build it\n");
    }

    #[test]
    fn a_test_knows_its_name() {
        assert!(current_test().ends_with("a_test_knows_its_name"), "{}", current_test());
    }
}
