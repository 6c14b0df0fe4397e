//! What a service answered, in the form that the client asked for.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use tonic::body::Body;

use crate::{
    body::Whole,
    error::Failure,
    memory::Memory,
    metadata,
    protocol::{
        messages::Messages,
        rest::{
            answer,
            broken::Broken,
            download::{self, Download, First},
            form::Form,
            told::Metadata,
        },
    },
    schema::Binding,
    transcode::{self, Raw},
};

/// How long a stream's headers wait for its first message: an error that comes before it has its own HTTP status.
const FIRST: Duration = Duration::from_millis(250);

/// Writes an answer.
pub(crate) async fn encode(
    binding: &Arc<Binding>,
    (form, metadata): (Form, Metadata),
    response: Response<Body>,
    broken: &Arc<Broken>,
    memory: &Memory,
) -> Result<Response<Body>, Failure> {
    let (head, body) = response.into_parts();
    let mut messages = Messages::new(&head.headers, body, memory.share())?;
    let raw = transcode::gives_raw(binding);
    let mut answer = match (binding.method.descriptor.is_server_streaming(), raw) {
        (false, raw) => {
            let joined =
                |failure: Failure| Failure { status: metadata.joined(failure.status, &head.headers), ..failure };
            let (message, mut share) = messages.only().await.map_err(joined)?;
            let (content_type, written) = if raw {
                let Raw { content_type, data } = transcode::take_raw(binding, &message)?;
                (media_type(&content_type), data)
            } else {
                let json = Bytes::from(transcode::write(binding, &message)?);
                share.hold(json.len())?;
                (answer::JSON, json)
            };
            let mut answer = answer::whole(content_type, Whole::new(written, share));
            metadata.add(&mut answer, messages.trailers());
            answer
        }
        (true, false) => stream(binding, form, messages, broken).await?,
        (true, true) => raw_stream(binding, messages).await?,
    };
    if raw {
        // The service has said what the bytes are: a browser must not guess otherwise.
        answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    metadata.add(&mut answer, &head.headers);
    answer.headers_mut().extend(metadata::to_rest(&head.headers));
    Ok(answer)
}

async fn stream(
    binding: &Arc<Binding>,
    form: Form,
    mut messages: Messages,
    broken: &Arc<Broken>,
) -> Result<Response<Body>, Failure> {
    let first = match tokio::time::timeout(FIRST, messages.next()).await {
        Ok(first) => First::Came(first?),
        Err(_) => First::Later,
    };
    let download = Download::new(Arc::clone(binding), form, messages, Arc::clone(broken));
    let mut answer = Response::new(download.body(first));
    answer.headers_mut().insert(CONTENT_TYPE, form.content_type());
    if form == Form::Events {
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    Ok(answer)
}

/// The first message says what all of the bytes are.
async fn raw_stream(binding: &Arc<Binding>, mut messages: Messages) -> Result<Response<Body>, Failure> {
    let first = match messages.next().await? {
        Some(message) => transcode::take_raw(binding, &message)?,
        None => Raw { content_type: String::new(), data: Bytes::new() },
    };
    let content_type = media_type(&first.content_type);
    let mut answer = Response::new(download::raw(Arc::clone(binding), first.data, messages));
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(answer)
}

fn media_type(text: &str) -> HeaderValue {
    let said = HeaderValue::try_from(text).ok().filter(|value| !value.is_empty());
    said.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"))
}
