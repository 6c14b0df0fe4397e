//! What time alone changes: leases end, services whose checks stay critical are removed, outputs reach the catalog.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::{
    record::Status,
    state::data::{CheckEntry, State},
};

impl State {
    /// Does what is due. False if nothing was.
    pub(crate) fn keep(&mut self, now: Instant) -> bool {
        let due = self.next_due().is_some_and(|due| due <= now);
        self.end_leases(now);
        self.reap(now);
        self.flush_outputs(now);
        due
    }

    /// Returns when [`keep`](Self::keep) has something to do next, if nothing else changes.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let times = |check: &CheckEntry| [check.lease_ends, check.reaped_at(self.reap_floor), check.flush_at];
        self.checks.values().flat_map(times).flatten().min()
    }

    fn end_leases(&mut self, now: Instant) {
        let due = |check: &&mut CheckEntry| check.lease_ends.is_some_and(|end| end <= now);
        let mut changes = Vec::new();
        let mut index = self.indexes.last;
        for check in self.checks.values_mut().filter(due) {
            check.lease_ends = None;
            let output = match check.last_output.as_str() {
                "" => "TTL expired".to_owned(),
                last => format!("TTL expired (last output before timeout follows): {last}"),
            };
            info!(check = %check.local.id, "lease ended: the check is critical");
            if let Some(change) = check.set(Status::Critical, &output, index + 1, now) {
                index += 1;
                changes.push((change, index));
            }
        }
        for (change, index) in changes {
            self.check_changed(&change, index);
        }
    }

    fn reap(&mut self, now: Instant) {
        let floor = self.reap_floor;
        let due = |check: &&CheckEntry| check.reaped_at(floor).is_some_and(|end| end <= now);
        let gone: Vec<String> = self.checks.values().filter(due).map(|check| check.local.service_id.clone()).collect();
        for id in gone {
            if self.deregister(&id) {
                info!(service = %id, "removed: a check of it stayed critical");
            }
        }
    }

    fn flush_outputs(&mut self, now: Instant) {
        let due = |check: &&mut CheckEntry| check.flush_at.is_some_and(|time| time <= now);
        let mut index = self.indexes.last;
        let mut changes = Vec::new();
        for check in self.checks.values_mut().filter(due) {
            if let Some(change) = check.flush(index + 1) {
                index += 1;
                changes.push((change, index));
            }
        }
        for (change, index) in changes {
            self.check_changed(&change, index);
        }
    }
}

impl CheckEntry {
    fn reaped_at(&self, floor: Duration) -> Option<Instant> {
        if self.local.service_id.is_empty() {
            return None;
        }
        let after = self.definition.deregister_after?;
        Some(self.critical_since? + after.max(floor))
    }
}
