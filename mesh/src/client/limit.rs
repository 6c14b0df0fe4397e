//! Bounds the attempts that are under way at one service; those beyond wait, a few, and others are refused at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::FutureExt as _;
use tokio::sync::Notify;
use tonic::Code;
use tower::Layer;

use crate::{
    client::{
        Answer, AnswerFuture, Stop,
        call::Call,
        observe::{Observer, observe},
        outcome::{Failure, Outcome},
    },
    error::ErrorKind,
    policy::{cluster::LimitPolicy, live::Live},
};

/// Bounds what passes. A place is taken until the body of the answer ended or was dropped.
#[derive(Debug)]
pub(crate) struct Limited<S> {
    inner: Arc<S>,
    gate: Arc<Gate>,
}

/// Makes [`Limited`]; one for each service.
#[derive(Clone, Debug)]
pub(crate) struct LimitLayer {
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    policy: Live,
    taken: AtomicUsize,
    waiting: AtomicUsize,
    /// Told when a place is given back that somebody waits for.
    freed: Notify,
}

impl LimitLayer {
    pub(crate) fn new(policy: Live) -> Self {
        let (taken, waiting, freed) = (AtomicUsize::new(0), AtomicUsize::new(0), Notify::new());
        Self { gate: Arc::new(Gate { policy, taken, waiting, freed }) }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Limited { inner: Arc::new(inner), gate: Arc::clone(&self.gate) }
    }
}

impl<S: Stop> Stop for Limited<S> {
    fn call(&self, call: Call) -> AnswerFuture {
        if let Some(place) = self.gate.take_in_turn() {
            return hold(self.inner.call(call), place).boxed();
        }
        let (gate, inner) = (Arc::clone(&self.gate), Arc::clone(&self.inner));
        async move {
            let place = gate.wait(&call.route.service).await?;
            hold(inner.call(call), place).await
        }
        .boxed()
    }
}

/// Holds a place until the answer ended.
async fn hold(answer: AnswerFuture, place: Place) -> Answer {
    Ok(observe(answer.await?, place))
}

impl Gate {
    /// Takes a place, if one is free and nobody waits for it.
    fn take_in_turn(self: &Arc<Self>) -> Option<Place> {
        if self.waiting.load(Ordering::SeqCst) == 0 { self.take() } else { None }
    }

    /// Waits for a place, behind those that wait already, if there are not too many.
    async fn wait(self: Arc<Self>, service: &str) -> Result<Place, Failure> {
        let Some(_waiting) = Waiting::join(&self) else { return Err(self.full(service)) };
        let mut changed = self.policy.changed();
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on nothing that is freed is missed.
            freed.as_mut().enable();
            if let Some(place) = self.take() {
                return Ok(place);
            }
            tokio::select! {
                () = freed => {}
                // There may be more places now.
                Ok(()) = changed.changed() => {}
            }
        }
    }

    /// Without a lock: most calls find a place.
    fn take(self: &Arc<Self>) -> Option<Place> {
        // Without a limit places are counted too: there may be one before they are given back.
        let most = self.policy.load().limit.map_or(usize::MAX, |limit| limit.concurrency.max(1));
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Place { gate: Arc::clone(self) })
    }

    /// It is not sent, and not tried again: that would be more load for who has enough (gRFC A32).
    fn full(&self, service: &str) -> Failure {
        let LimitPolicy { concurrency, queue } = self.policy.load().limit.unwrap_or_default();
        let text = format!(
            "{concurrency} calls of {service:?} are under way and {queue} wait, which is the limit of its policy: \
             raise `limit` or call less"
        );
        Failure::new(Outcome::NoEndpoint, ErrorKind::Limit, text)
    }
}

/// The place of one attempt; dropping it gives it back.
#[derive(Debug)]
struct Place {
    gate: Arc<Gate>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.taken.fetch_sub(1, Ordering::SeqCst);
        if self.gate.waiting.load(Ordering::SeqCst) > 0 {
            self.gate.freed.notify_one();
        }
    }
}

/// One that waits; dropping it leaves the queue.
struct Waiting<'a> {
    gate: &'a Gate,
}

impl<'a> Waiting<'a> {
    fn join(gate: &'a Gate) -> Option<Self> {
        let queue = gate.policy.load().limit.map_or(usize::MAX, |limit| limit.queue);
        let more = |waiting: usize| (waiting < queue).then_some(waiting + 1);
        gate.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok().map(|_| Self { gate })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.gate.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Observer for Place {
    /// What has ended is let go, and the place with it.
    fn ended(&mut self, _: Code) {}
}

#[cfg(test)]
mod tests;
