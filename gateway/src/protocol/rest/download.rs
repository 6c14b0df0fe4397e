//! An answer that is a stream of messages: each is written when it comes, and the end says how it ended.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::{Status, body::Body};

use crate::{
    protocol::{
        messages::Messages,
        rest::{broken::Broken, form::Form},
    },
    schema::Binding,
    transcode,
};

/// How long a stream of events is silent at most: what stands in between may close a connection that nobody uses.
const SILENCE: Duration = Duration::from_secs(15);
/// A comment, which clients pass over (HTML standard, section 9.2.6).
const COMMENT: &[u8] = b":\n\n";

/// The first message of a stream.
#[derive(Debug)]
pub(crate) enum First {
    /// It came, or the end did.
    Came(Option<Bytes>),
    /// It was not waited for any longer.
    Later,
}

/// A stream that is being written. Dropping it, as when the client leaves, cancels the call.
#[derive(Debug)]
pub(crate) struct Download {
    binding: Arc<Binding>,
    form: Form,
    messages: Messages,
    broken: Arc<Broken>,
    written: u64,
    ended: bool,
}

impl Download {
    pub(crate) fn new(binding: Arc<Binding>, form: Form, messages: Messages, broken: Arc<Broken>) -> Self {
        Self { binding, form, messages, broken, written: 0, ended: false }
    }

    /// Returns the body; nothing is read ahead of the client.
    pub(crate) fn body(self, first: First) -> Body {
        let pieces = futures::stream::unfold((self, first), async |(mut download, first)| {
            let piece = download.next(first).await?;
            Some((Ok::<_, Status>(Frame::data(piece)), (download, First::Later)))
        });
        Body::new(StreamBody::new(Box::pin(pieces)))
    }

    async fn next(&mut self, first: First) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let message = match first {
            First::Came(message) => Ok(message),
            First::Later if self.form == Form::Events => {
                match tokio::time::timeout(SILENCE, self.messages.next()).await {
                    Ok(message) => message,
                    Err(_) => return Some(Bytes::from_static(COMMENT)),
                }
            }
            First::Later => self.messages.next().await,
        };
        let first = self.written == 0;
        let written = message.map_err(|failure| failure.status);
        match written.and_then(|message| message.map(|message| self.write(&message)).transpose()) {
            Ok(Some(piece)) => {
                self.written += 1;
                Some(piece)
            }
            Ok(None) => {
                self.ended = true;
                Some(self.form.end(first)).filter(|end| !end.is_empty())
            }
            Err(status) => {
                self.ended = true;
                Some(self.form.failed(first, &self.failure(&status)))
            }
        }
    }

    fn write(&self, message: &[u8]) -> Result<Bytes, Status> {
        let id = (self.form == Form::Events).then(|| transcode::token(&self.binding, message)).flatten();
        Ok(self.form.message(self.written == 0, id.as_deref(), &transcode::write(&self.binding, message)?))
    }

    /// What was wrong with the request says more than that the call was cancelled for it.
    fn failure(&self, status: &Status) -> Vec<u8> {
        let status = self.broken.failure().map_or(status, |failure| &failure.status);
        transcode::typed_status_json(status, Some(self.binding.method.json.types()))
    }
}

/// Returns a body of the bytes of all messages, one after the other; an error breaks it off, as bytes have no other
/// way to tell.
pub(crate) fn raw(binding: Arc<Binding>, first: Bytes, messages: Messages) -> Body {
    let pieces =
        futures::stream::try_unfold((binding, Some(first), messages), async |(binding, first, mut messages)| {
            let data = match first {
                Some(data) => data,
                None => match messages.next().await.map_err(|failure| failure.status)? {
                    Some(message) => transcode::take_raw(&binding, &message)?.data,
                    None => return Ok::<_, Status>(None),
                },
            };
            Ok(Some((Frame::data(data), (binding, None, messages))))
        });
    Body::new(StreamBody::new(Box::pin(pieces)))
}
