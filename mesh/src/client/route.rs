//! Turns a request of a generated client into a `Call`; all that follows reads `call.route`, never a header.

pub(crate) mod current;

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, uri::PathAndQuery};
use tokio::time::Instant;
use tonic::body::Body;

use crate::{
    client::call::{Call, CallOptions, Deadline, Mirrored, Route, Tagged},
    context::{Context, TraceContext},
    grpc_timeout::{self, GRPC_TIMEOUT},
    policy::{
        document::Document,
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
    /// The policy of a method that nothing tells, if it streams or may stream, and if it does not.
    streaming: Arc<Policy>,
    unary: Arc<Policy>,
    default_deadline: Duration,
    /// What the operator says.
    document: Option<Arc<Document>>,
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
    /// `methods` is what descriptors say.
    pub(crate) fn new(
        service: Arc<str>,
        methods: &[&Methods],
        default_deadline: Duration,
        document: Option<Arc<Document>>,
    ) -> Self {
        let other = Arc::new(AttemptLabels::lasting("other", &service));
        let nothing = Arc::new(Policy::new(None));
        let (known, streaming, unary) = (HashMap::new(), Arc::clone(&nothing), nothing);
        let mut table = Self { service, known, other, streaming, unary, default_deadline, document };
        (table.streaming, table.unary) = (table.base(false, None, ""), table.base(true, None, ""));
        let all = methods.iter().flat_map(|methods| methods.iter());
        let known = all.map(|(path, method)| {
            let policy = table.base(method.unary, Some(&method.policy), path);
            let labels = Arc::new(AttemptLabels::lasting(path, &table.service));
            (path.clone(), Known { unary: method.unary, said: method.policy, policy, labels })
        });
        table.known = known.collect();
        table
    }

    /// Returns what holds for a method whatever the call site says.
    fn base(&self, unary: bool, proto: Option<&MethodPolicy>, path: &str) -> Arc<Policy> {
        let defaults = Policy::new(unary.then_some(self.default_deadline));
        let policy = proto.map_or(defaults, |proto| defaults.with(Origin::Proto, proto));
        Arc::new(self.document.as_ref().map_or(policy, |document| document.over(policy, path)))
    }

    /// Returns the paths of the methods that a descriptor tells, in order.
    pub(crate) fn methods(&self) -> Vec<&str> {
        let mut paths: Vec<_> = self.known.keys().map(String::as_str).collect();
        paths.sort_unstable();
        paths
    }

    /// Returns the policy in force for a path (`/pkg.Service/Method`) when the call site says this.
    pub(crate) fn policy(&self, path: &str, options: &CallOptions) -> Arc<Policy> {
        let known = self.known.get(path);
        let unary = options.unary.or(known.map(|known| known.unary)) == Some(true);
        let said = MethodPolicy { idempotency: options.idempotency.or(options.policy.idempotency), ..options.policy };
        let same_kind = |known: &&Known| options.unary.is_none_or(|unary| unary == known.unary);
        let base = match known {
            Some(known) if same_kind(&known) => Arc::clone(&known.policy),
            Some(known) => self.base(unary, Some(&known.said), path),
            None if self.document.as_ref().is_some_and(|document| document.names(path)) => self.base(unary, None, path),
            None => Arc::clone(if unary { &self.unary } else { &self.streaming }),
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
            mirrored: parts.extensions.remove::<Mirrored>().is_some(),
            wait_for_ready: options.wait_for_ready,
            tagged: parts.extensions.remove::<Tagged>(),
            trace: context.trace.or_else(|| TraceContext::from_headers(&parts.headers)),
        };
        Call::first(Arc::new(route), parts.headers, body)
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

#[cfg(test)]
mod tests;
