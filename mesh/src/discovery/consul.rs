//! Discovery through Consul: one watch for each name that somebody follows, shared by all who do.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::{sync::watch::Receiver, time::Instant};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::{
    consul::{Catalog, Consul, Watch, health::Entry, polls::Usage},
    discovery::{
        Instance, Instances, Resolve, Services,
        ages::{Age, Ages},
        feed::{Feed, Feeds, View},
        hold::{Hold, Told},
        memory::{Followed, Memory, Named},
    },
    snapshot::Snapshot,
};

/// Finds instances with Consul's blocking queries.
///
/// A watch is a task of the runtime in which a name was first asked for. It ends when nobody follows the name.
#[derive(Debug)]
pub(crate) struct ConsulResolver {
    consul: Consul,
    /// How long one question may wait for news.
    wait: Duration,
    /// How long instances stay that vanished with most others.
    hold: Duration,
    memory: Option<Memory>,
    ages: Ages,
    instances: Feeds<String, Instances>,
    services: Feeds<(), Services>,
    usages: Mutex<HashMap<String, Usage>>,
    /// It was told that there are instances which the mesh cannot call.
    told_beyond: Arc<AtomicBool>,
    tasks: TaskTracker,
}

impl ConsulResolver {
    pub(crate) fn new(consul: Consul, wait: Duration, hold: Duration) -> Self {
        let (instances, services, tasks) = (Feeds::default(), Feeds::default(), TaskTracker::new());
        Self {
            consul,
            wait,
            hold,
            memory: None,
            ages: Ages::default(),
            instances,
            services,
            usages: Mutex::default(),
            told_beyond: Arc::default(),
            tasks,
        }
    }

    /// Shows how old its answers are.
    pub(crate) fn with_ages(self, ages: Ages) -> Self {
        Self { ages, ..self }
    }

    /// Keeps what is found in a snapshot, and begins with it if the registry cannot be asked.
    pub(crate) fn with_snapshot(self, snapshot: Option<Arc<Snapshot>>) -> Self {
        let memory = snapshot.map(|snapshot| Memory::new(snapshot, self.tasks.clone()));
        Self { memory, ..self }
    }
}

impl Resolve for ConsulResolver {
    fn instances(&self, service: &str) -> Receiver<Instances> {
        self.instances.follow(service.to_owned(), |feed| {
            debug!(service, "watching instances");
            let watch = self.consul.watch_instances(service, self.wait, self.usage(service));
            let age = self.ages.begin(watch_of(service));
            let (service, hold, memory) = (service.to_owned(), Hold::new(self.hold), self.memory.clone());
            let (noted, told_beyond) = (memory.clone(), Arc::clone(&self.told_beyond));
            let read = move |entries: Vec<Entry>| {
                if let (Some(memory), Some(entry)) = (&noted, entries.first()) {
                    memory.note_datacenter(&entry.node.datacenter);
                }
                tell_beyond(&entries, &told_beyond);
                told(&entries)
            };
            self.tasks.spawn(run(watch, feed, age, Followed { service, hold, memory }, read));
        })
    }

    fn services(&self) -> Receiver<Services> {
        self.services.follow((), |feed| {
            debug!("watching the catalog");
            let watch = self.consul.watch_services(self.wait);
            let age = self.ages.begin("services".into());
            self.tasks.spawn(run(watch, feed, age, Named { memory: self.memory.clone() }, named));
        })
    }

    fn usage(&self, service: &str) -> Usage {
        let mut usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        if !usages.contains_key(service) {
            usages.retain(|_, usage| !usage.is_abandoned());
        }
        usages.entry(service.to_owned()).or_default().clone()
    }

    fn age(&self, service: &str) -> Option<Duration> {
        self.ages.of(&watch_of(service))
    }

    fn describe(&self) -> String {
        self.consul.describe()
    }
}

/// The name of a watch, as metrics tell it.
fn watch_of(service: &str) -> String {
    format!("instances of {service}")
}

/// Publishes what a watch answers, until nobody wants to know.
async fn run<T, K, V>(mut watch: Watch<T>, feed: Feed<K, V::Seen>, age: Age, mut view: V, read: impl Fn(T) -> V::Told)
where
    T: DeserializeOwned,
    K: Eq + Hash,
    V: View,
{
    // Nothing but what an earlier process knew goes before the first answer.
    let mut first = true;
    while let Some(answer) = feed.meanwhile(watch.heard(), &mut view).await {
        match answer {
            Ok(None) => age.answered(),
            Ok(Some(answer)) => {
                first = false;
                age.answered();
                if feed.publish(view.see(read(answer), Instant::now())) {
                    watch.was_news();
                }
            }
            Err(failure) => {
                if std::mem::take(&mut first)
                    && let Some(seen) = view.remembered(Instant::now())
                {
                    feed.publish(seen);
                }
                if feed.meanwhile(watch.recover(&failure), &mut view).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Reads who may be called, and who is in maintenance.
fn told(entries: &[Entry]) -> Told {
    let leaving = entries.iter().filter(|entry| entry.is_in_maintenance());
    let leaving = leaving.filter_map(Entry::address).map(|(host, port)| (host.to_owned(), port)).collect();
    Told { callable: callable(entries), leaving }
}

/// Says once that there are instances which the mesh cannot call, wherever they are.
fn tell_beyond(entries: &[Entry], told: &AtomicBool) {
    let Some((entry, beyond)) = entries.iter().find_map(|entry| Some((entry, entry.beyond()?))) else { return };
    if !told.swap(true, Ordering::Relaxed) {
        let id = &entry.service.id;
        warn!(id, "an instance is {beyond}: peers, partitions and namespaces are not supported, such are left out");
    }
}

/// Returns the instances that may be called, in the order of their ids: Consul promises none.
fn callable(entries: &[Entry]) -> Vec<Instance> {
    let found = || entries.iter().filter(|entry| entry.is_callable());
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for entry in found() {
        *owners.entry(&entry.service.id).or_default() += 1;
    }
    let mut instances: Vec<_> =
        found().filter_map(|entry| instance(entry, owners[entry.service.id.as_str()])).collect();
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    instances
}

/// Reads one instance. Consul's ids are unique in one agent only: if several use it, the node's name is added.
fn instance(entry: &Entry, owners: usize) -> Option<Instance> {
    let service = &entry.service;
    let Some((host, port)) = entry.address() else {
        debug!(id = service.id, port = service.port, "an instance without an address is left out");
        return None;
    };
    let id = if owners > 1 { format!("{}@{}", service.id, entry.node.name) } else { service.id.clone() };
    let (host, tags, meta) = (host.to_owned(), service.tags.clone(), service.meta.clone());
    let (weight, zone) = (entry.weight(), entry.zone().map(str::to_owned));
    Some(Instance { id, host, port, tags, meta, weight, zone, last_resort: false })
}

/// Reads the names of services with their tags, sorted: Consul promises no order.
fn named(catalog: Catalog) -> BTreeMap<String, Vec<String>> {
    let sorted = |tags: Option<Vec<String>>| {
        let mut tags = tags.unwrap_or_default();
        tags.sort();
        tags
    };
    catalog.into_iter().map(|(name, tags)| (name, sorted(tags))).collect()
}

#[cfg(test)]
mod tests;
