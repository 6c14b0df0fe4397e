//! Counts the requests of one HTTP/1.1 connection, from the end of the head to the end of the answer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::{Status, body::Body};

/// The requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
    /// The body of the last request was not read to its end.
    unread: AtomicBool,
    connection: AtomicWaker,
}

/// One request that runs; dropped at the end of its answer.
#[derive(Debug)]
pub(crate) struct Running(Arc<Requests>);

impl Requests {
    /// Counts a request in.
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.unread.store(false, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Returns how many have begun, and whether any of them runs.
    pub(crate) fn count(&self) -> (u64, bool) {
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Relaxed);
        (begun, begun != ended)
    }

    /// Tells whether the body of the last request was dropped before its end.
    pub(crate) fn unread(&self) -> bool {
        self.unread.load(Ordering::Acquire)
    }

    /// Has this woken when a request ends.
    pub(crate) fn wake_at_end(&self, connection: &Waker) {
        self.connection.register(connection);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
        self.0.connection.wake();
    }
}

/// The body of a request: tells whether it was read to its end.
#[derive(Debug)]
pub(crate) struct Sent {
    body: Incoming,
    requests: Arc<Requests>,
    ended: bool,
}

impl Sent {
    pub(crate) fn new(body: Incoming, requests: Arc<Requests>) -> Self {
        Self { body, requests, ended: false }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.requests.unread.store(true, Ordering::Release);
        }
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        this.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer: its request runs as long as this is there.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Body,
    /// Nothing for HTTP/2, whose connections are not idle by the count of their requests.
    _running: Option<Running>,
}

impl Answer {
    pub(crate) fn new(body: Body, running: Option<Running>) -> Self {
        Self { body, _running: running }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
