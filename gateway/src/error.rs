//! Why a gateway could not start, and why a request was refused.

use std::{io, net::SocketAddr};

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::memory::Full;

/// Why a gateway could not start or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken, or is not one of this machine.
    #[error("cannot listen on {address}: {reason}; free it, or choose another with --listen")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        reason: io::Error,
    },
    /// An origin is no `scheme://host[:port]`.
    #[error("the CORS origin {0:?} is not of the form https://host or https://host:port")]
    Origin(String),
    /// The mesh could not be made.
    #[error(transparent)]
    Mesh(#[from] selvedge::Error),
}

/// Why a request was refused before it reached a service.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What a gRPC client sees; its code gives the HTTP status, unless `http` does.
    pub(crate) status: Status,
    /// The HTTP status where HTTP has a better word than the table of codes.
    pub(crate) http: Option<StatusCode>,
    /// The methods for `Allow`.
    pub(crate) allow: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { status: Status::new(code, message), http: None, allow: None }
    }

    /// Refuses one field of the request; `path` is in the names of the proto, such as `user.display_name`.
    pub(crate) fn field(path: &str, why: &str) -> Self {
        let message = if path.is_empty() { why.to_owned() } else { format!("{path}: {why}") };
        let details = ErrorDetails::with_bad_request_violation(path, why);
        Self::from(Status::with_error_details(Code::InvalidArgument, message, details))
    }

    /// Answers with this HTTP status in place of the one that the code maps to.
    pub(crate) fn with_http(mut self, status: StatusCode) -> Self {
        self.http = Some(status);
        self
    }

    /// Refuses a method of HTTP that the path does not have.
    pub(crate) fn wrong_verb(verb: &str, path: &str, allow: String) -> Self {
        let message = format!("{path} has no {verb}: use {allow}");
        let mut failure = Self::new(Code::Unimplemented, message).with_http(StatusCode::METHOD_NOT_ALLOWED);
        failure.allow = Some(allow);
        failure
    }

    /// Refuses a body that is larger than the limit.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("the request body is larger than {limit} bytes");
        Self::new(Code::ResourceExhausted, message).with_http(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// Says which line of a stream is wrong.
    pub(crate) fn of_line(self, number: u64) -> Self {
        let message = format!("line {number}: {}", self.status.message());
        let details = self.status.details().to_vec().into();
        Self { status: Status::with_details(self.status.code(), message, details), ..self }
    }

    /// Adds the field that the body was to go into, if nothing says yet which one is wrong.
    pub(crate) fn of_field(self, path: &str) -> Self {
        if path.is_empty() || !self.status.details().is_empty() {
            return self;
        }
        let (code, message) = (self.status.code(), self.status.message().to_owned());
        let details = ErrorDetails::with_bad_request_violation(path, &message);
        Self { status: Status::with_error_details(code, message, details), ..self }
    }
}

impl From<Full> for Failure {
    fn from(full: Full) -> Self {
        Self::new(Code::ResourceExhausted, full.to_string()).with_http(StatusCode::SERVICE_UNAVAILABLE)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self { status, http: None, allow: None }
    }
}
