//! The database of a service: SQLite in a file, or in memory.

mod error;
mod failure;
mod lock;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sqlx::{
    SqlSafeStr as _, SqlitePool,
    migrate::{MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::lock::FileLock;
pub use self::{error::OpenError, failure::Failure};

/// Begins a transaction that writes. A deferred one could find on its first write that another wrote meanwhile, and
/// then no waiting helps it.
pub const BEGIN_WRITE: &str = "begin immediate";

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a file, which is made with its folder if it is not there.
    File(PathBuf),
    /// In memory, gone with the pool.
    Memory,
}

/// One step of a schema. Steps are only ever added: what was applied once must stay as it is.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place in the order.
    pub version: i64,
    /// What it does.
    pub description: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// How much of the database one service instance takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; each has a thread. Default 4.
    pub connections: u32,
    /// How long a call waits for a connection, and for another writer to end. Default 5 s.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4, wait: Duration::from_secs(5) }
    }
}

impl Location {
    /// Reads a URL: `sqlite://PATH` (also `sqlite:PATH`; `%`, `?` and `#` in the path are percent-encoded) or
    /// `sqlite::memory:`.
    ///
    /// # Errors
    ///
    /// [`OpenError::Url`] for anything else.
    pub fn parse(url: &str) -> Result<Self, OpenError> {
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

/// Returns the URL of a database in a file.
#[must_use]
pub fn url(path: &Path) -> String {
    const SPECIAL: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');
    format!("sqlite://{}", utf8_percent_encode(&path.to_string_lossy(), SPECIAL))
}

/// Opens a database and brings its schema up to date. Several instances and processes may do so at once.
///
/// # Errors
///
/// [`OpenError`], naming the database and what to do.
pub async fn open(url: &str, migrations: &[Migration]) -> Result<SqlitePool, OpenError> {
    open_within(url, migrations, Limits::default()).await
}

/// Opens a database as [`open`] does, with other limits.
///
/// # Errors
///
/// Those of [`open`].
pub async fn open_within(url: &str, migrations: &[Migration], limits: Limits) -> Result<SqlitePool, OpenError> {
    let location = Location::parse(url)?;
    // Held until the schema is up to date: sqlx's own lock does nothing on SQLite, and turning on the write-ahead
    // log fails at once if another does it too, without regard to the busy timeout.
    let _lock = match &location {
        Location::File(path) => Some(prepare(path).await?),
        Location::Memory => None,
    };
    let connect = |source| OpenError::Connect { url: url.into(), source };
    let pool =
        pool_options(&location, limits).connect_with(connect_options(&location, limits)).await.map_err(connect)?;
    let migrate = |source| OpenError::Migrate { url: url.into(), source };
    migrator(migrations).run(&pool).await.map_err(migrate)?;
    Ok(pool)
}

async fn prepare(path: &Path) -> Result<FileLock, OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|source| OpenError::Folder { folder: folder.into(), source })?;
    FileLock::take(path).await
}

fn connect_options(location: &Location, limits: Limits) -> SqliteConnectOptions {
    let options = match location {
        Location::File(path) => SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answered write stays written, also when the machine loses power.
            .synchronous(SqliteSynchronous::Full),
        Location::Memory => SqliteConnectOptions::new().in_memory(true).filename(":memory:"),
    };
    options.busy_timeout(limits.wait).foreign_keys(true)
}

fn pool_options(location: &Location, limits: Limits) -> SqlitePoolOptions {
    let options = SqlitePoolOptions::new().min_connections(1).acquire_timeout(limits.wait);
    match location {
        Location::File(_) => options.max_connections(limits.connections),
        // Each connection to memory has a database of its own, which ends with it.
        Location::Memory => options.max_connections(1).idle_timeout(None).max_lifetime(None),
    }
}

fn migrator(migrations: &[Migration]) -> Migrator {
    let step = |&Migration { version, description, sql }: &Migration| {
        sqlx::migrate::Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(migrations.iter().map(step).collect())
}

#[cfg(test)]
mod tests;
