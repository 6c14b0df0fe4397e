//! Keeps the frames of a request body as they go out, so that another attempt can send them again.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
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
    /// All that the source gave so far, unless `committed`.
    kept: Vec<Bytes>,
    size: usize,
    ended: bool,
    /// It was not or will not be kept: there is no other attempt.
    committed: bool,
    /// The attempt that may read; earlier ones read nothing more.
    attempt: u32,
    memory: Memory,
}

impl Replay {
    pub(crate) fn new(source: Body, memory: Memory) -> Self {
        let (kept, ended) = (Vec::new(), source.is_end_stream());
        let tee = Tee { source, kept, size: 0, ended, committed: false, attempt: 0, memory };
        Self { tee: Arc::new(Mutex::new(tee)) }
    }

    /// Returns the body of the next attempt, or nothing if some of it was not kept.
    pub(crate) fn next(&self) -> Option<Body> {
        let mut tee = lock(&self.tee);
        if tee.committed {
            return None;
        }
        tee.attempt += 1;
        let empty = tee.ended && tee.kept.is_empty();
        let body = Attempt { tee: Arc::clone(&self.tee), attempt: tee.attempt, read: 0 };
        Some(if empty { Body::empty() } else { Body::new(body) })
    }

    /// Keeps nothing more: there will be no other attempt.
    pub(crate) fn commit(&self) {
        lock(&self.tee).commit();
    }
}

impl Tee {
    fn keep(&mut self, data: &Bytes) {
        if self.committed {
            return;
        }
        let total = self.memory.kept.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        self.size += data.len();
        self.kept.push(data.clone());
        if self.size > PER_CALL || total > PER_MESH {
            self.commit();
        }
    }

    fn commit(&mut self) {
        self.committed = true;
        self.kept = Vec::new();
        self.memory.kept.fetch_sub(self.size, Ordering::Relaxed);
        self.size = 0;
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.commit();
    }
}

/// The body of one attempt: what was kept, and then what the source gives.
#[derive(Debug)]
struct Attempt {
    tee: Arc<Mutex<Tee>>,
    attempt: u32,
    read: usize,
}

impl http_body::Body for Attempt {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let mut tee = lock(&this.tee);
        if tee.attempt != this.attempt {
            return Poll::Ready(Some(Err(Status::cancelled("another attempt took over"))));
        }
        if let Some(data) = tee.kept.get(this.read) {
            this.read += 1;
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        if tee.ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut tee.source).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            tee.keep(data);
            this.read += 1;
        }
        if let Poll::Ready(None | Some(Err(_))) = &polled {
            tee.ended = true;
        }
        polled
    }
}

fn lock(tee: &Mutex<Tee>) -> MutexGuard<'_, Tee> {
    tee.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn chunks(sizes: &[usize]) -> Body {
        let frames: Vec<_> = sizes.iter().map(|size| Ok::<_, Status>(Frame::data(vec![7; *size].into()))).collect();
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    async fn length(body: Body) -> usize {
        body.collect().await.unwrap().to_bytes().len()
    }

    #[tokio::test]
    async fn a_second_attempt_sends_what_the_first_sent_and_the_rest() {
        let memory = Memory::default();
        let replay = Replay::new(chunks(&[10, 20, 30]), memory.clone());
        let mut first = replay.next().unwrap();
        assert_eq!(first.frame().await.unwrap().unwrap().data_ref().unwrap().len(), 10);
        let second = replay.next().unwrap();
        assert_eq!(first.frame().await.unwrap().unwrap_err().code(), tonic::Code::Cancelled);
        assert_eq!(length(second).await, 60);
        assert_eq!(length(replay.next().unwrap()).await, 60);
        drop((replay, first));
        assert_eq!(memory.kept.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_body_larger_than_a_call_may_keep_is_sent_once() {
        let memory = Memory::default();
        let replay = Replay::new(chunks(&[PER_CALL, 1]), memory.clone());
        assert_eq!(length(replay.next().unwrap()).await, PER_CALL + 1);
        assert!(replay.next().is_none());
        assert_eq!(memory.kept.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn nothing_is_kept_when_the_mesh_keeps_enough() {
        let memory = Memory { kept: Arc::new(AtomicUsize::new(PER_MESH)) };
        let replay = Replay::new(chunks(&[1]), memory.clone());
        assert_eq!(length(replay.next().unwrap()).await, 1);
        assert!(replay.next().is_none());
        assert_eq!(memory.kept.load(Ordering::Relaxed), PER_MESH);
    }

    #[tokio::test]
    async fn a_committed_body_still_flows() {
        let (sender, receiver) = futures::channel::mpsc::unbounded::<usize>();
        let frames = receiver.map(|size| Ok::<_, Status>(Frame::data(vec![7; size].into())));
        let replay = Replay::new(Body::new(StreamBody::new(frames)), Memory::default());
        let mut body = replay.next().unwrap();
        sender.unbounded_send(3).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        replay.commit();
        sender.unbounded_send(4).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().data_ref().unwrap().len(), 4);
    }
}
