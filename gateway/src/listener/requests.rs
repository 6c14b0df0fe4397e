//! Counts the requests of one HTTP/1.1 connection, from the end of the head to the end of the answer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};

/// The requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
    connection: AtomicWaker,
}

/// One request that runs; dropped at the end of its answer.
#[derive(Debug)]
pub(crate) struct Running(Arc<Requests>);

impl Requests {
    /// Counts a request in.
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Returns how many have begun, and whether any of them runs.
    pub(crate) fn count(&self) -> (u64, bool) {
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Relaxed);
        (begun, begun != ended)
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
