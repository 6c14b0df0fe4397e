//! The rules of checks: how they come, change and go.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    definition::CheckDefinition,
    record::{Check, Service, Status},
    state::data::{CheckEntry, Entry, State},
};

/// How much of an output is kept: its end.
const OUTPUT_LIMIT: usize = 4096;
/// How late the catalog learns of a new output with the old status (Consul's `check_update_interval`).
const FLUSH_AFTER: Duration = Duration::from_secs(300);

impl State {
    /// Adds a check by itself, or changes it.
    pub(crate) fn register_check(&mut self, definition: CheckDefinition, now: Instant) {
        self.put_check(definition, self.indexes.last + 1, now);
    }

    /// Removes a check. False if there is none of that id.
    pub(crate) fn deregister_check(&mut self, id: &str) -> bool {
        let found = self.checks.contains(id);
        self.remove_check(id, self.indexes.last + 1);
        found
    }

    /// Notes the result of a check: of a lease that was renewed, or of a probe. False if nobody need hear of it: a
    /// lease ends later, and that is all.
    pub(crate) fn report(&mut self, id: &str, status: Status, output: &str, now: Instant) -> bool {
        let index = self.indexes.last + 1;
        let Some(entry) = self.checks.get_mut(id) else { return false };
        output.clone_into(&mut entry.last_output);
        let ended = entry.lease_ends.is_none();
        entry.lease_ends = entry.definition.ttl.map(|ttl| now + ttl);
        let before = entry.local.clone();
        let change = entry.set(status, output, index, now);
        let told = ended || before != entry.local;
        if let Some(change) = change {
            self.check_changed(&change, index);
        }
        told
    }

    /// Returns the checks that decide about an instance: those of the node, then its own; each by id.
    pub(crate) fn checks_of(&self, service_id: &str) -> impl Iterator<Item = &CheckEntry> {
        self.checks.of("").chain(self.checks.of(service_id))
    }

    /// Puts a check in place. One that exists keeps its status and output, and its lease begins anew.
    pub(crate) fn put_check(&mut self, definition: CheckDefinition, index: u64, now: Instant) {
        let old = self.checks.get(&definition.view.id);
        let mut view = definition.view.clone();
        if let Some(old) = old {
            view.status = old.local.status;
            view.output.clone_from(&old.local.output);
        }
        let created = old.map_or(index, |old| old.catalog.created);
        let unchanged = old.filter(|old| old.catalog.value == view);
        let modified = unchanged.map_or(index, |old| old.catalog.modified);
        let since = old.and_then(|old| old.critical_since).unwrap_or(now);
        let entry = CheckEntry {
            local: view.clone(),
            last_output: String::new(),
            lease_ends: definition.ttl.map(|ttl| now + ttl),
            critical_since: (view.status == Status::Critical).then_some(since),
            flush_at: None,
            catalog: Entry { value: view.clone(), created, modified },
            definition,
        };
        let changed = unchanged.is_none();
        self.checks.insert(entry);
        if changed {
            self.check_changed(&view, index);
        }
    }

    pub(crate) fn remove_check(&mut self, id: &str, index: u64) {
        let Some(entry) = self.checks.remove(id) else { return };
        self.check_changed(&entry.local, index);
        if entry.local.service_id.is_empty() {
            // As in Consul: all services of the node are held to have changed.
            self.indexes.services = index;
        }
    }

    /// A check concerns its service; one of the node concerns every service on it.
    pub(crate) fn check_changed(&mut self, check: &Check, index: u64) {
        self.indexes.check_changed(index);
        let Self { services, indexes, .. } = self;
        let name = |entry: &'_ Entry<Service>| entry.value.name.clone();
        let concerned: Vec<String> = match check.service_id.as_str() {
            "" => services.values().map(name).collect(),
            id => services.get(id).map(name).into_iter().collect(),
        };
        indexes.services_touched(concerned.iter().map(String::as_str), index);
    }
}

impl CheckEntry {
    /// Takes a result; returns what changed in the catalog, if anything.
    pub(crate) fn set(&mut self, status: Status, output: &str, index: u64, now: Instant) -> Option<Check> {
        let output = last_part(output);
        if self.local.status == status && self.local.output == output {
            return None;
        }
        let same_status = self.local.status == status;
        self.local.status = status;
        self.local.output = output;
        if same_status {
            self.flush_at.get_or_insert(now + FLUSH_AFTER);
            return None;
        }
        self.critical_since = (status == Status::Critical).then_some(now);
        self.flush(index)
    }

    /// Brings the catalog up to what the agent knows; returns it if it was not.
    pub(crate) fn flush(&mut self, index: u64) -> Option<Check> {
        self.flush_at = None;
        if self.catalog.value == self.local {
            return None;
        }
        self.catalog.value = self.local.clone();
        self.catalog.modified = index;
        Some(self.local.clone())
    }
}

/// Cuts an output as Consul does.
fn last_part(output: &str) -> String {
    if output.len() <= OUTPUT_LIMIT {
        return output.to_owned();
    }
    let start = (output.len() - OUTPUT_LIMIT..).find(|at| output.is_char_boundary(*at)).unwrap_or(output.len());
    format!("{} ... (captured {OUTPUT_LIMIT} of {} bytes)", &output[start..], output.len())
}
