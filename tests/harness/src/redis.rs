//! A real Redis, for what must hold with one.

use std::{
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    eventually::eventually,
    ports::free_port,
    program::Program,
    skip::{current_test, skip},
    tools,
};

/// How long a start may take.
const START: Duration = Duration::from_secs(60);

/// A Redis on a free port of 127.0.0.1 that keeps nothing on disk. Ended when dropped.
#[derive(Debug)]
pub struct Redis {
    program: Program,
    path: PathBuf,
    port: u16,
    password: Option<String>,
    /// Where it would write; removed at the end.
    folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it takes connections.
    ///
    /// Returns none where no Redis is installed: the test is then skipped, loudly.
    ///
    /// # Errors
    ///
    /// If it does not come up; the error shows its last lines.
    ///
    /// # Panics
    ///
    /// In CI, where no Redis is installed.
    pub async fn start() -> Result<Option<Self>> {
        Self::start_with(None).await
    }

    /// Starts one that serves those only who know the password.
    ///
    /// # Errors
    ///
    /// As [`Redis::start`].
    ///
    /// # Panics
    ///
    /// As [`Redis::start`].
    pub async fn start_closed(password: &str) -> Result<Option<Self>> {
        Self::start_with(Some(password)).await
    }

    async fn start_with(password: Option<&str>) -> Result<Option<Self>> {
        let Some(path) = tools::tool("redis-server", "SELVEDGE_TEST_REDIS_SERVER") else {
            skip(&current_test(), "no redis-server: run `cargo xtask tools`");
            return Ok(None);
        };
        let folder = TempDir::with_prefix("selvedge-redis-").context("cannot make a folder for redis")?;
        let port = free_port()?;
        let password = password.map(str::to_owned);
        let program = run(&path, port, password.as_deref(), &folder).await?;
        Ok(Some(Self { program, path, port, password, folder }))
    }

    /// Returns its URL, as in `redis://127.0.0.1:16379`, with the password if it has one.
    #[must_use]
    pub fn url(&self) -> String {
        let user = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{user}127.0.0.1:{}", self.port)
    }

    /// Returns it as a program, to freeze it or let it go on.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Ends it at once (SIGKILL), with all that it held.
    ///
    /// # Errors
    ///
    /// If it cannot be signalled.
    pub async fn kill(&mut self) -> Result<()> {
        self.program.kill().await
    }

    /// Starts it again at the same address after [`Redis::kill`], empty.
    ///
    /// # Errors
    ///
    /// If it does not come up; the error shows its last lines.
    pub async fn start_again(&mut self) -> Result<()> {
        self.program = run(&self.path, self.port, self.password.as_deref(), &self.folder).await?;
        Ok(())
    }
}

async fn run(path: &PathBuf, port: u16, password: Option<&str>, folder: &TempDir) -> Result<Program> {
    let (port_text, folder) = (port.to_string(), folder.path().to_string_lossy());
    let mut args = vec!["--port", &port_text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    args.extend(["--dir", &folder, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    if let Some(password) = password {
        args.extend(["--requirepass", password]);
    }
    let program = Program::spawn(path, &args, &[])?;
    let look = eventually(START, async || Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(drop)?));
    tokio::select! {
        found = look => found.with_context(|| format!("redis did not come up: {}", program.stdout()))?,
        failed = program.wait_for_line(|_| false, START * 2) => failed.map(drop).context("redis ended")?,
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// Sends lines of the inline protocol, and returns the first that it answers.
    fn asked(redis: &Redis, lines: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port)).unwrap();
        stream.write_all(lines.as_bytes()).unwrap();
        let mut answer = [0; 64];
        let size = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..size]).lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn redis_starts_ends_and_starts_again_empty() -> Result<()> {
        let Some(mut redis) = Redis::start().await? else { return Ok(()) };
        assert_eq!(asked(&redis, "SET a 1\r\n"), "+OK");
        redis.kill().await?;
        redis.start_again().await?;
        assert_eq!(asked(&redis, "GET a\r\n"), "$-1");
        Ok(())
    }

    #[tokio::test]
    async fn a_closed_redis_wants_its_password() -> Result<()> {
        let Some(redis) = Redis::start_closed("secret").await? else { return Ok(()) };
        assert!(asked(&redis, "GET a\r\n").starts_with("-NOAUTH"));
        assert_eq!(asked(&redis, "AUTH secret\r\n"), "+OK");
        assert!(redis.url().starts_with("redis://:secret@127.0.0.1:"));
        Ok(())
    }
}
