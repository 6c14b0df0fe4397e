//! Tries again, elsewhere, what no server acted on, and once what may be repeated.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt as _;
use rand::Rng as _;
use tokio::time::{self, Instant};
use tower::{Layer, Service};

use crate::{
    backoff::Backoff,
    client::{
        Answer, AnswerFuture, Stop,
        budget::Budget,
        call::{Call, EndpointId},
        outcome::{Failure, Outcome},
        replay::{Memory, Replay},
    },
    telemetry::Metrics,
};

/// Attempts of one call that no server acted on.
const MOST_UNPROCESSED: u32 = 5;
/// Attempts that ended without a response, beyond the first.
const MOST_REPEATED: u32 = 1;

/// Repeats attempts.
#[derive(Clone, Debug)]
pub(crate) struct Retry<S> {
    inner: S,
    parts: Arc<Parts>,
}

/// Makes [`Retry`]; one for each service, as the budget is per service.
#[derive(Clone, Debug)]
pub(crate) struct RetryLayer {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    budget: Budget,
    memory: Memory,
    metrics: Metrics,
}

impl RetryLayer {
    pub(crate) fn new(memory: Memory, metrics: Metrics) -> Self {
        Self { parts: Arc::new(Parts { budget: Budget::new(Instant::now()), memory, metrics }) }
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry { inner, parts: Arc::clone(&self.parts) }
    }
}

impl<S: Stop> Service<Call> for Retry<S> {
    type Response = S::Response;
    type Error = Failure;
    type Future = AnswerFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        attempts(self.inner.clone(), Arc::clone(&self.parts), call).boxed()
    }
}

async fn attempts<S: Stop>(mut inner: S, parts: Arc<Parts>, mut call: Call) -> Answer {
    let Call { route, headers, .. } = &call;
    let (route, headers) = (route.clone(), headers.clone());
    let replay = Replay::new(std::mem::take(&mut call.body), parts.memory.clone());
    let mut history = History::new(route.idempotent);
    parts.budget.deposit(Instant::now());
    call.body = replay.next().unwrap_or_default();
    loop {
        let failure = match inner.call(call).await {
            Ok(answer) => {
                // Response headers came: there is no other attempt.
                replay.commit();
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        let Some(again) = history.decide(&failure) else { return Err(failure) };
        let Some(body) = replay.next() else { return Err(failure) };
        if !parts.budget.withdraw(Instant::now()) {
            return Err(failure);
        }
        parts.metrics.retried(&route.labels, again.transparent);
        tracing::debug!(service = %route.service, method = route.path.path(), outcome = ?failure.outcome, "trying again");
        time::sleep(again.after).await;
        let (tried, previous) = (history.tried.clone(), history.repeated);
        call = Call { route: route.clone(), headers: headers.clone(), body, tried, previous, traffic: Arc::default() };
    }
}

/// What the attempts of a call came to so far.
#[derive(Debug)]
struct History {
    idempotent: bool,
    tried: Vec<EndpointId>,
    unprocessed: u32,
    repeated: u32,
    backoff: Backoff,
}

/// Another attempt.
#[derive(Debug, PartialEq, Eq)]
struct Again {
    after: Duration,
    transparent: bool,
}

impl History {
    fn new(idempotent: bool) -> Self {
        let backoff = Backoff::new(Duration::from_millis(25), Duration::from_millis(250));
        Self { idempotent, tried: Vec::new(), unprocessed: 0, repeated: 0, backoff }
    }

    /// Takes note of a failure, and says whether to try again.
    fn decide(&mut self, failure: &Failure) -> Option<Again> {
        let transparent = failure.outcome.is_unprocessed();
        let (done, most) = match failure.outcome {
            Outcome::NeverSent | Outcome::Refused => (&mut self.unprocessed, MOST_UNPROCESSED),
            Outcome::Lost if self.idempotent => (&mut self.repeated, MOST_REPEATED),
            Outcome::Lost | Outcome::NoEndpoint | Outcome::TimedOut | Outcome::Answered | Outcome::Caller => {
                return None;
            }
        };
        if *done >= most {
            return None;
        }
        *done += 1;
        // An endpoint comes a second time only when all were tried.
        let around = failure.endpoint.is_some_and(|endpoint| self.tried.contains(&endpoint));
        self.tried.extend(failure.endpoint.filter(|_| !around));
        let after = if around { self.backoff.next(rand::rng().random()) } else { Duration::ZERO };
        Some(Again { after, transparent })
    }
}

#[cfg(test)]
mod tests;
