//! The catalog as readers see it: each node with its services and checks, whether an agent looks after it or not.

use serde_json::Map;

use crate::{
    record::{Check, Node, Service, Status},
    state::{
        data::{CheckEntry, Entry, External, State},
        table::Table,
    },
};

/// A node, and what is on it.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) node: &'a Node,
    pub(crate) created: u64,
    pub(crate) modified: u64,
    /// At which it or a service of it last changed.
    pub(crate) index: u64,
    services: &'a Table<Entry<Service>>,
    checks: Checks<'a>,
    /// That the own node is alive: this process answers, so it is.
    alive: Option<Entry<Check>>,
}

/// The checks of a node, by id.
#[derive(Clone, Copy, Debug)]
enum Checks<'a> {
    Own(&'a Table<CheckEntry>),
    External(&'a Table<Entry<Check>>),
}

/// The checks that decide about the instances of a node.
#[derive(Debug)]
pub(crate) struct Deciding<'a> {
    of_node: Vec<&'a Entry<Check>>,
    checks: Checks<'a>,
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
        self.services.of(&name.to_lowercase())
    }

    /// Returns all its checks, by id.
    pub(crate) fn checks(&self) -> Vec<&Entry<Check>> {
        let mut checks: Vec<_> = self.checks.all().chain(&self.alive).collect();
        checks.sort_by(|one, other| one.value.id.cmp(&other.value.id));
        checks
    }

    /// Returns the checks that decide about its instances.
    pub(crate) fn deciding(&self) -> Deciding<'_> {
        let mut of_node: Vec<_> = self.checks.of("").chain(&self.alive).collect();
        of_node.sort_by(|one, other| one.value.id.cmp(&other.value.id));
        Deciding { of_node, checks: self.checks }
    }
}

impl<'a> Checks<'a> {
    fn all(self) -> impl Iterator<Item = &'a Entry<Check>> {
        let (own, external) = self.either();
        let own = own.into_iter().flat_map(|checks| checks.values().map(|check| &check.catalog));
        own.chain(external.into_iter().flat_map(Table::values))
    }

    /// Those of an instance, or of the node if its id is empty; by id.
    fn of(self, service_id: &str) -> impl Iterator<Item = &'a Entry<Check>> + use<'a> {
        let (own, external) = self.either();
        let own = own.map(|checks| checks.of(service_id).map(|check| &check.catalog));
        own.into_iter().flatten().chain(external.map(|checks| checks.of(service_id)).into_iter().flatten())
    }

    fn either(self) -> (Option<&'a Table<CheckEntry>>, Option<&'a Table<Entry<Check>>>) {
        match self {
            Self::Own(own) => (Some(own), None),
            Self::External(external) => (None, Some(external)),
        }
    }
}

impl<'a> Deciding<'a> {
    /// Returns those of one of the instances: of its node, then its own; each by id.
    pub(crate) fn of(&self, service_id: &str) -> impl Iterator<Item = &'a Entry<Check>> {
        self.of_node.iter().copied().chain(self.checks.of(service_id))
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
