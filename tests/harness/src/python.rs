//! A Python with gRPC, for services and clients that are not Rust.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};

use crate::{
    program::Program,
    skip::{current_test, skip},
    tools,
};

/// How long one run to the end may take.
const RUN: Duration = Duration::from_secs(120);

/// An installed Python with `grpcio`, `grpcio-tools` and `grpcio-reflection`.
#[derive(Clone, Debug)]
pub struct Python {
    path: PathBuf,
}

impl Python {
    /// Finds it. Returns none where it is not installed: the test is then skipped, loudly.
    ///
    /// # Panics
    ///
    /// In CI, where it is not installed.
    #[must_use]
    pub fn find() -> Option<Self> {
        let Some(path) = tools::with_packages("python", "SELVEDGE_TEST_PYTHON") else {
            skip(&current_test(), "no python with grpcio: run `cargo xtask tools`");
            return None;
        };
        Some(Self { path })
    }

    /// Returns the path of the interpreter.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Starts a script or module, as in `&["server.py", "--port", "0"]`; its output is not buffered.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn(&self, args: &[&str]) -> Result<Program> {
        Program::spawn(&self.path, args, &[("PYTHONUNBUFFERED", "1"), ("PYTHONDONTWRITEBYTECODE", "1")])
    }

    /// Runs one to its end, and returns what it printed on standard output.
    ///
    /// # Errors
    ///
    /// If it fails or does not end within two minutes.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        let mut program = self.spawn(args)?;
        let status = program.wait(RUN).await?;
        ensure!(status.success(), "python {args:?} failed: {}{}", program.stdout(), program.stderr());
        Ok(program.stdout())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn python_knows_grpc() -> Result<()> {
        let Some(python) = Python::find() else { return Ok(()) };
        let printed = python.run(&["-c", "import grpc, grpc_tools, grpc_reflection; print('has grpc')"]).await?;
        assert_eq!(printed, "has grpc\n");
        Ok(())
    }
}
