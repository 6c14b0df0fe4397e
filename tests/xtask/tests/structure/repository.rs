//! Reads the repository: the crates of its packages, each with all its files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::source::Crate;

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).expect("xtask is at tests/xtask").to_owned()
}

/// Returns the folders of all sources: every `src`, and every test that is a folder with a `main.rs`.
pub(crate) fn folders() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    search(&root(), &mut found)?;
    found.sort();
    Ok(found)
}

/// Reads one folder of sources.
pub(crate) fn read(folder: &Path) -> Result<Crate> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let root = root();
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let below = |root: &Path| file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
        Ok((below(&root), below(folder), text))
    };
    Crate::new(files.iter().map(read).collect::<Result<_>>()?)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in entries(folder)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_left_out = !entry.is_dir() || name.starts_with('.') || name == "target" || name == "node_modules";
        if is_left_out {
            continue;
        }
        if name == "src" || entry.join("main.rs").is_file() {
            found.push(entry);
        } else {
            search(&entry, found)?;
        }
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in entries(folder)? {
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_of_every_package_are_found() {
        let folders = folders().unwrap();
        for known in ["mesh/src", "mesh/registry/src", "gateway/src", "services/kit/src", "tests/xtask/tests/structure"]
        {
            assert!(folders.contains(&root().join(known)), "{known} is not among {folders:?}");
        }
    }
}
