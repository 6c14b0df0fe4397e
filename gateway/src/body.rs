//! Bodies that are in memory whole: a request's is read within limits of size and time.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tonic::{Code, body::Body};

use crate::{
    error::Failure,
    memory::{Bounds, Share},
};

/// Pieces that are smaller are put together: a client that sends byte by byte would have each take a hundred.
const SMALL: usize = 4 * 1024;

/// A body that is in memory, in the pieces in which it came.
#[derive(Debug)]
pub(crate) struct Whole {
    pieces: VecDeque<Bytes>,
    length: usize,
    share: Share,
}

impl Whole {
    /// Makes one of bytes that are held by `share`.
    pub(crate) fn new(bytes: Bytes, share: Share) -> Self {
        let length = bytes.len();
        Self { pieces: VecDeque::from([bytes]), length, share }
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &piece[..])
    }

    /// Returns what holds it.
    pub(crate) fn share(self) -> Share {
        self.share
    }

    /// Returns its bytes in one piece, and what holds them. They are copied only if they came in several.
    pub(crate) fn joined(mut self) -> (Bytes, Share) {
        if self.pieces.len() < 2 {
            return (self.pieces.pop_front().unwrap_or_default(), self.share);
        }
        let mut joined = BytesMut::with_capacity(self.length);
        self.pieces().for_each(|piece| joined.extend_from_slice(piece));
        (joined.freeze(), self.share)
    }
}

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.length -= piece.as_ref().map_or(0, Bytes::len);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length as u64)
    }
}

/// Reads all of a body of at most so many bytes; a `content-length` over that is refused before a byte is read.
pub(crate) async fn collect(
    body: Body,
    headers: &HeaderMap,
    most: usize,
    bounds: Bounds<'_>,
) -> Result<Whole, Failure> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(Failure::too_large(most));
    }
    let time = bounds.limits.body_timeout;
    let reading = tokio::time::timeout(time, read(body, most, bounds.memory.share()));
    reading.await.unwrap_or_else(|_| Err(too_slow(time)))
}

fn too_slow(time: Duration) -> Failure {
    let message = format!("the request body did not end within {} s", time.as_secs());
    Failure::new(Code::DeadlineExceeded, message).with_http(StatusCode::REQUEST_TIMEOUT)
}

async fn read(mut body: Body, most: usize, share: Share) -> Result<Whole, Failure> {
    let mut whole = Whole { pieces: VecDeque::new(), length: 0, share };
    let mut small = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broken = |error| Failure::new(Code::Cancelled, format!("the request body broke off: {error}"));
        // Trailers of a request say nothing here.
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        whole.length += data.len();
        if whole.length > most {
            return Err(Failure::too_large(most));
        }
        // What came, and not what was announced: a client that only promises holds nothing.
        whole.share.hold(whole.length)?;
        if data.len() < SMALL && !body.is_end_stream() {
            small.extend_from_slice(&data);
            continue;
        }
        whole.pieces.extend(Some(small.split().freeze()).filter(|small| !small.is_empty()));
        whole.pieces.push_back(data);
    }
    whole.pieces.extend(Some(small.freeze()).filter(|small| !small.is_empty()));
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;
    use crate::{config::Limits, memory::Memory};

    fn of(pieces: Vec<Bytes>) -> Body {
        Body::new(StreamBody::new(futures::stream::iter(
            pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece))),
        )))
    }

    fn read_now(pieces: Vec<Bytes>, most: usize, memory: &Memory) -> Result<Whole, Failure> {
        let limits = Limits::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(collect(of(pieces), &HeaderMap::new(), most, Bounds { limits: &limits, memory }))
    }

    proptest! {
        #[test]
        fn a_body_is_what_was_sent_however_it_was_cut(sizes in proptest::collection::vec(0usize..10_000, 0..8)) {
            let memory = Memory::new(1 << 20);
            let sent: Vec<_> = sizes.iter().enumerate().map(|(at, size)| Bytes::from(vec![at as u8; *size])).collect();
            let whole = read_now(sent.clone(), usize::MAX, &memory).unwrap();
            prop_assert_eq!((whole.length, memory.held()), (sent.concat().len(), sent.concat().len()));
            let passed: Vec<_> = whole.pieces().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(passed.concat(), sent.concat());
            prop_assert_eq!(&whole.joined().0[..], &sent.concat()[..]);
            prop_assert_eq!(memory.held(), 0);
        }
    }

    #[test]
    fn large_pieces_are_not_copied_and_small_ones_take_no_more_than_their_bytes() {
        let memory = Memory::new(1 << 20);
        let large = Bytes::from(vec![1; SMALL]);
        let whole =
            read_now(vec![large.clone(), Bytes::from_static(b"x"), large.clone()], usize::MAX, &memory).unwrap();
        let at: Vec<_> = whole.pieces().map(<[u8]>::as_ptr).collect();
        assert_eq!((at[0], at[2], at.len()), (large.as_ptr(), large.as_ptr(), 3));
        let whole = read_now(vec![Bytes::from_static(b"x"); 10_000], usize::MAX, &memory).unwrap();
        assert_eq!((whole.pieces.len(), whole.length), (1, 10_000));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_holds_nothing() {
        let memory = Memory::new(10);
        let five = || vec![Bytes::from_static(b"five!")];
        let first = read_now(five(), 100, &memory).unwrap();
        let second = read_now(five(), 100, &memory).unwrap();
        let refused = read_now(five(), 100, &memory).unwrap_err();
        assert_eq!(
            (refused.status.code(), refused.http),
            (Code::ResourceExhausted, Some(StatusCode::SERVICE_UNAVAILABLE))
        );
        assert_eq!(read_now(five(), 4, &Memory::new(10)).unwrap_err().http, Some(StatusCode::PAYLOAD_TOO_LARGE));
        drop((first, second));
        assert_eq!(memory.held(), 0);
    }
}
