//! Gives a served call its place in a trace: to its log lines, and to the calls that its handler makes.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll, ready},
};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};
use tracing::{Span, info_span};

use crate::context::{self, Context, TraceContext};

/// Makes [`Trace`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// Enters a span and a [`Context`] around everything below, the polling of the response body included.
#[derive(Clone, Debug)]
pub(crate) struct Trace<S> {
    inner: S,
}

impl<S, R, B> Service<Request<R>> for Trace<S>
where
    S: Service<Request<R>, Response = Response<B>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Traced<B>>;
    type Error = Infallible;
    type Future = Traced<S::Future>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let caller = TraceContext::from_headers(request.headers());
        let trace = caller.map_or_else(TraceContext::root, TraceContext::child);
        let for_retry = context::is_for_retry(request.headers());
        let TraceContext { trace_id, span_id, .. } = trace;
        let span = info_span!("call", method = request.uri().path(), %trace_id, %span_id);
        let context = Context { trace: Some(trace), deadline: None, for_retry };
        let inner = span.in_scope(|| context.clone().enter(|| self.inner.call(request)));
        Traced { inner, context, span }
    }
}

/// A future or a body inside its trace.
#[derive(Debug)]
pub(crate) struct Traced<T> {
    inner: T,
    context: Context,
    span: Span,
}

impl<T> Traced<T> {
    fn enter<R>(&mut self, run: impl FnOnce(&mut T) -> R) -> R {
        let Self { inner, context, span } = self;
        span.in_scope(|| context.clone().enter(|| run(inner)))
    }
}

impl<F, B> Future for Traced<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Response<Traced<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(self.enter(|inner| Pin::new(inner).poll(cx)));
        let (context, span) = (self.context.clone(), self.span.clone());
        Poll::Ready(Ok(response.map(|inner| Traced { inner, context, span })))
    }
}

impl<B: Body + Unpin> Body for Traced<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.enter(|inner| Pin::new(inner).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
