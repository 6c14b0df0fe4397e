//! Watches an answer go by: its first message, its status, or that it was dropped.

use http::HeaderMap;
use tonic::{Code, Status};

use crate::client::answer::AnswerBody;

/// What wants to know how an answer went. Being dropped before `ended` means that the caller left.
pub(crate) trait Observer: Send + 'static {
    /// The first message came; not told of an answer without one.
    fn first(&mut self) {}

    /// The answer ended with this code.
    fn ended(&mut self, code: Code);
}

/// Returns the answer with its body observed, or just tells the status if it has come already.
pub(crate) fn observe(
    mut answer: http::Response<AnswerBody>,
    mut observer: impl Observer,
) -> http::Response<AnswerBody> {
    match status_of(&answer) {
        Some(code) => observer.ended(code),
        None => answer.body_mut().observe(observer),
    }
    answer
}

/// Returns the status of an answer that has it in its headers: there is nothing after it (gRPC over HTTP/2,
/// "Responses"), though some servers end the stream by an empty frame of its own.
pub(crate) fn status_of<B>(answer: &http::Response<B>) -> Option<Code> {
    code_of(answer.headers())
}

/// Reads `grpc-status`.
pub(crate) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}
