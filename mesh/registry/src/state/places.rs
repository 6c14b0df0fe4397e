//! The catalog as readers see it: each node with its services and checks, whether an agent looks after it or not.

use std::collections::BTreeMap;

use serde_json::Map;

use crate::{
    record::{Check, Node, Service, Status},
    state::data::{Entry, External, State},
};

/// A node, and what is on it.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) node: &'a Node,
    pub(crate) created: u64,
    pub(crate) modified: u64,
    /// At which it or a service of it last changed.
    pub(crate) index: u64,
    services: &'a BTreeMap<String, Entry<Service>>,
    /// By the service that they are of, and then by id; those of the node have no service.
    checks: BTreeMap<&'a str, Vec<&'a Entry<Check>>>,
    /// That the own node is alive: this process answers, so it is.
    alive: Option<Entry<Check>>,
}

impl State {
    /// Returns all nodes, by name.
    pub(crate) fn places(&self) -> Vec<Place<'_>> {
        let own = self.own_place();
        let name = own.node.name.to_lowercase();
        let mut places: Vec<_> = self.externals.range(..name.clone()).map(|(_, other)| Place::of(other)).collect();
        places.push(own);
        places.extend(self.externals.range(name..).map(|(_, other)| Place::of(other)));
        places
    }

    /// Returns the node of a name.
    pub(crate) fn place(&self, name: &str) -> Option<Place<'_>> {
        let name = name.to_lowercase();
        if self.node.name.to_lowercase() == name {
            return Some(self.own_place());
        }
        self.externals.get(&name).map(Place::of)
    }

    fn own_place(&self) -> Place<'_> {
        let start = self.indexes.start;
        Place {
            node: &self.node,
            created: start,
            modified: start,
            index: self.indexes.own,
            services: &self.services,
            checks: grouped(self.checks.values().map(|check| &check.catalog)),
            alive: Some(Entry::new(alive(), start)),
        }
    }
}

impl<'a> Place<'a> {
    fn of(external: &'a External) -> Self {
        Self {
            node: &external.node.value,
            created: external.node.created,
            modified: external.node.modified,
            index: external.index,
            services: &external.services,
            checks: grouped(external.checks.values()),
            alive: None,
        }
    }

    /// Returns its services, by id.
    pub(crate) fn services(&self) -> impl Iterator<Item = &'a Entry<Service>> {
        self.services.values()
    }

    /// Returns the instances of a service, by id.
    pub(crate) fn instances(&self, name: &str) -> impl Iterator<Item = &'a Entry<Service>> {
        let name = name.to_lowercase();
        self.services.values().filter(move |entry| entry.value.is_of(&name))
    }

    /// Returns all its checks, by id.
    pub(crate) fn checks(&self) -> Vec<&Entry<Check>> {
        let mut checks: Vec<_> = self.checks.values().flatten().copied().chain(&self.alive).collect();
        checks.sort_by(|one, other| one.value.id.cmp(&other.value.id));
        checks
    }

    /// Returns the checks that decide about an instance: those of the node, then its own; each by id.
    pub(crate) fn checks_of(&self, service_id: &str) -> Vec<&Entry<Check>> {
        let of = |id: &str| self.checks.get(id).into_iter().flatten().copied();
        let mut checks: Vec<_> = of("").chain(&self.alive).collect();
        checks.sort_by(|one, other| one.value.id.cmp(&other.value.id));
        checks.extend(of(service_id));
        checks
    }
}

fn grouped<'a>(checks: impl Iterator<Item = &'a Entry<Check>>) -> BTreeMap<&'a str, Vec<&'a Entry<Check>>> {
    let mut by_service: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for check in checks {
        by_service.entry(check.value.service_id.as_str()).or_default().push(check);
    }
    by_service
}

fn alive() -> Check {
    Check {
        id: "serfHealth".to_owned(),
        name: "Serf Health Status".to_owned(),
        notes: String::new(),
        service_id: String::new(),
        service_name: String::new(),
        service_tags: Vec::new(),
        kind: "".into(),
        interval: String::new(),
        timeout: String::new(),
        status: Status::Passing,
        output: "Agent alive and reachable".to_owned(),
        definition: Map::new(),
    }
}
