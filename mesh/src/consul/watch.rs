//! The one loop for every blocking query: asks, follows the index, and outlives the agent's absence
//! (Consul API, blocking queries).

use std::{future::Future, marker::PhantomData, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::{
    backoff::Backoff,
    consul::{
        request::{Answer, Cause, Failure, Request},
        standing::Report,
    },
    error::{Error, ErrorKind},
};

/// Where a watch asks.
pub(crate) trait Source {
    /// Sends one request.
    fn ask(&self, request: Request) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Says where it is, for logs.
    fn describe(&self) -> String;
}

/// One blocking query that is asked again and again. Its answers are of the type `T`.
#[derive(Debug)]
pub(crate) struct Watch<T, S> {
    source: S,
    request: Request,
    wait: Duration,
    index: u64,
    report: Report,
    pace: Pace,
    backoff: Backoff,
    /// A connection that was cut once while it waited says nothing about the agent.
    cut: bool,
    filtered: bool,
    random: SmallRng,
    answer: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned, S: Source> Watch<T, S> {
    /// Makes a watch that waits up to `wait` for news with each question.
    pub(crate) fn new(source: S, request: Request, wait: Duration, report: Report) -> Self {
        Self {
            source,
            request,
            wait,
            index: 0,
            report,
            pace: Pace::default(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            cut: false,
            filtered: false,
            random: SmallRng::from_rng(&mut rand::rng()),
            answer: PhantomData,
        }
    }

    /// Waits for the next answer. It may say the same as the one before: a new index is no news in itself.
    ///
    /// Errors are no answers: they are logged, and the question is asked again, for ever.
    pub(crate) async fn next(&mut self) -> T {
        loop {
            sleep(self.pace.take(Instant::now())).await;
            match self.ask().await {
                Ok(answer) => return answer,
                Err(failure) => self.recover(&failure).await,
            }
        }
    }

    async fn ask(&mut self) -> Result<T, Failure> {
        // Earlier by up to a tenth: many watches that began at once do not stay together.
        let wait = self.wait.mul_f64(1.0 - 0.1 * self.random.random::<f64>());
        let answer = self.source.ask(self.request.clone().blocking(self.index, wait)).await?;
        let value = serde_json::from_slice(&answer.body).map_err(|error| self.unreadable(&error))?;
        self.index = next_index(self.index, answer.index);
        self.succeeded(answer.filtered);
        Ok(value)
    }

    fn succeeded(&mut self, filtered: bool) {
        self.cut = false;
        self.backoff.reset();
        self.report.succeeded();
        if filtered && !self.filtered {
            let (registry, path) = (self.source.describe(), self.path());
            warn!(%registry, %path, "the token may not read all of this: grant it service:read and node:read");
        }
        self.filtered = filtered;
    }

    /// Keeps the index, and waits before the next try.
    async fn recover(&mut self, failure: &Failure) {
        let first_cut = failure.cause == Cause::Cut && self.index > 0 && !self.cut;
        if first_cut {
            self.cut = true;
            debug!(path = %self.path(), error = %failure.error, "asking again");
            return;
        }
        self.report.failed(failure);
        sleep(self.backoff.next(self.random.random())).await;
    }

    fn unreadable(&self, error: &serde_json::Error) -> Failure {
        let told =
            format!("{} gave an answer to GET {} that is no such JSON: {error}", self.source.describe(), self.path());
        Failure { cause: Cause::Unreachable, error: Error::new(ErrorKind::Registry, told) }
    }

    fn path(&self) -> String {
        format!("/v1/{}", self.request.path.join("/"))
    }
}

/// Returns the index to ask with next: from the beginning if it went backwards, else at least 1, or the next
/// question would not wait.
fn next_index(asked: u64, answered: Option<u64>) -> u64 {
    let answered = answered.unwrap_or(0);
    if answered < asked { 0 } else { answered.max(1) }
}

/// Keeps a watch from spinning, whatever the agent answers: a token bucket of ten questions, refilled by four a
/// second, so that news waits a quarter of a second at most.
#[derive(Debug, Default)]
struct Pace {
    /// When the bucket will be full again.
    full: Option<Instant>,
}

impl Pace {
    const EACH: Duration = Duration::from_millis(250);
    const BURST: Duration = Duration::from_millis(2_500);

    /// Takes one token and returns how long to wait for it.
    fn take(&mut self, now: Instant) -> Duration {
        let full = self.full.map_or(now, |full| full.max(now)) + Self::EACH;
        self.full = Some(full);
        full.duration_since(now).saturating_sub(Self::BURST)
    }
}

#[cfg(test)]
mod tests;
