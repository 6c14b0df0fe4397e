//! Questions that do not wait, asked in turn: those that are due come in bursts, and whoever is there first asks for all,
//! one after the other.
//!
//! Most answers say what the one before said. What they cost is not the question but who is woken for it: a process
//! that sleeps, a second thread that looks for work, the watch. In a burst it is one task, on a thread that is awake.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, oneshot},
    time::Instant,
};

use crate::consul::{
    request::{Answer, Failure, Request},
    source::Source,
};

/// In how many bursts all are asked, and how far these are from one another: each is asked every 9.9 s.
pub(crate) const BURSTS: u32 = 10;
const APART: Duration = Duration::from_millis(990);

/// How many answers without news are kept back, so that those who wait for them are woken together.
const TOGETHER: usize = 32;

/// The questions of one process to one registry. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    /// From when bursts are counted.
    begin: Instant,
    due: Arc<Mutex<VecDeque<Question>>>,
    /// The right to ask for all.
    asks: Arc<Semaphore>,
}

/// One question, and who waits for the answer.
#[derive(Debug)]
struct Question {
    agent: usize,
    request: Request,
    before: Before,
    reply: oneshot::Sender<Reply>,
}

/// The answer before, as one without news tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before {
    /// The digest of its body.
    Digest(Option<u64>),
    /// Its index, where the body is left out.
    Index(u64),
}

type Reply = Result<Answer, Failure>;

impl Turns {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), due: Arc::default(), asks: Arc::new(Semaphore::new(1)) }
    }

    /// Returns when one of the [`BURSTS`] comes next.
    pub(crate) fn next(&self, burst: u32, now: Instant) -> Instant {
        let (round, first) = (APART * BURSTS, APART * burst);
        let since_one_before = (now.saturating_duration_since(self.begin) + round).saturating_sub(first);
        let rounds = since_one_before.as_nanos() / round.as_nanos();
        self.begin + round.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX)) + first
    }

    /// Asks, when it is this question's turn. An answer without news is told late.
    pub(crate) async fn ask<S: Source>(
        &self,
        source: &S,
        (agent, request): (usize, &Request),
        before: Before,
    ) -> Reply {
        loop {
            let (reply, mut answered) = oneshot::channel();
            self.due().push_back(Question { agent, request: request.clone(), before, reply });
            let replied = loop {
                tokio::select! {
                    biased;
                    replied = &mut answered => break replied,
                    Ok(_right) = self.asks.acquire() => self.ask_all(source).await,
                }
            };
            // Nothing if the one who asked for all went away meanwhile.
            if let Ok(reply) = replied {
                return reply;
            }
        }
    }

    /// Asks all that is due, and what comes meanwhile.
    async fn ask_all<S: Source>(&self, source: &S) {
        let mut no_news = Vec::new();
        while let Some(Question { agent, request, before, reply }) = self.take() {
            // Boxed: it is large, and of very many watches one asks.
            let result = Box::pin(source.ask(agent, request)).await;
            let same = result.as_ref().is_ok_and(|answer| before.is_told_by(answer));
            if !same {
                // Whoever waited for it may have gone.
                let _ = reply.send(result);
                continue;
            }
            no_news.push((reply, result));
            if no_news.len() == TOGETHER {
                tell(&mut no_news);
            }
        }
        tell(&mut no_news);
    }

    fn take(&self) -> Option<Question> {
        self.due().pop_front()
    }

    fn due(&self) -> MutexGuard<'_, VecDeque<Question>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(answers: &mut Vec<(oneshot::Sender<Reply>, Reply)>) {
    for (reply, answer) in answers.drain(..) {
        let _ = reply.send(answer);
    }
}

impl Before {
    pub(crate) fn is_told_by(self, answer: &Answer) -> bool {
        match self {
            Self::Digest(last) => last == Some(digest(&answer.body)),
            Self::Index(index) => answer.index == Some(index),
        }
    }
}

/// Tells an answer from others.
pub(crate) fn digest(body: &[u8]) -> u64 {
    let mut digest = DefaultHasher::new();
    body.hash(&mut digest);
    digest.finish()
}

#[cfg(test)]
mod tests;
