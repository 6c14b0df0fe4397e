//! Stops messages that are larger than `server.max_message_bytes`, both ways.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;
use tower::{Layer, Service};

use crate::{
    error::{Error, ErrorKind},
    message_limit::{MessageLimit, TooLarge},
};

/// Makes [`Limit`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitLayer {
    bytes: usize,
}

impl LimitLayer {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit { inner, bytes: self.bytes }
    }
}

/// Reads the lengths of messages as they go by.
#[derive(Clone, Debug)]
pub(crate) struct Limit<S> {
    inner: S,
    bytes: usize,
}

impl<S, R, B> Service<Request<R>> for Limit<S>
where
    S: Service<Request<Limited<R>>, Response = Response<B>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Limited<B>>;
    type Error = Infallible;
    type Future = LimitedCall<S::Future>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let bytes = self.bytes;
        let request = request.map(|inner| Limited::new(inner, bytes, "request"));
        LimitedCall { inner: self.inner.call(request), bytes }
    }
}

/// A call that waits for its response.
#[derive(Debug)]
pub(crate) struct LimitedCall<F> {
    inner: F,
    bytes: usize,
}

impl<F, B> Future for LimitedCall<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Response<Limited<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(Pin::new(&mut self.inner).poll(cx));
        let bytes = self.bytes;
        Poll::Ready(Ok(response.map(|inner| Limited::new(inner, bytes, "response"))))
    }
}

/// A body that ends in an error at a message which is too large.
#[derive(Debug)]
pub(crate) struct Limited<B> {
    /// Nothing after such a message.
    inner: Option<B>,
    limit: MessageLimit,
    side: &'static str,
}

impl<B> Limited<B> {
    fn new(inner: B, bytes: usize, side: &'static str) -> Self {
        Self { inner: Some(inner), limit: MessageLimit::new(bytes), side }
    }

    fn refuse(&mut self, large: TooLarge) -> Status {
        self.inner = None;
        let (side, TooLarge { size, limit }) = (self.side, large);
        let text = format!("the {side} message of {size} bytes is larger than server.max_message_bytes ({limit})");
        Error::new(ErrorKind::TooLarge, text).to_status()
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> Body for Limited<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        let Some(Ok(Some(data))) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) else {
            return Poll::Ready(frame);
        };
        match self.limit.pass(data) {
            Ok(_) => Poll::Ready(frame),
            Err(large) => Poll::Ready(Some(Err(self.refuse(large)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
