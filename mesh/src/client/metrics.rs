//! Measures calls (over all their attempts) and attempts (each at its endpoint).

use std::sync::Arc;

use futures::FutureExt as _;
use tokio::time::Instant;
use tonic::Code;
use tower::Layer;

use crate::{
    client::{
        AnswerFuture, Stop,
        call::{Call, Traffic},
        observe::{self, Observer},
    },
    telemetry::{AttemptLabels, Bytes, Metrics},
};

/// What is measured.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Call,
    Attempt,
}

/// Measures what passes.
#[derive(Clone, Debug)]
pub(crate) struct Measured<S> {
    inner: S,
    subject: Subject,
    metrics: Metrics,
}

/// Makes [`Measured`].
#[derive(Clone, Debug)]
pub(crate) struct MeasuredLayer {
    subject: Subject,
    metrics: Metrics,
}

/// Measures calls: `grpc.client.call.duration`.
pub(crate) fn call(metrics: Metrics) -> MeasuredLayer {
    MeasuredLayer { subject: Subject::Call, metrics }
}

/// Measures attempts: `grpc.client.attempt.*`.
pub(crate) fn attempt(metrics: Metrics) -> MeasuredLayer {
    MeasuredLayer { subject: Subject::Attempt, metrics }
}

impl<S> Layer<S> for MeasuredLayer {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Measured { inner, subject: self.subject, metrics: self.metrics.clone() }
    }
}

impl<S: Stop> Stop for Measured<S> {
    fn call(&self, call: Call) -> AnswerFuture {
        let mut guard = Guard {
            subject: self.subject,
            metrics: self.metrics.clone(),
            labels: Arc::clone(&call.route.labels),
            traffic: Arc::clone(&call.traffic),
            deadline: call.route.deadline.map(|deadline| deadline.at),
            begun: Instant::now(),
            told: false,
        };
        guard.begin();
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

/// Records once: how it ended, or that the caller left.
#[derive(Debug)]
struct Guard {
    subject: Subject,
    metrics: Metrics,
    labels: Arc<AttemptLabels>,
    traffic: Arc<Traffic>,
    deadline: Option<Instant>,
    begun: Instant,
    told: bool,
}

impl Guard {
    fn begin(&self) {
        if let Subject::Attempt = self.subject {
            self.metrics.attempt_started(&self.labels);
        }
    }
}

impl Observer for Guard {
    fn ended(&mut self, code: Code) {
        self.told = true;
        let took = self.begun.elapsed();
        match self.subject {
            Subject::Call => self.metrics.call_ended(&self.labels, code, took),
            Subject::Attempt => {
                let bytes = Bytes { sent: self.traffic.sent(), received: self.traffic.received() };
                self.metrics.attempt_ended(&self.labels, code, took, bytes);
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let late = self.deadline.is_some_and(|at| Instant::now() >= at);
        self.ended(if late { Code::DeadlineExceeded } else { Code::Cancelled });
    }
}
