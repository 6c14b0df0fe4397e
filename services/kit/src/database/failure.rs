//! What an error of the database means to a caller.

use tonic::{Code, Status};
use tracing::{error, warn};

use crate::details::Details;

/// An error of the database that is no answer to the request.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database is locked, full or out of reach: the call may work later.
    #[error("the database cannot be used now: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The service or the database is broken.
    #[error("the database failed: {0}")]
    Broken(#[source] sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) { Self::Unavailable(error) } else { Self::Broken(error) }
    }
}

impl Failure {
    /// Logs the failure, and returns the status that a caller sees: UNAVAILABLE or INTERNAL, without internals.
    #[must_use]
    pub fn to_status(&self, details: Details) -> Status {
        match self {
            Self::Unavailable(source) => {
                warn!(error = %source, "the database cannot be used now");
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

fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing_code(&code)),
        _ => false,
    }
}

/// <https://sqlite.org/rescode.html>: the low byte of an extended code is the primary one.
fn is_passing_code(code: &str) -> bool {
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
