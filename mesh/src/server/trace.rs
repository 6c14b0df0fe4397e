//! Gives a served call its place in a trace: a span of its own (gRFC A72), to its log lines, and to the calls that its
//! handler makes.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::trace::SpanKind;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Span, info_span};

use crate::{
    context::{self, Context, TraceContext},
    telemetry::{self, Tracer, span::method_span},
};

/// Makes [`Trace`].
#[derive(Clone, Debug)]
pub(crate) struct TraceLayer {
    tracer: Tracer,
}

impl TraceLayer {
    pub(crate) fn new(tracer: Tracer) -> Self {
        Self { tracer }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner, tracer: self.tracer.clone() }
    }
}

/// Enters a span and a [`Context`] around everything below, the polling of the response body included.
#[derive(Clone, Debug)]
pub(crate) struct Trace<S> {
    inner: S,
    tracer: Tracer,
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
        let recorded = Recorded {
            span: self.tracer.begin(SpanKind::Server, caller, || method_span("Recv", request.uri().path())),
            code: None,
        };
        // Who records nothing passes on what it was given: spans further down stand below the caller's.
        let trace = recorded.span.context().or(caller).unwrap_or_else(TraceContext::root);
        let for_retry = context::is_for_retry(request.headers());
        let TraceContext { trace_id, span_id, .. } = trace;
        let span = info_span!("call", method = request.uri().path(), %trace_id, %span_id);
        let context = Context { trace: Some(trace), deadline: None, for_retry };
        let inner = span.in_scope(|| context.clone().enter(|| self.inner.call(request)));
        Traced { inner, context, span, recorded }
    }
}

/// The span of a call, if it is recorded; it ends when this is dropped, however the call ended.
#[derive(Debug, Default)]
struct Recorded {
    span: telemetry::span::Span,
    code: Option<Code>,
}

impl Recorded {
    /// The status of a call without messages stands in its headers; else in its trailers.
    fn read(&mut self, headers: &HeaderMap) {
        if self.span.is_recorded()
            && let Some(code) = headers.get(Status::GRPC_STATUS)
        {
            self.code = Some(Code::from_bytes(code.as_bytes()));
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.span.ended(self.code.unwrap_or(Code::Cancelled));
    }
}

/// A future or a body inside its trace.
#[derive(Debug)]
pub(crate) struct Traced<T> {
    inner: T,
    context: Context,
    span: Span,
    recorded: Recorded,
}

impl<T> Traced<T> {
    fn enter<R>(&mut self, run: impl FnOnce(&mut T) -> R) -> R {
        let Self { inner, context, span, .. } = self;
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
        let (context, span, mut recorded) =
            (self.context.clone(), self.span.clone(), std::mem::take(&mut self.recorded));
        recorded.read(response.headers());
        Poll::Ready(Ok(response.map(|inner| Traced { inner, context, span, recorded })))
    }
}

impl<B: Body<Error = Status> + Unpin> Body for Traced<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(self.enter(|inner| Pin::new(inner).poll_frame(cx)));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.recorded.read(trailers);
                }
            }
            Some(Err(status)) => self.recorded.code = Some(status.code()),
            None => self.recorded.code = self.recorded.code.or(Some(Code::Unknown)),
        }
        Poll::Ready(frame)
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
