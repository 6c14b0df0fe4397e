//! Which of several agents is asked: the first, until it gives no answer; then the next one.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::Rng as _;
use reqwest::Url;
use tokio::{sync::watch, time::Instant};
use tracing::warn;

use crate::{backoff::Backoff, error::Error};

/// For how long an agent that gave no answer is passed over, at first and at most.
const PASSED_OVER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The agents of one registry. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    urls: Arc<[Url]>,
    rests: Arc<Mutex<Vec<Rest>>>,
    /// The place of the one that is asked.
    asked: watch::Sender<usize>,
}

/// Until when an agent is passed over.
#[derive(Debug)]
struct Rest {
    backoff: Backoff,
    until: Option<Instant>,
    /// When it answered anything, or was last found to be silent.
    heard: Instant,
}

impl Agents {
    /// Takes the agents in the order in which they are asked; there is at least one.
    pub(crate) fn new(urls: Vec<Url>) -> Self {
        let (first, most) = PASSED_OVER;
        let rest = |_| Rest { backoff: Backoff::new(first, most), until: None, heard: Instant::now() };
        let rests = urls.iter().map(rest).collect();
        Self { urls: urls.into(), rests: Arc::new(Mutex::new(rests)), asked: watch::Sender::new(0) }
    }

    pub(crate) fn count(&self) -> usize {
        self.urls.len()
    }

    /// Returns the place of the one that is asked at present.
    pub(crate) fn present(&self) -> usize {
        *self.asked.borrow()
    }

    pub(crate) fn url(&self, agent: usize) -> &Url {
        &self.urls[agent]
    }

    /// Waits until another than this one is asked.
    pub(crate) async fn left(&self, agent: usize) {
        // The sender lives as long as this does.
        let _ = self.asked.subscribe().wait_for(|asked| *asked != agent).await;
    }

    /// Takes note of an answer.
    pub(crate) fn answered(&self, agent: usize) {
        if self.count() > 1 {
            let rest = &mut self.rests()[agent];
            rest.backoff.reset();
            rest.until = None;
            rest.heard = Instant::now();
        }
    }

    /// Whether an agent answered nothing for so long; then it is not silent to others for as long: one looks for all.
    pub(crate) fn is_silent(&self, agent: usize, span: Duration) -> bool {
        let (rest, now) = (&mut self.rests()[agent], Instant::now());
        let silent = now.saturating_duration_since(rest.heard) >= span;
        if silent {
            rest.heard = now;
        }
        silent
    }

    /// Takes note that an agent gave no answer. Returns whether another is asked from now on.
    pub(crate) fn failed(&self, agent: usize, error: &Error) -> bool {
        if self.present() != agent {
            return true;
        }
        let now = Instant::now();
        let next = {
            let mut rests = self.rests();
            let delay = rests[agent].backoff.next(rand::rng().random());
            rests[agent].until = Some(now + delay);
            let until: Vec<_> = rests.iter().map(|rest| rest.until).collect();
            next(&until, agent, now)
        };
        let Some(next) = next else { return false };
        warn!(%error, next = %self.urls[next], "the agent gives no answer: asking the next one");
        self.asked.send_replace(next);
        true
    }

    fn rests(&self) -> MutexGuard<'_, Vec<Rest>> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the next agent after one that failed, in the order of the list, that is not passed over now.
fn next(passed_over_until: &[Option<Instant>], failed: usize, now: Instant) -> Option<usize> {
    let all = passed_over_until.len();
    let others = (1..all).map(|step| (failed + step) % all);
    let mut awake = others.filter(|&other| passed_over_until[other].is_none_or(|until| until <= now));
    awake.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn agents(count: u16) -> Agents {
        Agents::new((0..count).map(|port| Url::parse(&format!("http://127.0.0.1:{}", 8500 + port)).unwrap()).collect())
    }

    fn error() -> Error {
        Error::new(ErrorKind::Registry, "no")
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_in_the_list_is_asked_that_is_not_passed_over() {
        let now = Instant::now();
        let later = Some(now + Duration::from_secs(1));
        for (until, failed, expected) in [
            (vec![None], 0, None),
            (vec![None, None, None], 0, Some(1)),
            (vec![None, None, None], 2, Some(0)),
            (vec![None, later, None], 0, Some(2)),
            (vec![later, later, None], 2, None),
            (vec![Some(now), later, later], 2, Some(0)),
        ] {
            assert_eq!(next(&until, failed, now), expected, "{until:?} {failed}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_nobody_new_is_asked_until_one_was_passed_over_long_enough() {
        let agents = agents(2);
        assert!(agents.failed(0, &error()));
        assert_eq!(agents.present(), 1);
        // The first is passed over for up to a second.
        agents.rests()[0].until = Some(Instant::now() + Duration::from_secs(1));
        assert!(!agents.failed(1, &error()));
        assert_eq!(agents.present(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(agents.failed(1, &error()));
        assert_eq!(agents.present(), 0);
        assert!(agents.failed(1, &error()), "the other is asked already");
        assert_eq!(agents.present(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_at_an_agent_hears_that_another_is_asked() {
        let agents = agents(2);
        let waiting = tokio::spawn({
            let agents = agents.clone();
            async move { agents.left(0).await }
        });
        tokio::task::yield_now().await;
        agents.failed(0, &error());
        waiting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn of_all_who_find_an_agent_silent_one_looks() {
        let (agents, span) = (agents(2), Duration::from_secs(10));
        assert!(!agents.is_silent(0, span));
        tokio::time::advance(span).await;
        assert_eq!([agents.is_silent(0, span), agents.is_silent(0, span)], [true, false]);
        tokio::time::advance(span / 2).await;
        agents.answered(0);
        tokio::time::advance(span / 2).await;
        assert!(!agents.is_silent(0, span), "it answered since");
        assert!(agents.is_silent(1, span));
    }

    #[test]
    fn a_single_agent_stays() {
        let agents = agents(1);
        assert!(!agents.failed(0, &error()));
        assert_eq!(agents.present(), 0);
    }
}
