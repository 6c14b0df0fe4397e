//! Runs a tool once, and tells what it said.

use std::{path::Path, process::ExitStatus, time::Duration};

use anyhow::Result;

use crate::program::Program;

/// How long one run may take.
const RUN: Duration = Duration::from_secs(60);

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

impl Answer {
    /// Runs a program to its end, whatever that is.
    ///
    /// # Errors
    ///
    /// If it cannot be started or does not end within a minute.
    pub(crate) async fn of(program: &Path, args: &[&str]) -> Result<Self> {
        let mut program = Program::spawn(program, args, &[])?;
        let status = program.wait(RUN).await?;
        Ok(Self { status, stdout: program.stdout(), stderr: program.stderr() })
    }
}
