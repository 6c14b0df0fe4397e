//! Rule: a file tells one story, and a long test has a file of its own.

use crate::source::{Crate, Module};

/// Past this a file is two ideas.
const LINES: usize = 400;
/// Past this tests go into `foo/tests.rs`.
const TEST_LINES: usize = 120;

/// Returns the files that are too long, or whose tests are.
pub(crate) fn too_long(krate: &Crate) -> Vec<String> {
    let mut problems = Vec::new();
    for module in krate.sources() {
        let lines = module.text.lines().count();
        if lines > LINES {
            problems.push(format!("{} has {lines} lines, more than {LINES}: it is two ideas", module.file));
        }
        let tests = test_lines(module);
        if tests > TEST_LINES {
            problems.push(format!("{} has {tests} lines of tests, more than {TEST_LINES}: move them", module.file));
        }
    }
    problems
}

/// Returns the files that do not say what they are.
pub(crate) fn unnamed(krate: &Crate) -> Vec<String> {
    let unnamed = krate.sources().filter(|module| !module.text.starts_with("//! "));
    unnamed.map(|module| format!("{} does not begin with a sentence on what it is", module.file)).collect()
}

/// Returns how many lines there are from the tests on: they stand last.
fn test_lines(module: &Module) -> usize {
    let lines: Vec<_> = module.text.lines().collect();
    let tests = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].trim() == "mod tests {";
    let start = lines.windows(2).position(tests);
    start.map_or(0, |start| lines.len() - start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository, source::example};

    #[test]
    fn files_are_short_but_for_tests() {
        let sources = repository::folders().unwrap().into_iter().filter(|folder| folder.ends_with("src"));
        let found: Vec<_> = sources.flat_map(|folder| too_long(&repository::read(&folder).unwrap())).collect();
        assert_none("long files", &found);
    }

    #[test]
    fn files_say_what_they_are() {
        let folders = repository::folders().unwrap().into_iter();
        let found: Vec<_> = folders.flat_map(|folder| unnamed(&repository::read(&folder).unwrap())).collect();
        assert_none("files without a sentence", &found);
    }

    #[test]
    fn a_long_file_is_found_but_not_a_long_test() {
        let long = format!("//! Long.\n{}", "// line\n".repeat(400));
        let files = [
            ("lib.rs", "//! Root.\nmod a; mod b;"),
            ("a.rs", &long),
            ("b.rs", "//! B.\n#[cfg(test)] mod tests;"),
            ("b/tests.rs", &long),
        ];
        assert_eq!(too_long(&example(&files)), ["a.rs has 401 lines, more than 400: it is two ideas"]);
    }

    #[test]
    fn long_tests_in_a_file_are_found() {
        let text = format!("//! A.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "// line\n".repeat(118));
        assert_eq!(
            too_long(&example(&[("lib.rs", &text)])),
            ["lib.rs has 121 lines of tests, more than 120: move them"]
        );
    }

    #[test]
    fn a_file_without_a_sentence_is_found() {
        assert_eq!(unnamed(&example(&[("lib.rs", "mod a;")])), ["lib.rs does not begin with a sentence on what it is"]);
    }
}
