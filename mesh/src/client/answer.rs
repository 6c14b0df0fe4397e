//! The body of an answer on its way up, with all who watch it.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::{Code, Status, body::Body};

use crate::client::{
    observe::{Observer, code_of},
    stream::Reply,
};

/// The body of an answer. Those who watch it stand in one row, and not one around the other: a message passes once.
pub(crate) struct AnswerBody {
    source: Source,
    /// In the order in which they came; gone when the answer has ended. What is dropped before, is dropped in this order,
    /// and after the source.
    observers: Vec<Box<dyn Observer>>,
    begun: bool,
}

#[derive(Debug)]
enum Source {
    Stream(Reply),
    Other(Body),
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

impl From<Reply> for AnswerBody {
    fn from(reply: Reply) -> Self {
        // Four watch an attempt.
        Self { source: Source::Stream(reply), observers: Vec::with_capacity(4), begun: false }
    }
}

impl From<Body> for AnswerBody {
    fn from(body: Body) -> Self {
        Self { source: Source::Other(body), observers: Vec::new(), begun: false }
    }
}

impl From<AnswerBody> for Body {
    fn from(body: AnswerBody) -> Self {
        match body {
            AnswerBody { source: Source::Other(body), observers, .. } if observers.is_empty() => body,
            body => Self::new(body),
        }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::Stream(reply) => Pin::new(reply).poll_frame(cx),
            Source::Other(body) => Pin::new(body).poll_frame(cx),
        };
        if let Poll::Ready(frame) = &polled
            && !this.observers.is_empty()
        {
            this.note(frame.as_ref());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let ended = match &self.source {
            Source::Stream(reply) => reply.is_end_stream(),
            Source::Other(body) => body.is_end_stream(),
        };
        self.observers.is_empty() && ended
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Stream(reply) => reply.size_hint(),
            Source::Other(body) => body.size_hint(),
        }
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
