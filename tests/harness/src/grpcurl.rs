//! A gRPC client that is not ours.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    answer::Answer,
    skip::{current_test, skip},
    tools,
};

/// An installed grpcurl.
#[derive(Clone, Debug)]
pub struct Grpcurl {
    path: PathBuf,
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
        Answer::of(&self.path, args).await
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
