//! The one error of the service, and the table that gives each kind its code, reason and details.

use selvedge_kit::{
    change_log::ReadError,
    database::Failure,
    details::{Details, Resource},
    once,
    violation::Violations,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::error;

use crate::{owners::LookupError, product::PRODUCTS};

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
    /// Not all of the products exist.
    #[error("there are no products {}", listed(names))]
    Missing {
        /// The names of those that do not.
        names: Vec<String>,
    },
    /// The product was changed since the caller read it.
    #[error("the etag of {name:?} is not the current one: read the product again, and repeat the change")]
    Stale {
        /// The product.
        name: String,
    },
    /// There are fewer pieces than were asked for.
    #[error("{quantity} pieces of {name:?} were asked for, and {there} are {what}")]
    TooFew {
        /// The product.
        name: String,
        /// Which pieces: `available` or `reserved`.
        what: &'static str,
        /// How many of them there are.
        there: i64,
        /// How many were asked for.
        quantity: i64,
    },
    /// The changes that a watch would go on with are not kept any more.
    #[error("{0}")]
    Forgotten(String),
    /// The instance that tells a watch is leaving.
    #[error("the instance is leaving: go on with the resume_token")]
    Draining,
    /// The reader of a watch takes too long.
    #[error("what was told was not read in time: go on with the resume_token")]
    SlowReader,
    /// It could not be learned whether the owner exists.
    #[error("{0}")]
    Owner(#[from] LookupError),
    /// The database gave no answer.
    #[error("{0}")]
    Database(#[from] Failure),
}

/// Why a watch ended, and the token of the place where it did.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub error: Error,
    /// Leads on.
    pub resume_token: String,
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

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Forgotten { .. } => Self::Forgotten(error.to_string()),
            ReadError::Database(error) => error.into(),
        }
    }
}

impl Error {
    pub(crate) fn not_found(id: &str) -> Self {
        Self::NotFound { name: format!("{PRODUCTS}/{id}") }
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
            Error::Missing { names } => about(Code::NotFound, "PRODUCT_NOT_FOUND", &names.join(",")),
            Error::Stale { name } => about(Code::Aborted, "ETAG_STALE", name),
            Error::TooFew { name, .. } => about(Code::FailedPrecondition, "TOO_FEW_PIECES", name),
            Error::Forgotten(_) => DETAILS.status(Code::OutOfRange, "RESUME_TOKEN_EXPIRED", &message),
            Error::Draining => DETAILS.status(Code::Unavailable, "DRAINING", &message),
            Error::SlowReader => DETAILS.status(Code::ResourceExhausted, "SLOW_READER", &message),
            Error::Owner(lookup) => lookup_status(lookup),
            Error::Database(failure) => failure.to_status(DETAILS),
        }
    }
}

impl From<Ended> for Status {
    fn from(ended: Ended) -> Self {
        let Ended { error, resume_token } = ended;
        let status = Self::from(error);
        match status.code() {
            // There is nothing to go on with.
            Code::OutOfRange => status,
            code => {
                let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
                DETAILS.ended(code, &reason, status.message(), resume_token)
            }
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

/// Quotes names, one after the other.
fn listed(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}
