//! The labels of one method, with the instruments that are bound to them: what each call records looks nothing up.

use std::sync::OnceLock;

use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, BoundHistogram},
};
use tonic::Code;

/// Who an attempt was for: the method without a leading `/`, and the service asked for.
#[derive(Debug)]
pub(crate) struct AttemptLabels {
    pub(crate) method: KeyValue,
    pub(crate) target: KeyValue,
    /// None of labels that are made for one call.
    pub(crate) bound: Option<Box<Bound>>,
}

/// Which method was served, as `package.Service/Method`.
#[derive(Debug)]
pub(crate) struct ServerLabels {
    pub(crate) method: KeyValue,
    pub(crate) bound: Bound,
}

/// Instruments that are bound when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) started: OnceLock<BoundCounter<u64>>,
    pub(crate) ended: ByCode<Ended>,
    /// A client's call over all its attempts.
    pub(crate) call: ByCode<BoundHistogram<f64>>,
}

/// One for each code of gRPC.
pub(crate) type ByCode<T> = [OnceLock<T>; 17];

/// What is recorded when an attempt, or a served call, ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) duration: BoundHistogram<f64>,
    pub(crate) sent: BoundHistogram<u64>,
    pub(crate) received: BoundHistogram<u64>,
}

impl AttemptLabels {
    /// Makes the labels of one call. `method` must come from a bounded set (a descriptor or the routes), else `"other"`.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method_label(method.trim_start_matches('/')),
            target: KeyValue::new("grpc.target", target.to_owned()),
            bound: None,
        }
    }

    /// Makes labels that many calls share.
    pub(crate) fn lasting(method: &str, target: &str) -> Self {
        Self { bound: Some(Box::default()), ..Self::new(method, target) }
    }

    pub(crate) fn bare(&self) -> [KeyValue; 2] {
        [self.method.clone(), self.target.clone()]
    }

    pub(crate) fn with(&self, code: Code) -> [KeyValue; 3] {
        [self.method.clone(), self.target.clone(), status(code)]
    }
}

impl PartialEq for AttemptLabels {
    fn eq(&self, other: &Self) -> bool {
        (&self.method, &self.target) == (&other.method, &other.target)
    }
}

impl ServerLabels {
    pub(crate) fn new(method: &str) -> Self {
        Self { method: method_label(method), bound: Bound::default() }
    }

    pub(crate) fn with(&self, code: Code) -> [KeyValue; 2] {
        [self.method.clone(), status(code)]
    }
}

fn method_label(method: &str) -> KeyValue {
    KeyValue::new("grpc.method", method.to_owned())
}

fn status(code: Code) -> KeyValue {
    KeyValue::new("grpc.status", code_name(code))
}

/// Returns the name of a code as gRPC writes it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
