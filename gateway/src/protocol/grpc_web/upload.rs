//! The messages of a client that streams, passed on as they come.

use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use tonic::{Status, body::Body};

use crate::{config::Limits, protocol::base64_text::Decoder};

/// Flag and length before each message.
const PREFIX: usize = 5;

/// Returns the body for the service, and who tells if the client's breaks a bound: each message is bounded like a body,
/// in size and in time from its first byte. Between messages a client may be silent, as over gRPC.
pub(crate) fn stream(sent: Body, text: bool, limits: &Limits) -> (Body, oneshot::Receiver<Status>) {
    let (broken, told) = oneshot::channel();
    let (most, time) = (limits.body_bytes, limits.body_timeout);
    let place = Place { most, ..Place::default() };
    let upload = Upload { sent, decoder: text.then(Decoder::default), place, time, owed: None };
    let frames = futures::stream::unfold(Some((upload, broken)), async |state| {
        let (mut upload, broken) = state?;
        match upload.next().await {
            Ok(Some(data)) => Some((Ok(Frame::data(data)), Some((upload, broken)))),
            Ok(None) => None,
            Err(status) => {
                // Nobody waits for it where the answer ended first.
                _ = broken.send(status);
                Some((Err(Status::cancelled("the request broke off")), None))
            }
        }
    });
    (Body::new(StreamBody::new(Box::pin(frames))), told)
}

/// Refuses text that text mode cannot be.
pub(crate) fn not_base64() -> Status {
    Status::invalid_argument("the body is not base64, as application/grpc-web-text must be")
}

struct Upload {
    sent: Body,
    /// Of text mode.
    decoder: Option<Decoder>,
    place: Place,
    time: Duration,
    /// When the message that was begun must have ended.
    owed: Option<Instant>,
}

impl Upload {
    /// Returns the next bytes; nothing after a good end.
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            let Some(chunk) = self.chunk().await? else { return self.end().map(|()| None) };
            let data = self.decoded(chunk)?;
            let ended = self.place.pass(&data)?;
            if ended || self.owed.is_none() {
                self.owed = self.place.is_within().then(|| Instant::now() + self.time);
            }
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }

    /// Reads on; a client within a message has only so much time.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Status> {
        let reading = chunk(&mut self.sent);
        let read = match self.owed {
            Some(owed) => timeout_at(owed, reading).await,
            None => Ok(reading.await),
        };
        read.map_err(|_| {
            let text = format!("a message of the request did not end within {} s", self.time.as_secs());
            Status::deadline_exceeded(text)
        })?
    }

    fn decoded(&mut self, chunk: Bytes) -> Result<Bytes, Status> {
        let Some(decoder) = &mut self.decoder else { return Ok(chunk) };
        let mut decoded = Vec::with_capacity(chunk.len() / 4 * 3 + 3);
        decoder.push(&chunk, &mut decoded).map_err(|_| not_base64())?;
        Ok(decoded.into())
    }

    fn end(&mut self) -> Result<(), Status> {
        self.decoder.take().map_or(Ok(()), Decoder::finish).map_err(|_| not_base64())?;
        if self.place.is_within() {
            return Err(Status::invalid_argument("the last message of the request broke off"));
        }
        Ok(())
    }
}

async fn chunk(sent: &mut Body) -> Result<Option<Bytes>, Status> {
    while let Some(frame) = sent.frame().await {
        let frame = frame.map_err(|status| Status::cancelled(format!("the request body broke off: {status}")))?;
        // Trailers of a request say nothing in gRPC.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Where in the sequence of messages a stream is.
#[derive(Debug, Default)]
struct Place {
    /// What was read of a prefix.
    prefix: Vec<u8>,
    /// What is missing of a message.
    missing: usize,
    most: usize,
}

impl Place {
    /// Follows the next bytes. Returns whether a message ended within them.
    fn pass(&mut self, mut bytes: &[u8]) -> Result<bool, Status> {
        let mut ended = false;
        while !bytes.is_empty() {
            let taken = self.missing.min(bytes.len());
            self.missing -= taken;
            bytes = &bytes[taken..];
            ended |= taken > 0 && self.missing == 0;
            let taken = if self.missing > 0 { 0 } else { (PREFIX - self.prefix.len()).min(bytes.len()) };
            self.prefix.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let [_, a, b, c, d] = self.prefix[..] {
                self.begin(u32::from_be_bytes([a, b, c, d]) as usize)?;
                ended |= self.missing == 0;
            }
        }
        Ok(ended)
    }

    fn begin(&mut self, length: usize) -> Result<(), Status> {
        if length > self.most {
            let text = format!("a message of the request has {length} bytes: {} are the most", self.most);
            return Err(Status::resource_exhausted(text));
        }
        self.prefix.clear();
        self.missing = length;
        Ok(())
    }

    fn is_within(&self) -> bool {
        self.missing > 0 || !self.prefix.is_empty()
    }
}

#[cfg(test)]
mod tests;
