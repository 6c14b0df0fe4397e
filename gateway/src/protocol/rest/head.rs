//! What of a request is not its body, and the messages that it makes of pieces of the body.

use std::sync::Arc;

use bytes::Bytes;
use http::{header::CONTENT_TYPE, request};

use crate::{
    error::Failure,
    json::Encoder,
    schema::Binding,
    transcode::{self, Raw},
};

/// The id of the last event that a client got of a stream that broke off.
const LAST_EVENT_ID: &str = "last-event-id";

/// What of a request is not its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) parts: request::Parts,
    pub(crate) binding: Arc<Binding>,
    /// The segments of the path that the route's variables are taken from.
    pub(crate) segments: Vec<String>,
}

impl Head {
    /// Makes a message of path, query and JSON.
    pub(crate) fn json(&self, body: &[u8]) -> Result<Encoder, Failure> {
        let segments: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        let from = transcode::Parts { segments: &segments, query: self.parts.uri.query(), body };
        let mut message = transcode::request(&self.binding, from)?;
        let last = self.parts.headers.get(LAST_EVENT_ID).and_then(|id| std::str::from_utf8(id.as_bytes()).ok());
        if let Some(last) = last.filter(|id| !id.is_empty() && self.binding.method.descriptor.is_server_streaming()) {
            transcode::resume(&self.binding, &mut message, last)?;
        }
        Ok(message)
    }

    /// Makes a message of path, query and bytes of any media type.
    pub(crate) fn raw(&self, data: Bytes) -> Result<Encoder, Failure> {
        let content_type = self.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut message = self.json(b"")?;
        let raw = Raw { content_type: content_type.unwrap_or_default().to_owned(), data };
        transcode::put_raw(&self.binding, &mut message, &raw);
        Ok(message)
    }
}
