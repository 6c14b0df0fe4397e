//! Closes a connection whose client is silent where it owes something (its first byte, or the rest of a head that it
//! began), and an HTTP/1.1 connection that nobody uses.
//!
//! hyper has one time for both of HTTP/1.1, and none for HTTP/2, so hyper's is off. An idle HTTP/2 connection may stay:
//! pings tell whether its client lives.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use crate::listener::{linger::Linger, requests::Requests, watch::Watch};

/// How long a client may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// From opening to the first byte, and from the first byte of a head to its end.
    pub(crate) head: Duration,
    /// Between two requests of HTTP/1.1.
    pub(crate) idle: Duration,
}

/// A connection that waits only so long for its client.
#[derive(Debug)]
pub(crate) struct Patience<I> {
    io: I,
    times: Times,
    watch: Watch,
    requests: Arc<Requests>,
    /// How many requests had begun when the stage was last settled.
    begun: u64,
    stage: Stage,
    /// When the client has had its time.
    end: Instant,
    /// Wakes then, or before: most ends are put off before they come, and a timer that is set anew for each request
    /// costs more than one that is looked at and wakes too early now and then.
    alarm: Pin<Box<Sleep>>,
    /// How the connection ends, since it does.
    linger: Option<Linger>,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The client: for its first byte, or the rest of a head.
    Head,
    /// Nothing that is timed here: a request runs, or HTTP/2 has settled.
    Busy,
    /// The client, which may or may not have another request of HTTP/1.1.
    Idle,
}

impl<I> Patience<I> {
    pub(crate) fn new(io: I, times: Times, requests: Arc<Requests>) -> Self {
        let end = Instant::now() + times.head;
        let alarm = Box::pin(tokio::time::sleep_until(end));
        Self { io, times, watch: Watch::default(), requests, begun: 0, stage: Stage::Head, end, alarm, linger: None }
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        match stage {
            Stage::Head => self.end = Instant::now() + self.times.head,
            Stage::Idle => self.end = Instant::now() + self.times.idle,
            Stage::Busy => {}
        }
    }

    /// Is ready when the client has had its time.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.end < self.alarm.deadline() {
            self.alarm.as_mut().reset(self.end);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if self.alarm.deadline() >= self.end {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(self.end);
        }
        Poll::Pending
    }

    /// Follows the requests of HTTP/1.1: a head ends where its request begins.
    fn follow(&mut self) {
        let (begun, running) = self.requests.count();
        let another = std::mem::replace(&mut self.begun, begun) != begun;
        if running {
            self.enter(Stage::Busy);
        } else if another || self.stage == Stage::Busy {
            self.enter(Stage::Idle);
        }
    }

    /// Follows the bytes that came.
    fn came(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let first = matches!(self.watch, Watch::Begin(0));
        let blocks = self.blocks();
        self.watch.pass(bytes);
        let owes = match &self.watch {
            Watch::Begin(_) => true,
            Watch::Http1 => first || self.stage == Stage::Idle,
            Watch::Http2(frames) => frames.owes(),
        };
        // A client that sends one head after the other owes a new one each time.
        let anew = first || self.stage != Stage::Head || self.blocks() != blocks;
        match (&self.watch, owes) {
            (_, true) if anew => self.enter(Stage::Head),
            (Watch::Http2(_), false) => self.enter(Stage::Busy),
            _ => {}
        }
    }

    fn blocks(&self) -> u64 {
        if let Watch::Http2(frames) = &self.watch { frames.blocks() } else { 0 }
    }

    /// Tells whether the client may still be sending: a body that was answered before its end, or a head that was
    /// refused. HTTP/2 has its own word for both.
    fn may_send(&self) -> bool {
        matches!(self.watch, Watch::Http1) && (self.stage == Stage::Head || self.requests.unread())
    }

    /// An answer that its client reads slowly is still in use.
    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        if self.stage == Stage::Idle && matches!(written, Poll::Ready(Ok(1..))) {
            self.enter(Stage::Idle);
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Patience<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.watch, Watch::Http1) {
            // First the waker, or a request that ends in between would be missed.
            this.requests.wake_at_end(cx.waker());
            this.follow();
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        if polled.is_ready() {
            this.came(&buf.filled()[before..]);
            return polled;
        }
        if this.stage != Stage::Busy && this.poll_end(cx).is_ready() {
            let text = match this.stage {
                Stage::Idle => "the connection was idle for too long",
                Stage::Head | Stage::Busy => "the client was silent for too long before the end of its headers",
            };
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        Poll::Pending
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patience<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.wrote(&written);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            if !this.may_send() {
                return Poll::Ready(Ok(()));
            }
        }
        this.linger.get_or_insert_with(Linger::new).poll(&mut this.io, cx).map(Ok)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
