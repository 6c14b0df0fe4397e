//! A body that is a stream of messages: JSON in lines, or bytes as they come.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tonic::{Code, Status, body::Body};

use crate::{
    error::Failure,
    json::Encoder,
    memory::{Bounds, Share},
    protocol::rest::{broken::Broken, head::Head, lines::Lines},
    schema::BodyRule,
    transcode::{self, Raw},
};

/// Reads messages as the service takes them: nothing is read ahead.
pub(crate) fn stream(head: Head, sent: Body, bounds: Bounds<'_>, broken: Arc<Broken>) -> Body {
    let raw = transcode::takes_raw(&head.binding);
    let Bounds { limits, memory } = bounds;
    let (lines, share) = (Lines::new(limits.body_bytes), memory.share());
    let upload = Upload { head, sent, lines, share, raw, time: limits.body_timeout, count: 0, ended: false };
    let frames = futures::stream::unfold(Some((upload, broken)), async |state| {
        let (mut upload, broken) = state?;
        let next = upload.next().await.and_then(|message| Ok(message.map(|m| transcode::frame(&m)).transpose()?));
        match next {
            Ok(frame) => Some((Ok(Frame::data(frame?)), Some((upload, broken)))),
            Err(failure) => {
                broken.tell(failure);
                Some((Err(Status::cancelled("the request broke off")), None))
            }
        }
    });
    Body::new(StreamBody::new(Box::pin(frames)))
}

struct Upload {
    head: Head,
    sent: Body,
    lines: Lines,
    /// Holds what was read and is not passed on yet.
    share: Share,
    raw: bool,
    time: Duration,
    count: u64,
    ended: bool,
}

impl Upload {
    async fn next(&mut self) -> Result<Option<Encoder>, Failure> {
        let message = match (self.raw, &self.head.binding.body) {
            (true, _) => self.next_raw().await?,
            // The path and the query are all there is.
            (false, BodyRule::None) => (self.count == 0).then(|| self.head.json(b"")).transpose()?,
            (false, _) => self.next_line().await?,
        };
        self.count += 1;
        Ok(message)
    }

    async fn next_line(&mut self) -> Result<Option<Encoder>, Failure> {
        let number = self.count + 1;
        let place = self.head.binding.body.place().to_owned();
        let line = self.line().await.map_err(|failure| failure.of_field(&place).of_line(number))?;
        let message = line.map(|line| self.head.json(line.trim_ascii())).transpose();
        message.map_err(|failure| failure.of_line(number))
    }

    async fn line(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(line) = self.lines.next().map_err(|_| Failure::too_large(self.lines.most()))? {
                return Ok(Some(line));
            }
            let Some(chunk) = self.chunk(self.lines.begun()).await? else { return Ok(self.lines.last()) };
            self.lines.push(&chunk);
            self.share.hold(self.lines.unread())?;
        }
    }

    /// The first message has the path, the query and the media type; the others are bytes alone.
    async fn next_raw(&mut self) -> Result<Option<Encoder>, Failure> {
        let chunk = self.chunk(self.count == 0).await?;
        if self.count == 0 {
            return self.head.raw(chunk.unwrap_or_default()).map(Some);
        }
        Ok(chunk.map(|data| {
            let mut message = Encoder::default();
            transcode::put_raw(&self.head.binding, &mut message, &Raw { content_type: String::new(), data });
            message
        }))
    }

    /// Reads on; a client in the middle of something has only so much time.
    async fn chunk(&mut self, owed: bool) -> Result<Option<Bytes>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let reading = chunk(&mut self.sent);
        let read = if owed { tokio::time::timeout(self.time, reading).await } else { Ok(reading.await) };
        let read = read.map_err(|_| {
            let message = format!("the request body did not go on for {} s", self.time.as_secs());
            Failure::new(Code::DeadlineExceeded, message).with_http(StatusCode::REQUEST_TIMEOUT)
        })?;
        self.ended = matches!(read, Ok(None));
        read.map_err(|error| Failure::new(Code::Cancelled, format!("the request body broke off: {error}")))
    }
}

async fn chunk(sent: &mut Body) -> Result<Option<Bytes>, Status> {
    while let Some(frame) = sent.frame().await {
        // Trailers of a request say nothing here.
        match frame?.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}
