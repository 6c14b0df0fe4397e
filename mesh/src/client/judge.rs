//! Tells load and standing of an endpoint how each attempt there ended.

use tokio::time::Instant;
use tonic::Code;

use crate::client::{
    Answer, AnswerFuture,
    call::EndpointId,
    load::InFlight,
    observe::{self, Observer},
    outcome,
    standing::Permit,
};

/// What one attempt holds of its endpoint. Dropped early, it says that the caller left, or that time was up.
#[derive(Debug)]
pub(crate) struct Judge {
    load: InFlight,
    permit: Permit,
    deadline: Option<Instant>,
    begun: bool,
}

impl Judge {
    pub(crate) fn new(load: InFlight, permit: Permit, deadline: Option<Instant>) -> Self {
        Self { load, permit, deadline, begun: false }
    }
}

/// Waits for an answer of this endpoint and watches it go by.
pub(crate) async fn watch(answer: AnswerFuture, mut judge: Judge, endpoint: EndpointId) -> Answer {
    match answer.await {
        Ok(answer) => Ok(observe::observe(answer, judge)),
        Err(failure) => {
            if failure.outcome.blames_endpoint() {
                judge.load.failed();
            }
            if failure.outcome.blames_process() {
                judge.permit.ended(false);
            }
            Err(failure.at(endpoint))
        }
    }
}

impl Observer for Judge {
    fn first(&mut self) {
        self.begun = true;
        self.load.first();
        self.permit.first();
    }

    fn ended(&mut self, code: Code) {
        self.load.ended(code);
        self.permit.ended(!outcome::blames(code));
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let late = !self.begun && self.deadline.is_some_and(|at| Instant::now() >= at);
        if late {
            self.permit.ended(false);
        }
    }
}

#[cfg(test)]
mod tests;
