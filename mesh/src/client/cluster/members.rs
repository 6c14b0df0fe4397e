//! The task of a cluster: follows discovery, and makes and keeps the endpoints.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{self, MissedTickBehavior},
};

use crate::{
    client::{
        call::EndpointId,
        cluster::{
            set::{Set, subset},
            shared::Shared,
        },
        connect::Settings,
        endpoint::{self, Endpoint},
        pool::Target,
        standing::Notices,
        stream::Remote,
    },
    discovery::{Instance, Instances, by_url, place::host_with_port},
    thread,
};

/// Metadata that servers of our own register with: they allow pings as often as we like.
const OURS: &str = "selvedge";
/// How often servers of other make may be pinged (gRFC A8).
const OTHERS_KEEPALIVE: Duration = Duration::from_secs(300);
/// How long an endpoint's connections beyond the first may carry no stream.
const SPARE_IDLE: Duration = Duration::from_secs(60);

/// What makes an endpoint another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    id: String,
    host: String,
    port: u16,
    ours: bool,
}

/// The task that follows discovery, and owns the tasks of the endpoints.
#[derive(Debug)]
pub(super) struct Members {
    shared: Arc<Shared>,
    known: BTreeMap<Key, Arc<Endpoint>>,
    tasks: JoinSet<()>,
}

impl Members {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, known: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// It ends by itself when it rests or the last handle of the cluster goes, and the last call ended.
    pub(super) fn start(shared: Arc<Shared>) {
        drop(tokio::spawn(Self::new(shared).run()));
    }

    async fn run(mut self) {
        self.follow().await;
        // Before it rests: who calls from then on begins with nothing, as at first.
        self.known.clear();
        self.shared.held.replace(Vec::new());
        self.shared.endpoints.store(None);
        self.shared.note_readiness();
        let awaited = self.shared.changed.followers() > 0;
        if !self.shared.leaves.is_cancelled() && !self.shared.idle.rest(awaited) {
            Self::start(Arc::clone(&self.shared));
        }
        // Calls that run may end.
        while self.tasks.join_next().await.is_some() {}
    }

    /// Follows discovery until the cluster may rest, or nobody has it any more.
    async fn follow(&mut self) {
        let leaves = self.shared.leaves.clone();
        let mut instances = self.shared.resolver.instances(&self.shared.service);
        let mut readiness = self.shared.changed.follow();
        let mut policies = self.shared.picker.policy().changed();
        let mut reviews =
            time::interval(self.shared.picker.policy().load().outlier.interval.max(Duration::from_millis(1)));
        reviews.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut serial = 0;
        let mut rest = pin!(time::sleep(self.shared.awake_for()));
        loop {
            let latest = instances.borrow_and_update().clone();
            if let Instances::Known(list) = latest {
                self.rebuild(&list, &mut serial);
            }
            loop {
                tokio::select! {
                    biased;
                    () = leaves.cancelled() => return,
                    Ok(()) = instances.changed() => break,
                    Ok(()) = policies.changed() => break,
                    () = readiness.changed() => self.look(),
                    Some(_) = self.tasks.join_next() => {}
                    _ = reviews.tick() => self.shared.review(),
                    () = &mut rest => match self.shared.awake_for() {
                        Duration::ZERO => return,
                        more => rest.set(time::sleep(more)),
                    },
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
    pub(super) fn rebuild(&mut self, instances: &[Instance], serial: &mut u64) {
        let mut known = BTreeMap::new();
        let mut endpoints = Vec::with_capacity(instances.len());
        let mut held = Vec::new();
        let policy = self.shared.picker.policy().load();
        let (zone, seed) = (self.shared.own.zone.as_deref(), self.shared.own.seed);
        for (instance, facts) in subset(instances, zone, policy.subset_size, seed) {
            let Instance { id, host, port, .. } = instance;
            let ours = instance.meta.contains_key(OURS);
            let key = Key { id: id.clone(), host: host.clone(), port: *port, ours };
            if instance.last_resort {
                held.extend(self.known.get(&key).filter(|one| one.is_ready()).map(|one| (key, Arc::clone(one))));
                continue;
            }
            let endpoint = self.known.get(&key).cloned().unwrap_or_else(|| self.join(&key, serial));
            if known.insert(key, Arc::clone(&endpoint)).is_none() {
                endpoints.push((endpoint, facts));
            }
        }
        let set = Set::new(endpoints, &policy);
        let same = self.shared.endpoints.load().as_ref().is_some_and(|before| before.is_same(&set));
        let kept = self.shared.held.replace(held.iter().map(|(_, one)| Arc::clone(one)).collect());
        if kept.more {
            let (cluster, vanished) = (&self.shared.service, held.len());
            tracing::warn!(%cluster, vanished, left = set.members().len(), "most instances vanished at once: those that are still connected stay as a last resort");
        }
        if same && kept.same {
            return;
        }
        tracing::debug!(cluster = %self.shared.service, endpoints = set.members().len(), "endpoints changed");
        let joined = known.keys().any(|key| !self.known.contains_key(key));
        if joined {
            // Before it is seen: however long there was none, it deserves the time to be connected.
            *self.shared.none_since() = None;
        }
        known.extend(held);
        self.known = known;
        self.shared.endpoints.store(Some(Arc::new(set)));
        self.shared.note_readiness();
        self.shared.changed.tell();
    }

    fn join(&mut self, key: &Key, serial: &mut u64) -> Arc<Endpoint> {
        let Shared { service, config, mean, picker, target: label, metrics, changed, .. } = &*self.shared;
        let name = format!("{} at {}", key.id, host_with_port(&key.host, key.port));
        let keepalive_interval = if key.ours { config.keepalive_interval } else { OTHERS_KEEPALIVE };
        let settings = Settings {
            connect_timeout: config.connect_timeout,
            max_header_bytes: config.max_header_bytes,
            keepalive_interval: keepalive_interval.max(config.keepalive_interval),
            keepalive_timeout: config.keepalive_timeout,
            spare_idle: SPARE_IDLE,
            max_age: config.max_connection_age,
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
        let threads = thread::count().min(max_connections);
        let (endpoint, target) = (name.clone(), label.clone());
        let notices = Notices { endpoint, target, metrics: metrics.clone(), changed: changed.clone() };
        let target = Target { name, host: key.host.clone(), port: key.port, settings, max_connections, threads };
        *serial += 1;
        let (endpoint, task) = Endpoint::new(endpoint::Parts {
            id: EndpointId(*serial),
            target,
            remote,
            mean: Arc::clone(mean),
            policy: picker.policy().clone(),
            notices,
        });
        self.tasks.spawn(task);
        Arc::new(endpoint)
    }
}
