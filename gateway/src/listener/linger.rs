//! Closes a connection so that its client can read the last answer.
//!
//! A system answers what comes to a closed connection with a reset, and a reset takes from the client what it has not
//! read yet. So only the way to the client is closed at first, and what still comes is read and dropped until the
//! client closes too (RFC 9112 section 9.6), within limits of size and time.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::Sleep,
};

/// How much is read and dropped.
const MOST: usize = 64 * 1024 * 1024;
/// For how long.
const TIME: Duration = Duration::from_secs(30);
/// How long a client that neither sends nor closes is waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// The end of one connection.
#[derive(Debug)]
pub(crate) struct Linger {
    left: usize,
    end: Pin<Box<Sleep>>,
    silence: Pin<Box<Sleep>>,
}

impl Linger {
    pub(crate) fn new() -> Self {
        let timer = |time| Box::pin(tokio::time::sleep(time));
        Self { left: MOST, end: timer(TIME), silence: timer(SILENCE) }
    }

    /// Reads and drops what comes; ready when the connection may be closed.
    pub(crate) fn poll<I: AsyncRead + Unpin>(&mut self, io: &mut I, cx: &mut Context<'_>) -> Poll<()> {
        let mut dropped = [0; 16 * 1024];
        while self.left > 0 && self.end.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut dropped);
            match Pin::new(&mut *io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.left = self.left.saturating_sub(buf.filled().len());
                    self.silence.set(tokio::time::sleep(SILENCE));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.silence.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}
