//! Node with the packages of `tests/browser`: a page for browsers, and clients that are not Rust.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::{
    program::Program,
    skip::{current_test, skip},
    tools::{self, repository},
};

/// How long one run may take: a build of the page on a busy machine.
const RUN: Duration = Duration::from_secs(240);

/// An installed Node, and the packages beside it.
#[derive(Clone, Debug)]
pub struct Node {
    path: PathBuf,
}

impl Node {
    /// Finds it. Returns none where it is not installed: the test is then skipped, loudly.
    ///
    /// # Panics
    ///
    /// In CI, where it is not installed.
    #[must_use]
    pub fn find() -> Option<Self> {
        let Some(path) = tools::with_packages("node", "SELVEDGE_TEST_NODE") else {
            skip(&current_test(), "no node with packages: run `cargo xtask tools`");
            return None;
        };
        Some(Self { path })
    }

    /// Copies `tests/browser` into an empty folder, with the packages it needs.
    ///
    /// # Errors
    ///
    /// If a file cannot be copied.
    pub fn project(&self, folder: &Path) -> Result<()> {
        copy(&repository().join("tests/browser"), folder)?;
        let packages = self.path.ancestors().nth(2).context("node is not in the folder of a tool")?;
        link(&packages.join("node_modules"), &folder.join("node_modules"))
    }

    /// Runs a script in a folder to its end, and returns what it printed on standard output.
    ///
    /// # Errors
    ///
    /// If it fails or does not end within four minutes.
    pub async fn run(&self, folder: &Path, args: &[&str], envs: &[(&str, &str)]) -> Result<String> {
        let mut command = Command::new(&self.path);
        command.current_dir(folder).args(args).env("PATH", self.search()).envs(envs.iter().copied());
        let mut program = Program::start(command)?;
        let status = program.wait(RUN).await?;
        ensure!(status.success(), "node {args:?} failed: {}{}", program.stdout(), program.stderr());
        Ok(program.stdout())
    }

    /// Plugins of generators are scripts that look for `node`.
    fn search(&self) -> OsString {
        let own = self.path.parent().map(Path::to_owned);
        let all = env::var_os("PATH").unwrap_or_default();
        env::join_paths(own.into_iter().chain(env::split_paths(&all))).unwrap_or(all)
    }
}

/// Copies what a folder holds, but for what a build or an installation left in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let is_left_over = ["node_modules", "gen", "dist"].iter().any(|name| entry.file_name() == *name);
        if entry.file_type()?.is_dir() && !is_left_over {
            copy(&entry.path(), &target)?;
        } else if !is_left_over {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(from, to)?)
}

#[cfg(not(unix))]
fn link(from: &Path, _: &Path) -> Result<()> {
    anyhow::bail!("{} is linked on unix only", from.display())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn node_finds_the_packages_of_the_project() -> Result<()> {
        let Some(node) = Node::find() else { return Ok(()) };
        let folder = TempDir::new()?;
        node.project(folder.path())?;
        let script = "import('@grpc/grpc-js').then((grpc) => console.log(grpc.status.NOT_FOUND))";
        assert_eq!(node.run(folder.path(), &["--eval", script], &[]).await?, "5\n");
        assert!(node.run(folder.path(), &["--eval", "process.exit(3)"], &[]).await.is_err());
        Ok(())
    }
}
