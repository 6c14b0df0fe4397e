//! Opens SQLite.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::database::{
    error::OpenError,
    location::{Limits, Location},
    lock::FileLock,
    schema::Schema,
};

/// Rows that a connection's thread reads ahead: all of a page, so that it never waits for who takes them.
const ROWS: usize = 1_024;

/// Opens a file, or memory, and brings its schema up to date.
pub(crate) async fn open(location: Location, schema: Schema, limits: Limits) -> Result<SqlitePool, OpenError> {
    // Held until the schema is up to date: sqlx's own lock does nothing on SQLite, and turning on the write-ahead
    // log fails at once if another does it too, without regard to the busy timeout.
    let file = match &location {
        Location::File(path) => Some(path.clone()),
        Location::Memory | Location::Postgres(_) => None,
    };
    let _lock = match file {
        Some(path) => Some(prepare(path).await?),
        None => None,
    };
    let (url, options) = (location.to_string(), connect_options(&location, limits));
    let opened = pool_options(&location, limits).connect_with(options).await;
    let pool = opened.map_err(|source| OpenError::Connect { url: url.clone(), source })?;
    let connection = pool.acquire().await;
    let mut connection = connection.map_err(|source| OpenError::Connect { url: url.clone(), source })?;
    let migrated = schema.migrator(|migration| migration.sqlite).run_direct(None, &mut *connection, false).await;
    migrated.map_err(|source| OpenError::Migrate { url, source })?;
    drop(connection);
    Ok(pool)
}

async fn prepare(path: PathBuf) -> Result<FileLock, OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|source| OpenError::Folder { folder: folder.into(), source })?;
    FileLock::take(&path).await
}

fn connect_options(location: &Location, limits: Limits) -> SqliteConnectOptions {
    let options = match location {
        Location::File(path) => SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answered write stays written, also when the machine loses power.
            .synchronous(SqliteSynchronous::Full),
        Location::Memory | Location::Postgres(_) => SqliteConnectOptions::new().in_memory(true).filename(":memory:"),
    };
    // Below zero it is in KiB, and not in pages: https://sqlite.org/pragma.html#pragma_cache_size
    let memory = format!("-{}", limits.sqlite_memory / 1_024);
    options.busy_timeout(limits.wait).foreign_keys(true).pragma("cache_size", memory).row_buffer_size(ROWS)
}

fn pool_options(location: &Location, limits: Limits) -> SqlitePoolOptions {
    let options = SqlitePoolOptions::new().min_connections(1).acquire_timeout(limits.wait);
    match location {
        Location::File(_) => options.max_connections(limits.connections),
        // Each connection to memory has a database of its own, which ends with it.
        Location::Memory | Location::Postgres(_) => options.max_connections(1).idle_timeout(None).max_lifetime(None),
    }
}
