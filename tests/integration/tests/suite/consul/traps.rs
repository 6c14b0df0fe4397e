//! The page of Consul's traps names a test for each: they are there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use selvedge_harness::repository;

#[test]
fn every_test_that_the_page_of_traps_names_is_there() -> Result<()> {
    let root = repository();
    let page = fs::read_to_string(root.join("mesh/docs/consul-traps.md"))?;
    let mut sources = String::new();
    for folder in ["mesh/src", "tests/integration/tests"] {
        for file in files(&root.join(folder))? {
            sources += &fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        }
    }
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")).collect();
    ensure!(rows.len() == 27, "{} traps", rows.len());
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        ensure!(tests.contains('`') || tests.starts_with("none"), "no test, and no reason: {row}");
        // Between backquotes: every second part.
        for test in tests.split('`').skip(1).step_by(2) {
            let name = test.rsplit("::").next().unwrap_or_default().trim_end_matches('*');
            let module = test.rsplit("::").nth(1).unwrap_or_default();
            let known = if name.is_empty() { format!("mod {module}") } else { format!("fn {name}") };
            ensure!(sources.contains(&known), "{known} of {row}");
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
