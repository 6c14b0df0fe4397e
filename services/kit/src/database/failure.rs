//! What an error of the database means to a caller.

use std::sync::Arc;

use tonic::{Code, Status};
use tracing::{error, warn};

use crate::details::Details;

/// An error of the database that is no answer to the request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The database is locked, full or out of reach: the call may work later.
    #[error("the database cannot be used now: {0}")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// The service or the database is broken.
    #[error("the database failed: {0}")]
    Broken(#[source] Arc<sqlx::Error>),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::from(Arc::new(error))
    }
}

impl From<Arc<sqlx::Error>> for Failure {
    fn from(error: Arc<sqlx::Error>) -> Self {
        if Self::is_passing(&error) { Self::Unavailable(error) } else { Self::Broken(error) }
    }
}

impl Failure {
    /// Says whether a later try may go well: the database is locked, full or out of reach.
    pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
        match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Io(_) => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing_code(&code)),
            _ => false,
        }
    }

    /// Says whether the connection itself is gone: what was asked over it may go well over another one.
    pub(crate) fn is_of_connection(error: &sqlx::Error) -> bool {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => true,
            // 57P01 to 57P03: the server stops, crashed, or starts. 57P05: it was idle for too long.
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| code.len() == 5 && (code.starts_with("08") || code.starts_with("57P")))
            }
            _ => false,
        }
    }

    /// Logs the failure, and returns the status that a caller sees: UNAVAILABLE or INTERNAL, without internals.
    #[must_use]
    pub fn to_status(&self, details: Details) -> Status {
        match self {
            Self::Unavailable(source) => {
                warn!(error = told(source), "the database cannot be used now");
                let message = "the database cannot be used now: try again later";
                details.status(Code::Unavailable, "DATABASE_UNAVAILABLE", message)
            }
            Self::Broken(source) => {
                error!(error = %source, "the database failed");
                details.internal()
            }
        }
    }
}

/// Says what happened, and which option of the program it may be about.
pub(crate) fn told(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::PoolTimedOut => {
            "no connection in time: the database does not answer, or calls have all connections \
            (--database-connections, --database-wait)"
                .into()
        }
        // https://www.postgresql.org/docs/15/errcodes-appendix.html: too_many_connections
        sqlx::Error::Database(cause) if cause.code().is_some_and(|code| code == "53300") => {
            format!("{error}: instances together take more connections than the server has (--database-connections)")
        }
        _ => error.to_string(),
    }
}

/// The engines' codes cannot be mixed up: PostgreSQL's have five characters, SQLite's at most four digits.
fn is_passing_code(code: &str) -> bool {
    if code.len() == 5 { is_passing_state(code) } else { is_passing_result(code) }
}

/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>: by class, and by code where a class is mixed.
fn is_passing_state(code: &str) -> bool {
    // No connection, resources are short, an operator intervened (also: the server starts or stops), system error.
    let classes = ["08", "53", "57", "58"];
    // Serialization failure, deadlock, lock not available, read-only (a standby).
    let codes = ["40001", "40P01", "55P03", "25006"];
    // "57014", a statement that was cancelled, took too long.
    classes.iter().any(|class| code.starts_with(class)) || codes.contains(&code)
}

/// <https://sqlite.org/rescode.html>: the low byte of an extended code is the primary one.
fn is_passing_result(code: &str) -> bool {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const READONLY: i32 = 8;
    const IOERR: i32 = 10;
    const FULL: i32 = 13;
    const CANTOPEN: i32 = 14;
    const PROTOCOL: i32 = 15;
    let primary = code.parse::<i32>().map_or(0, |code| code & 0xff);
    [BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL].contains(&primary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_in_vain_for_a_connection_hears_of_the_options() {
        let told = told(&sqlx::Error::PoolTimedOut);
        assert!(told.contains("--database-connections") && told.contains("--database-wait"), "{told}");
    }

    #[test]
    fn what_passes_is_told_from_what_is_broken() {
        for code in ["5", "261", "773", "13", "08006", "53300", "57P01", "57P03", "40001", "40P01", "55P03"] {
            assert!(is_passing_code(code), "{code}");
        }
        for code in ["1", "19", "2067", "1555", "", "23505", "42601", "42P01", "28P01", "3D000"] {
            assert!(!is_passing_code(code), "{code}");
        }
    }
}
