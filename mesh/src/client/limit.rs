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
    policy::{cluster::LimitPolicy, live::Live, method::Priority},
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
    /// Those that wait, by their priority.
    queues: [Queue; 3],
}

/// Those of one priority that wait.
#[derive(Debug, Default)]
struct Queue {
    waiting: AtomicUsize,
    /// Told when a place is given back that one of them may have.
    freed: Notify,
}

impl LimitLayer {
    pub(crate) fn new(policy: Live) -> Self {
        Self { gate: Arc::new(Gate { policy, taken: AtomicUsize::new(0), queues: Default::default() }) }
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
        let priority = call.route.policy.priority.value;
        if let Some(place) = self.gate.take_in_turn(priority) {
            return hold(self.inner.call(call), place).boxed();
        }
        let (gate, inner) = (Arc::clone(&self.gate), Arc::clone(&self.inner));
        async move {
            let place = gate.wait(priority, &call.route.service).await?;
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
    /// Takes a place, if one is free and nobody waits for it who goes before.
    fn take_in_turn(self: &Arc<Self>, priority: Priority) -> Option<Place> {
        let before = &self.queues[priority as usize..];
        let first = before.iter().all(|queue| queue.waiting.load(Ordering::SeqCst) == 0);
        if first { self.take(priority) } else { None }
    }

    /// Waits for a place, behind those of its priority that wait already, if there are not too many.
    async fn wait(self: Arc<Self>, priority: Priority, service: &str) -> Result<Place, Failure> {
        let Some(_waiting) = Waiting::join(&self, priority) else { return Err(self.full(service)) };
        let mut changed = self.policy.changed();
        loop {
            let freed = self.queues[priority as usize].freed.notified();
            tokio::pin!(freed);
            // From here on nothing that is freed is missed.
            freed.as_mut().enable();
            if let Some(place) = self.take(priority) {
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
    fn take(self: &Arc<Self>, priority: Priority) -> Option<Place> {
        // Without a limit places are counted too: there may be one before they are given back.
        let most = self.places(priority);
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Place { gate: Arc::clone(self) })
    }

    fn places(&self, priority: Priority) -> usize {
        let all = self.policy.load().limit.map_or(usize::MAX, |limit| limit.concurrency.max(1));
        if priority == Priority::Low { (all - all / 10).min((all - 1).max(1)) } else { all }
    }

    /// Tells the first of those that wait, if it may have a place: who is told in vain loses its turn.
    fn tell(&self) {
        let waits = |priority: &Priority| self.queues[*priority as usize].waiting.load(Ordering::SeqCst) > 0;
        let first = [Priority::High, Priority::Normal, Priority::Low].into_iter().find(waits);
        if let Some(first) = first.filter(|first| self.taken.load(Ordering::SeqCst) < self.places(*first)) {
            self.queues[first as usize].freed.notify_one();
        }
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
        self.gate.tell();
    }
}

/// One that waits; dropping it leaves the queue.
struct Waiting<'a> {
    gate: &'a Gate,
    queue: &'a Queue,
}

impl<'a> Waiting<'a> {
    fn join(gate: &'a Gate, priority: Priority) -> Option<Self> {
        let most = gate.policy.load().limit.map_or(usize::MAX, |limit| limit.queue);
        let own = &gate.queues[priority as usize];
        let others = || gate.queues.iter().filter(|queue| !std::ptr::eq(*queue, own));
        let more = |waiting: usize| {
            let all = others().map(|queue| queue.waiting.load(Ordering::SeqCst)).sum::<usize>() + waiting;
            (all < most).then_some(waiting + 1)
        };
        own.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok().map(|_| Self { gate, queue: own })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(1, Ordering::SeqCst);
        // It may have been told of a place that it did not take.
        self.gate.tell();
    }
}

impl Observer for Place {
    /// What has ended is let go, and the place with it.
    fn ended(&mut self, _: Code) {}
}

#[cfg(test)]
mod tests;
