//! Counts the bytes of messages, without their prefixes, as metrics have them (gRFC A66).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context as Task, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::message_limit::MessageLimit;

/// Bytes of the messages in a stream of bytes.
#[derive(Clone, Debug)]
pub(super) struct MessageBytes {
    messages: MessageLimit,
    count: u64,
}

impl Default for MessageBytes {
    fn default() -> Self {
        // None is too large to be counted: the limit is another stop's.
        Self { messages: MessageLimit::new(usize::MAX), count: 0 }
    }
}

impl MessageBytes {
    pub(super) fn add(&mut self, data: &[u8]) -> usize {
        let bytes = self.messages.pass(data).unwrap_or_default();
        self.count += bytes as u64;
        bytes
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

/// A body that counts the bytes of its messages.
#[derive(Debug)]
pub(crate) struct Counted<B> {
    inner: B,
    bytes: MessageBytes,
    count: Arc<AtomicU64>,
}

impl<B> Counted<B> {
    pub(super) fn new(inner: B, count: Arc<AtomicU64>) -> Self {
        Self { inner, bytes: MessageBytes::default(), count }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let bytes = self.bytes.add(data);
            self.count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
