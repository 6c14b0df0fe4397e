//! `mesh/docs/matrix.md` names tests that exist.

use std::{collections::HashSet, fs, path::Path};

const MATRIX: &str = include_str!("../../../docs/matrix.md");

/// Returns the cells of each row below the head.
fn rows() -> Vec<Vec<&'static str>> {
    let table = MATRIX.lines().filter(|line| line.starts_with('|')).skip(2);
    table.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Returns what stands between backticks.
fn named(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('`').skip(1).step_by(2)
}

/// Adds the names of the functions in the sources below a folder.
fn functions(folder: &Path, found: &mut HashSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let begins = text.split("fn ").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap_or_default());
            found.extend(begins.map(str::to_owned));
        }
    }
}

#[test]
fn every_cell_names_a_test_that_exists_or_says_why_there_is_none() {
    let mesh = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = HashSet::new();
    functions(&mesh.join("src"), &mut found);
    functions(&mesh.join("../tests/integration/tests"), &mut found);
    let rows = rows();
    assert!(rows.len() > 20);
    for row in rows {
        assert_eq!(row.len(), 5, "{row:?}");
        for cell in row {
            assert!(!cell.is_empty(), "a cell is empty");
            for name in named(cell) {
                let module = mesh.join("src").join(name.replace("::", "/")).with_extension("rs");
                let exists = if name.contains("::") { module.exists() } else { found.contains(name) };
                assert!(exists, "no test is called {name}");
            }
        }
    }
}
