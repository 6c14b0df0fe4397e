//! Answers in JSON, and refusals: always a `google.rpc.Status`.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use tonic::body::Body;

use crate::{error::Failure, json::Types, transcode};

/// Answers with `google.rpc.Status`.
pub(crate) fn refuse(failure: &Failure, types: Option<&Types>) -> Response<Body> {
    let Failure { status, http, allow } = failure;
    let code = http.unwrap_or_else(|| transcode::http_status(status.code()));
    let mut response = json(code, transcode::status_json(status, types));
    if let Some(allow) = allow.as_ref().and_then(|allow| HeaderValue::try_from(allow).ok()) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// Answers with JSON.
pub(crate) fn json(status: StatusCode, json: Vec<u8>) -> Response<Body> {
    let mut response = raw(HeaderValue::from_static("application/json"), json.into());
    *response.status_mut() = status;
    response
}

/// Answers with bytes of some media type.
pub(crate) fn raw(content_type: HeaderValue, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(bytes)));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
