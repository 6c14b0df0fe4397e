//! Makes another attempt beside one that is slow, and takes the first answer (gRFC A6, hedging).

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use http::HeaderMap;
use tokio::time::{self, Instant};
use tower::Layer;

use crate::{
    client::{
        Answer, AnswerFuture, Stop,
        budget::Budget,
        call::{self, Call, Route, Traffic},
        latency::Latency,
        observe::status_of,
        outcome::Outcome,
        pushback::Pushback,
        replay::{Memory, Replay},
    },
    policy::{codes::Codes, hedge::HedgePolicy, live::Live},
    telemetry::Metrics,
};

/// Most methods of which latencies are kept.
const MOST_METHODS: usize = 1_000;

/// Hedges calls.
#[derive(Debug)]
pub(crate) struct Hedged<S> {
    inner: Arc<S>,
    parts: Arc<Parts>,
}

/// Makes [`Hedged`]; one for each service, with the budget of its retries.
#[derive(Clone, Debug)]
pub(crate) struct HedgeLayer {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    policy: Live,
    budget: Arc<Budget>,
    memory: Memory,
    metrics: Metrics,
    latencies: ArcSwap<HashMap<String, Arc<Latency>>>,
}

impl HedgeLayer {
    pub(crate) fn new(policy: Live, budget: Arc<Budget>, memory: Memory, metrics: Metrics) -> Self {
        Self { parts: Arc::new(Parts { policy, budget, memory, metrics, latencies: ArcSwap::default() }) }
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedged<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Hedged { inner: Arc::new(inner), parts: Arc::clone(&self.parts) }
    }
}

impl<S: Stop> Stop for Hedged<S> {
    fn call(&self, call: Call) -> AnswerFuture {
        let Route { policy, for_retry, .. } = &*call.route;
        let hedges = |hedge: &HedgePolicy| hedge.max_attempts > 1 && policy.is_idempotent() && !for_retry;
        let Some(hedge) = policy.hedge.value.filter(hedges) else { return self.inner.call(call) };
        race(Arc::clone(&self.inner), Arc::clone(&self.parts), call, hedge).boxed()
    }
}

impl Parts {
    /// Returns the latencies of a method; nothing if there are too many methods.
    fn latency(&self, path: &str) -> Option<Arc<Latency>> {
        let known = self.latencies.load();
        if let Some(latency) = known.get(path) {
            return Some(Arc::clone(latency));
        }
        if known.len() >= MOST_METHODS {
            return None;
        }
        self.latencies.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(path.to_owned()).or_default();
            known
        });
        self.latencies.load().get(path).cloned()
    }

    fn withdraw(&self, route: &Route) -> bool {
        let allowed = self.budget.withdraw(self.policy.load().retry_budget, Instant::now());
        if !allowed {
            self.metrics.retry_refused(&route.labels);
        }
        allowed
    }
}

async fn race<S: Stop>(inner: Arc<S>, parts: Arc<Parts>, call: Call, hedge: HedgePolicy) -> Answer {
    let mut race = Race::begin(inner, parts, call, hedge);
    loop {
        if let Some(last) = race.over() {
            return last;
        }
        tokio::select! {
            // What answers at that instant needs no other beside it.
            biased;
            Some((number, answer)) = race.running.next() => {
                if let Some(answer) = race.judge(number, answer) {
                    return answer;
                }
            }
            () = until(race.pace.next) => race.another(),
        }
    }
}

/// The attempts of one call.
struct Race<S> {
    inner: Arc<S>,
    parts: Arc<Parts>,
    route: Arc<Route>,
    headers: HeaderMap,
    hash: Option<u64>,
    replay: Replay,
    pace: Pace,
    /// Where the attempts went, in their order.
    traffic: Vec<Arc<Traffic>>,
    running: FuturesUnordered<BoxFuture<'static, (usize, Answer)>>,
    /// The last failure that another attempt may mend.
    last: Option<Answer>,
    latency: Option<Arc<Latency>>,
    begun: Instant,
}

impl<S: Stop> Race<S> {
    fn begin(inner: Arc<S>, parts: Arc<Parts>, mut call: Call, hedge: HedgePolicy) -> Self {
        let replay = Replay::new(std::mem::take(&mut call.body), parts.memory.clone());
        let latency = hedge.quantile.and_then(|_| parts.latency(call.route.path.path()));
        let quantile = hedge.quantile.zip(latency.as_ref()).and_then(|(share, latency)| latency.quantile(share));
        let Call { route, headers, hash, .. } = &call;
        let mut race = Self {
            inner,
            parts,
            route: tried_once(route),
            headers: headers.clone(),
            hash: *hash,
            replay,
            pace: Pace { delay: quantile.or(hedge.delay), next: None, left: hedge.max_attempts },
            traffic: Vec::new(),
            running: FuturesUnordered::new(),
            last: None,
            latency,
            begun: Instant::now(),
        };
        let body = race.replay.beside().unwrap_or_default();
        race.run(Call { route: Arc::clone(&race.route), body, ..call });
        race
    }

    /// Begins another attempt, elsewhere, if the budget allows it and the request was kept.
    fn another(&mut self) {
        let body = self.replay.beside().filter(|_| self.parts.withdraw(&self.route));
        let Some(body) = body else { return self.pace.stop() };
        let call = Call {
            tried: self.traffic.iter().filter_map(|traffic| traffic.endpoint()).collect(),
            hash: self.hash,
            previous: u32::try_from(self.traffic.len()).unwrap_or(u32::MAX),
            retry: Some(call::Retry { transparent: false, reason: "hedge" }),
            ..Call::first(Arc::clone(&self.route), self.headers.clone(), body)
        };
        self.run(call);
    }

    fn run(&mut self, call: Call) {
        let number = self.traffic.len();
        self.traffic.push(Arc::clone(&call.traffic));
        self.running.push(self.inner.call(call).map(move |answer| (number, answer)).boxed());
        self.pace.begun(Instant::now());
    }

    /// Returns the answer if it is the one to be taken; the others are given up then.
    fn judge(&mut self, number: usize, answer: Answer) -> Option<Answer> {
        match verdict(&answer, self.route.policy.retry_codes.value) {
            // A request that is too large to keep goes on with one attempt: the others are no loss.
            Verdict::Take if self.was_left_behind(&answer) => {}
            Verdict::Take => {
                self.replay.commit_to(number);
                return Some(answer);
            }
            Verdict::Another(after) => {
                self.last = Some(answer);
                self.pace.hasten(Instant::now(), after);
            }
            Verdict::NoOther => {
                self.last = Some(answer);
                self.pace.stop();
            }
        }
        None
    }

    fn was_left_behind(&self, answer: &Answer) -> bool {
        let of_the_body = matches!(answer, Err(failure) if failure.outcome == Outcome::Caller);
        of_the_body && self.replay.is_committed() && !self.running.is_empty()
    }

    /// Returns the last failure if no attempt runs and none will.
    fn over(&mut self) -> Option<Answer> {
        if self.running.is_empty() && self.pace.next.is_none() { self.last.take() } else { None }
    }
}

impl<S> Drop for Race<S> {
    fn drop(&mut self) {
        // Of a first attempt that was given up it is known that it would have taken longer.
        if let Some(latency) = &self.latency {
            latency.record(self.begun.elapsed());
        }
        self.parts.metrics.hedged(&self.route.labels, self.traffic.len().saturating_sub(1) as u64);
    }
}

/// Each attempt is made again only if no server acted on it.
fn tried_once(route: &Route) -> Arc<Route> {
    let mut policy = *route.policy;
    policy.max_attempts.value = 1;
    Arc::new(Route { policy: Arc::new(policy), ..route.clone() })
}

/// When attempts begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    delay: Option<Duration>,
    /// When the next begins.
    next: Option<Instant>,
    /// How many may still begin.
    left: u32,
}

impl Pace {
    fn begun(&mut self, now: Instant) {
        self.left = self.left.saturating_sub(1);
        self.next = self.delay.and_then(|delay| now.checked_add(delay)).filter(|_| self.left > 0);
    }

    fn hasten(&mut self, now: Instant, after: Duration) {
        self.next = now.checked_add(after).filter(|_| self.left > 0);
    }

    fn stop(&mut self) {
        (self.left, self.next) = (0, None);
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What an answer means for the other attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is the call's, and they are given up.
    Take,
    /// Another may begin after this time.
    Another(Duration),
    /// Those that run go on, and no other begins.
    NoOther,
}

/// `codes` are those that another attempt may mend.
fn verdict(answer: &Answer, codes: Codes) -> Verdict {
    match answer {
        Ok(answer) => match status_of(answer) {
            Some(code) if codes.contains(code) => match Pushback::read(answer.headers()) {
                None => Verdict::Another(Duration::ZERO),
                Some(Pushback::After(after)) => Verdict::Another(after),
                Some(Pushback::Never) => Verdict::NoOther,
            },
            Some(_) | None => Verdict::Take,
        },
        Err(failure) => match failure.outcome {
            Outcome::NeverSent | Outcome::Refused | Outcome::Lost | Outcome::TimedOut => {
                Verdict::Another(Duration::ZERO)
            }
            Outcome::NoEndpoint | Outcome::Answered | Outcome::Caller => Verdict::Take,
        },
    }
}

#[cfg(test)]
mod tests;
