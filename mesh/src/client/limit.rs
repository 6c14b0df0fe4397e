//! Bounds the attempts that are under way at one service; those beyond wait, a few, and others are refused at once.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::FutureExt as _;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{
    client::{
        AnswerFuture, Stop,
        call::Call,
        observe,
        outcome::{Failure, Outcome},
    },
    error::ErrorKind,
    policy::{cluster::LimitPolicy, live::Live},
};

/// Bounds what passes. A place is taken until the body of the answer ended or was dropped.
#[derive(Clone, Debug)]
pub(crate) struct Limited<S> {
    inner: S,
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
        Limited { inner, gate: Arc::clone(&self.gate) }
    }
}

impl<S: Stop> Service<Call> for Limited<S> {
    type Response = S::Response;
    type Error = Failure;
    type Future = AnswerFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (gate, mut inner) = (Arc::clone(&self.gate), self.inner.clone());
        async move {
            let service = Arc::clone(&call.route.service);
            let place = gate.enter(&service).await?;
            let answer = inner.call(call).await?;
            if observe::code_of(answer.headers()).is_some() {
                return Ok(answer);
            }
            Ok(answer.map(|inner| Body::new(Held { inner, place: Some(place) })))
        }
        .boxed()
    }
}

impl Gate {
    /// Takes a place; waits for one, behind those that wait already, if there are not too many.
    async fn enter(self: Arc<Self>, service: &str) -> Result<Place, Failure> {
        if self.waiting.load(Ordering::SeqCst) == 0
            && let Some(place) = self.take()
        {
            return Ok(place);
        }
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

/// The body of an answer, which has its place until it ends.
#[derive(Debug)]
struct Held {
    inner: Body,
    place: Option<Place>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        let ends = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers(),
            Poll::Ready(Some(Err(_)) | None) => true,
            Poll::Pending => false,
        };
        if ends {
            this.place = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
