//! Where things lie: the repository, its build, the tools.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::{cargo, output};

/// Returns the root of the repository.
pub(crate) fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).expect("xtask is at tests/xtask").to_owned()
}

/// Returns the folder into which Cargo puts the programs.
pub(crate) fn programs() -> Result<PathBuf> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&output(&mut metadata)?)?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(Path::new(target).join("debug"))
}

/// Returns the folder that holds the tools of all clones: `SELVEDGE_TOOLS`, or one in the user's cache.
pub(crate) fn tools() -> Result<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    let cache = || variable("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")));
    let folder = variable("SELVEDGE_TOOLS").or_else(|| Some(cache()?.join("selvedge").join("tools")));
    folder.context("no home folder for the tools: set SELVEDGE_TOOLS to a folder")
}
