//! Answers in JSON, and refusals: always a `google.rpc.Status`.

use http::{
    HeaderValue, Response,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use tonic::body::Body;

use crate::{body::Whole, error::Failure, json::Types, transcode};

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers with `google.rpc.Status`.
pub(crate) fn refuse(failure: &Failure, types: Option<&Types>) -> Response<Body> {
    let Failure { status, http, allow } = failure;
    let code = http.unwrap_or_else(|| transcode::http_status(status.code()));
    let mut response = Response::new(Body::new(Full::new(transcode::status_json(status, types).into())));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if let Some(allow) = allow.as_ref().and_then(|allow| HeaderValue::try_from(allow).ok()) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// Answers with a body of some media type.
pub(crate) fn whole(content_type: HeaderValue, body: Whole) -> Response<Body> {
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
