//! The messages of a service's answer, one by one, and how it ended.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use tonic::{Code, Status, body::Body};

use crate::{error::Failure, memory::Share};

/// Flag and length before each message (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;

/// An answer that is being read; dropping it cancels the call. The mesh bounds each message.
#[derive(Debug)]
pub(crate) struct Messages {
    body: Body,
    read: BytesMut,
    /// Holds the message that is being read, or was read last.
    share: Share,
    /// What the headers said, of an answer that has no more than headers.
    status: Option<Status>,
    trailers: HeaderMap,
    ended: bool,
}

impl Messages {
    /// Begins to read; an answer that is nothing but an error is that error.
    pub(crate) fn new(headers: &HeaderMap, body: Body, share: Share) -> Result<Self, Status> {
        let status = Status::from_header_map(headers);
        match status {
            Some(status) if status.code() != Code::Ok => Err(status),
            status => Ok(Self { body, read: BytesMut::new(), share, status, trailers: HeaderMap::new(), ended: false }),
        }
    }

    /// Returns the next message, or nothing after a good end. Nothing is lost by dropping the future.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while !self.ended {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(self.end(None)?);
            };
            match frame?.into_data() {
                Ok(data) if self.read.is_empty() => self.read = BytesMut::from(data),
                Ok(data) => self.read.extend_from_slice(&data),
                Err(frame) => return Ok(self.end(frame.into_trailers().ok())?),
            }
        }
        Ok(None)
    }

    /// Returns the only message of an answer to a unary call, and what holds it.
    pub(crate) async fn only(&mut self) -> Result<(Bytes, Share), Failure> {
        let first = self.next().await?;
        let message = first.ok_or_else(|| Status::internal("the service answered without a message"))?;
        let share = self.share.split();
        match self.next().await? {
            None => Ok((message, share)),
            Some(_) => Err(Status::internal("the service answered a unary call with more than one message").into()),
        }
    }

    /// Returns what came after the messages, once their end was met.
    pub(crate) fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    /// Takes the first message, if all of it is there.
    fn take(&mut self) -> Result<Option<Bytes>, Failure> {
        let read = &mut self.read;
        let Some(&[flag, a, b, c, d]) = read.first_chunk::<PREFIX>() else { return Ok(None) };
        if flag != 0 {
            return Err(Status::internal("the service compressed its answer, though nobody asked it to").into());
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        self.share.hold(length.saturating_add(PREFIX).max(read.len()))?;
        if read.len() - PREFIX < length {
            read.reserve(length + PREFIX - read.len());
            return Ok(None);
        }
        read.advance(PREFIX);
        Ok(Some(read.split_to(length).freeze()))
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<Option<Bytes>, Status> {
        self.ended = true;
        self.trailers = trailers.unwrap_or_default();
        let said = Status::from_header_map(&self.trailers).or_else(|| self.status.take());
        match said {
            Some(status) if status.code() == Code::Ok && self.read.is_empty() => Ok(None),
            Some(status) if status.code() == Code::Ok => Err(Status::internal("the service's last message broke off")),
            Some(status) => Err(status),
            None => Err(Status::unknown("the service ended its answer without a status")),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;
    use crate::memory::Memory;

    fn body(bytes: &[u8], cut: usize, trailers: Option<&'static str>) -> Body {
        let chunks: Vec<_> = bytes.chunks(cut).map(|chunk| Frame::data(Bytes::copy_from_slice(chunk))).collect();
        let end =
            trailers.map(|code| Frame::trailers(HeaderMap::from_iter([(Status::GRPC_STATUS, code.parse().unwrap())])));
        let frames = chunks.into_iter().chain(end).map(Ok::<_, Status>);
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    async fn all(body: Body) -> (Vec<Bytes>, Result<(), Code>) {
        let mut messages = Messages::new(&HeaderMap::new(), body, Memory::new(1_000).share()).unwrap();
        let mut read = Vec::new();
        loop {
            match messages.next().await {
                Ok(Some(message)) => read.push(message),
                Ok(None) => return (read, Ok(())),
                Err(failure) => return (read, Err(failure.status.code())),
            }
        }
    }

    #[tokio::test]
    async fn how_an_answer_ends_is_told() {
        for (bytes, trailers, count, wanted) in [
            (&b"\0\0\0\0\x01a"[..], Some("0"), 1, Ok(())),
            (b"\0\0\0\0\x01a", Some("5"), 1, Err(Code::NotFound)),
            (b"\0\0\0\0\x01a", None, 1, Err(Code::Unknown)),
            (b"\0\0\0\0\x02a", Some("0"), 0, Err(Code::Internal)),
            (b"\0\0\0\0\x02a", Some("14"), 0, Err(Code::Unavailable)),
            (b"\x01\0\0\0\x01a", Some("0"), 0, Err(Code::Internal)),
            (b"", Some("0"), 0, Ok(())),
        ] {
            let (read, ended) = all(body(bytes, 100, trailers)).await;
            assert_eq!((read.len(), ended), (count, wanted), "{} {trailers:?}", bytes.escape_ascii());
        }
        let refused = HeaderMap::from_iter([(Status::GRPC_STATUS, "7".parse().unwrap())]);
        assert_eq!(
            Messages::new(&refused, Body::empty(), Memory::new(0).share()).unwrap_err().code(),
            Code::PermissionDenied
        );
    }

    #[tokio::test]
    async fn a_message_that_does_not_fit_is_refused_before_it_is_read() {
        let memory = Memory::new(10);
        let mut messages = Messages::new(&HeaderMap::new(), body(b"\0\0\0\0\x06a", 100, None), memory.share()).unwrap();
        let refused = messages.next().await.unwrap_err();
        assert_eq!(
            (refused.status.code(), refused.http),
            (Code::ResourceExhausted, Some(StatusCode::SERVICE_UNAVAILABLE))
        );
        let mut messages =
            Messages::new(&HeaderMap::new(), body(b"\0\0\0\0\x05abcde", 3, Some("0")), memory.share()).unwrap();
        let (message, share) = messages.only().await.unwrap();
        assert_eq!((&message[..], memory.held()), (&b"abcde"[..], 10));
        drop((messages, share));
        assert_eq!(memory.held(), 0);
    }

    proptest! {
        #[test]
        fn messages_are_read_however_they_are_cut(
            sent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5),
            cut in 1usize..30,
        ) {
            let mut bytes = Vec::new();
            for message in &sent {
                bytes.push(0);
                bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
                bytes.extend(message);
            }
            let (read, ended) = futures::executor::block_on(all(body(&bytes, cut, Some("0"))));
            prop_assert_eq!(ended, Ok(()));
            prop_assert_eq!(read, sent);
        }
    }
}
