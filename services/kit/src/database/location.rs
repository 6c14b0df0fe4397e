//! Where a database is, and how much of it an instance takes.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sqlx::postgres::PgConnectOptions;

use crate::database::error::OpenError;

/// Where a database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// In a file, which is made with its folder if it is not there.
    File(PathBuf),
    /// In memory, gone with the pool.
    Memory,
    /// On a server.
    Postgres(Box<PgConnectOptions>),
}

/// How much of the database one service instance takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once for calls; each of SQLite's has a thread. Default 4: what an engine does at once on as many
    /// cores. More than that wait here, in the order in which they came.
    pub connections: u32,
    /// How long a call waits for a connection, and for another writer to end. Default 4 s: three tries of a caller fit
    /// into the default deadline of a call, so that it hears UNAVAILABLE and not that its time is over.
    pub wait: Duration,
    /// Bytes of a SQLite file that each connection keeps in memory. Default 16 MiB, so that what leads to a row is among
    /// it when there are millions. A server has its own.
    pub sqlite_memory: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4, wait: Duration::from_secs(4), sqlite_memory: 16 << 20 }
    }
}

impl Limits {
    /// Returns what suits one who writes very many rows at once: of SQLite, a quarter of a gigabyte in memory, since each
    /// row goes into every index at another place.
    #[must_use]
    pub fn of_bulk() -> Self {
        Self { connections: 1, sqlite_memory: 256 << 20, ..Self::default() }
    }
}

impl Location {
    /// Reads a URL: `sqlite://PATH` (also `sqlite:PATH`; `%`, `?` and `#` in the path are percent-encoded),
    /// `sqlite::memory:`, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    ///
    /// # Errors
    ///
    /// [`OpenError::Url`] for anything else.
    pub fn parse(url: &str) -> Result<Self, OpenError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            // The URL may hold a password: it is in no error.
            let options = url.parse().map_err(|_| OpenError::Url { url: without_password(url) })?;
            return Ok(Self::Postgres(Box::new(options)));
        }
        let refusal = || OpenError::Url { url: url.into() };
        let rest = url.strip_prefix("sqlite:").ok_or_else(refusal)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        if rest == ":memory:" {
            return Ok(Self::Memory);
        }
        let path = percent_decode_str(rest).decode_utf8().map_err(|_| refusal())?;
        if rest.contains(['?', '#']) || path.is_empty() || path.ends_with('/') || path.contains('\0') {
            return Err(refusal());
        }
        Ok(Self::File(PathBuf::from(path.as_ref())))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(&url(path)),
            Self::Memory => f.write_str("sqlite::memory:"),
            Self::Postgres(options) => {
                let name = options.get_database().unwrap_or_default();
                write!(f, "postgres://{}:{}/{name}", options.get_host(), options.get_port())
            }
        }
    }
}

/// Returns the URL of a database in a file.
#[must_use]
pub fn url(path: &Path) -> String {
    const SPECIAL: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');
    format!("sqlite://{}", utf8_percent_encode(&path.to_string_lossy(), SPECIAL))
}

/// Leaves out all before the host.
fn without_password(url: &str) -> String {
    let host = url.rsplit(['@', '/']).next().unwrap_or_default();
    format!("postgres://…{host}")
}
