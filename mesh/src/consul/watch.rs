//! The one loop for every blocking query: asks, follows the index, and outlives the agent's absence
//! (Consul API, blocking queries).

use std::{marker::PhantomData, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use crate::{
    backoff::Backoff,
    consul::{
        polls::{Polls, Seat, Usage},
        request::{Answer, Cause, Failure, Request},
        source::Source,
        standing::Report,
        turns::{BURSTS, Before, Turns, digest},
    },
    error::{Error, ErrorKind},
};

/// How often a watch asks without its index: the agent's own view of a service may stand still for days
/// (hashicorp/consul#8980), and such a question goes past it.
const AUDIT: Duration = Duration::from_secs(600);

/// Of so many questions in turn one asks for the whole answer, every five minutes, the others for its index: what a token may
/// see, for one, changes without it.
const WHOLE: u32 = 30;

/// One blocking query that is asked again and again. Its answers are of the type `T`.
#[derive(Debug)]
pub(crate) struct Watch<T, S> {
    source: S,
    request: Request,
    wait: Duration,
    /// Whose index it is.
    agent: usize,
    index: u64,
    /// When to ask without the index.
    audit: Instant,
    report: Report,
    polls: Option<Polls>,
    /// When that which is watched was called; what has none goes first always.
    usage: Option<Usage>,
    /// With which others it asks when it finds no seat.
    burst: u32,
    /// How often it did so.
    in_turn: u32,
    pace: Pace,
    backoff: Backoff,
    /// A connection that was cut once while it waited says nothing about the agent.
    cut: bool,
    /// The agent could not be reached since the last answer.
    away: bool,
    /// Tells the last answer that was read from others.
    last: Option<u64>,
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
            agent: 0,
            index: 0,
            audit: Instant::now() + AUDIT,
            report,
            polls: None,
            usage: None,
            burst: rand::rng().random_range(0..BURSTS),
            in_turn: rand::rng().random_range(0..WHOLE),
            pace: Pace::default(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            cut: false,
            away: false,
            last: None,
            random: SmallRng::from_rng(&mut rand::rng()),
            answer: PhantomData,
        }
    }

    /// Makes the watch one of many that share the seats of an agent.
    pub(crate) fn seated(self, polls: Polls, usage: Option<Usage>) -> Self {
        Self { polls: Some(polls), usage, ..self }
    }

    /// Waits for the next answer. It may say the same as the one before: a new index is no news in itself.
    ///
    /// # Errors
    ///
    /// Errors are no answers: index and value stay. [`Watch::recover`] says when to ask again.
    pub(crate) async fn next(&mut self) -> Result<T, Failure> {
        loop {
            self.last = None;
            if let Some(answer) = self.heard().await? {
                return Ok(answer);
            }
        }
    }

    /// Does the same, with nothing for an answer that is the one before to the byte: those are most, and cost more to
    /// read than to receive.
    ///
    /// # Errors
    ///
    /// As [`Watch::next`].
    pub(crate) async fn heard(&mut self) -> Result<Option<T>, Failure> {
        loop {
            let rest = self.pace.take(Instant::now());
            if !rest.is_zero() {
                sleep(rest).await;
            }
            if let Some(answer) = self.ask().await? {
                return Ok(answer);
            }
        }
    }

    /// Takes note that the last answer was news: what changes next may change with others, and is asked for with
    /// them a tenth of a second later.
    pub(crate) fn was_news(&mut self) {
        self.pace.was_news(Instant::now());
    }

    /// Returns the answer, if it is another than the one before; or nothing at all if it was an older one than is
    /// known: then it is asked again, from the beginning.
    async fn ask(&mut self) -> Result<Option<Option<T>>, Failure> {
        self.notice_agent();
        let audit = Instant::now() >= self.audit;
        // One that comes back may know less than before: asked with the old index, it would be silent for long.
        let at_once = audit || self.away || self.index == 0;
        let place = self.take_place(at_once).await;
        let agent = self.notice_agent();
        // Earlier by up to a tenth: many watches that began at once do not stay together.
        let wait = self.wait.mul_f64(1.0 - 0.1 * self.random.random::<f64>());
        let request = self.request.clone().blocking(if at_once { 0 } else { self.index }, wait);
        let answer = match place {
            Place::Burst(turns) => match self.ask_in_turn(agent, &turns).await? {
                Some(answer) => answer,
                None => return Ok(Some(None)),
            },
            // Boxed: it is large, and of very many watches most sleep between their questions.
            Place::Seat(_) | Place::Alone => Box::pin(self.source.ask(agent, request)).await?,
        };
        let told = digest(&answer.body);
        let value = match self.last == Some(told) {
            true => None,
            false => Some(serde_json::from_slice(&answer.body).map_err(|error| self.unreadable(&error))?),
        };
        self.succeeded(answer.filtered);
        if audit {
            self.audit = Instant::now() + AUDIT;
        }
        let older = answer.index.unwrap_or(0) < self.index;
        if older && audit {
            // Another server, which lags: what is known is newer.
            return Ok(None);
        }
        let asked = self.index;
        self.index = if older { 0 } else { next_index(asked, answer.index) };
        // Restored, restarted, or a server that lags: the next answer tells.
        if older && asked > 0 {
            return Ok(None);
        }
        self.last = Some(told);
        Ok(Some(value))
    }

    /// Asks without waiting. There is no answer if the index says that it would be the one before.
    async fn ask_in_turn(&mut self, agent: usize, turns: &Turns) -> Result<Option<Answer>, Failure> {
        self.in_turn = self.in_turn.wrapping_add(1);
        let whole = self.in_turn.is_multiple_of(WHOLE) || self.index == 0 || self.last.is_none();
        if let Some(request) = self.request.for_index().filter(|_| !whole) {
            let before = Before::Index(self.index);
            let answer = turns.ask(&self.source, (agent, &request), before).await?;
            if before.is_told_by(&answer) {
                self.reached();
                return Ok(None);
            }
        }
        turns.ask(&self.source, (agent, &self.request), Before::Digest(self.last)).await.map(Some)
    }

    /// Returns which agent is asked; the index of another means nothing to it.
    fn notice_agent(&mut self) -> usize {
        let agent = self.source.agent();
        if std::mem::replace(&mut self.agent, agent) != agent {
            self.index = 0;
        }
        agent
    }

    /// Takes the place of one question: that of one that does not wait, or a seat to wait in, or else one in the next
    /// burst.
    async fn take_place(&self, at_once: bool) -> Place {
        let Some(polls) = &self.polls else { return Place::Alone };
        if at_once {
            return Place::Seat(polls.read().await);
        }
        if let Some(seat) = polls.seat(self.usage.as_ref()) {
            return Place::Seat(seat);
        }
        sleep_until(polls.turns.next(self.burst, Instant::now())).await;
        polls.seat(self.usage.as_ref()).map_or_else(|| Place::Burst(polls.turns.clone()), Place::Seat)
    }

    fn reached(&mut self) {
        (self.cut, self.away) = (false, false);
        self.backoff.reset();
        self.report.succeeded();
    }

    fn succeeded(&mut self, filtered: bool) {
        self.reached();
        self.report.read(filtered, || path_of(&self.request));
    }

    /// Waits before the next try.
    pub(crate) async fn recover(&mut self, failure: &Failure) {
        if failure.cause == Cause::Left {
            debug!(path = %self.path(), error = %failure.error, "asking another agent");
            return;
        }
        let first_cut = failure.cause == Cause::Cut && self.index > 0 && !self.cut;
        if first_cut {
            self.cut = true;
            debug!(path = %self.path(), error = %failure.error, "asking again");
            return;
        }
        self.report.failed(failure);
        self.away |= failure.cause == Cause::Unreachable;
        sleep(self.backoff.next(self.random.random())).await;
    }

    fn unreadable(&self, error: &serde_json::Error) -> Failure {
        let told =
            format!("{} gave an answer to GET {} that is no such JSON: {error}", self.source.describe(), self.path());
        Failure { cause: Cause::Unreachable, error: Error::new(ErrorKind::Registry, told) }
    }

    fn path(&self) -> String {
        path_of(&self.request)
    }
}

fn path_of(request: &Request) -> String {
    format!("/v1/{}", request.path.join("/"))
}

/// Returns the index to ask with next: from the beginning if it went backwards, else at least 1, or the next
/// question would not wait.
fn next_index(asked: u64, answered: Option<u64>) -> u64 {
    let answered = answered.unwrap_or(0);
    if answered < asked { 0 } else { answered.max(1) }
}

/// Where a question is asked from.
#[derive(Debug)]
enum Place {
    /// It has a seat, for as long as it takes.
    Seat(#[expect(dead_code, reason = "given back when dropped")] Seat),
    /// In turn with others.
    Burst(Turns),
    /// There are no others.
    Alone,
}

/// Keeps a watch from spinning, whatever the agent answers: a token bucket of ten questions, refilled by four a
/// second. News gives part of its token back, so that ten a second are seen.
#[derive(Debug, Default)]
struct Pace {
    /// When the bucket will be full again.
    full: Option<Instant>,
    /// What changes until then is asked for together.
    together: Option<Instant>,
}

impl Pace {
    const EACH: Duration = Duration::from_millis(250);
    const NEWS: Duration = Duration::from_millis(100);
    const BURST: Duration = Duration::from_millis(2_500);

    /// Takes one token and returns how long to wait for it.
    fn take(&mut self, now: Instant) -> Duration {
        let full = self.full.map_or(now, |full| full.max(now)) + Self::EACH;
        self.full = Some(full);
        let together = self.together.take().unwrap_or(now).saturating_duration_since(now);
        full.duration_since(now).saturating_sub(Self::BURST).max(together)
    }

    fn was_news(&mut self, now: Instant) {
        self.full = self.full.map(|full| full - (Self::EACH - Self::NEWS));
        self.together = Some(now + Self::NEWS);
    }
}

#[cfg(test)]
mod tests;
