//! Turns a request of a generated client into a `Call`; all that follows reads `call.route`, never a header.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, uri::PathAndQuery};
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, method_options::IdempotencyLevel};
use tokio::time::Instant;
use tonic::body::Body;

use crate::{
    client::call::{Call, CallOptions, Deadline, Idempotency, Route},
    context::{Context, TraceContext},
    error::Error,
    grpc_timeout::{self, GRPC_TIMEOUT},
    telemetry::AttemptLabels,
};

/// What descriptors say of methods, by path (`/pkg.Service/Method`).
pub(crate) type Methods = HashMap<String, Method>;

/// What a descriptor says of one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) idempotency: Idempotency,
    pub(crate) unary: bool,
}

/// The routes of one service.
#[derive(Debug)]
pub(crate) struct RouteTable {
    service: Arc<str>,
    known: HashMap<String, (Method, Arc<AttemptLabels>)>,
    other: Arc<AttemptLabels>,
    default_deadline: Duration,
}

impl RouteTable {
    pub(crate) fn new(service: Arc<str>, methods: &Methods, default_deadline: Duration) -> Self {
        let labelled = |(path, method): (&String, &Method)| {
            (path.clone(), (*method, Arc::new(AttemptLabels::new(path, &service))))
        };
        let known = methods.iter().map(labelled).collect();
        let other = Arc::new(AttemptLabels::new("other", &service));
        Self { service, known, other, default_deadline }
    }

    /// Makes the call of a request, seen at `now` in `context`.
    pub(crate) fn select(&self, request: http::Request<Body>, context: &Context, now: Instant) -> Call {
        let (mut parts, body) = request.into_parts();
        let options = parts.extensions.remove::<CallOptions>().unwrap_or_default();
        let path = parts.uri.into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let (method, labels) = match self.known.get(path.path()) {
            Some((method, labels)) => (Some(*method), Arc::clone(labels)),
            // The call site knows the method from a descriptor of its own: that bounds the names.
            None if options.unary.is_some() => (None, Arc::new(AttemptLabels::new(path.path(), &self.service))),
            None => (None, Arc::clone(&self.other)),
        };
        let unary = options.unary.or(method.map(|method| method.unary));
        let idempotency = options.idempotency.or(method.map(|method| method.idempotency));
        let fallback = (unary == Some(true)).then_some(self.default_deadline);
        let route = Route {
            service: Arc::clone(&self.service),
            path,
            labels,
            idempotent: idempotency.is_some_and(|level| level != Idempotency::Unknown),
            wait_for_ready: options.wait_for_ready,
            deadline: deadline(&parts.headers, context, fallback, now),
        };
        trace(&mut parts.headers, context);
        let (tried, previous, traffic) = (Vec::new(), 0, Arc::default());
        Call { route, headers: parts.headers, body, tried, previous, traffic }
    }
}

/// Reads encoded `FileDescriptorSet`s.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) for bytes that are none.
pub(crate) fn methods(sets: &[&[u8]]) -> Result<Methods, Error> {
    let mut methods = Methods::new();
    for set in sets {
        let set = FileDescriptorSet::decode(*set)
            .map_err(|error| Error::config("descriptors", &format!("these bytes are no FileDescriptorSet: {error}")))?;
        methods.extend(set.file.iter().flat_map(methods_of_file));
    }
    Ok(methods)
}

fn methods_of_file(file: &FileDescriptorProto) -> impl Iterator<Item = (String, Method)> {
    let prefix = if file.package().is_empty() { String::new() } else { format!("{}.", file.package()) };
    file.service.iter().flat_map(move |service| {
        let start = format!("/{prefix}{}/", service.name());
        service.method.iter().map(move |method| (format!("{start}{}", method.name()), describe(method)))
    })
}

fn describe(method: &MethodDescriptorProto) -> Method {
    let level = method.options.as_ref().map(prost_types::MethodOptions::idempotency_level);
    let idempotency = match level {
        None | Some(IdempotencyLevel::IdempotencyUnknown) => Idempotency::Unknown,
        Some(IdempotencyLevel::Idempotent) => Idempotency::Idempotent,
        Some(IdempotencyLevel::NoSideEffects) => Idempotency::NoSideEffects,
    };
    Method { idempotency, unary: !method.client_streaming() && !method.server_streaming() }
}

/// Returns the earlier of the caller's own deadline and the one that it inherited, else the one of `fallback`.
fn deadline(headers: &HeaderMap, context: &Context, fallback: Option<Duration>, now: Instant) -> Option<Deadline> {
    let own = headers.get(GRPC_TIMEOUT).and_then(grpc_timeout::parse);
    let inherited = context.deadline.map(|at| at.saturating_duration_since(now));
    let after = own.into_iter().chain(inherited).min().or(fallback)?;
    let at = now.checked_add(after)?;
    Some(Deadline { at, after })
}

/// Writes `traceparent`: a child of the served call, else of what the request names, else a new trace.
fn trace(headers: &mut HeaderMap, context: &Context) {
    let parent = context.trace.or_else(|| TraceContext::from_headers(headers));
    parent.map_or_else(TraceContext::root, TraceContext::child).to_headers(headers);
}

#[cfg(test)]
mod tests;
