//! The way to a service: what a generated client takes, and the client path on one screen.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::Instant;
use tonic::body::Body;
use tower::{Service, ServiceBuilder};

use crate::{
    client::{
        AnswerFuture, Stop,
        call::{Call, CallOptions},
        cluster::Cluster,
        deadline::DeadlineLayer,
        fault::FaultLayer,
        limit::LimitLayer,
        metrics,
        replay::Memory,
        retry::RetryLayer,
        route::RouteTable,
    },
    config::{ClientConfig, Config},
    context,
    discovery::Resolve,
    error::Error,
    policy::{
        cluster::ClusterPolicies,
        method::Policy,
        options::{self, Methods},
    },
    telemetry::Telemetry,
};

/// The way to a service: what a tonic-generated client takes. Cheap to clone, and always ready.
///
/// It never fails: what goes wrong is answered with a gRPC status, as a server would.
#[derive(Clone)]
pub struct Channel {
    service: Arc<str>,
    routes: Arc<RouteTable>,
    stack: Arc<dyn CallStack>,
}

/// The way of a call: requests go down this list, responses come back up.
fn stack(service: &Arc<str>, parts: &Parts) -> Arc<dyn CallStack> {
    let Parts { client, policies, resolver, telemetry, memory, .. } = parts;
    let metrics = telemetry.metrics();
    let policy = policies.get(&**service).cloned().unwrap_or_default();
    let (fault, limit) = (FaultLayer::new(policy.fault.clone()), LimitLayer::new(policy.limit));
    let settings = (client.clone(), policy);
    let cluster = Cluster::new(Arc::clone(service), settings, Arc::clone(resolver), metrics.clone());
    let stops = ServiceBuilder::new()
        // Above the deadline: an expired call counts as a failed one.
        .layer(metrics::call(metrics.clone()))
        // Above retry: one deadline for all attempts.
        .layer(DeadlineLayer)
        // Below the deadline, which a delay is part of; above retry: an injected error is for the caller to see.
        .layer(fault)
        // Above the cluster: another attempt goes to another endpoint.
        .layer(RetryLayer::new(memory.clone(), metrics.clone()))
        // Below retry: what waits between two attempts has no place.
        .layer(limit)
        // Picks an endpoint for each attempt (balance), and hands it over (endpoint, stream).
        .service(cluster);
    Arc::new(stops)
}

impl Channel {
    /// Returns the policy in force for a method (`/pkg.Service/Method`) when the call site says `options`; printed, it
    /// shows the origin of each value.
    #[must_use]
    pub fn policy(&self, method: &str, options: &CallOptions) -> Policy {
        *self.routes.policy(method, options)
    }
}

impl Service<http::Request<Body>> for Channel {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // On top of all stops, and before the future is polled: what is inherited is the caller's.
        let call = self.routes.select(request, &context::Context::current(), Instant::now());
        let answer = self.stack.call(call);
        answer.map(|answer| Ok(answer.unwrap_or_else(|failure| failure.status.into_http()))).boxed()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The stops of one service behind one pointer: a clone is a count.
trait CallStack: Send + Sync {
    fn call(&self, call: Call) -> AnswerFuture;
}

impl<S: Stop> CallStack for S {
    fn call(&self, call: Call) -> AnswerFuture {
        Service::call(&mut self.clone(), call)
    }
}

/// All channels of a mesh, one for each service.
#[derive(Debug)]
pub(crate) struct Channels {
    parts: Parts,
    made: Mutex<HashMap<Arc<str>, Channel>>,
}

/// What channels are made of.
#[derive(Debug)]
struct Parts {
    client: ClientConfig,
    methods: Methods,
    policies: ClusterPolicies,
    resolver: Arc<dyn Resolve>,
    telemetry: Telemetry,
    memory: Memory,
}

impl Channels {
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for bytes that are no descriptor set.
    pub(crate) fn new(
        config: &Config,
        descriptors: &[&[u8]],
        policies: ClusterPolicies,
        resolver: Arc<dyn Resolve>,
        telemetry: Telemetry,
    ) -> Result<Self, Error> {
        let (client, methods) = (config.client.clone(), options::methods(descriptors)?);
        let parts = Parts { client, methods, policies, resolver, telemetry, memory: Memory::default() };
        Ok(Self { parts, made: Mutex::default() })
    }

    /// Returns the channel of a service; it looks for instances when it is first called.
    pub(crate) fn get(&self, service: &str) -> Channel {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = made.get(service) {
            return channel.clone();
        }
        let service: Arc<str> = service.into();
        let routes = RouteTable::new(Arc::clone(&service), &self.parts.methods, self.parts.client.default_deadline);
        let stack = stack(&service, &self.parts);
        let channel = Channel { service: Arc::clone(&service), routes: Arc::new(routes), stack };
        made.insert(service, channel.clone());
        channel
    }
}
