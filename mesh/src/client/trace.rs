//! Gives a call its place in a trace: one span over all its attempts, and below it one for each (gRFC A72).

use std::sync::Arc;

use futures::FutureExt as _;
use opentelemetry::trace::SpanKind;
use tokio::time::Instant;
use tonic::Code;
use tower::Layer;

use crate::{
    client::{
        AnswerFuture, Stop,
        call::Call,
        observe::{self, Observer},
    },
    context::TraceContext,
    telemetry::{
        Tracer,
        span::{Span, method_span},
    },
};

/// What has a span of its own.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Call,
    Attempt,
}

/// Traces what passes; a call whose trace is not recorded passes as it is, but for its header.
#[derive(Clone, Debug)]
pub(crate) struct Traced<S> {
    inner: S,
    subject: Subject,
    tracer: Tracer,
}

/// Makes [`Traced`].
#[derive(Clone, Debug)]
pub(crate) struct TraceLayer {
    subject: Subject,
    tracer: Tracer,
}

/// Traces calls, as `Sent.package.Service.Method`, and writes `traceparent`.
pub(crate) fn call(tracer: Tracer) -> TraceLayer {
    TraceLayer { subject: Subject::Call, tracer }
}

/// Traces attempts, as `Attempt.package.Service.Method`.
pub(crate) fn attempt(tracer: Tracer) -> TraceLayer {
    TraceLayer { subject: Subject::Attempt, tracer }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Traced { inner, subject: self.subject, tracer: self.tracer.clone() }
    }
}

impl<S: Stop> Stop for Traced<S> {
    fn call(&self, mut call: Call) -> AnswerFuture {
        let span = match self.subject {
            Subject::Call => begin_call(&self.tracer, &mut call),
            Subject::Attempt => begin_attempt(&self.tracer, &mut call),
        };
        if !span.is_recorded() {
            return self.inner.call(call);
        }
        let deadline = call.route.deadline.map(|deadline| deadline.at);
        call.span = span.clone();
        let mut guard = Guard { span, deadline, told: false };
        let answer = self.inner.call(call);
        async move {
            match answer.await {
                Ok(answer) => Ok(observe::observe(answer, guard)),
                Err(failure) => {
                    guard.ended(failure.status.code());
                    Err(failure)
                }
            }
        }
        .boxed()
    }
}

/// Begins the span of a call, and writes who stands above what is done for it: who records nothing passes on what it
/// was given.
fn begin_call(tracer: &Tracer, call: &mut Call) -> Span {
    let above = call.route.trace;
    let span = tracer.begin(SpanKind::Client, above, || method_span("Sent", call.route.path.path()));
    let place = span.context().or(above).unwrap_or_else(TraceContext::root);
    if span.is_recorded() {
        let rows = call.route.policy.rows().into_iter();
        span.set_lines(
            "selvedge.policy",
            rows.map(|(name, sourced)| format!("{name} = {} ({})", sourced.value, sourced.origin)),
        );
    }
    // Nobody else has the route yet.
    Arc::make_mut(&mut call.route).trace = Some(place);
    place.to_headers(&mut call.headers);
    span
}

fn begin_attempt(tracer: &Tracer, call: &mut Call) -> Span {
    // Without one, nobody looks after the call's trace.
    let Some(above) = call.route.trace else { return Span::default() };
    let span = tracer.begin(SpanKind::Client, Some(above), || method_span("Attempt", call.route.path.path()));
    if let Some(place) = span.context() {
        place.to_headers(&mut call.headers);
        span.set("previous-rpc-attempts", i64::from(call.previous));
        span.set("transparent-retry", call.retry.is_some_and(|retry| retry.transparent));
        if let Some(retry) = call.retry {
            span.set("selvedge.retry.reason", retry.reason);
        }
    }
    span
}

/// Tells the span once: how it ended, or that the caller left.
#[derive(Debug)]
struct Guard {
    span: Span,
    deadline: Option<Instant>,
    told: bool,
}

impl Observer for Guard {
    fn ended(&mut self, code: Code) {
        self.told = true;
        self.span.ended(code);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.told {
            let late = self.deadline.is_some_and(|at| Instant::now() >= at);
            self.span.ended(if late { Code::DeadlineExceeded } else { Code::Cancelled });
        }
    }
}

#[cfg(test)]
mod tests;
