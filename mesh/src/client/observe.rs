//! Watches an answer go by: its first message, its status, or that it was dropped.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::{Code, Status, body::Body};

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

/// The body of an answer. Those who watch it stand in one row, and not one around the other: a message passes once.
pub(crate) struct AnswerBody {
    source: Body,
    /// In the order in which they came, which is that in which they are told; gone when the answer has ended.
    observers: Vec<Box<dyn Observer>>,
    begun: bool,
}

impl AnswerBody {
    pub(crate) fn observe(&mut self, observer: impl Observer) {
        self.observers.push(Box::new(observer));
    }

    fn note(&mut self, frame: Option<&Result<Frame<Bytes>, Status>>) {
        let code = match frame {
            Some(Ok(frame)) if frame.is_data() => {
                if !std::mem::replace(&mut self.begun, true) {
                    self.observers.iter_mut().for_each(|observer| observer.first());
                }
                return;
            }
            Some(Ok(frame)) => frame.trailers_ref().and_then(code_of).unwrap_or(Code::Unknown),
            Some(Err(status)) => status.code(),
            None => Code::Unknown,
        };
        for mut observer in self.observers.drain(..) {
            observer.ended(code);
        }
    }
}

/// No messages.
impl Default for AnswerBody {
    fn default() -> Self {
        Body::empty().into()
    }
}

impl From<Body> for AnswerBody {
    fn from(source: Body) -> Self {
        Self { source, observers: Vec::new(), begun: false }
    }
}

impl From<AnswerBody> for Body {
    fn from(body: AnswerBody) -> Self {
        match body {
            AnswerBody { source, observers, .. } if observers.is_empty() => source,
            body => Self::new(body),
        }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.source).poll_frame(cx);
        if let Poll::Ready(frame) = &polled
            && !this.observers.is_empty()
        {
            this.note(frame.as_ref());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.observers.is_empty() && self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, observers, begun } = self;
        f.debug_struct("AnswerBody")
            .field("source", source)
            .field("observers", &observers.len())
            .field("begun", begun)
            .finish()
    }
}
