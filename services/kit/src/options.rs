//! What the library entry of every service takes, and why it may end.

use selvedge::{Config, Telemetry};

use crate::{cache, database};

/// What the library entry of a service takes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen, what to call oneself, and where Consul is.
    pub mesh: Config,
    /// The database: `sqlite://PATH` ([`database::url`] makes one of a path), `sqlite::memory:` or `postgres://…`.
    pub database: String,
    /// How much of the database the instance takes.
    pub limits: database::Limits,
    /// Where copies of what is read by name are kept: nowhere by default. Instances of one process that share a database
    /// are given clones.
    pub cache: cache::Options,
    /// Instruments shared with the rest of the process; without them the service makes its own.
    pub telemetry: Option<Telemetry>,
}

/// Why a service could not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The database could not be opened.
    #[error(transparent)]
    Database(#[from] database::OpenError),
    /// The cache cannot be used as it is asked for.
    #[error("the cache cannot be used: {0}")]
    Cache(String),
    /// The mesh could not be joined, or the listener failed.
    #[error(transparent)]
    Mesh(#[from] selvedge::Error),
}
