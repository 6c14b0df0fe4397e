//! The stops of a call below its channel, in the order in which a call passes them.

pub(crate) mod call;
pub(crate) mod outcome;

pub(crate) mod key;

pub(crate) mod field;
pub(crate) mod hash;
pub(crate) mod route;

pub(crate) mod metrics;
pub(crate) mod trace;

pub(crate) mod deadline;
pub(crate) mod quiet;

pub(crate) mod fault;
pub(crate) mod mirror;

pub(crate) mod hedge;
pub(crate) mod latency;

pub(crate) mod budget;
pub(crate) mod pushback;
pub(crate) mod replay;
pub(crate) mod retry;

pub(crate) mod limit;

pub(crate) mod balance;
pub(crate) mod cluster;

pub(crate) mod attempt;
pub(crate) mod endpoint;
pub(crate) mod judge;

pub(crate) mod breaker;
pub(crate) mod load;
pub(crate) mod observe;
pub(crate) mod outlier;
pub(crate) mod standing;

pub(crate) mod changes;
pub(crate) mod pool;

pub(crate) mod connect;
pub(crate) mod pump;
pub(crate) mod socket;
pub(crate) mod stream;

#[cfg(test)]
mod tests;

use futures::future::BoxFuture;

use self::{call::Call, observe::AnswerBody, outcome::Failure};

/// What comes back up: the head of an answer that a server gave, and its body.
pub(crate) type Answer = Result<http::Response<AnswerBody>, Failure>;

/// The future of a stop.
pub(crate) type AnswerFuture = BoxFuture<'static, Answer>;

/// One stop of the client path, put together by `tower::Layer`. It is ready at all times, taking what it needs inside
/// `call`; and one is for all calls of a service at once: a `tower::Service`, which wants itself alone, would be cloned
/// for each.
pub(crate) trait Stop: Send + Sync + 'static {
    fn call(&self, call: Call) -> AnswerFuture;
}
