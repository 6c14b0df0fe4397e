//! A real PostgreSQL, for what must hold on a server too.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    ports::free_port,
    program::Program,
    skip::{current_test, skip},
    tools,
};

/// How long a start may take.
const START: Duration = Duration::from_secs(60);

/// A PostgreSQL server on a free port of 127.0.0.1, with one empty database. Ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    program: Program,
    path: PathBuf,
    port: u16,
    /// Where the data are; removed at the end.
    folder: TempDir,
}

impl Postgres {
    /// Starts a server and waits until it takes connections.
    ///
    /// Returns none where no PostgreSQL is installed: the test is then skipped, loudly.
    ///
    /// # Errors
    ///
    /// If it does not come up; the error shows its last lines.
    ///
    /// # Panics
    ///
    /// In CI, where no PostgreSQL is installed.
    pub async fn start() -> Result<Option<Self>> {
        let Some(path) = tools::tool("postgres", "SELVEDGE_TEST_POSTGRES_PROGRAM") else {
            skip(&current_test(), "no postgres: run `cargo xtask tools`");
            return Ok(None);
        };
        // What is installed may be a link out of a folder that only its owner may enter.
        let path = fs::canonicalize(&path).with_context(|| format!("cannot find {}", path.display()))?;
        let folder = TempDir::new()?;
        give_away(folder.path())?;
        let mut initdb = command(&path.with_file_name("initdb"));
        initdb.args(["--auth=trust", "--username=selvedge", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"]);
        let made = initdb.arg(folder.path().join("data")).output().await.context("cannot start initdb")?;
        ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port()?;
        let program = run(&path, port, folder.path()).await?;
        Ok(Some(Self { program, path, port, folder }))
    }

    /// Returns the URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://selvedge@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it without waiting for those who are connected.
    ///
    /// # Errors
    ///
    /// If it has ended already.
    pub async fn stop(&mut self) -> Result<()> {
        self.program.interrupt()?;
        self.program.wait(START).await.map(drop)
    }

    /// Starts it again on its data.
    ///
    /// # Errors
    ///
    /// If it does not come up; the error shows its last lines.
    pub async fn restart(&mut self) -> Result<()> {
        self.program = run(&self.path, self.port, self.folder.path()).await?;
        Ok(())
    }
}

async fn run(path: &Path, port: u16, folder: &Path) -> Result<Program> {
    let mut postgres = command(path);
    postgres.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "unix_socket_directories=", "-c", "fsync=off"]);
    let program = Program::start({
        postgres.arg("-D").arg(folder.join("data"));
        postgres
    })?;
    program.wait_for_line(|line| line.contains("ready to accept connections"), START).await?;
    Ok(program)
}

/// The server refuses to run as root.
fn command(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.current_dir("/");
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
    command
}

fn give_away(folder: &Path) -> Result<()> {
    if let Some((user, group)) = other_user() {
        std::os::unix::fs::chown(folder, Some(user), Some(group))?;
    }
    Ok(())
}

/// Returns the ids of the user `postgres` for who is root.
fn other_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut ids = line.split(':').skip(2).map(str::parse);
    Some((ids.next()?.ok()?, ids.next()?.ok()?))
}
