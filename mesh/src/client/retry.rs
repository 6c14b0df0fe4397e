//! Tries again, elsewhere, what no server acted on, and what may be repeated as far as the policy goes (gRFC A6).

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use opentelemetry::KeyValue;
use rand::Rng as _;
use tokio::time::{self, Instant};
use tonic::Code;
use tower::Layer;

use crate::{
    backoff::Backoff,
    client::{
        Answer, AnswerFuture, Stop,
        budget::{self, Budget},
        call::{self, Call, EndpointId, Route},
        observe::status_of,
        outcome::Outcome,
        pushback::Pushback,
        replay::{Memory, Replay},
    },
    policy::live::Live,
    random,
    telemetry::{
        Metrics, Retries, code_name,
        gauges::{Gauge, Readable, Reading},
    },
};

/// Attempts of one call that no server acted on.
const MOST_UNPROCESSED: u32 = 5;

/// Repeats attempts.
#[derive(Debug)]
pub(crate) struct Retry<S> {
    inner: Arc<S>,
    parts: Arc<Parts>,
}

/// Makes [`Retry`]; one for each service, as the budget is per service.
#[derive(Clone, Debug)]
pub(crate) struct RetryLayer {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    policy: Live,
    budget: Arc<Budget>,
    memory: Memory,
    metrics: Metrics,
    /// The service, as metrics name it.
    target: KeyValue,
}

impl Readable for Parts {
    fn read(&self) -> Vec<Reading> {
        let value = self.budget.left(self.policy.load().retry_budget, Instant::now()) as f64;
        vec![Reading { gauge: Gauge::Budget, labels: vec![self.target.clone()], value }]
    }
}

impl RetryLayer {
    /// Makes the retries of a service.
    pub(crate) fn new(service: &str, policy: Live, memory: Memory, metrics: Metrics) -> Self {
        let (budget, target) =
            (Arc::new(Budget::new(Instant::now())), KeyValue::new("grpc.target", service.to_owned()));
        let parts = Arc::new(Parts { policy, budget, memory, metrics, target });
        let readable: Arc<dyn Readable> = Arc::clone(&parts) as _;
        parts.metrics.gauges().add(Arc::downgrade(&readable));
        Self { parts }
    }

    /// Returns the budget, for others who make attempts.
    pub(crate) fn shared_budget(&self) -> Arc<Budget> {
        Arc::clone(&self.parts.budget)
    }

    /// Returns how the budget stands.
    pub(crate) fn budget(&self) -> budget::Balance {
        self.parts.budget.standing(self.parts.policy.load().retry_budget, Instant::now())
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry { inner: Arc::new(inner), parts: Arc::clone(&self.parts) }
    }
}

impl<S: Stop> Stop for Retry<S> {
    fn call(&self, call: Call) -> AnswerFuture {
        attempts(Arc::clone(&self.inner), Arc::clone(&self.parts), call).boxed()
    }
}

async fn attempts<S: Stop>(inner: Arc<S>, parts: Arc<Parts>, mut call: Call) -> Answer {
    let Call { route, headers, .. } = &call;
    let (route, headers, hash) = (Arc::clone(route), headers.clone(), call.hash);
    let replay = Replay::new(std::mem::take(&mut call.body), parts.memory.clone());
    let before = call.previous;
    let mut history = History { tried: call.tried.clone(), ..History::new(&route) };
    let mut tally = Tally { metrics: &parts.metrics, route: &route, retries: Retries::default() };
    // An attempt beside another is of the same call.
    if call.previous == 0 {
        parts.budget.deposit(Instant::now());
    }
    if call.span.is_recorded() {
        let standing = parts.budget.standing(parts.policy.load().retry_budget, Instant::now());
        call.span.set("selvedge.retry_budget", standing.to_string());
    }
    call.body = replay.next().unwrap_or_default();
    loop {
        let traffic = Arc::clone(&call.traffic);
        let answer = inner.call(call).await;
        let Some(ended) = Ended::of(&answer, traffic.endpoint()) else {
            // Response headers came: there is no other attempt.
            replay.commit();
            return answer;
        };
        let Some(again) = history.decide(&ended, random::rng().random()) else { return answer };
        // What begins past the deadline, nobody waits for.
        let late = route.deadline.is_some_and(|deadline| Instant::now() + again.after >= deadline.at);
        let Some(body) = replay.next().filter(|_| !late) else { return answer };
        if !parts.budget.withdraw(parts.policy.load().retry_budget, Instant::now()) {
            parts.metrics.retry_refused(&route.labels);
            return answer;
        }
        drop(answer);
        tracing::debug!(service = %route.service, method = route.path.path(), reason = ?ended.how, "trying again");
        tally.wait(again.after).await;
        tally.count(again.transparent);
        call = Call {
            tried: history.tried.clone(),
            hash,
            previous: before + history.repeated,
            retry: Some(call::Retry { transparent: again.transparent, reason: ended.how.name() }),
            ..Call::first(Arc::clone(&route), headers.clone(), body)
        };
    }
}

/// What the retries of one call come to; measured when it ends, or is given up.
#[derive(Debug)]
struct Tally<'a> {
    metrics: &'a Metrics,
    route: &'a Route,
    retries: Retries,
}

impl Tally<'_> {
    async fn wait(&mut self, after: Duration) {
        let begun = Instant::now();
        time::sleep(after).await;
        self.retries.waited += begun.elapsed();
    }

    fn count(&mut self, transparent: bool) {
        let counted = if transparent { &mut self.retries.transparent } else { &mut self.retries.repeated };
        *counted += 1;
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.metrics.retried(&self.route.labels, self.retries);
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

impl How {
    /// Returns the word that traces have for it.
    fn name(self) -> &'static str {
        match self {
            Self::Failed(outcome) => outcome.name(),
            Self::Status(code) => code_name(code),
        }
    }
}

impl Ended {
    /// Returns nothing for an answer that has begun.
    fn of(answer: &Answer, endpoint: Option<EndpointId>) -> Option<Self> {
        match answer {
            Ok(answer) => {
                let code = status_of(answer)?;
                Some(Self { how: How::Status(code), pushback: Pushback::read(answer.headers()), endpoint })
            }
            Err(failure) => {
                let endpoint = failure.endpoint.or(endpoint);
                Some(Self { how: How::Failed(failure.outcome), pushback: None, endpoint })
            }
        }
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
