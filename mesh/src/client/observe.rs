//! Watches an answer go by: its first message, its status, or that it was dropped.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::{Code, Status, body::Body};

/// What wants to know how an answer went. Being dropped before `ended` means that the caller left.
pub(crate) trait Observer: Send + Unpin + 'static {
    /// The first message came; not told of an answer without one.
    fn first(&mut self) {}

    /// The answer ended with this code.
    fn ended(&mut self, code: Code);
}

/// Returns the answer with its body observed, or just tells the status if it has come already.
pub(crate) fn observe<O: Observer>(answer: http::Response<Body>, mut observer: O) -> http::Response<Body> {
    if let Some(code) = status_of(&answer) {
        observer.ended(code);
        return answer;
    }
    answer.map(|inner| Body::new(Observed { inner, observer: Some(observer), begun: false }))
}

/// Returns the status of an answer that has it in its headers: there is nothing after it (gRPC over HTTP/2,
/// "Responses"), though some servers end the stream by an empty frame of its own.
pub(crate) fn status_of(answer: &http::Response<Body>) -> Option<Code> {
    code_of(answer.headers())
}

/// Reads `grpc-status`.
pub(crate) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

#[derive(Debug)]
struct Observed<O> {
    inner: Body,
    observer: Option<O>,
    begun: bool,
}

impl<O: Observer> Observed<O> {
    fn note(&mut self, frame: Option<&Result<Frame<Bytes>, Status>>) {
        let Some(observer) = &mut self.observer else { return };
        let code = match frame {
            Some(Ok(frame)) if frame.is_data() => {
                if !std::mem::replace(&mut self.begun, true) {
                    observer.first();
                }
                return;
            }
            Some(Ok(frame)) => frame.trailers_ref().and_then(code_of).unwrap_or(Code::Unknown),
            Some(Err(status)) => status.code(),
            None => Code::Unknown,
        };
        observer.ended(code);
        self.observer = None;
    }
}

impl<O: Observer> http_body::Body for Observed<O> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            this.note(frame.as_ref());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.observer.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
