//! Where programs are: our own ones, and those that the tests need.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Returns the root of the repository.
///
/// # Panics
///
/// If the harness was moved to another depth.
#[must_use]
pub fn repository() -> PathBuf {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness.ancestors().nth(2).expect("the harness is at tests/harness").to_owned()
}

/// Returns the path of a program of this workspace: in `SELVEDGE_TEST_BIN`, or beside the running test.
///
/// # Errors
///
/// If it was not built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = match env::var_os("SELVEDGE_TEST_BIN") {
        Some(folder) => PathBuf::from(folder),
        None => profile_folder(&env::current_exe().context("cannot tell the path of this test")?)?,
    };
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    bail!("{} is missing: run `cargo build --workspace --bins` first", path.display())
}

/// Returns the path of a tool that the tests need: what its variable names, or what is on `PATH`, or what
/// `cargo xtask tools` installed.
pub(crate) fn tool(name: &str, variable: &str) -> Option<PathBuf> {
    match env::var_os(variable) {
        // Set and empty: `cargo xtask test` looked, and has none.
        Some(path) => Some(PathBuf::from(path)).filter(|path| path.is_file()),
        None => on_path(name).or_else(|| installed(name)),
    }
}

/// Returns the path of an interpreter with the packages of the tests; one on `PATH` does not have what they need.
pub(crate) fn with_packages(name: &str, variable: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).map(PathBuf::from);
    named.or_else(|| installed(name)).filter(|path| path.is_file())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Looks into the folder of tools for `<name>-<version>/<name>`; of several versions, the one that was installed last.
fn installed(name: &str) -> Option<PathBuf> {
    let folders = tools_folder()?.read_dir().ok()?;
    let of_this_tool = |path: &PathBuf| file_name(path).starts_with(&format!("{name}-"));
    let folders = folders.flatten().map(|entry| entry.path()).filter(of_this_tool);
    let mut folders: Vec<_> = folders.filter(|folder| program(folder, name).is_file()).collect();
    folders.sort_by_key(|folder| folder.metadata().and_then(|data| data.modified()).ok());
    folders.last().map(|folder| program(folder, name))
}

/// A tool lies in its folder, a Python in the `bin` of its environment.
fn program(folder: &Path, name: &str) -> PathBuf {
    let plain = folder.join(name);
    if plain.is_file() { plain } else { folder.join("bin").join(name) }
}

/// The same rule as that of `cargo xtask tools`.
fn tools_folder() -> Option<PathBuf> {
    let cache = || env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || env::home_dir().map(|home| home.join(".cache"));
    match env::var_os("SELVEDGE_TOOLS") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(cache().or_else(home)?.join("selvedge/tools")),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Tests lie in `target/<profile>/deps`, programs one up.
fn profile_folder(test: &Path) -> Result<PathBuf> {
    let deps = test.ancestors().find(|path| path.ends_with("deps"));
    let folder = deps.and_then(Path::parent).or_else(|| test.parent());
    Ok(folder.with_context(|| format!("{} has no parent", test.display()))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_found() {
        assert!(repository().join("mesh/src/lib.rs").is_file());
    }

    #[test]
    fn programs_lie_one_folder_above_the_tests() {
        let folder = profile_folder(Path::new("/w/target/debug/deps/suite-0123")).unwrap();
        assert_eq!(folder, Path::new("/w/target/debug"));
        let folder = profile_folder(Path::new("/w/target/debug/selvedge")).unwrap();
        assert_eq!(folder, Path::new("/w/target/debug"));
    }

    #[test]
    fn a_missing_program_names_the_command() {
        let error = binary("selvedge-nothing").unwrap_err().to_string();
        assert!(error.contains("cargo build --workspace --bins"), "{error}");
    }
}
