//! Discovery through Consul: one watch for each name that somebody follows, shared by all who do.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::{
    select,
    sync::watch::{Receiver, Sender},
};
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::{
    consul::{Catalog, Consul, Watch, health::Entry},
    discovery::{Instance, Instances, Resolve, Services},
};

/// Finds instances with Consul's blocking queries.
///
/// A watch is a task of the runtime in which a name was first asked for. It ends when nobody follows the name.
#[derive(Debug)]
pub(crate) struct ConsulResolver {
    consul: Consul,
    /// How long one question may wait for news.
    wait: Duration,
    instances: Feeds<String, Instances>,
    services: Feeds<(), Services>,
    tasks: TaskTracker,
}

impl ConsulResolver {
    pub(crate) fn new(consul: Consul, wait: Duration) -> Self {
        let (instances, services) = (Feeds::default(), Feeds::default());
        Self { consul, wait, instances, services, tasks: TaskTracker::new() }
    }
}

impl Resolve for ConsulResolver {
    fn instances(&self, service: &str) -> Receiver<Instances> {
        self.instances.follow(service.to_owned(), |feed| {
            debug!(service, "watching instances");
            let watch = self.consul.watch_instances(service, self.wait);
            self.tasks.spawn(run(watch, feed, |entries| Instances::Known(callable(&entries))));
        })
    }

    fn services(&self) -> Receiver<Services> {
        self.services.follow((), |feed| {
            debug!("watching the catalog");
            let watch = self.consul.watch_services(self.wait);
            self.tasks.spawn(run(watch, feed, |catalog| Some(Arc::new(named(catalog)))));
        })
    }

    fn describe(&self) -> String {
        self.consul.describe()
    }
}

/// Publishes what a watch answers, until nobody wants to know.
async fn run<T, K, V>(mut watch: Watch<T>, feed: Feed<K, V>, read: impl Fn(T) -> V)
where
    T: DeserializeOwned,
    K: Eq + Hash,
    V: PartialEq,
{
    loop {
        select! {
            () = feed.abandoned() => return,
            answer = watch.next() => feed.publish(read(answer)),
        }
    }
}

/// What is followed at present, by name.
#[derive(Debug)]
struct Feeds<K, V> {
    open: Arc<Mutex<HashMap<K, Sender<V>>>>,
}

/// The side of a feed that knows the news.
#[derive(Debug)]
struct Feed<K, V> {
    name: K,
    news: Sender<V>,
    feeds: Feeds<K, V>,
}

impl<K: Clone + Eq + Hash, V: Default> Feeds<K, V> {
    /// Follows what is followed already, or begins to.
    fn follow(&self, name: K, begin: impl FnOnce(Feed<K, V>)) -> Receiver<V> {
        let mut open = self.lock();
        if let Some(news) = open.get(&name) {
            return news.subscribe();
        }
        let (news, receiver) = tokio::sync::watch::channel(V::default());
        open.insert(name.clone(), news.clone());
        begin(Feed { name, news, feeds: self.clone() });
        receiver
    }
}

impl<K, V> Feeds<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Sender<V>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Clone for Feeds<K, V> {
    fn clone(&self) -> Self {
        Self { open: Arc::clone(&self.open) }
    }
}

impl<K, V> Default for Feeds<K, V> {
    fn default() -> Self {
        Self { open: Arc::default() }
    }
}

impl<K: Eq + Hash, V: PartialEq> Feed<K, V> {
    /// Tells followers what they do not know yet: a new index of Consul is often no news.
    fn publish(&self, value: V) {
        self.news.send_if_modified(|known| {
            let news = *known != value;
            *known = value;
            news
        });
    }

    /// Waits until nobody follows, and closes the feed.
    async fn abandoned(&self) {
        loop {
            self.news.closed().await;
            // Under the lock: somebody may have come just now.
            let mut open = self.feeds.lock();
            if self.news.receiver_count() == 0 {
                open.remove(&self.name);
                return;
            }
        }
    }
}

/// Returns the instances that may be called, in the order of their ids: Consul promises none.
fn callable(entries: &[Entry]) -> Arc<[Instance]> {
    let found = || entries.iter().filter(|entry| entry.is_callable());
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for entry in found() {
        *owners.entry(&entry.service.id).or_default() += 1;
    }
    let mut instances: Vec<_> =
        found().filter_map(|entry| instance(entry, owners[entry.service.id.as_str()])).collect();
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    instances.into()
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
    Some(Instance { id, host, port, tags, meta })
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
