//! Why a database could not be opened.

use std::{path::PathBuf, time::Duration};

use sqlx::migrate::MigrateError;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL is none that can be used.
    #[error(
        "{url:?} is no database that can be used: expected sqlite://PATH, sqlite::memory: or \
        postgres://USER:PASSWORD@HOST/DATABASE"
    )]
    Url {
        /// What was given.
        url: String,
    },
    /// The folder or the lock file could not be made.
    #[error("the database's folder {} cannot be used: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process held the lock for too long.
    #[error("another process has been preparing the database {} for {} s: end it, or use another file",
        path.display(), waited.as_secs())]
    Locked {
        /// The database.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// SQLite refused the file, or PostgreSQL the connection.
    #[error("the database {url} cannot be opened: {source}")]
    Connect {
        /// The database.
        url: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("the schema of the database {url} cannot be brought up to date: {source}")]
    Migrate {
        /// The database.
        url: String,
        /// Why.
        source: MigrateError,
    },
}
