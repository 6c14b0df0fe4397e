//! Turns a request of a generated client into a `Call`; all that follows reads `call.route`, never a header.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, uri::PathAndQuery};
use tokio::time::Instant;
use tonic::body::Body;

use crate::{
    client::call::{Call, CallOptions, Deadline, Route},
    context::{Context, TraceContext},
    grpc_timeout::{self, GRPC_TIMEOUT},
    policy::{
        method::{MethodPolicy, Origin, Policy},
        options::Methods,
    },
    telemetry::AttemptLabels,
};

/// The routes of one service.
#[derive(Debug)]
pub(crate) struct RouteTable {
    service: Arc<str>,
    known: HashMap<String, Known>,
    other: Arc<AttemptLabels>,
    /// The policy of a method that no descriptor tells, if it streams or may stream, and if it does not.
    streaming: Arc<Policy>,
    unary: Arc<Policy>,
}

/// A method that a descriptor tells.
#[derive(Debug)]
struct Known {
    unary: bool,
    said: MethodPolicy,
    policy: Arc<Policy>,
    labels: Arc<AttemptLabels>,
}

impl RouteTable {
    pub(crate) fn new(service: Arc<str>, methods: &Methods, default_deadline: Duration) -> Self {
        let (streaming, unary) = (Policy::new(None), Policy::new(Some(default_deadline)));
        let known = methods.iter().map(|(path, method)| {
            let defaults = if method.unary { unary } else { streaming };
            let known = Known {
                unary: method.unary,
                said: method.policy,
                policy: Arc::new(defaults.with(Origin::Proto, &method.policy)),
                labels: Arc::new(AttemptLabels::new(path, &service)),
            };
            (path.clone(), known)
        });
        let (known, other) = (known.collect(), Arc::new(AttemptLabels::new("other", &service)));
        Self { service, known, other, streaming: Arc::new(streaming), unary: Arc::new(unary) }
    }

    /// Returns the policy in force for a path (`/pkg.Service/Method`) when the call site says this.
    pub(crate) fn policy(&self, path: &str, options: &CallOptions) -> Arc<Policy> {
        let known = self.known.get(path);
        let unary = options.unary.or(known.map(|known| known.unary)) == Some(true);
        let defaults = if unary { &self.unary } else { &self.streaming };
        let said = MethodPolicy { idempotency: options.idempotency.or(options.policy.idempotency), ..options.policy };
        let same_kind = |known: &&Known| options.unary.is_none_or(|unary| unary == known.unary);
        let base = match known {
            Some(known) if same_kind(&known) => Arc::clone(&known.policy),
            Some(known) => Arc::new(defaults.with(Origin::Proto, &known.said)),
            None => Arc::clone(defaults),
        };
        if said == MethodPolicy::default() { base } else { Arc::new(base.with(Origin::CallSite, &said)) }
    }

    /// Makes the call of a request, seen at `now` in `context`.
    pub(crate) fn select(&self, request: http::Request<Body>, context: &Context, now: Instant) -> Call {
        let (mut parts, body) = request.into_parts();
        let options = parts.extensions.remove::<CallOptions>().unwrap_or_default();
        let path = parts.uri.into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let labels = match self.known.get(path.path()) {
            Some(known) => Arc::clone(&known.labels),
            // The call site knows the method from a descriptor of its own: that bounds the names.
            None if options.unary.is_some() => Arc::new(AttemptLabels::new(path.path(), &self.service)),
            None => Arc::clone(&self.other),
        };
        let policy = self.policy(path.path(), &options);
        let route = Route {
            service: Arc::clone(&self.service),
            path,
            labels,
            deadline: deadline(&parts.headers, context, policy.deadline.value, now),
            policy,
            for_retry: context.for_retry,
            wait_for_ready: options.wait_for_ready,
        };
        trace(&mut parts.headers, context);
        let (tried, traffic) = (Vec::new(), Arc::default());
        Call { route, headers: parts.headers, body, tried, previous: 0, until: None, traffic }
    }
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
