//! The one error of the service, and the table that gives each kind its code, reason and details.

use selvedge_kit::{
    database::Failure,
    details::{Details, Resource},
    violation::Violations,
};
use tonic::{Code, Status};
use tracing::error;

use crate::owners::LookupError;

/// The type of the resource in `google.rpc.ResourceInfo`.
const PRODUCT: &str = "catalog.selvedge/Product";

const DETAILS: Details = Details { domain: "catalog.selvedge" };

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request are wrong.
    #[error("{0}")]
    Invalid(#[from] Violations),
    /// There is no such product.
    #[error("there is no product {name:?}")]
    NotFound {
        /// The name asked for.
        name: String,
    },
    /// The id is another product's.
    #[error("there is a product {name:?} already: choose another product_id, or leave it out")]
    IdTaken {
        /// The name that would be theirs.
        name: String,
    },
    /// It could not be learned whether the owner exists.
    #[error("{0}")]
    Owner(#[from] LookupError),
    /// The database gave no answer.
    #[error("{0}")]
    Database(#[from] Failure),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let about = |code, reason, name| DETAILS.resource(code, reason, Resource { kind: PRODUCT, name }, &message);
        match &error {
            Error::Invalid(violations) => DETAILS.invalid(violations),
            Error::NotFound { name } => about(Code::NotFound, "PRODUCT_NOT_FOUND", name),
            Error::IdTaken { name } => about(Code::AlreadyExists, "PRODUCT_EXISTS", name),
            Error::Owner(lookup) => lookup_status(lookup),
            Error::Database(failure) => failure.to_status(DETAILS),
        }
    }
}

fn lookup_status(lookup: &LookupError) -> Status {
    let message = lookup.to_string();
    match lookup {
        LookupError::Unavailable(_) => DETAILS.status(Code::Unavailable, "USERS_UNAVAILABLE", &message),
        LookupError::Deadline => DETAILS.status(Code::DeadlineExceeded, "DEADLINE", &message),
        LookupError::Cancelled => DETAILS.status(Code::Cancelled, "CANCELLED", &message),
        LookupError::Broken(_) => {
            error!(error = %lookup, "an owner cannot be looked up");
            DETAILS.internal()
        }
    }
}
