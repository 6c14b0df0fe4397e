//! How an attempt ended that brought no answer of a gRPC server; plain data.

use tonic::{Code, Status};

use crate::{
    client::call::EndpointId,
    error::{Error, ErrorKind},
};

/// What is known of an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There was nowhere to send it, and waiting did not help.
    NoEndpoint,
    /// No byte of it was given to a connection.
    NeverSent,
    /// A server said that it did not look at it (REFUSED_STREAM, or a stream above the last one of a GOAWAY).
    Refused,
    /// It was sent, and the connection or the stream ended before response headers came.
    Lost,
    /// The deadline passed.
    TimedOut,
    /// The peer answered, but not with what gRPC asks for.
    Answered,
    /// The caller's own body failed, or was too large.
    Caller,
}

/// A failed attempt: how it ended, at which endpoint, and what the caller sees if it is not repeated.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) outcome: Outcome,
    pub(crate) endpoint: Option<EndpointId>,
    pub(crate) status: Status,
}

impl Failure {
    pub(crate) fn new(outcome: Outcome, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::with_status(outcome, Error::new(kind, message).to_status())
    }

    pub(crate) fn with_status(outcome: Outcome, status: Status) -> Self {
        Self { outcome, endpoint: None, status }
    }

    /// Says which endpoint it was.
    pub(crate) fn at(self, endpoint: EndpointId) -> Self {
        Self { endpoint: Some(endpoint), ..self }
    }
}

impl Outcome {
    /// Returns the word that traces have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoEndpoint => "no endpoint",
            Self::NeverSent => "never sent",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::TimedOut => "timed out",
            Self::Answered => "not grpc",
            Self::Caller => "caller",
        }
    }

    /// Whether it says something bad about the endpoint.
    pub(crate) fn blames_endpoint(self) -> bool {
        match self {
            Self::NeverSent | Self::Refused | Self::Lost | Self::TimedOut | Self::Answered => true,
            Self::NoEndpoint | Self::Caller => false,
        }
    }

    /// Whether it says something bad about the process behind the endpoint: one that refuses or leaves in good order
    /// does not.
    pub(crate) fn blames_process(self) -> bool {
        match self {
            Self::Lost | Self::TimedOut | Self::Answered => true,
            Self::NoEndpoint | Self::NeverSent | Self::Refused | Self::Caller => false,
        }
    }
}

/// Whether a code says something bad about the endpoint that answered with it, rather than about the call.
pub(crate) fn blames(code: Code) -> bool {
    match code {
        Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::Ok
        | Code::Cancelled
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => false,
    }
}
