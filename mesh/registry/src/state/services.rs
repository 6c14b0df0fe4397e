//! The rules of services: how they come, change and go, and are put into maintenance.

use serde_json::Map;
use tokio::time::Instant;

use crate::{
    definition::{CheckDefinition, Registration},
    record::{Check, Service, Status},
    state::data::{Entry, State},
};

/// The id of the check that maintenance of a service adds, before the id of the service.
const MAINTENANCE: &str = "_service_maintenance:";
const NODE_MAINTENANCE: &str = "_node_maintenance";

impl State {
    /// Adds an instance and its checks, or changes it. Checks that exist keep their status; those of the instance
    /// that are not named are removed if `replace`.
    pub(crate) fn register(&mut self, registration: Registration, replace: bool, now: Instant) {
        let Registration { service, checks } = registration;
        let index = self.indexes.last + 1;
        if replace {
            let named = |check: &Check| checks.iter().any(|new| new.view.id == check.id);
            let gone = self.checks.of(&service.id).map(|entry| &entry.local).filter(|check| !named(check));
            let gone: Vec<String> = gone.map(|check| check.id.clone()).collect();
            for id in gone {
                self.remove_check(&id, index);
            }
        }
        self.put_service(service, index);
        for check in checks {
            self.put_check(check, index, now);
        }
    }

    /// Removes an instance and its checks. False if there is none of that id.
    pub(crate) fn deregister(&mut self, id: &str) -> bool {
        let Some(entry) = self.services.remove(id) else { return false };
        let index = self.indexes.last + 1;
        self.checks.remove_all_of(id);
        // As in Consul, whether it had checks or not.
        self.indexes.checks = index;
        self.service_changed(index);
        self.left(&entry.value.name, index);
        true
    }

    /// Puts an instance into maintenance for a reason, or ends that. False if there is none of that id.
    pub(crate) fn maintain(&mut self, id: &str, reason: Option<&str>, now: Instant) -> bool {
        let Some(service) = self.services.get(id).map(|entry| entry.value.clone()) else { return false };
        let check = format!("{MAINTENANCE}{id}");
        self.switch(check, reason, Some(&service), now);
        true
    }

    /// Puts the node into maintenance for a reason, or ends that.
    pub(crate) fn maintain_node(&mut self, reason: Option<&str>, now: Instant) {
        self.switch(NODE_MAINTENANCE.to_owned(), reason, None, now);
    }

    /// Maintenance that is on keeps its first reason.
    fn switch(&mut self, id: String, reason: Option<&str>, service: Option<&Service>, now: Instant) {
        let index = self.indexes.last + 1;
        match (reason, self.checks.contains(&id)) {
            (Some(reason), false) => self.put_check(maintenance(id, reason, service), index, now),
            (None, true) => self.remove_check(&id, index),
            (Some(_), true) | (None, false) => {}
        }
    }

    fn put_service(&mut self, service: Service, index: u64) {
        let old = self.services.get(&service.id);
        if old.is_some_and(|old| old.value == service) {
            return;
        }
        let created = old.map_or(index, |old| old.created);
        let renamed = old.map(|old| old.value.name.clone()).filter(|name| *name != service.name);
        self.indexes.names.insert(service.name.to_lowercase(), index);
        self.services.insert(Entry { value: service, created, modified: index });
        self.service_changed(index);
        if let Some(name) = renamed {
            self.left(&name, index);
        }
    }

    /// As in Consul, services change the index of their nodes.
    fn service_changed(&mut self, index: u64) {
        self.indexes.own = index;
        self.indexes.service_changed(index);
    }

    /// An instance left a service, which may have been its last.
    pub(crate) fn left(&mut self, name: &str, index: u64) {
        let remain = self.has_instances(name);
        let name = name.to_lowercase();
        if remain {
            self.indexes.names.insert(name, index);
        } else {
            self.indexes.names.remove(&name);
            self.indexes.extinct = index;
        }
    }
}

fn maintenance(id: String, reason: &str, service: Option<&Service>) -> CheckDefinition {
    let (name, what) = match service {
        Some(_) => ("Service Maintenance Mode", "service"),
        None => ("Node Maintenance Mode", "node"),
    };
    let notes = if reason.is_empty() {
        format!("Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message.")
    } else {
        reason.to_owned()
    };
    let of_service = |field: fn(&Service) -> &str| service.map(field).unwrap_or_default().to_owned();
    let view = Check {
        id,
        name: name.to_owned(),
        notes,
        service_id: of_service(|service| &service.id),
        service_name: of_service(|service| &service.name),
        service_tags: service.map(|service| service.tags.clone()).unwrap_or_default(),
        kind: "maintenance".into(),
        interval: String::new(),
        timeout: String::new(),
        status: Status::Critical,
        output: String::new(),
        definition: Map::new(),
    };
    CheckDefinition { view, ttl: None, probe: None, deregister_after: None }
}
