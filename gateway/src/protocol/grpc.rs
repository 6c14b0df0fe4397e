//! gRPC: all four kinds of calls pass through, bodies untouched.

use http::{Method, Request, Response, StatusCode, Version, header::ALLOW};
use tonic::{Status, body::Body};

use crate::{metadata, schema::Schema, upstream::Upstreams};

/// Passes one call through.
pub(crate) async fn serve(request: Request<Body>, schema: &Schema, upstreams: &Upstreams) -> Response<Body> {
    if request.version() != Version::HTTP_2 {
        let text = "gRPC needs HTTP/2: over HTTP/1.1 use application/grpc-web or JSON";
        return Status::unimplemented(text).into_http();
    }
    if request.method() != Method::POST {
        return not_post();
    }
    let target = match schema.target(request.uri().path()) {
        Ok(target) => target,
        Err(unknown) => return Status::unimplemented(unknown).into_http(),
    };
    let (mut parts, body) = request.into_parts();
    parts.headers = metadata::from_grpc(&parts.headers);
    let mut response = upstreams.call(&target, Request::from_parts(parts, body)).await;
    metadata::to_grpc(response.headers_mut());
    response
}

/// Refuses a method of HTTP that gRPC does not use.
pub(crate) fn not_post() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("POST"));
    response
}
