//! REST and JSON, by `google.api.http`. Errors are always `google.rpc.Status` as JSON.

mod request;
mod response;

mod download;
mod upload;

mod answer;
mod broken;
mod form;
mod head;
mod lines;
mod told;

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode, header::ALLOW, request::Parts};
use tonic::{Code, body::Body};

pub(crate) use self::answer::refuse;
use self::{broken::Broken, form::Form, head::Head, told::Metadata};
use crate::{
    error::Failure,
    memory::Bounds,
    schema::{Binding, Matched, Schema, Target},
    upstream::Upstreams,
};

/// Carries out one request.
pub(crate) async fn serve(
    request: Request<Body>,
    schema: &Schema,
    upstreams: &Upstreams,
    bounds: Bounds<'_>,
) -> Response<Body> {
    let (parts, sent) = request.into_parts();
    let (binding, segments) = match route(schema, &parts) {
        Ok(Some(found)) => found,
        Ok(None) => return options(schema, &parts),
        Err(failure) => return refuse(&failure, None),
    };
    let binding = Arc::clone(binding);
    let segments = segments.into_iter().map(str::to_owned).collect();
    let metadata = Metadata::of(&parts.headers, &binding);
    let head = Head { parts, binding: Arc::clone(&binding), segments };
    let target = schema.target_of(&binding.method);
    let answer = call(head, sent, (upstreams, target), bounds).await;
    metadata.told(answer.unwrap_or_else(|failure| {
        let mut refused = refuse(&failure, Some(binding.method.json.types()));
        metadata.add(&mut refused, failure.status.metadata().as_ref());
        refused
    }))
}

async fn call(
    head: Head,
    sent: Body,
    (upstreams, target): (&Upstreams, Target),
    bounds: Bounds<'_>,
) -> Result<Response<Body>, Failure> {
    let (binding, form) = (Arc::clone(&head.binding), Form::of(&head.parts.headers));
    let metadata = Metadata::of(&head.parts.headers, &binding);
    let broken = Arc::<Broken>::default();
    let message = request::decode(head, sent, bounds, &broken).await?;
    let answering = async {
        let response = upstreams.call(&target, message).await;
        response::encode(&binding, (form, metadata), response, &broken, bounds.memory).await
    };
    tokio::select! {
        biased;
        failure = broken.wait() => Err(failure),
        // The service may have been told first, and what it says of it is less.
        answer = answering => answer.map_err(|failure| broken.failure().cloned().unwrap_or(failure)),
    }
}

/// A route, and the segments that its variables are taken from.
type Found<'s, 'p> = (&'s Arc<Binding>, Vec<&'p str>);

/// Finds the route; nothing for an `OPTIONS` that no route has. `HEAD` is `GET` where it has no route of its own.
fn route<'s, 'p>(schema: &'s Schema, parts: &'p Parts) -> Result<Option<Found<'s, 'p>>, Failure> {
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

fn options(schema: &Schema, parts: &Parts) -> Response<Body> {
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
