//! REST and JSON for unary methods, by `google.api.http`. Errors are always `google.rpc.Status` as JSON.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE},
    request,
};
use http_body_util::{BodyExt as _, Full};
use prost_reflect::DescriptorPool;
use tonic::{Code, Status, body::Body};

use crate::{
    body,
    config::Limits,
    error::Failure,
    metadata,
    schema::{Binding, BodyRule, Matched, Method as Rpc, Schema, Target},
    transcode,
    upstream::Upstreams,
};

/// Seconds that a client gives the call, with a fraction if it likes.
const TIMEOUT: &str = "x-server-timeout";

/// Carries out one request.
pub(crate) async fn serve(
    request: Request<Body>,
    schema: &Schema,
    upstreams: &Upstreams,
    limits: &Limits,
) -> Response<Body> {
    let (parts, sent) = request.into_parts();
    let (binding, segments) = match route(schema, &parts) {
        Ok(Some(found)) => found,
        Ok(None) => return options(schema, &parts),
        Err(failure) => return refuse(&failure, None),
    };
    let pool = binding.method.descriptor.parent_pool();
    let message = match decode(binding, &segments, &parts, sent, limits).await {
        Ok(message) => message,
        Err(failure) => return refuse(&failure, Some(pool)),
    };
    let response = upstreams.call(&target(binding), message).await;
    encode(binding, response).await.unwrap_or_else(|failure| refuse(&failure, Some(pool)))
}

/// Finds the route; nothing for an `OPTIONS` that no route has. `HEAD` is `GET` where it has no route of its own.
fn route<'s, 'p>(
    schema: &'s Schema,
    parts: &'p request::Parts,
) -> Result<Option<(&'s Binding, Vec<&'p str>)>, Failure> {
    let (verb, path) = (parts.method.as_str(), parts.uri.path());
    let mut matched = schema.route(verb, path);
    if parts.method == Method::HEAD && !matches!(matched, Matched::Route(..)) {
        matched = schema.route("GET", path);
    }
    match matched {
        Matched::Route(binding, segments) => Ok(Some((binding, segments))),
        Matched::WrongVerb(_) if parts.method == Method::OPTIONS => Ok(None),
        Matched::WrongVerb(verbs) => Err(Failure::wrong_verb(verb, path, allow(verbs.into_iter()))),
        Matched::Nothing => Err(Failure::new(Code::NotFound, format!("there is no route {verb} {path}"))),
    }
}

fn options(schema: &Schema, parts: &request::Parts) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Matched::WrongVerb(verbs) = schema.route("OPTIONS", parts.uri.path()) {
        let allow = allow(verbs.into_iter().chain(["OPTIONS"]));
        response.headers_mut().extend(HeaderValue::try_from(allow).ok().map(|value| (ALLOW, value)));
    }
    response
}

fn allow<'v>(verbs: impl Iterator<Item = &'v str>) -> String {
    let mut all = Vec::new();
    for verb in verbs {
        all.push(verb);
        if verb == "GET" {
            all.push("HEAD");
        }
    }
    all.join(", ")
}

async fn decode(
    binding: &Binding,
    segments: &[&str],
    parts: &request::Parts,
    sent: Body,
    limits: &Limits,
) -> Result<Request<Body>, Failure> {
    let method = &binding.method;
    if method.options.unary != Some(true) {
        return Err(Failure::new(Code::Unimplemented, streams(method)));
    }
    let place = binding.body.place();
    let read = body::collect(sent, &parts.headers, limits.body_bytes, limits.body_timeout).await;
    let body = read.map_err(|failure| failure.of_field(place))?;
    if binding.body != BodyRule::None && !body.is_empty() {
        check_json(&parts.headers).map_err(|failure| failure.of_field(place))?;
    }
    let from = transcode::Parts { segments, query: parts.uri.query(), body: &body };
    let frame = transcode::frame(&transcode::request(binding, from)?)?;
    let mut request = Request::new(Body::new(Full::new(frame)));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = http::Uri::try_from(&method.path)
        .map_err(|error| Failure::new(Code::Internal, format!("{} is no path: {error}", method.path)))?;
    *request.headers_mut() = metadata::from_rest(&parts.headers);
    if let Some(timeout) = timeout(&parts.headers)? {
        request.headers_mut().insert("grpc-timeout", timeout);
    }
    Ok(request)
}

/// Says what to use in place of REST: gRPC-Web streams answers only.
fn streams(method: &Rpc) -> String {
    let path = &method.path;
    let instead = if method.descriptor.is_client_streaming() {
        format!("call {path} by gRPC")
    } else {
        format!("call {path} by gRPC, or POST it by gRPC-Web (content-type application/grpc-web+proto)")
    };
    format!("this method streams, which REST does not do: {instead}")
}

fn target(binding: &Binding) -> Target {
    Target::Service(binding.method.service.clone(), binding.method.options)
}

/// A body must be JSON, not compressed; one without a content type is taken for it.
fn check_json(headers: &HeaderMap) -> Result<(), Failure> {
    let unsupported =
        |what: String| Err(Failure::new(Code::InvalidArgument, what).with_http(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|value| *value != "identity") {
        return unsupported(format!("the body is in content-encoding {encoding:?}: send it without one"));
    }
    let Some(sent) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = sent.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if json { Ok(()) } else { unsupported(format!("the body is {essence:?}: send application/json")) }
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

/// Writes what the service answered.
async fn encode(binding: &Binding, response: Response<Body>) -> Result<Response<Body>, Failure> {
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers).filter(|status| status.code() != Code::Ok) {
        return Err(status.into());
    }
    // The mesh bounds the message.
    let read = body.collect().await?;
    let trailers = read.trailers().unwrap_or(&head.headers);
    match Status::from_header_map(trailers) {
        Some(status) if status.code() == Code::Ok => {}
        Some(status) => return Err(status.into()),
        None => return Err(Status::unknown("the service ended its answer without a status").into()),
    }
    let json = transcode::response(binding, &read.to_bytes())?;
    let mut answer = as_json(StatusCode::OK, json);
    answer.headers_mut().extend(metadata::to_rest(&head.headers));
    Ok(answer)
}

/// Answers with `google.rpc.Status`.
pub(crate) fn refuse(failure: &Failure, pool: Option<&DescriptorPool>) -> Response<Body> {
    let Failure { status, http, allow } = failure;
    let code = http.unwrap_or_else(|| transcode::http_status(status.code()));
    let mut response = as_json(code, transcode::status_json(status, pool));
    if let Some(allow) = allow.as_ref().and_then(|allow| HeaderValue::try_from(allow).ok()) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

fn as_json(status: StatusCode, json: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(json))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
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
