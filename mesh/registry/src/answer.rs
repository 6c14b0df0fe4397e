//! What a request gets: JSON, nothing, or a refusal as a status and a line of text.

use std::borrow::Cow;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

/// The outcome of a request.
pub(crate) type Answer = Result<Response, Refusal>;

/// A status and the text of the body, as Consul refuses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) text: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    pub(crate) fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.into() }
    }

    pub(crate) fn unauthorized(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, text: text.into() }
    }

    pub(crate) fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::FORBIDDEN, text: text.into() }
    }

    pub(crate) fn internal(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, text: text.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.text).into_response()
    }
}

/// Answers with JSON.
pub(crate) fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// Answers that it is done.
pub(crate) fn done() -> Response {
    [(header::CONTENT_TYPE, "application/json; charset=utf-8")].into_response()
}

/// The names of Consul's headers.
pub(crate) mod headers {
    use axum::http::HeaderName;

    pub(crate) const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
    pub(crate) const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
    pub(crate) const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
    pub(crate) const CONSISTENCY: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
    pub(crate) const BACKEND: HeaderName = HeaderName::from_static("x-consul-query-backend");
    pub(crate) const ACL_POLICY: HeaderName = HeaderName::from_static("x-consul-default-acl-policy");
    pub(crate) const CONTENT_HASH: HeaderName = HeaderName::from_static("x-consul-contenthash");
    pub(crate) const REASON: HeaderName = HeaderName::from_static("x-consul-reason");
    pub(crate) const CACHE: HeaderName = HeaderName::from_static("x-cache");
}
