//! Asks a silent peer whether it lives (RFC 9113, section 6.7).

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use h2::{Ping, PingPong};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

/// Counts what was heard from a peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<AtomicU64>);

impl Heard {
    /// Returns the stream, whose reads are counted here from now on.
    pub(crate) fn heed<S>(&self, stream: S) -> Heeded<S> {
        Heeded { stream, heard: self.clone() }
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Watches one connection.
#[derive(Debug)]
pub(crate) struct Keepalive {
    pings: PingPong,
    heard: Heard,
    interval: Duration,
    timeout: Duration,
}

impl Keepalive {
    pub(crate) fn new(pings: PingPong, heard: Heard, interval: Duration, timeout: Duration) -> Self {
        Self { pings, heard, interval, timeout }
    }

    /// Ends when the peer said nothing for the interval, was asked, and then said nothing for the timeout.
    pub(crate) async fn silence(mut self) {
        loop {
            let before = self.heard.count();
            sleep(self.interval).await;
            if self.heard.count() == before && !self.answers().await {
                return;
            }
        }
    }

    /// Pings. Anything that is heard meanwhile is a sign of life too: the answer may stand in a long queue.
    async fn answers(&mut self) -> bool {
        let mut pong = pin!(self.pings.ping(Ping::opaque()));
        loop {
            let before = self.heard.count();
            tokio::select! {
                pong = &mut pong => return pong.is_ok(),
                () = sleep(self.timeout) => {}
            }
            if self.heard.count() == before {
                return false;
            }
        }
    }
}

/// A stream that counts what is read from it.
#[derive(Debug)]
pub(crate) struct Heeded<S> {
    stream: S,
    heard: Heard,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heeded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.heard.0.fetch_add(1, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heeded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
