//! The one error of the service, and the table that gives each kind its code, reason and details.

use selvedge_kit::{
    database::Failure,
    details::{Details, Resource},
    once,
    violation::Violations,
};
use tonic::{Code, Status};

/// The type of the resource in `google.rpc.ResourceInfo`.
const USER: &str = "users.selvedge/User";

const DETAILS: Details = Details { domain: "users.selvedge" };

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request are wrong.
    #[error("{0}")]
    Invalid(#[from] Violations),
    /// There is no such user.
    #[error("there is no user {name:?}")]
    NotFound {
        /// The name asked for.
        name: String,
    },
    /// The id is another user's.
    #[error("there is a user {name:?} already: choose another user_id, or leave it out")]
    IdTaken {
        /// The name that would be theirs.
        name: String,
    },
    /// The e-mail address is another user's.
    #[error("there is a user with the e-mail address {email:?} already")]
    EmailTaken {
        /// The address, as it was given.
        email: String,
    },
    /// The user was changed since the caller read it.
    #[error("the etag of {name:?} is not the current one: read the user again, and repeat the change")]
    Stale {
        /// The user.
        name: String,
    },
    /// The database gave no answer.
    #[error("{0}")]
    Database(#[from] Failure),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<once::Error> for Error {
    fn from(error: once::Error) -> Self {
        match error {
            once::Error::Reused(violations) => Self::Invalid(violations),
            once::Error::Database(error) => error.into(),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let about = |code, reason, name| DETAILS.resource(code, reason, Resource { kind: USER, name }, &message);
        match &error {
            Error::Invalid(violations) => DETAILS.invalid(violations),
            Error::NotFound { name } => about(Code::NotFound, "USER_NOT_FOUND", name),
            Error::IdTaken { name } => about(Code::AlreadyExists, "USER_EXISTS", name),
            // The address is all that the caller may know of the other user.
            Error::EmailTaken { email } => about(Code::AlreadyExists, "EMAIL_TAKEN", email),
            Error::Stale { name } => about(Code::Aborted, "ETAG_STALE", name),
            Error::Database(failure) => failure.to_status(DETAILS),
        }
    }
}
