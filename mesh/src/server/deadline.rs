//! Ends a call at the deadline that its caller set (gRPC over HTTP/2, `grpc-timeout`).

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tower::{Layer, Service};

use crate::{
    context::Context,
    error::{Error, ErrorKind},
    grpc_timeout::{self, GRPC_TIMEOUT},
};

/// Makes [`Deadline`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner }
    }
}

/// Bounds the handler and its response body, and tells the handler's own calls by [`Context`].
#[derive(Clone, Debug)]
pub(crate) struct Deadline<S> {
    inner: S,
}

impl<S, R, B> Service<Request<R>> for Deadline<S>
where
    S: Service<Request<R>, Response = Response<B>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Bounded<B>>;
    type Error = Infallible;
    type Future = Bounded<S::Future>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let bound = Bound::read(request.headers());
        let inner = match &bound {
            Some(bound) => bound.context.clone().enter(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        Bounded { inner: Some(inner), bound }
    }
}

/// When a call must have ended.
#[derive(Debug)]
struct Bound {
    context: Context,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Bound {
    /// A timeout that is none, or further off than a clock can tell, is no bound.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let timeout = headers.get(GRPC_TIMEOUT).and_then(grpc_timeout::parse)?;
        let deadline = Instant::now().checked_add(timeout)?;
        let context = Context { deadline: Some(deadline), ..Context::current() };
        Some(Self { context, timeout, timer: Box::pin(sleep_until(deadline)) })
    }

    fn exceeded(&self) -> Status {
        let timeout = self.timeout;
        Error::new(ErrorKind::Deadline, format!("the call did not end within its timeout of {timeout:?}")).to_status()
    }
}

/// A future or a body that is dropped at its deadline.
#[derive(Debug)]
pub(crate) struct Bounded<T> {
    /// Nothing once it ended or was dropped.
    inner: Option<T>,
    bound: Option<Bound>,
}

impl<T> Bounded<T> {
    /// Polls below first: what is ready at the deadline is in time.
    fn poll<R>(&mut self, cx: &mut Task<'_>, poll: impl FnOnce(&mut T, &mut Task<'_>) -> Poll<R>) -> Poll<Turn<R>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(Turn::Over) };
        let Some(bound) = &mut self.bound else { return poll(inner, cx).map(Turn::Ready) };
        if let Poll::Ready(value) = bound.context.clone().enter(|| poll(inner, cx)) {
            return Poll::Ready(Turn::Ready(value));
        }
        ready!(bound.timer.as_mut().poll(cx));
        let status = bound.exceeded();
        bound.context.clone().enter(|| self.inner = None);
        Poll::Ready(Turn::Late(status))
    }
}

/// What came of a poll.
enum Turn<R> {
    Ready(R),
    Late(Status),
    Over,
}

impl<F, B> Future for Bounded<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Response<Bounded<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Self::Output> {
        let status = match ready!(Bounded::poll(&mut self, cx, |inner, cx| Pin::new(inner).poll(cx))) {
            Turn::Ready(Ok(response)) => {
                let bound = self.bound.take();
                return Poll::Ready(Ok(response.map(|body| Bounded { inner: Some(body), bound })));
            }
            Turn::Late(status) => status,
            Turn::Over => Status::internal("a call was polled after it ended"),
        };
        Poll::Ready(Ok(status.into_http::<()>().map(|()| Bounded { inner: None, bound: None })))
    }
}

impl<B: Body<Error = Status> + Unpin> Body for Bounded<B> {
    type Data = B::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<B::Data>, Status>>> {
        let frame = match ready!(self.poll(cx, |inner, cx| Pin::new(inner).poll_frame(cx))) {
            Turn::Ready(frame) => frame,
            Turn::Late(status) => Some(Err(status)),
            Turn::Over => None,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
