//! The way to a service: what a generated client takes, and the client path on one screen.

pub(crate) mod explain;

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use rand::Rng as _;
use tokio::time::Instant;
use tonic::body::Body;
use tower::{Service, ServiceBuilder};

use crate::{
    client::{
        Stop,
        call::CallOptions,
        cluster::{Cluster, Own},
        deadline::DeadlineLayer,
        fault::FaultLayer,
        field::FieldLayer,
        hash::Hashing,
        hedge::HedgeLayer,
        limit::LimitLayer,
        metrics,
        mirror::{Elsewhere, MirrorLayer},
        quiet::QuietLayer,
        replay::Memory,
        retry::RetryLayer,
        route::current::Routes,
        trace,
    },
    config::{ClientConfig, Config},
    consul::polls::Usage,
    context,
    discovery::Resolve,
    error::Error,
    policy::{
        feed::Policies,
        live::Live,
        method::Policy,
        options::{self, Methods},
    },
    random,
    telemetry::Telemetry,
};

/// The way to a service: what a tonic-generated client takes. Cheap to clone, and always ready.
///
/// It never fails: what goes wrong is answered with a gRPC status, as a server would.
#[derive(Clone)]
pub struct Channel {
    /// One handle on all: clients are cloned for each call, by several threads at once.
    way: Arc<Way>,
}

struct Way {
    service: Arc<str>,
    routes: Arc<Routes>,
    policies: Policies,
    hashing: Hashing,
    stack: Box<dyn Stop>,
    insight: Insight,
}

/// The way of a call: requests go down this list, responses come back up.
fn stack(service: &Arc<str>, policy: &Live, parts: &Parts) -> (Box<dyn Stop>, Insight) {
    let Parts { client, resolver, telemetry, memory, .. } = parts;
    let metrics = telemetry.metrics();
    let (fault, limit) = (FaultLayer::new(policy.clone()), LimitLayer::new(policy.clone()));
    let settings = (client.clone(), policy.clone(), parts.own.clone());
    let cluster = Cluster::new(Arc::clone(service), settings, Arc::clone(resolver), metrics.clone());
    let retry = RetryLayer::new(service, policy.clone(), memory.clone(), metrics.clone());
    let insight = Insight { policy: policy.clone(), cluster: cluster.clone(), retry: retry.clone() };
    let hedge = HedgeLayer::new(policy.clone(), retry.shared_budget(), memory.clone(), metrics.clone());
    let mirror = MirrorLayer::new(policy.clone(), Arc::new(parts.channels.clone()), metrics.clone());
    let tracer = telemetry.tracer();
    let stops = ServiceBuilder::new()
        // On top: one span covers everything below.
        .layer(trace::call(tracer.clone()))
        // Above the deadline: an expired call counts as a failed one.
        .layer(metrics::call(metrics.clone()))
        // Above retry: one deadline for all attempts.
        .layer(DeadlineLayer)
        // Above retry: a wait between attempts is quiet, too.
        .layer(QuietLayer)
        // Below the deadline, which a delay is part of; above retry: an injected error is for the caller to see.
        .layer(fault)
        // Above retry: each call has one copy at most.
        .layer(mirror)
        // Above retry: all attempts belong to the same place.
        .layer(FieldLayer::new(policy.clone()))
        // Above retry: what no server acted on is tried again for each attempt of a race.
        .layer(hedge)
        // Above the cluster: another attempt goes to another endpoint.
        .layer(retry)
        // Below retry: a span for each attempt, which has all that it waits for.
        .layer(trace::attempt(tracer.clone()))
        // Below retry: what waits between two attempts has no place.
        .layer(limit)
        // Picks an endpoint for each attempt (balance), and hands it over (endpoint, stream).
        .service(cluster);
    (Box::new(stops), insight)
}

impl Channel {
    /// Returns the policy in force for a method (`/pkg.Service/Method`) when the call site says `options`; printed, it
    /// shows the origin of each value.
    #[must_use]
    pub fn policy(&self, method: &str, options: &CallOptions) -> Policy {
        *self.way.routes.load().policy(method, options)
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
        let Way { routes, policies, hashing, stack, .. } = &*self.way;
        policies.begin();
        // On top of all stops, and before the future is polled: what is inherited is the caller's.
        let mut call = routes.load().select(request, &context::Context::current(), Instant::now());
        call.hash = hashing.of(&call.headers);
        let answer = stack.call(call);
        async move {
            Ok(match answer.await {
                Ok(answer) => answer.map(Body::from),
                Err(failure) => failure.status.into_http(),
            })
        }
        .boxed()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("service", &self.way.service).finish_non_exhaustive()
    }
}

/// What of a channel can be looked into.
#[derive(Debug)]
struct Insight {
    policy: Live,
    cluster: Cluster,
    retry: RetryLayer,
}

/// All channels of a mesh, one for each service. One that nobody holds and that was not called for
/// `client.idle_timeout` is forgotten when another is made.
#[derive(Debug)]
pub(crate) struct Channels {
    parts: Parts,
    book: Mutex<Book>,
}

/// What is known of each service.
#[derive(Debug, Default)]
struct Book {
    made: HashMap<Arc<str>, Made>,
    /// What descriptors say that were learned while the program ran.
    learned: HashMap<String, Methods>,
}

/// A channel, and when it was called.
#[derive(Debug)]
struct Made {
    channel: Channel,
    usage: Usage,
}

impl Made {
    fn is_wanted(&self, idle_timeout: Duration) -> bool {
        Arc::strong_count(&self.channel.way) > 1 || self.usage.unused(Instant::now()) < idle_timeout
    }
}

/// What channels are made of.
#[derive(Debug)]
struct Parts {
    client: ClientConfig,
    methods: Arc<Methods>,
    policies: Policies,
    resolver: Arc<dyn Resolve>,
    telemetry: Telemetry,
    memory: Memory,
    own: Own,
    /// What the parts belong to, for copies of calls.
    channels: Weak<Channels>,
}

impl Elsewhere for Weak<Channels> {
    fn call(&self, service: &str, request: http::Request<Body>) -> Option<BoxFuture<'static, http::Response<Body>>> {
        let mut channel = self.upgrade()?.get(service);
        Some(channel.call(request).map(|answer| answer.unwrap_or_else(|never| match never {})).boxed())
    }
}

impl Channels {
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for bytes that are no descriptor set.
    pub(crate) fn new(
        config: &Config,
        descriptors: &[&[u8]],
        policies: Policies,
        resolver: Arc<dyn Resolve>,
        telemetry: Telemetry,
    ) -> Result<Arc<Self>, Error> {
        let (client, methods) = (config.client.clone(), Arc::new(options::methods(descriptors)?));
        let own = Own { zone: config.registry.zone.clone(), seed: random::rng().random() };
        Ok(Arc::new_cyclic(|channels: &Weak<Self>| {
            let (memory, channels) = (Memory::default(), channels.clone());
            let parts = Parts { client, methods, policies, resolver, telemetry, memory, own, channels };
            Self { parts, book: Mutex::default() }
        }))
    }

    /// Takes over what descriptors say of a service, in place of what was learned of it before.
    pub(crate) fn learn(&self, service: &str, descriptors: &[u8]) -> Result<(), Error> {
        let methods = options::methods(&[descriptors])?;
        let mut book = self.book();
        if let Some(made) = book.made.get(service) {
            made.channel.way.routes.learn(methods.clone());
        }
        match methods.is_empty() {
            true => book.learned.remove(service),
            false => book.learned.insert(service.to_owned(), methods),
        };
        Ok(())
    }

    /// Returns all channels in the order of their names.
    pub(crate) fn all(&self) -> Vec<Channel> {
        let mut all: Vec<_> = self.book().made.values().map(|made| made.channel.clone()).collect();
        all.sort_by(|one, other| one.way.service.cmp(&other.way.service));
        all
    }

    /// Returns the channel of a service; it looks for instances when it is first called.
    pub(crate) fn get(&self, service: &str) -> Channel {
        let mut book = self.book();
        if let Some(made) = book.made.get(service) {
            return made.channel.clone();
        }
        book.made.retain(|_, made| made.is_wanted(self.parts.client.idle_timeout));
        let service: Arc<str> = service.into();
        let Parts { client, methods, policies, .. } = &self.parts;
        let policy = policies.of(&service);
        let (stack, insight) = stack(&service, &policy, &self.parts);
        let methods = Arc::clone(methods);
        let routes = Arc::new(Routes::new(Arc::clone(&service), methods, client.default_deadline, policy.clone()));
        if let Some(methods) = book.learned.get(&*service) {
            routes.learn(methods.clone());
        }
        let hashing = Hashing::new(policy, random::rng().random());
        let (policies, usage) = (policies.clone(), insight.cluster.usage());
        let way = Way { service: Arc::clone(&service), routes, policies, hashing, stack, insight };
        let channel = Channel { way: Arc::new(way) };
        book.made.insert(service, Made { channel: channel.clone(), usage });
        channel
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        discovery::{by_url::Sources, fixed},
        policy::cluster::ClusterPolicies,
    };

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_nobody_holds_or_calls_is_forgotten() {
        let nobody: Arc<dyn Resolve> = Arc::new(fixed::Fixed::new(""));
        let sources = Arc::new(Sources::new(nobody, Duration::ZERO));
        let telemetry = Telemetry::new().unwrap();
        let channels =
            Channels::new(&Config::new("test"), &[], ClusterPolicies::new().into(), sources, telemetry).unwrap();
        let _held = channels.get("held");
        channels.get("left");
        let made = || channels.book().made.len();
        channels.get("other");
        assert_eq!(made(), 3);
        tokio::time::advance(Duration::from_secs(600)).await;
        channels.get("held");
        channels.get("another");
        assert_eq!(made(), 2);
    }
}
