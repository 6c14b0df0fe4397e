//! One deadline over all attempts of a call and over the body of its answer.

use std::{
    future::{Future as _, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::FutureExt as _;
use http_body::{Frame, SizeHint};
use tokio::time::{self, Instant, Sleep};
use tonic::{Status, body::Body};
use tower::Layer;

use crate::{
    client::{
        Answer, AnswerFuture, Stop,
        call::{Call, Deadline, Route},
        observe::{self, AnswerBody},
        outcome::{Failure, Outcome},
    },
    error::{Error, ErrorKind},
};

/// Ends a call at its deadline.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<S> {
    inner: S,
}

/// Makes [`Bounded`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Bounded { inner }
    }
}

impl<S: Stop> Stop for Bounded<S> {
    fn call(&self, call: Call) -> AnswerFuture {
        let Some(deadline) = call.route.deadline else { return self.inner.call(call) };
        let route = Arc::clone(&call.route);
        if deadline.at <= Instant::now() {
            // Inherited from a call whose time is up: nothing is sent.
            return ready(Err(Failure::with_status(Outcome::TimedOut, expired(&route, deadline)))).boxed();
        }
        bound(self.inner.call(call), route, deadline).boxed()
    }
}

async fn bound(answer: AnswerFuture, route: Arc<Route>, deadline: Deadline) -> Answer {
    // `timeout_at` polls the call before its own timer: what a stop below notices at the same instant is seen.
    let Ok(answer) = time::timeout_at(deadline.at, answer).await else {
        return Err(Failure::with_status(Outcome::TimedOut, expired(&route, deadline)));
    };
    let answer = answer?;
    if observe::status_of(&answer).is_some() {
        return Ok(answer);
    }
    Ok(answer.map(|inner| Body::new(BoundedBody { inner: Some(inner), timer: None, route, deadline }).into()))
}

fn expired(route: &Route, deadline: Deadline) -> Status {
    let Route { service, path, .. } = route;
    let text = format!("{} of {service:?} did not end within {:?}", path.path(), deadline.after);
    Error::new(ErrorKind::Deadline, text).to_status()
}

/// The body of an answer, which ends with an error at the deadline.
#[derive(Debug)]
struct BoundedBody {
    /// Gone once the deadline passed: that resets the stream.
    inner: Option<AnswerBody>,
    /// Made when the body is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
    route: Arc<Route>,
    deadline: Deadline,
}

impl http_body::Body for BoundedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let at = this.deadline.at;
        let timer = this.timer.get_or_insert_with(|| Box::pin(time::sleep_until(at)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.inner = None;
        Poll::Ready(Some(Err(expired(&this.route, this.deadline))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(AnswerBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), AnswerBody::size_hint)
    }
}

#[cfg(test)]
mod tests;
