//! The catalog as readers see it: each node with its services and checks, whether an agent looks after it or not.

use std::collections::BTreeMap;

use serde_json::Map;

use crate::{
    record::{Check, Node, Service, Status},
    state::data::{CheckEntry, Entry, External, State},
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
    checks: Checks<'a>,
    /// That the own node is alive: this process answers, so it is.
    alive: Option<Entry<Check>>,
}

/// The checks of a node, by id.
#[derive(Clone, Copy, Debug)]
enum Checks<'a> {
    Own(&'a BTreeMap<String, CheckEntry>),
    External(&'a BTreeMap<String, Entry<Check>>),
}

/// The checks that decide about some instances of a node.
#[derive(Debug)]
pub(crate) struct Deciding<'a> {
    of_node: Vec<&'a Entry<Check>>,
    by_service: BTreeMap<&'a str, Vec<&'a Entry<Check>>>,
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
            checks: Checks::Own(&self.checks),
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
            checks: Checks::External(&external.checks),
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
        let mut checks: Vec<_> = self.checks.all().chain(&self.alive).collect();
        checks.sort_by(|one, other| one.value.id.cmp(&other.value.id));
        checks
    }

    /// Returns the checks that decide about these instances: all checks are gone through once.
    pub(crate) fn deciding(&self, instances: &[&'a Entry<Service>]) -> Deciding<'_> {
        let mut by_service: BTreeMap<_, Vec<_>> =
            instances.iter().map(|entry| (entry.value.id.as_str(), Vec::new())).collect();
        let mut of_node: Vec<_> = self.alive.iter().collect();
        for check in self.checks.all() {
            match check.value.service_id.as_str() {
                "" => of_node.push(check),
                id => drop(by_service.get_mut(id).map(|checks| checks.push(check))),
            }
        }
        of_node.sort_by(|one, other| one.value.id.cmp(&other.value.id));
        Deciding { of_node, by_service }
    }
}

impl<'a> Checks<'a> {
    fn all(self) -> impl Iterator<Item = &'a Entry<Check>> {
        let (own, external) = match self {
            Self::Own(own) => (Some(own), None),
            Self::External(external) => (None, Some(external)),
        };
        let own = own.into_iter().flat_map(|checks| checks.values().map(|check| &check.catalog));
        own.chain(external.into_iter().flat_map(BTreeMap::values))
    }
}

impl<'a> Deciding<'a> {
    /// Returns those of one of the instances: of its node, then its own; each by id.
    pub(crate) fn of(&self, service_id: &str) -> impl Iterator<Item = &'a Entry<Check>> {
        let own = self.by_service.get(service_id).into_iter().flatten();
        self.of_node.iter().chain(own).copied()
    }
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
