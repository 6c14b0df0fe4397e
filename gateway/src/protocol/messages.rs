//! The messages of a service's answer, one by one, and how it ended.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use tonic::{Code, Status, body::Body};

/// Flag and length before each message (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;

/// An answer that is being read; dropping it cancels the call. The mesh bounds each message.
#[derive(Debug)]
pub(crate) struct Messages {
    body: Body,
    read: BytesMut,
    /// What the headers said, of an answer that has no more than headers.
    status: Option<Status>,
    trailers: HeaderMap,
    ended: bool,
}

impl Messages {
    /// Begins to read; an answer that is nothing but an error is that error.
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Result<Self, Status> {
        let status = Status::from_header_map(headers);
        match status {
            Some(status) if status.code() != Code::Ok => Err(status),
            status => Ok(Self { body, read: BytesMut::new(), status, trailers: HeaderMap::new(), ended: false }),
        }
    }

    /// Returns the next message, or nothing after a good end. Nothing is lost by dropping the future.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        while !self.ended {
            if let Some(message) = take(&mut self.read)? {
                return Ok(Some(message));
            }
            let Some(frame) = self.body.frame().await else {
                return self.end(None);
            };
            match frame?.into_data() {
                Ok(data) if self.read.is_empty() => self.read = BytesMut::from(data),
                Ok(data) => self.read.extend_from_slice(&data),
                Err(frame) => return self.end(frame.into_trailers().ok()),
            }
        }
        Ok(None)
    }

    /// Returns the only message of an answer to a unary call.
    pub(crate) async fn only(&mut self) -> Result<Bytes, Status> {
        let first = self.next().await?;
        let message = first.ok_or_else(|| Status::internal("the service answered without a message"))?;
        match self.next().await? {
            None => Ok(message),
            Some(_) => Err(Status::internal("the service answered a unary call with more than one message")),
        }
    }

    /// Returns what came after the messages, once their end was met.
    pub(crate) fn trailers(&self) -> &HeaderMap {
        &self.trailers
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

/// Takes the first message, if all of it is there.
fn take(read: &mut BytesMut) -> Result<Option<Bytes>, Status> {
    let Some(&[flag, a, b, c, d]) = read.first_chunk::<PREFIX>() else { return Ok(None) };
    if flag != 0 {
        return Err(Status::internal("the service compressed its answer, though nobody asked it to"));
    }
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if read.len() - PREFIX < length {
        read.reserve(length + PREFIX - read.len());
        return Ok(None);
    }
    read.advance(PREFIX);
    Ok(Some(read.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use http_body::Frame;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;

    fn body(bytes: &[u8], cut: usize, trailers: Option<&'static str>) -> Body {
        let chunks: Vec<_> = bytes.chunks(cut).map(|chunk| Frame::data(Bytes::copy_from_slice(chunk))).collect();
        let end =
            trailers.map(|code| Frame::trailers(HeaderMap::from_iter([(Status::GRPC_STATUS, code.parse().unwrap())])));
        let frames = chunks.into_iter().chain(end).map(Ok::<_, Status>);
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    async fn all(body: Body) -> (Vec<Bytes>, Result<(), Code>) {
        let mut messages = Messages::new(&HeaderMap::new(), body).unwrap();
        let mut read = Vec::new();
        loop {
            match messages.next().await {
                Ok(Some(message)) => read.push(message),
                Ok(None) => return (read, Ok(())),
                Err(status) => return (read, Err(status.code())),
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
        assert_eq!(Messages::new(&refused, Body::empty()).unwrap_err().code(), Code::PermissionDenied);
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
