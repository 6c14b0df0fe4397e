//! Keeps the frames of a request body as they go out, so that another attempt can send them again.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tonic::{Status, body::Body};

/// Bytes that one call may keep.
const PER_CALL: usize = 64 * 1024;
/// Bytes that all calls of a mesh may keep.
const PER_MESH: usize = 16 * 1024 * 1024;

/// What all calls of a mesh keep together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    kept: Arc<AtomicUsize>,
}

/// The body of a call, from which each attempt takes its own.
#[derive(Debug)]
pub(crate) struct Replay {
    tee: Arc<Mutex<Tee>>,
}

#[derive(Debug)]
struct Tee {
    source: Body,
    /// All that the source gave so far, until nobody needs it.
    kept: Vec<Bytes>,
    size: usize,
    ended: bool,
    /// What each attempt has read of what is kept.
    read: Vec<usize>,
    /// The only attempt that may read, if there is one.
    owner: Option<usize>,
    /// There is no other attempt: what the owner has read is not kept.
    committed: bool,
    /// Attempts that wait for the source, which wakes only one.
    waiting: Vec<Waker>,
    memory: Memory,
}

impl Replay {
    pub(crate) fn new(source: Body, memory: Memory) -> Self {
        let (kept, ended) = (Vec::new(), source.is_end_stream());
        let (read, waiting) = (Vec::new(), Vec::new());
        let tee = Tee { source, kept, size: 0, ended, read, owner: None, committed: false, waiting, memory };
        Self { tee: Arc::new(Mutex::new(tee)) }
    }

    /// Returns the body of the next attempt, or nothing if some of it was not kept. Earlier attempts read nothing more.
    pub(crate) fn next(&self) -> Option<Body> {
        let body = self.beside()?;
        let mut tee = lock(&self.tee);
        tee.owner = Some(tee.read.len() - 1);
        Some(body)
    }

    /// Returns the body of another attempt, beside those that there are; nothing if some of it was not kept.
    pub(crate) fn beside(&self) -> Option<Body> {
        let mut tee = lock(&self.tee);
        if tee.committed {
            return None;
        }
        tee.read.push(0);
        if tee.ended && tee.kept.is_empty() {
            return Some(Body::empty());
        }
        Some(Body::new(Attempt { tee: Arc::clone(&self.tee), number: tee.read.len() - 1 }))
    }

    /// There will be no other attempt than the last: nothing more is kept for one.
    pub(crate) fn commit(&self) {
        let mut tee = lock(&self.tee);
        let last = tee.read.len().saturating_sub(1);
        tee.commit(last);
    }

    /// There will be no other attempt than this one, counted from 0.
    pub(crate) fn commit_to(&self, attempt: usize) {
        lock(&self.tee).commit(attempt);
    }

    /// Whether the body was committed to one attempt.
    pub(crate) fn is_committed(&self) -> bool {
        lock(&self.tee).committed
    }
}

impl Tee {
    fn poll(&mut self, attempt: usize, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.owner.is_some_and(|owner| owner != attempt) {
            return Poll::Ready(Some(Err(Status::cancelled("another attempt took over"))));
        }
        if let Some(data) = self.kept.get(self.read[attempt]).cloned() {
            self.read[attempt] += 1;
            self.release();
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.source).poll_frame(cx);
        if polled.is_pending() {
            self.waiting.push(cx.waker().clone());
            return polled;
        }
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.keep(attempt, data);
        }
        if let Poll::Ready(None | Some(Err(_))) = &polled {
            self.ended = true;
        }
        self.wake();
        polled
    }

    fn keep(&mut self, attempt: usize, data: &Bytes) {
        if self.committed {
            return;
        }
        let total = self.memory.kept.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        self.size += data.len();
        self.kept.push(data.clone());
        self.read[attempt] = self.kept.len();
        if self.size > PER_CALL || total > PER_MESH {
            self.commit(attempt);
        }
    }

    fn commit(&mut self, attempt: usize) {
        if !std::mem::replace(&mut self.committed, true) {
            self.owner = Some(attempt);
        }
        self.release();
        self.wake();
    }

    /// Gives up what is kept, once nobody needs it.
    fn release(&mut self) {
        let done = self.owner.and_then(|owner| self.read.get(owner)).is_none_or(|read| *read >= self.kept.len());
        if self.committed && done {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        self.kept = Vec::new();
        self.memory.kept.fetch_sub(std::mem::take(&mut self.size), Ordering::Relaxed);
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The body of one attempt: what was kept, and then what the source gives.
#[derive(Debug)]
struct Attempt {
    tee: Arc<Mutex<Tee>>,
    number: usize,
}

impl http_body::Body for Attempt {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        lock(&self.tee).poll(self.number, cx)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // The source may have promised to wake this one.
        lock(&self.tee).wake();
    }
}

fn lock(tee: &Mutex<Tee>) -> MutexGuard<'_, Tee> {
    tee.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
