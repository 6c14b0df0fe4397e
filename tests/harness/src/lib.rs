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

mod answer;
mod buf;
mod chromium;
mod collector;
mod consul;
mod consul_cluster;
mod embedded;
mod grpcurl;
mod node;
mod postgres;
mod program;
mod python;
mod redis;
mod slow;

mod tools;

mod eventually;
mod output;
mod ports;
mod skip;

pub use crate::{
    answer::Answer,
    buf::Buf,
    chromium::Chromium,
    collector::Collector,
    consul::{Consul, Release},
    consul_cluster::ConsulCluster,
    embedded::Embedded,
    eventually::{LIMIT, eventually},
    grpcurl::Grpcurl,
    node::Node,
    output::{Line, Stream},
    ports::{free_port, free_ports},
    postgres::Postgres,
    program::Program,
    python::Python,
    redis::Redis,
    skip::{current_test, skip},
    slow::Slow,
    tools::{binary, repository},
};
