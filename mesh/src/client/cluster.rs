//! The live endpoints of one service: follows discovery, picks one for each attempt, and waits for a first.

mod held;
pub(crate) mod picker;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use futures::FutureExt as _;
use opentelemetry::KeyValue;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{self, Instant, MissedTickBehavior},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::Service;

use crate::{
    client::{
        Answer, AnswerFuture,
        call::{Call, EndpointId, Route},
        cluster::{
            held::Held,
            picker::{Picked, Picker},
        },
        connect::Settings,
        endpoint::{self, Endpoint},
        load::Mean,
        outcome::{Failure, Outcome},
        pool::Target,
        standing::Notices,
        stream::Remote,
    },
    config::ClientConfig,
    consul::polls::Usage,
    discovery::{Instance, Instances, Resolve, by_url},
    error::ErrorKind,
    policy::cluster::ClusterPolicy,
    telemetry::Metrics,
};

/// Metadata that servers of our own register with: they allow pings as often as we like.
const OURS: &str = "selvedge";
/// How often servers of other make may be pinged (gRFC A8).
const OTHERS_KEEPALIVE: Duration = Duration::from_secs(300);
/// How long an endpoint's connections beyond the first may carry no stream.
const SPARE_IDLE: Duration = Duration::from_secs(60);

/// The way to the endpoints of one service.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
    /// Ends the cluster's task when the last handle goes.
    _leave: Arc<DropGuard>,
}

#[derive(Debug)]
struct Shared {
    service: Arc<str>,
    config: ClientConfig,
    resolver: Arc<dyn Resolve>,
    metrics: Metrics,
    mean: Arc<Mean>,
    picker: Picker,
    /// The service, as metrics name it.
    target: KeyValue,
    /// Nothing until the registry answered.
    endpoints: ArcSwapOption<Vec<Arc<Endpoint>>>,
    /// Those that discovery names as a last resort.
    held: Held,
    /// Told of each call: who was called of late goes first at the registry.
    usage: Usage,
    /// Told when the set or the readiness of one of its endpoints changes.
    changed: watch::Sender<()>,
    /// Since when no endpoint is ready, though the registry answered and none has joined.
    none_since: Mutex<Option<Instant>>,
    started: OnceLock<()>,
    leaves: CancellationToken,
}

impl Cluster {
    /// Makes a cluster that begins to look for instances at its first call.
    pub(crate) fn new(
        service: Arc<str>,
        (config, policy): (ClientConfig, ClusterPolicy),
        resolver: Arc<dyn Resolve>,
        metrics: Metrics,
    ) -> Self {
        let target = KeyValue::new("grpc.target", service.to_string());
        let leaves = CancellationToken::new();
        let usage = resolver.usage(&service);
        let shared = Shared {
            service,
            config,
            resolver,
            metrics,
            mean: Arc::new(Mean::new(Instant::now())),
            picker: Picker::new(policy),
            target,
            endpoints: ArcSwapOption::empty(),
            held: Held::default(),
            usage,
            changed: watch::Sender::new(()),
            none_since: Mutex::new(None),
            started: OnceLock::new(),
            leaves: leaves.clone(),
        };
        Self { shared: Arc::new(shared), _leave: Arc::new(leaves.drop_guard()) }
    }
}

impl Service<Call> for Cluster {
    type Response = http::Response<tonic::body::Body>;
    type Error = Failure;
    type Future = AnswerFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        self.shared.started.get_or_init(|| {
            let members = Members { shared: Arc::clone(&self.shared), known: HashMap::new(), tasks: JoinSet::new() };
            // It ends by itself when the last handle of the cluster goes and the last call ended.
            drop(tokio::spawn(members.run()));
        });
        self.shared.usage.note();
        attempt(Arc::clone(&self.shared), call).boxed()
    }
}

async fn attempt(shared: Arc<Shared>, call: Call) -> Answer {
    let (endpoint, permit) = match shared.pick(&call.tried) {
        Some(picked) => picked,
        None => shared.wait(&call.route, &call.tried).await?,
    };
    endpoint.call(call, permit).await
}

impl Shared {
    fn pick(&self, tried: &[EndpointId]) -> Option<Picked> {
        let pick_of = |endpoints: &[Arc<Endpoint>]| self.picker.pick(endpoints, tried);
        pick_of(self.endpoints.load().as_ref()?).or_else(|| pick_of(&self.held.load()))
    }

    /// Waits for an endpoint that is ready: while the registry has not answered until the deadline, else not longer
    /// than `client.endpoint_wait` after the last was there or another joined.
    async fn wait(&self, route: &Route, tried: &[EndpointId]) -> Result<Picked, Failure> {
        let deadline = route.deadline.map(|deadline| deadline.at);
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(picked) = self.pick(tried) {
                return Ok(picked);
            }
            let patience = self.patience(route.wait_for_ready);
            let until = deadline.into_iter().chain(patience).min();
            let late = async {
                match until {
                    Some(at) => time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = late => return Err(self.nowhere(patience)),
            }
        }
    }

    /// Returns until when a call waits for a ready endpoint, apart from its own deadline.
    fn patience(&self, wait_for_ready: bool) -> Option<Instant> {
        let answered = self.endpoints.load().is_some();
        if !answered || wait_for_ready {
            return None;
        }
        // One that no clock can tell has no end.
        self.none_since().get_or_insert_with(Instant::now).checked_add(self.config.endpoint_wait)
    }

    fn none_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.none_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes since when no endpoint is ready.
    fn note_readiness(&self) {
        let endpoints = self.endpoints.load();
        self.picker.look(endpoints.as_deref().map_or(&[], Vec::as_slice));
        let ready = endpoints.as_ref().is_none_or(|all| all.iter().any(|one| one.is_ready())) || !self.held.is_empty();
        let mut since = self.none_since();
        *since = if ready { None } else { since.or_else(|| Some(Instant::now())) };
    }

    /// Compares the endpoints with one another.
    fn review(&self) {
        if let Some(endpoints) = &*self.endpoints.load() {
            self.picker.review(endpoints, &self.target, &self.metrics);
        }
    }

    /// Says why a call went nowhere: no answer of the registry, no instance, or none that can be connected.
    fn nowhere(&self, patience: Option<Instant>) -> Failure {
        let Self { service, resolver, .. } = self;
        let registry = resolver.describe_source(service);
        let expired = patience.is_none_or(|at| Instant::now() < at);
        let (outcome, kind) = match expired {
            true => (Outcome::TimedOut, ErrorKind::Deadline),
            false => (Outcome::NoEndpoint, ErrorKind::NoEndpoint),
        };
        let text = match self.endpoints.load().as_deref().map(Vec::as_slice) {
            None => format!("{registry} has not said yet where {service:?} is"),
            Some([]) => format!("no instance of {service:?} is registered at {registry}"),
            Some(all) => {
                let reason = |one: &Arc<Endpoint>| {
                    format!("{}: {}", one.name(), one.last_error().unwrap_or_else(|| "not connected yet".into()))
                };
                let reasons: Vec<_> = all.iter().take(5).map(reason).collect();
                format!(
                    "none of the {} instances of {service:?} at {registry} can be reached ({})",
                    all.len(),
                    reasons.join("; ")
                )
            }
        };
        Failure::new(outcome, kind, text)
    }
}

/// What makes an endpoint another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    id: String,
    host: String,
    port: u16,
    ours: bool,
}

/// The task that follows discovery, and owns the tasks of the endpoints.
#[derive(Debug)]
struct Members {
    shared: Arc<Shared>,
    known: HashMap<Key, Arc<Endpoint>>,
    tasks: JoinSet<()>,
}

impl Members {
    async fn run(mut self) {
        let leaves = self.shared.leaves.clone();
        let mut instances = self.shared.resolver.instances(&self.shared.service);
        let mut readiness = self.shared.changed.subscribe();
        let mut reviews = time::interval(self.shared.picker.policy().outlier.interval.max(Duration::from_millis(1)));
        reviews.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut serial = 0;
        loop {
            let latest = instances.borrow_and_update().clone();
            if let Instances::Known(list) = latest {
                self.rebuild(&list, &mut serial);
            }
            loop {
                tokio::select! {
                    () = leaves.cancelled() => return self.leave().await,
                    Ok(()) = instances.changed() => break,
                    Ok(()) = readiness.changed() => self.look(),
                    Some(_) = self.tasks.join_next() => {}
                    _ = reviews.tick() => self.shared.review(),
                }
            }
        }
    }

    /// Looks which endpoints are ready; the connection of a last resort must never have been lost.
    fn look(&mut self) {
        for lost in self.shared.held.drop_lost() {
            self.known.retain(|_, endpoint| endpoint.id != lost.id);
        }
        self.shared.note_readiness();
    }

    /// Publishes the endpoints of the instances; those that stay keep their connections and their load.
    fn rebuild(&mut self, instances: &[Instance], serial: &mut u64) {
        let mut known = HashMap::with_capacity(instances.len());
        let mut endpoints = Vec::with_capacity(instances.len());
        let mut held = Vec::new();
        for instance in instances {
            let Instance { id, host, port, .. } = instance;
            let ours = instance.meta.contains_key(OURS);
            let key = Key { id: id.clone(), host: host.clone(), port: *port, ours };
            if instance.last_resort {
                held.extend(self.known.get(&key).filter(|one| one.is_ready()).map(|one| (key, Arc::clone(one))));
                continue;
            }
            let endpoint = self.known.get(&key).cloned().unwrap_or_else(|| self.join(&key, serial));
            if known.insert(key, Arc::clone(&endpoint)).is_none() {
                endpoints.push(endpoint);
            }
        }
        let before = self.shared.endpoints.load().as_ref().map(|all| all.len());
        let same = before == Some(endpoints.len()) && known.keys().all(|key| self.known.contains_key(key));
        let kept = self.shared.held.replace(held.iter().map(|(_, one)| Arc::clone(one)).collect());
        if kept.more {
            let (cluster, vanished) = (&self.shared.service, held.len());
            tracing::warn!(%cluster, vanished, left = endpoints.len(), "most instances vanished at once: those that are still connected stay as a last resort");
        }
        if same && kept.same {
            return;
        }
        tracing::debug!(cluster = %self.shared.service, endpoints = endpoints.len(), "endpoints changed");
        let joined = known.keys().any(|key| !self.known.contains_key(key));
        if joined {
            // Before it is seen: however long there was none, it deserves the time to be connected.
            *self.shared.none_since() = None;
        }
        known.extend(held);
        self.known = known;
        self.shared.endpoints.store(Some(Arc::new(endpoints)));
        self.shared.note_readiness();
        self.shared.changed.send_replace(());
    }

    fn join(&mut self, key: &Key, serial: &mut u64) -> Arc<Endpoint> {
        let Shared { service, config, mean, picker, target: label, metrics, changed, .. } = &*self.shared;
        let name = format!("{} at {}", key.id, bracketed(&key.host, key.port));
        let keepalive_interval = if key.ours { config.keepalive_interval } else { OTHERS_KEEPALIVE };
        let settings = Settings {
            connect_timeout: config.connect_timeout,
            max_header_bytes: config.max_header_bytes,
            keepalive_interval: keepalive_interval.max(config.keepalive_interval),
            keepalive_timeout: config.keepalive_timeout,
            spare_idle: SPARE_IDLE,
        };
        let remote = Remote {
            name: name.clone(),
            authority: by_url::authority(service)
                .parse()
                .unwrap_or_else(|_| http::uri::Authority::from_static("localhost")),
            max_message_bytes: config.max_message_bytes,
            max_header_bytes: config.max_header_bytes,
        };
        let max_connections = config.max_connections;
        let (endpoint, target) = (name.clone(), label.clone());
        let notices = Notices { endpoint, target, metrics: metrics.clone(), changed: changed.clone() };
        let target = Target { name, host: key.host.clone(), port: key.port, settings, max_connections };
        *serial += 1;
        let (endpoint, task) = Endpoint::new(endpoint::Parts {
            id: EndpointId(*serial),
            target,
            remote,
            mean: Arc::clone(mean),
            breaker: picker.policy().breaker.clone(),
            notices,
        });
        self.tasks.spawn(task);
        Arc::new(endpoint)
    }

    /// Lets the calls that run end.
    async fn leave(mut self) {
        self.known.clear();
        self.shared.held.replace(Vec::new());
        self.shared.endpoints.store(None);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Writes host and port, an IPv6 address in brackets.
fn bracketed(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests;
