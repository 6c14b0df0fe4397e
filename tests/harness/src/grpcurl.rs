//! A gRPC client that is not ours.

use std::{path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    program::Program,
    skip::{current_test, skip},
    tools,
};

/// How long one run may take.
const RUN: Duration = Duration::from_secs(60);

/// An installed grpcurl.
#[derive(Clone, Debug)]
pub struct Grpcurl {
    path: PathBuf,
}

/// What one run said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How it ended: 64 and the gRPC code, if the server answered with an error.
    pub status: ExitStatus,
    /// What it printed on standard output.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
}

impl Grpcurl {
    /// Finds grpcurl. Returns none where it is not installed: the test is then skipped, loudly.
    ///
    /// # Panics
    ///
    /// In CI, where it is not installed.
    #[must_use]
    pub fn find() -> Option<Self> {
        let Some(path) = tools::tool("grpcurl", "SELVEDGE_TEST_GRPCURL") else {
            skip(&current_test(), "no grpcurl: run `cargo xtask tools`");
            return None;
        };
        Some(Self { path })
    }

    /// Returns the path of the program.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Runs it, as in `&["-plaintext", "127.0.0.1:8080", "list"]`, to its end, whatever that is.
    ///
    /// # Errors
    ///
    /// If it cannot be started or does not end within a minute.
    pub async fn run(&self, args: &[&str]) -> Result<Answer> {
        let mut program = Program::spawn(&self.path, args, &[])?;
        let status = program.wait(RUN).await?;
        Ok(Answer { status, stdout: program.stdout(), stderr: program.stderr() })
    }

    /// Runs it, and reads what it printed as JSON.
    ///
    /// # Errors
    ///
    /// If it fails, or prints something else.
    pub async fn json(&self, args: &[&str]) -> Result<Value> {
        let answer = self.run(args).await?;
        ensure!(answer.status.success(), "grpcurl {args:?} failed: {}{}", answer.stdout, answer.stderr);
        serde_json::from_str(&answer.stdout).with_context(|| format!("not JSON: {}", answer.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn grpcurl_answers() -> Result<()> {
        let Some(grpcurl) = Grpcurl::find() else { return Ok(()) };
        let answer = grpcurl.run(&["-help"]).await?;
        assert!(answer.stderr.contains("-plaintext"), "{answer:?}");
        Ok(())
    }

    #[tokio::test]
    async fn a_refused_connection_is_an_error_of_the_run() -> Result<()> {
        let Some(grpcurl) = Grpcurl::find() else { return Ok(()) };
        let nobody = format!("127.0.0.1:{}", crate::free_port()?);
        let error = grpcurl.json(&["-plaintext", "-connect-timeout", "1", &nobody, "list"]).await.unwrap_err();
        assert!(error.to_string().contains("failed"), "{error}");
        Ok(())
    }
}
