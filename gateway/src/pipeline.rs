//! The way of a request, from the listener to the mesh and back.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{
    HeaderValue, Method, Request, Response,
    header::{CONTENT_LENGTH, ORIGIN},
    request,
};
use http_body::Body as _;
use selvedge::{Span, Telemetry, TraceContext};
use tokio::time::Instant;
use tonic::body::Body;
use tracing::debug;

use crate::{
    admin::Health,
    config::Limits,
    cors::Cors,
    docs::Docs,
    memory::{Bounds, Memory},
    metrics::Metrics,
    protocol::{Protocol, grpc, grpc_web, rest},
    schema::Schema,
    upstream::Upstreams,
};

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) schema: Arc<ArcSwap<Schema>>,
    pub(crate) upstreams: Upstreams,
    pub(crate) health: Health,
    pub(crate) docs: Docs,
    pub(crate) cors: Cors,
    pub(crate) limits: Limits,
    /// What all requests hold of `limits.held_bytes`.
    pub(crate) memory: Memory,
    pub(crate) metrics: Metrics,
    pub(crate) telemetry: Telemetry,
}

impl Pipeline {
    /// Carries out one request; stops in the order in which a request meets them.
    pub(crate) async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let seen = Seen { begin: Instant::now(), method: parts.method.clone(), path: parts.uri.path().to_owned() };
        let protocol = Protocol::of(&parts.headers);
        // A trace begins here, or goes on: everything behind the gateway belongs to it.
        let caller = TraceContext::from_headers(&parts.headers);
        let span = self.telemetry.span(caller, || format!("{} {}", parts.method, protocol.name()));
        let trace = span.context().or(caller).unwrap_or_else(TraceContext::root);
        trace.to_headers(&mut parts.headers);
        // Above the protocols: a preflight has no content type, and asks on behalf of a request of any of them.
        let mut response = match self.cors.preflight(&parts) {
            Some(response) => response,
            None => {
                let origin = parts.headers.get(ORIGIN).cloned();
                let mut response = self.serve(protocol, Request::from_parts(parts, body)).await;
                // After the protocols, refusals included: a page that cannot read an error cannot tell what is wrong.
                if let Some(origin) = origin {
                    self.cors.expose(&origin, response.headers_mut());
                }
                response
            }
        };
        if seen.method == Method::HEAD {
            response = without_body(response);
        }
        self.log(&seen, protocol, trace, &response);
        tell(&span, &seen, &response);
        response
    }

    /// Lets the protocol's file decode the request, call the service, and encode its answer.
    async fn serve(&self, protocol: Protocol, request: Request<Body>) -> Response<Body> {
        let schema = self.schema.load_full();
        let bounds = Bounds { limits: &self.limits, memory: &self.memory };
        match protocol {
            Protocol::Grpc => grpc::serve(request, &schema, &self.upstreams).await,
            Protocol::GrpcWeb | Protocol::GrpcWebText => {
                grpc_web::serve(request, &schema, &self.upstreams, bounds).await
            }
            Protocol::GrpcWebOther => grpc_web::unsupported(),
            Protocol::Rest => {
                let (parts, body) = request.into_parts();
                match self.own(&parts, &schema).await {
                    Some(answer) => answer,
                    None => {
                        let request = Request::from_parts(parts, body);
                        rest::serve(request, &schema, &self.upstreams, bounds).await
                    }
                }
            }
        }
    }

    /// Answers what is asked of the gateway itself: a probe for health or readiness, the documents of the mesh.
    async fn own(&self, request: &request::Parts, schema: &Arc<Schema>) -> Option<Response<Body>> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return None;
        }
        match self.health.answer(request.uri.path()) {
            Some(answer) => Some(answer),
            None => self.docs.answer(request, schema).await,
        }
    }

    fn log(&self, seen: &Seen, protocol: Protocol, trace: TraceContext, response: &Response<Body>) {
        let (protocol, status, took) = (protocol.name(), response.status(), seen.begin.elapsed());
        self.metrics.answered(&seen.method, protocol, status, took);
        let grpc = response.headers().get("grpc-status").and_then(|value| value.to_str().ok());
        debug!(
            method = %seen.method,
            path = seen.path,
            protocol,
            status = status.as_u16(),
            grpc_status = grpc,
            took_us = took.as_micros(),
            trace = %trace.trace_id,
            "request"
        );
    }
}

/// Says of a span what its request was, and how it was answered (OpenTelemetry's HTTP conventions).
fn tell(span: &Span, seen: &Seen, response: &Response<Body>) {
    if !span.is_recorded() {
        return;
    }
    let status = response.status();
    span.set("http.request.method", seen.method.to_string());
    span.set("url.path", seen.path.clone());
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.failed(status.as_str());
    }
}

/// What of a request is told after it.
struct Seen {
    begin: Instant,
    method: Method,
    path: String,
}

/// Answers `HEAD`: the headers of the answer without the answer.
fn without_body(response: Response<Body>) -> Response<Body> {
    let length = response.body().size_hint().exact();
    let mut response = response.map(|_| Body::empty());
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

#[cfg(test)]
mod tests;
