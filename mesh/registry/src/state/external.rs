//! The rules of what is written into the catalog past any agent: nodes, their services and their checks.

use crate::{
    definition::ExternalRegistration,
    record::{Check, Node, Service},
    state::data::{Entry, External, State},
};

impl State {
    /// Adds a node with a service and checks, or changes what of them is other than it was. The checks are of the
    /// node or of services that it has, or the one that comes with them.
    pub(crate) fn register_external(&mut self, registration: ExternalRegistration) {
        let ExternalRegistration { node, skip_node_update, service, checks } = registration;
        let index = self.indexes.last + 1;
        let key = node.name.to_lowercase();
        self.put_node(&key, node, skip_node_update, index);
        if let Some(service) = service {
            self.put_external_service(&key, service, index);
        }
        for check in checks {
            self.put_external_check(&key, check, index);
        }
    }

    /// Removes a service of a node, or a check of it, or all of the node where neither is named.
    pub(crate) fn deregister_external(&mut self, node: &str, service_id: &str, check_id: &str) {
        let index = self.indexes.last + 1;
        let key = node.to_lowercase();
        match (service_id, check_id) {
            ("", "") => self.remove_node(&key, index),
            ("", check_id) => self.remove_external_check(&key, check_id, index),
            (service_id, _) => self.remove_external_service(&key, service_id, index),
        }
    }

    fn put_node(&mut self, key: &str, node: Node, skip_update: bool, index: u64) {
        // One id is one node: it has got another name.
        let same_id = |(name, other): &(&String, &External)| *name != key && other.node.value.id == node.id;
        let renamed = self.externals.iter().find(same_id).filter(|_| !node.id.is_empty()).map(|(name, _)| name.clone());
        if let Some(name) = renamed {
            self.remove_node(&name, index);
        }
        let concerned = match self.externals.get_mut(key) {
            Some(old) if skip_update || old.node.value == node => return,
            Some(old) => {
                old.node = Entry { value: node, created: old.node.created, modified: index };
                old.index = index;
                old.services.values().map(|entry| entry.value.name.clone()).collect()
            }
            None => {
                let (services, checks) = (Default::default(), Default::default());
                let external = External { node: Entry::new(node, index), index, services, checks };
                self.externals.insert(key.to_owned(), external);
                Vec::new()
            }
        };
        self.indexes.last = index;
        self.indexes.nodes = index;
        self.indexes.services_touched(concerned.iter().map(String::as_str), index);
    }

    fn put_external_service(&mut self, key: &str, service: Service, index: u64) {
        let Some(external) = self.externals.get_mut(key) else { return };
        let old = external.services.get(&service.id);
        if old.is_some_and(|old| old.value == service) {
            return;
        }
        let created = old.map_or(index, |old| old.created);
        let renamed = old.map(|old| old.value.name.clone()).filter(|name| *name != service.name);
        external.index = index;
        self.indexes.service_changed(index);
        self.indexes.services_touched([service.name.as_str()].into_iter(), index);
        external.services.insert(Entry { value: service, created, modified: index });
        if let Some(name) = renamed {
            self.left(&name, index);
        }
    }

    fn put_external_check(&mut self, key: &str, mut check: Check, index: u64) {
        let Some(external) = self.externals.get_mut(key) else { return };
        if let Some(service) = external.services.get(&check.service_id) {
            check.service_name.clone_from(&service.value.name);
            check.service_tags.clone_from(&service.value.tags);
        }
        let old = external.checks.get(&check.id);
        if old.is_some_and(|old| old.value == check) {
            return;
        }
        let created = old.map_or(index, |old| old.created);
        let names = concerned(external, &check);
        external.checks.insert(Entry { value: check, created, modified: index });
        self.indexes.check_changed(index);
        self.indexes.services_touched(names.iter().map(String::as_str), index);
    }

    fn remove_node(&mut self, key: &str, index: u64) {
        let Some(external) = self.externals.remove(key) else { return };
        self.indexes.last = index;
        self.indexes.nodes = index;
        if !external.checks.is_empty() {
            self.indexes.check_changed(index);
        }
        for entry in external.services.values() {
            self.indexes.service_changed(index);
            self.indexes.check_changed(index);
            self.left(&entry.value.name, index);
        }
    }

    fn remove_external_service(&mut self, key: &str, id: &str, index: u64) {
        let Some(external) = self.externals.get_mut(key) else { return };
        let Some(entry) = external.services.remove(id) else { return };
        external.checks.remove_all_of(id);
        external.index = index;
        self.indexes.service_changed(index);
        // As in Consul, whether it had checks or not.
        self.indexes.check_changed(index);
        self.left(&entry.value.name, index);
    }

    fn remove_external_check(&mut self, key: &str, id: &str, index: u64) {
        let Some(external) = self.externals.get_mut(key) else { return };
        let Some(entry) = external.checks.remove(id) else { return };
        let names = concerned(external, &entry.value);
        self.indexes.check_changed(index);
        self.indexes.services_touched(names.iter().map(String::as_str), index);
        if entry.value.service_id.is_empty() {
            // As in Consul: all services of the node are held to have changed.
            self.indexes.services = index;
        }
    }
}

/// Returns the names of the services that a check decides about: all of the node, if it is one of the node.
fn concerned(external: &External, check: &Check) -> Vec<String> {
    let name = |entry: &Entry<Service>| entry.value.name.clone();
    match check.service_id.as_str() {
        "" => external.services.values().map(name).collect(),
        id => external.services.get(id).map(name).into_iter().collect(),
    }
}
