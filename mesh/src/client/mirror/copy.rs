//! The copy of a request body, made as the body is read.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::StreamBody;
use tonic::{Status, body::Body};

/// Returns the body, and a copy that gets what is read of it up to so many bytes; beyond those the copy is broken off.
pub(super) fn copy(body: Body, most: usize) -> (Body, Body) {
    if body.is_end_stream() {
        return (body, Body::empty());
    }
    let (sender, receiver) = unbounded();
    (Body::new(Read { inner: body, copy: Some(sender), left: most }), Body::new(StreamBody::new(receiver)))
}

/// A body that is copied as it is read.
#[derive(Debug)]
struct Read {
    inner: Body,
    /// Gone once the copy ended.
    copy: Option<UnboundedSender<Result<Frame<Bytes>, Status>>>,
    left: usize,
}

impl Read {
    fn note(&mut self, frame: Option<&Result<Frame<Bytes>, Status>>) {
        let Some(copy) = &self.copy else { return };
        match frame {
            Some(Ok(frame)) => {
                let Some(data) = frame.data_ref() else { return };
                if data.len() > self.left {
                    return self.break_off();
                }
                self.left -= data.len();
                // A copy that nobody reads any more is no loss.
                let _ = copy.unbounded_send(Ok(Frame::data(data.clone())));
            }
            Some(Err(_)) => self.break_off(),
            None => self.copy = None,
        }
    }

    /// Ends the copy so that nobody takes it for a whole one.
    fn break_off(&mut self) {
        if let Some(copy) = self.copy.take() {
            let _ = copy.unbounded_send(Err(Status::cancelled("the request is not copied to its end")));
        }
    }
}

impl http_body::Body for Read {
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
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        if !self.inner.is_end_stream() {
            self.break_off();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn chunks(sizes: &[usize]) -> Body {
        let frames: Vec<_> = sizes.iter().map(|size| Ok::<_, Status>(Frame::data(vec![7; *size].into()))).collect();
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    async fn length(body: Body) -> Option<usize> {
        body.collect().await.ok().map(|collected| collected.to_bytes().len())
    }

    #[tokio::test]
    async fn a_copy_is_whole_or_broken_off() {
        for (sizes, copied) in [(&[10, 20][..], Some(30)), (&[100], Some(100)), (&[60, 41], None), (&[], Some(0))] {
            let (body, copy) = copy(chunks(sizes), 100);
            assert_eq!(length(body).await, Some(sizes.iter().sum()));
            assert_eq!(length(copy).await, copied, "{sizes:?}");
        }
        let (mut body, copy) = copy(chunks(&[10, 20]), 100);
        assert!(body.frame().await.is_some());
        drop(body);
        assert_eq!(length(copy).await, None, "the caller left");
    }
}
