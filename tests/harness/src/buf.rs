//! buf: a gRPC client and a generator of code that are not ours.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    answer::Answer,
    skip::{current_test, skip},
    tools,
};

/// An installed buf.
#[derive(Clone, Debug)]
pub struct Buf {
    path: PathBuf,
}

impl Buf {
    /// Finds it. Returns none where it is not installed: the test is then skipped, loudly.
    ///
    /// # Panics
    ///
    /// In CI, where it is not installed.
    #[must_use]
    pub fn find() -> Option<Self> {
        let Some(path) = tools::tool("buf", "SELVEDGE_TEST_BUF") else {
            skip(&current_test(), "no buf: run `cargo xtask tools`");
            return None;
        };
        Some(Self { path })
    }

    /// Returns the path of the program.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Runs it, as in `&["curl", "--protocol", "grpc", …]`, to its end, whatever that is.
    ///
    /// # Errors
    ///
    /// If it cannot be started or does not end within a minute.
    pub async fn run(&self, args: &[&str]) -> Result<Answer> {
        Answer::of(&self.path, args).await
    }
}
