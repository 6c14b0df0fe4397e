//! What is held, and how it is found.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    definition::CheckDefinition,
    record::{Check, Node, Service},
    state::{
        pairs::{Pairs, Put},
        table::{Row, Table},
    },
};

/// All that the registry knows.
#[derive(Debug)]
pub(crate) struct State {
    /// The registry's own node, and what is registered with its agent.
    pub(crate) node: Node,
    pub(crate) services: Table<Entry<Service>>,
    pub(crate) checks: Table<CheckEntry>,
    /// Other nodes, by their names in lower case.
    pub(crate) externals: BTreeMap<String, External>,
    pub(crate) pairs: Pairs,
    pub(crate) indexes: Indexes,
    /// The shortest time after which a critical service is removed.
    pub(crate) reap_floor: Duration,
}

/// The default of [`State::reap_floor`] (Consul's `check_deregister_interval_min`).
pub(crate) const REAP_FLOOR: Duration = Duration::from_secs(60);

/// A node that was written into the catalog, with what was written below it; no agent looks after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct External {
    pub(crate) node: Entry<Node>,
    /// At which it or a service of it last changed.
    pub(crate) index: u64,
    pub(crate) services: Table<Entry<Service>>,
    pub(crate) checks: Table<Entry<Check>>,
}

/// A value, and the indexes at which it came and changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry<T> {
    pub(crate) value: T,
    pub(crate) created: u64,
    pub(crate) modified: u64,
}

/// A check as the agent knows it, and as the catalog does: a new output alone reaches the catalog late.
#[derive(Clone, Debug)]
pub(crate) struct CheckEntry {
    pub(crate) definition: CheckDefinition,
    pub(crate) local: Check,
    pub(crate) catalog: Entry<Check>,
    /// What was last reported, without what an ended lease adds.
    pub(crate) last_output: String,
    pub(crate) lease_ends: Option<Instant>,
    pub(crate) critical_since: Option<Instant>,
    pub(crate) flush_at: Option<Instant>,
}

/// The index of each resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Indexes {
    /// Of everything: that of the last change.
    pub(crate) last: u64,
    /// At which the node came.
    pub(crate) start: u64,
    /// Of all nodes, and of the services on them.
    #[serde(default)]
    pub(crate) nodes: u64,
    /// Of the own node, and of the services on it.
    #[serde(default)]
    pub(crate) own: u64,
    pub(crate) services: u64,
    pub(crate) checks: u64,
    /// At which a service last lost its last instance.
    pub(crate) extinct: u64,
    /// Of each service that has instances, by its name in lower case.
    pub(crate) names: BTreeMap<String, u64>,
    /// How often the indexes were set back.
    #[serde(skip)]
    pub(crate) epoch: u64,
}

impl State {
    /// Returns the state of a node without services. `start` is its first index: it should be above those of an
    /// earlier run, or watchers that know those would sleep through changes.
    pub(crate) fn new(node: Node, start: u64) -> Self {
        let start = start.max(1);
        let indexes = Indexes {
            last: start,
            start,
            nodes: start,
            own: start,
            services: start,
            checks: start,
            extinct: start,
            names: BTreeMap::new(),
            epoch: 0,
        };
        Self {
            node,
            services: Table::default(),
            checks: Table::default(),
            externals: BTreeMap::new(),
            pairs: Pairs::default(),
            indexes,
            reap_floor: REAP_FLOOR,
        }
    }

    /// Changes keys and values at the next index.
    pub(crate) fn change_pairs(&mut self, change: impl FnOnce(&mut Pairs, u64) -> Put) -> Put {
        let index = self.indexes.last + 1;
        let put = change(&mut self.pairs, index);
        if put == Put::Changed {
            self.indexes.last = index;
        }
        put
    }

    /// Sets all indexes back, as a Consul does that was restored from an older snapshot.
    pub(crate) fn set_back(&mut self, by: u64) {
        self.shift(|index| index.saturating_sub(by).max(1));
        self.indexes.epoch += 1;
    }

    /// Raises the index of everything though nothing changed.
    pub(crate) fn touch(&mut self) {
        let index = self.indexes.last + 1;
        let Indexes { last, nodes, own, services, checks, extinct, names, .. } = &mut self.indexes;
        let of_all = [last, nodes, own, services, checks, extinct].into_iter().chain(names.values_mut());
        for of_resource in of_all.chain(self.externals.values_mut().map(|external| &mut external.index)) {
            *of_resource = index;
        }
        self.pairs.shift(|_| index);
    }

    fn shift(&mut self, change: impl Fn(u64) -> u64) {
        let Indexes { last, start, nodes, own, services, checks, extinct, names, epoch: _ } = &mut self.indexes;
        for index in [last, start, nodes, own, services, checks, extinct].into_iter().chain(names.values_mut()) {
            *index = change(*index);
        }
        self.services.values_mut().for_each(|entry| entry.shift(&change));
        self.checks.values_mut().for_each(|check| check.catalog.shift(&change));
        for external in self.externals.values_mut() {
            external.index = change(external.index);
            external.node.shift(&change);
            external.services.values_mut().for_each(|entry| entry.shift(&change));
            external.checks.values_mut().for_each(|entry| entry.shift(&change));
        }
        self.pairs.shift(change);
    }

    /// Returns the index of a service, whether it has instances or not.
    pub(crate) fn service_index(&self, name: &str) -> u64 {
        *self.indexes.names.get(&name.to_lowercase()).unwrap_or(&self.indexes.extinct)
    }

    /// Whether a service has an instance on any node.
    pub(crate) fn has_instances(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let external = self.externals.values().map(|external| &external.services);
        std::iter::once(&self.services).chain(external).any(|services| services.has_any_of(&name))
    }
}

impl Indexes {
    pub(crate) fn service_changed(&mut self, index: u64) {
        self.last = index;
        self.services = index;
        self.nodes = index;
    }

    pub(crate) fn check_changed(&mut self, index: u64) {
        self.last = index;
        self.checks = index;
    }

    /// Notes a change of each of these services.
    pub(crate) fn services_touched<'a>(&mut self, names: impl Iterator<Item = &'a str>, index: u64) {
        for name in names {
            self.names.insert(name.to_lowercase(), index);
        }
    }
}

impl<T> Entry<T> {
    pub(crate) fn new(value: T, index: u64) -> Self {
        Self { value, created: index, modified: index }
    }

    fn shift(&mut self, change: impl Fn(u64) -> u64) {
        self.created = change(self.created);
        self.modified = change(self.modified);
    }
}

impl Row for Entry<Service> {
    fn id(&self) -> &str {
        &self.value.id
    }

    fn group(&self) -> String {
        self.value.name.to_lowercase()
    }
}

/// A check is of the instance with its service's id, or of the node if that is empty.
impl Row for Entry<Check> {
    fn id(&self) -> &str {
        &self.value.id
    }

    fn group(&self) -> String {
        self.value.service_id.clone()
    }
}

impl Row for CheckEntry {
    fn id(&self) -> &str {
        &self.local.id
    }

    fn group(&self) -> String {
        self.local.service_id.clone()
    }
}
