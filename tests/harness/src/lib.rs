//! Starts real programs for tests, and waits for what they do.
//!
//! ```no_run
//! use selvedge_harness::{Consul, LIMIT, Program};
//! # async fn test() -> anyhow::Result<()> {
//! let Some(consul) = Consul::start().await? else { return Ok(()) }; // skipped loudly where Consul is missing
//! let users = Program::spawn("selvedge-users", &["--registry", &consul.url()], &[])?;
//! users.wait_for_line(|line| line.contains("serving"), LIMIT).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything started here ends when its handle is dropped.

mod consul;
mod embedded;
mod grpcurl;
mod postgres;
mod program;
mod python;

mod tools;

mod eventually;
mod output;
mod ports;
mod skip;

pub use crate::{
    consul::Consul,
    embedded::Embedded,
    eventually::{LIMIT, eventually},
    grpcurl::{Answer, Grpcurl},
    output::{Line, Stream},
    ports::{free_port, free_ports},
    postgres::Postgres,
    program::Program,
    python::Python,
    skip::{current_test, skip},
    tools::{binary, repository},
};
