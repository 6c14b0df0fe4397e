//! What is held, and how it is found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    definition::CheckDefinition,
    record::{Check, Node, Service},
    state::pairs::{Pairs, Put},
};

/// All that the registry knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) node: Node,
    pub(crate) services: BTreeMap<String, Entry<Service>>,
    pub(crate) checks: BTreeMap<String, CheckEntry>,
    pub(crate) pairs: Pairs,
    pub(crate) indexes: Indexes,
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
            services: start,
            checks: start,
            extinct: start,
            names: BTreeMap::new(),
            epoch: 0,
        };
        Self { node, services: BTreeMap::new(), checks: BTreeMap::new(), pairs: Pairs::default(), indexes }
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
        let Indexes { last, services, checks, extinct, names, .. } = &mut self.indexes;
        for of_resource in [last, services, checks, extinct].into_iter().chain(names.values_mut()) {
            *of_resource = index;
        }
        self.pairs.shift(|_| index);
    }

    fn shift(&mut self, change: impl Fn(u64) -> u64) {
        let Indexes { last, start, services, checks, extinct, names, .. } = &mut self.indexes;
        for index in [last, start, services, checks, extinct].into_iter().chain(names.values_mut()) {
            *index = change(*index);
        }
        let entries = self.services.values_mut().map(|entry| (&mut entry.created, &mut entry.modified));
        let checks = self.checks.values_mut().map(|check| (&mut check.catalog.created, &mut check.catalog.modified));
        for (created, modified) in entries.chain(checks) {
            *created = change(*created);
            *modified = change(*modified);
        }
        self.pairs.shift(change);
    }

    /// Returns the index of a service, whether it has instances or not.
    pub(crate) fn service_index(&self, name: &str) -> u64 {
        *self.indexes.names.get(&name.to_lowercase()).unwrap_or(&self.indexes.extinct)
    }

    /// Returns the instances of a service, by id.
    pub(crate) fn instances(&self, name: &str) -> impl Iterator<Item = &Entry<Service>> {
        let name = name.to_lowercase();
        self.services.values().filter(move |entry| entry.value.name.to_lowercase() == name)
    }
}
