//! One request to Consul and what came of it: plain data.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::error::Error;

/// How long a request that does not block may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A request to one of the paths below `/v1`.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Segments below `/v1`, not yet encoded.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) timeout: Duration,
    /// A filter that nothing passes: what it leaves of an answer is the index.
    pub(crate) nothing: Option<&'static str>,
    /// What is not there (404) is answered with null: that is an answer with an index, too.
    pub(crate) or_null: bool,
}

/// A successful answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// `X-Consul-Index`, if there is one that is a number.
    pub(crate) index: Option<u64>,
    /// The token's rights left something out of the answer.
    pub(crate) filtered: bool,
    pub(crate) body: Bytes,
}

/// Why a request brought no answer.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) error: Error,
}

/// What is to be made of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The connection ended after the request was sent, before the answer did.
    Cut,
    /// No connection, no answer in time, or one that cannot be read.
    Unreachable,
    /// Another agent is asked from now on.
    Left,
    /// The agent does not know the token (any more), or there is none to be had.
    UnknownToken,
    /// A status other than 200.
    Status(StatusCode),
}

impl Request {
    pub(crate) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn put(path: &[&str]) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(crate) fn post(path: &[&str]) -> Self {
        Self::new(Method::POST, path)
    }

    fn new(method: Method, path: &[&str]) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        Self { method, path, query: Vec::new(), body: None, timeout: TIMEOUT, nothing: None, or_null: false }
    }

    /// Adds a parameter to the query.
    pub(crate) fn with(mut self, key: &'static str, value: &str) -> Self {
        self.query.push((key, value.to_owned()));
        self
    }

    /// Returns the request for the mere index of what this one asks for, if there is one.
    pub(crate) fn for_index(&self) -> Option<Self> {
        Some(self.clone().with("filter", self.nothing?))
    }

    /// Makes the request wait until something newer than `index` is known; at index 0 nothing is waited for.
    pub(crate) fn blocking(mut self, index: u64, wait: Duration) -> Self {
        if index > 0 {
            // The agent adds up to a sixteenth to the wait, so that not all come back at once.
            self.timeout = wait + wait / 16 + Duration::from_secs(10);
            self.query.push(("index", index.to_string()));
            self.query.push(("wait", format!("{}ms", wait.as_millis())));
        }
        self
    }
}

impl Failure {
    /// Whether the agent is well and said no, so that asking again is of no use until somebody changes something.
    pub(crate) fn is_refusal(&self) -> bool {
        match self.cause {
            Cause::Status(status) => status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS,
            Cause::UnknownToken => true,
            Cause::Cut | Cause::Unreachable | Cause::Left => false,
        }
    }
}

impl Cause {
    /// Whether there was an answer, with one of these statuses.
    pub(crate) fn is_status(self, any: &[StatusCode]) -> bool {
        matches!(self, Self::Status(status) if any.contains(&status))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}
