//! Tries again, elsewhere, what no server acted on, and what may be repeated as far as the policy goes (gRFC A6).

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt as _;
use http::HeaderMap;
use rand::Rng as _;
use tokio::time::{self, Instant};
use tonic::Code;
use tower::{Layer, Service};

use crate::{
    backoff::Backoff,
    client::{
        Answer, AnswerFuture, Stop,
        budget::Budget,
        call::{Call, EndpointId, Route},
        observe::code_of,
        outcome::{Failure, Outcome},
        replay::{Memory, Replay},
    },
    telemetry::Metrics,
};

/// Attempts of one call that no server acted on.
const MOST_UNPROCESSED: u32 = 5;
/// Says when to try again, or not to, in milliseconds (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

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
    let mut history = History::new(&route);
    parts.budget.deposit(Instant::now());
    call.body = replay.next().unwrap_or_default();
    loop {
        let traffic = Arc::clone(&call.traffic);
        let answer = inner.call(call).await;
        let Some(ended) = Ended::of(&answer, traffic.endpoint()) else {
            // Response headers came: there is no other attempt.
            replay.commit();
            return answer;
        };
        let Some(again) = history.decide(&ended, rand::rng().random()) else { return answer };
        // What begins past the deadline, nobody waits for.
        let late = route.deadline.is_some_and(|deadline| Instant::now() + again.after >= deadline.at);
        let Some(body) = replay.next().filter(|_| !late) else { return answer };
        if !parts.budget.withdraw(Instant::now()) {
            return answer;
        }
        drop(answer);
        parts.metrics.retried(&route.labels, again.transparent);
        tracing::debug!(service = %route.service, method = route.path.path(), reason = ?ended.how, "trying again");
        time::sleep(again.after).await;
        call = Call {
            route: route.clone(),
            headers: headers.clone(),
            body,
            tried: history.tried.clone(),
            previous: history.repeated,
            until: None,
            traffic: Arc::default(),
        };
    }
}

/// How an attempt ended that brought no message.
#[derive(Clone, Copy, Debug)]
struct Ended {
    how: How,
    pushback: Option<Pushback>,
    endpoint: Option<EndpointId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Failed(Outcome),
    /// A server answered with this code, and nothing else.
    Status(Code),
}

/// What a server says of another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pushback {
    After(Duration),
    Never,
}

impl Ended {
    /// Returns nothing for an answer that has begun.
    fn of(answer: &Answer, endpoint: Option<EndpointId>) -> Option<Self> {
        match answer {
            Ok(answer) => {
                let code = code_of(answer.headers())?;
                Some(Self { how: How::Status(code), pushback: Pushback::read(answer.headers()), endpoint })
            }
            Err(failure) => {
                let endpoint = failure.endpoint.or(endpoint);
                Some(Self { how: How::Failed(failure.outcome), pushback: None, endpoint })
            }
        }
    }
}

impl Pushback {
    /// What cannot be read forbids another attempt, as a negative time does (gRFC A6).
    fn read(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(PUSHBACK)?;
        let millis = value.to_str().ok().and_then(|text| text.parse::<i32>().ok());
        let after = millis.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
        Some(after.map_or(Self::Never, Self::After))
    }
}

/// What the attempts of a call came to so far.
#[derive(Debug)]
struct History<'a> {
    route: &'a Route,
    tried: Vec<EndpointId>,
    unprocessed: u32,
    /// Attempts that a server may have seen, and that were made again.
    repeated: u32,
    /// The step of the policy's waits: a server's own begins them anew.
    step: u32,
    /// Waits between rounds of what no server acted on.
    rounds: Backoff,
}

/// Another attempt.
#[derive(Debug, PartialEq, Eq)]
struct Again {
    after: Duration,
    transparent: bool,
}

impl<'a> History<'a> {
    fn new(route: &'a Route) -> Self {
        let rounds = Backoff::new(Duration::from_millis(25), Duration::from_millis(250));
        Self { route, tried: Vec::new(), unprocessed: 0, repeated: 0, step: 1, rounds }
    }

    /// Takes note of how an attempt ended, and says whether to try again; `random` is in 0..1.
    fn decide(&mut self, ended: &Ended, random: f64) -> Option<Again> {
        let policy = &self.route.policy;
        match ended.how {
            How::Failed(Outcome::NeverSent | Outcome::Refused) => return self.elsewhere(ended, random),
            How::Failed(Outcome::Lost | Outcome::TimedOut) => {}
            How::Status(code) if policy.retry_codes.value.contains(code) => {}
            How::Status(_) | How::Failed(Outcome::NoEndpoint | Outcome::Answered | Outcome::Caller) => return None,
        }
        // A server may have acted on it. A call made for a retry is left to whoever makes those: or each level of a
        // deep tree would multiply them.
        let allowed = policy.is_idempotent() && !self.route.for_retry;
        if !allowed || self.repeated + 1 >= policy.max_attempts.value {
            return None;
        }
        let after = match ended.pushback {
            Some(Pushback::Never) => return None,
            Some(Pushback::After(after)) => {
                self.step = 1;
                after
            }
            None => {
                self.step += 1;
                policy.backoff(self.step, random)
            }
        };
        self.repeated += 1;
        self.note(ended.endpoint);
        Some(Again { after, transparent: false })
    }

    /// No server acted on it: it goes elsewhere at once, and a second time to the same only after a while.
    fn elsewhere(&mut self, ended: &Ended, random: f64) -> Option<Again> {
        if self.unprocessed >= MOST_UNPROCESSED {
            return None;
        }
        self.unprocessed += 1;
        let around = self.note(ended.endpoint);
        let after = if around { self.rounds.next(random) } else { Duration::ZERO };
        Some(Again { after, transparent: true })
    }

    /// Remembers an endpoint; returns whether it was tried before, which happens only when all were.
    fn note(&mut self, endpoint: Option<EndpointId>) -> bool {
        let around = endpoint.is_some_and(|endpoint| self.tried.contains(&endpoint));
        self.tried.extend(endpoint.filter(|_| !around));
        around
    }
}

#[cfg(test)]
mod tests;
