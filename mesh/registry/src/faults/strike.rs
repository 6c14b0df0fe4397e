//! Lets the faults strike a request and its answer.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::time::sleep;
use tokio_stream::StreamExt;

use crate::{
    answer::{Refusal, headers, json},
    faults::plan::{Kind, Plan},
};

/// How long after the first half of an answer its connection ends: the half has to leave before.
const CUT_AFTER: Duration = Duration::from_millis(20);

/// The middleware: asks the plan, then the endpoint, if the faults leave anything to ask.
pub(crate) async fn strike(State(plan): State<Arc<Plan>>, request: Request, next: Next) -> Response {
    let kinds = plan.take(request.uri().path());
    for kind in &kinds {
        match kind {
            Kind::Delay(by) => sleep(*by).await,
            Kind::Status(status) => return refused(*status).into_response(),
            Kind::NoLeader if needs_leader(&request) => return Refusal::internal("No cluster leader").into_response(),
            Kind::NoLeader | Kind::Cut | Kind::Empty => {}
        }
    }
    let asks_who_leads = request.uri().path() == "/v1/status/leader";
    let mut response = next.run(request).await;
    for kind in kinds {
        response = match kind {
            Kind::NoLeader if asks_who_leads => json(&"".into()),
            Kind::NoLeader => {
                if let Some(known) = response.headers_mut().get_mut(headers::KNOWN_LEADER) {
                    *known = HeaderValue::from_static("false");
                }
                response
            }
            Kind::Empty => emptied(response).await,
            Kind::Cut => cut(response).await,
            Kind::Delay(_) | Kind::Status(_) => response,
        };
    }
    response
}

/// What an agent does for itself, and reads that may be stale, need no leader.
fn needs_leader(request: &Request) -> bool {
    let of_leader = ["/v1/catalog/", "/v1/health/", "/v1/kv/"];
    let stale = request.uri().query().unwrap_or_default().split('&').any(|pair| pair == "stale" || pair == "stale=");
    of_leader.iter().any(|path| request.uri().path().starts_with(path)) && !stale
}

/// Consul's words for its own refusals.
fn refused(status: StatusCode) -> Refusal {
    let text = match status {
        StatusCode::TOO_MANY_REQUESTS => "rate limit exceeded, try again later or against a different server",
        StatusCode::SERVICE_UNAVAILABLE => {
            "rate limit exceeded for operation that can only be performed by the leader, try again later"
        }
        StatusCode::FORBIDDEN => "Permission denied",
        _ => "rpc error making call: EOF",
    };
    Refusal { status, text: text.into() }
}

async fn emptied(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = collected(body).await;
    let empty = match body.first() {
        Some(b'[') => Bytes::from_static(b"[]"),
        Some(b'{') => Bytes::from_static(b"{}"),
        _ => body,
    };
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(empty))
}

/// Keeps the length that is told, and ends after half of it.
async fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = collected(body).await;
    parts.headers.insert(axum::http::header::CONTENT_LENGTH, HeaderValue::from(body.len().max(2)));
    let half = Frame::data(body.slice(..body.len() / 2));
    let broken = io::Error::new(io::ErrorKind::ConnectionAborted, "cut on demand");
    let frames = tokio_stream::iter([Ok(half), Err(broken)]).then(|frame| async move {
        if frame.is_err() {
            sleep(CUT_AFTER).await;
        }
        frame
    });
    Response::from_parts(parts, Body::new(StreamBody::new(frames)))
}

async fn collected(body: Body) -> Bytes {
    body.collect().await.map(|body| body.to_bytes()).unwrap_or_default()
}
