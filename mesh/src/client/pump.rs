//! Sends a request body on its stream, under flow control.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use h2::{Reason, SendStream};
use http_body::Body as _;
use tonic::{Status, body::Body};

use crate::{
    client::call::{Route, Traffic},
    error::{Error, ErrorKind},
    message_limit::{MessageLimit, TooLarge},
};

/// A body that is whole, and no larger, is given to the connection at once: its windows are not waited for.
const EAGER: usize = 32 * 1024;

/// What the two directions of a stream tell each other.
#[derive(Debug, Default)]
struct Link {
    /// Nobody reads the answer any more.
    left: AtomicBool,
    waker: AtomicWaker,
    /// Why the request body ended early.
    failed: OnceLock<Status>,
}

/// The reader's end: when it is dropped, the body stops, and what is left of the stream is reset.
#[derive(Debug)]
pub(crate) struct Reader {
    link: Arc<Link>,
}

impl Reader {
    /// Returns why the request body failed, if it did.
    pub(crate) fn failed(&self) -> Option<&Status> {
        self.link.failed.get()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.link.left.store(true, Ordering::Release);
        self.link.waker.wake();
    }
}

/// Sends one request body. It ends when the body does, when it fails, when the server wants no more, or when the
/// reader left; dropping it then leaves h2 to reset a stream that is not complete.
#[derive(Debug)]
pub(crate) struct Pump {
    link: Arc<Link>,
    stream: SendStream<Bytes>,
    body: Body,
    /// What is being sent, and what comes after: so the last frame can carry END_STREAM.
    chunk: Option<Bytes>,
    next: Option<Bytes>,
    ended: bool,
    /// Nothing was sent yet.
    untouched: bool,
    limit: MessageLimit,
    traffic: Arc<Traffic>,
    route: Arc<Route>,
}

impl Pump {
    pub(crate) fn new(
        stream: SendStream<Bytes>,
        body: Body,
        limit: usize,
        traffic: Arc<Traffic>,
        route: Arc<Route>,
    ) -> (Self, Reader) {
        let link = Arc::new(Link::default());
        let reader = Reader { link: Arc::clone(&link) };
        let (limit, ended) = (MessageLimit::new(limit), body.is_end_stream());
        (Self { link, stream, body, chunk: None, next: None, ended, untouched: true, limit, traffic, route }, reader)
    }

    /// Moves on to the next frame, and looks one further if it is there.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if self.chunk.is_none() {
            self.chunk = self.next.take();
        }
        while self.chunk.is_none() && !self.ended {
            self.chunk = ready!(self.read(cx))?;
        }
        while self.next.is_none() && !self.ended {
            match self.read(cx) {
                Poll::Ready(next) => self.next = next?,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads one frame; nothing for an empty one, for trailers (gRPC has none in requests) and for the end.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
            self.ended = true;
            return Poll::Ready(Ok(None));
        };
        let Ok(data) = frame?.into_data() else { return Poll::Ready(Ok(None)) };
        let bytes = self.limit.pass(&data).map_err(|found| too_large(&self.route, found))?;
        self.traffic.add_sent(bytes);
        Poll::Ready(Ok(Some(data).filter(|data| !data.is_empty())))
    }

    /// Sends a body that is whole and small; `false` if it is not, or not yet.
    fn send_at_once(&mut self) -> bool {
        let whole = self.untouched && self.ended && self.next.is_none();
        let Some(chunk) = self.chunk.take_if(|chunk| whole && chunk.len() <= EAGER) else { return false };
        // Of a stream that takes no more, the answer tells why.
        let _ = self.stream.send_data(chunk, true);
        true
    }

    /// Sends as much of the present frame as the windows allow. `false`: the stream takes no more.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(chunk) = &mut self.chunk else { return Poll::Ready(true) };
        self.untouched = false;
        self.stream.reserve_capacity(chunk.len());
        let Some(Ok(room)) = ready!(self.stream.poll_capacity(cx)) else { return Poll::Ready(false) };
        let part = chunk.split_to(room.min(chunk.len()));
        let done = chunk.is_empty();
        let last = done && self.next.is_none() && self.ended;
        if done {
            self.chunk = None;
        }
        let sent = part.is_empty() || self.stream.send_data(part, last).is_ok();
        Poll::Ready(sent && !last)
    }

    fn fail(&mut self, status: Status) {
        // The first reason stays; there is no second, as the pump ends here.
        let _ = self.link.failed.set(status);
        self.stream.send_reset(Reason::CANCEL);
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        // Who polled it may be the caller itself, whom a wake at the end of its own call would only disturb.
        self.link.waker.take();
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // Most bodies are gone before there is anything to wait for.
        match this.advance(cx) {
            Poll::Ready(Ok(())) if this.send_at_once() => return Poll::Ready(()),
            Poll::Ready(Err(status)) => {
                this.fail(status);
                return Poll::Ready(());
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        this.link.waker.register(cx.waker());
        loop {
            let unwanted = this.link.left.load(Ordering::Acquire) || this.stream.poll_reset(cx).is_ready();
            if unwanted {
                return Poll::Ready(());
            }
            if let Err(status) = ready!(this.advance(cx)) {
                this.fail(status);
                return Poll::Ready(());
            }
            if this.chunk.is_none() {
                // The stream may be closed already: then nobody waits for its end.
                let _ = this.stream.send_data(Bytes::new(), true);
                return Poll::Ready(());
            }
            if !ready!(this.send(cx)) {
                return Poll::Ready(());
            }
        }
    }
}

fn too_large(route: &Route, found: TooLarge) -> Status {
    let Route { service, path, .. } = route;
    let TooLarge { size, limit } = found;
    let text = format!(
        "a request message of {} to {service:?} has {size} bytes, and the limit is {limit}: raise client.max_message_bytes",
        path.path()
    );
    Error::new(ErrorKind::TooLarge, text).to_status()
}
