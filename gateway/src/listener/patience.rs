//! Closes a connection whose client is silent where it owes something: its first bytes, or the rest of its headers.
//!
//! hyper times the headers of HTTP/1.1 itself, but only after it knows the protocol; for HTTP/2 it has no such time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// A connection that waits only so long for what its client owes.
#[derive(Debug)]
pub(crate) struct Patience<I> {
    io: I,
    watch: Watch,
    time: Duration,
    limit: Pin<Box<Sleep>>,
}

impl<I> Patience<I> {
    pub(crate) fn new(io: I, time: Duration) -> Self {
        Self { io, watch: Watch::default(), time, limit: Box::pin(tokio::time::sleep(time)) }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Patience<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        if polled.is_ready() {
            let owed = this.watch.owes();
            this.watch.pass(&buf.filled()[before..]);
            if this.watch.owes() && !owed {
                this.limit.as_mut().reset(Instant::now() + this.time);
            }
            return polled;
        }
        if this.watch.owes() && this.limit.as_mut().poll(cx).is_ready() {
            let text = "the client was silent for too long before the end of its headers";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        Poll::Pending
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Patience<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// The connection preface of HTTP/2 (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length (3), type, flags, stream (4): RFC 9113 section 4.1.
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Reads along, without keeping anything, to know whether the client owes something.
#[derive(Clone, Debug)]
enum Watch {
    /// The first bytes: so many of the preface were seen.
    Begin(usize),
    /// HTTP/1.1, where hyper keeps the time.
    Http1,
    Http2(Frames),
}

/// Where in HTTP/2's frames the connection is.
#[derive(Clone, Debug, Default)]
struct Frames {
    header: [u8; FRAME_HEADER],
    have: usize,
    left: usize,
    /// The first frame, which every client must send at once, was read.
    settled: bool,
    /// A block of headers was begun and not ended.
    in_headers: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self::Begin(0)
    }
}

impl Watch {
    fn owes(&self) -> bool {
        match self {
            Self::Begin(_) => true,
            Self::Http1 => false,
            Self::Http2(frames) => frames.in_headers || !frames.settled,
        }
    }

    fn pass(&mut self, mut bytes: &[u8]) {
        if let Self::Begin(seen) = self {
            let take = bytes.len().min(PREFACE.len() - *seen);
            if bytes[..take] != PREFACE[*seen..*seen + take] {
                *self = Self::Http1;
                return;
            }
            *seen += take;
            bytes = &bytes[take..];
            if *seen == PREFACE.len() {
                *self = Self::Http2(Frames::default());
            }
        }
        if let Self::Http2(frames) = self {
            frames.pass(bytes);
        }
    }
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.have < FRAME_HEADER {
                let take = bytes.len().min(FRAME_HEADER - self.have);
                self.header[self.have..self.have + take].copy_from_slice(&bytes[..take]);
                self.have += take;
                bytes = &bytes[take..];
                if self.have == FRAME_HEADER {
                    self.begin();
                }
            } else {
                let take = bytes.len().min(self.left);
                self.left -= take;
                bytes = &bytes[take..];
            }
            if self.have == FRAME_HEADER && self.left == 0 {
                self.end();
            }
        }
    }

    fn begin(&mut self) {
        let [a, b, c, kind, ..] = self.header;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        self.in_headers |= matches!(kind, HEADERS | CONTINUATION);
    }

    fn end(&mut self) {
        let [_, _, _, kind, flags, ..] = self.header;
        let ends = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
        self.in_headers &= !ends;
        self.settled = true;
        self.have = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEADER + usize::from(length), 0xff);
        frame
    }

    fn owes(bytes: &[u8], cut: usize) -> bool {
        let mut watch = Watch::default();
        bytes.chunks(cut).for_each(|chunk| watch.pass(chunk));
        watch.owes()
    }

    proptest! {
        #[test]
        fn what_is_owed_does_not_depend_on_how_the_bytes_are_cut(cut in 1usize..40) {
            let settings = [PREFACE, &frame(4, 0, 6)].concat();
            let open = [settings.clone(), frame(0, 0, 9), frame(HEADERS, 0, 30)].concat();
            let half = [settings.clone(), frame(HEADERS, END_HEADERS, 30)[..20].to_vec()].concat();
            let ended = [open.clone(), frame(CONTINUATION, END_HEADERS, 3)].concat();
            prop_assert!(owes(b"", cut));
            prop_assert!(owes(&PREFACE[..10], cut));
            prop_assert!(owes(PREFACE, cut));
            prop_assert!(!owes(&settings, cut));
            prop_assert!(owes(&open, cut));
            prop_assert!(owes(&half, cut));
            prop_assert!(!owes(&ended, cut));
            prop_assert!(!owes(b"PUT / HTTP/1.1\r\n", cut));
        }
    }
}
