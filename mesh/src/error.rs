//! The one error of the mesh, and the table that gives each kind its gRPC code.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Why something in the mesh failed. Its text names what was asked, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What kind of failure an [`Error`] is; each has one gRPC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong; the process should not start.
    Config,
    /// An address could not be listened on.
    Listen,
    /// The registry could not be reached, or refused.
    Registry,
    /// No instance of the service is known, or none could be reached.
    NoEndpoint,
    /// A connection could not be made, or was lost before the answer.
    Connection,
    /// The deadline of the call passed.
    Deadline,
    /// The caller went away.
    Cancelled,
    /// Too many calls of a service are under way.
    Limit,
    /// A message is larger than a limit.
    TooLarge,
    /// The peer broke the protocol, or answered with something that is not gRPC.
    Protocol,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn config(key: &str, reason: &str) -> Self {
        Self::new(ErrorKind::Config, format!("{key}: {reason}"))
    }

    /// Returns the kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the status that a caller sees, with a `google.rpc.ErrorInfo` of the domain `selvedge`.
    #[must_use]
    pub fn to_status(&self) -> Status {
        let (code, reason) = self.kind.code();
        let details = ErrorDetails::with_error_info(reason, "selvedge", HashMap::new());
        Status::with_error_details(code, self.message.clone(), details)
    }
}

impl ErrorKind {
    /// The table: code, and the reason of the `ErrorInfo`.
    fn code(self) -> (Code, &'static str) {
        match self {
            Self::Config | Self::Listen => (Code::FailedPrecondition, "CONFIG"),
            Self::Registry => (Code::Unavailable, "REGISTRY"),
            Self::NoEndpoint => (Code::Unavailable, "NO_ENDPOINT"),
            Self::Connection => (Code::Unavailable, "CONNECTION"),
            Self::Deadline => (Code::DeadlineExceeded, "DEADLINE"),
            Self::Cancelled => (Code::Cancelled, "CANCELLED"),
            Self::Limit => (Code::Unavailable, "LIMIT"),
            Self::TooLarge => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            Self::Protocol => (Code::Internal, "PROTOCOL"),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.to_status()
    }
}
