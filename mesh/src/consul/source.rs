//! Where watches ask.

use std::future::Future;

use crate::consul::request::{Answer, Failure, Request};

/// An agent, or one of several.
pub(crate) trait Source {
    /// Says which of several agents is asked at present: the index of one means nothing to another.
    fn agent(&self) -> usize;

    /// Sends one request to an agent.
    fn ask(&self, agent: usize, request: Request) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Says where it is, for logs.
    fn describe(&self) -> String;
}
