//! A REST request to the gRPC request that its service gets.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Version,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use tonic::{Code, body::Body};

use crate::{
    body::{self, Whole},
    error::Failure,
    json::Encoder,
    memory::Bounds,
    metadata,
    protocol::rest::{broken::Broken, form, head::Head, upload},
    schema::BodyRule,
    transcode,
};

/// Seconds that a client gives the call, with a fraction if it likes.
const TIMEOUT: &str = "x-server-timeout";

/// Reads a request; what goes wrong with a body that is read while the service is called already goes to `broken`.
pub(crate) async fn decode(
    head: Head,
    sent: Body,
    bounds: Bounds<'_>,
    broken: &Arc<Broken>,
) -> Result<Request<Body>, Failure> {
    let place = head.binding.body.place().to_owned();
    if head.binding.body != BodyRule::None {
        check_encoding(&head.parts.headers).map_err(|failure| failure.of_field(&place))?;
    }
    let (headers, path) = (headers(&head)?, path(&head)?);
    let body = if head.binding.method.descriptor.is_client_streaming() {
        if !transcode::takes_raw(&head.binding) && head.binding.body != BodyRule::None {
            check_media_type(&head.parts.headers, true).map_err(|failure| failure.of_field(&place))?;
        }
        upload::stream(head, sent, bounds, Arc::clone(broken))
    } else {
        let read = body::collect(sent, &head.parts.headers, bounds.limits.body_bytes, bounds).await;
        let (body, mut share) = read.map_err(|failure| failure.of_field(&place))?.joined();
        let message = message(&head, body).map_err(|failure| failure.of_field(&place))?;
        let frame = transcode::frame(&message)?;
        share.hold(frame.len())?;
        Body::new(Whole::new(frame, share))
    };
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = path;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Makes the only message of a request.
fn message(head: &Head, body: Bytes) -> Result<Encoder, Failure> {
    if transcode::takes_raw(&head.binding) {
        return head.raw(body);
    }
    if head.binding.body != BodyRule::None && !body.is_empty() {
        check_media_type(&head.parts.headers, false)?;
    }
    head.json(&body)
}

fn headers(head: &Head) -> Result<HeaderMap, Failure> {
    let mut headers = metadata::from_rest(&head.parts.headers);
    if let Some(timeout) = timeout(&head.parts.headers)? {
        headers.insert("grpc-timeout", timeout);
    }
    Ok(headers)
}

fn path(head: &Head) -> Result<http::Uri, Failure> {
    let path = &head.binding.method.path;
    http::Uri::try_from(path).map_err(|error| Failure::new(Code::Internal, format!("{path} is no path: {error}")))
}

fn unsupported(what: String) -> Failure {
    Failure::new(Code::InvalidArgument, what).with_http(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

fn check_encoding(headers: &HeaderMap) -> Result<(), Failure> {
    let encoding = headers.get(CONTENT_ENCODING).filter(|value| *value != "identity");
    let refuse = |encoding| unsupported(format!("the body is in content-encoding {encoding:?}: send it without one"));
    encoding.map_or(Ok(()), |encoding| Err(refuse(encoding)))
}

/// A body must be JSON, or lines of it where it is a stream; one without a content type is taken for it.
fn check_media_type(headers: &HeaderMap, stream: bool) -> Result<(), Failure> {
    let Some(sent) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = sent.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    match (json, stream) {
        (true, _) => Ok(()),
        (false, true) if form::is_lines(&essence) => Ok(()),
        (false, true) => Err(unsupported(format!("the body is {essence:?}: send application/x-ndjson"))),
        (false, false) => Err(unsupported(format!("the body is {essence:?}: send application/json"))),
    }
}

/// Reads the seconds that the client gives the call, as the value of `grpc-timeout`.
fn timeout(headers: &HeaderMap) -> Result<Option<HeaderValue>, Failure> {
    let Some(sent) = headers.get(TIMEOUT) else { return Ok(None) };
    let seconds = sent.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    let Some(time) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else {
        return Err(Failure::field("", &format!("{TIMEOUT} is {sent:?}: send seconds, such as 1.5")));
    };
    // At most eight digits (gRPC over HTTP/2, "Timeout").
    let text = match time.as_micros() {
        micros @ 0..100_000_000 => format!("{micros}u"),
        micros => format!("{}S", (micros / 1_000_000).min(99_999_999)),
    };
    Ok(HeaderValue::try_from(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_in_seconds_becomes_grpcs() {
        for (text, wanted) in [("1.5", "1500000u"), ("0", "0u"), ("100", "100S"), ("1e30", ""), ("-1", ""), ("x", "")] {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, text.parse().unwrap());
            match timeout(&headers) {
                Ok(Some(value)) => assert_eq!(value, wanted, "{text}"),
                Ok(None) => panic!("{text} was not seen"),
                Err(failure) => assert!(wanted.is_empty(), "{text}: {failure:?}"),
            }
        }
    }
}
