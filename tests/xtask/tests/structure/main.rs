//! Holds the structure of the repository: reads its sources and its packages, and names what breaks a rule.
//!
//! Every rule is a function from what was read to a list of problems, so that each has a test that it can fail.

mod cycles;
mod files;
mod layers;
mod packages;
mod words;

mod imports;
mod repository;
mod source;

/// Fails with one problem per line.
fn assert_none(rule: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{rule}:\n  {}", problems.join("\n  "));
}
