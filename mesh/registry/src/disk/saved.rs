//! The state as it is in the file: without times, which begin anew after a restart as a Consul's do.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    definition::CheckDefinition,
    record::{Check, Node, Service, Status},
    state::{CheckEntry, Entry, External, Indexes, Pairs, State},
};

/// Raised whenever an older program could not read the file.
const VERSION: u32 = 1;

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    version: u32,
    datacenter: String,
    node_id: String,
    indexes: Indexes,
    services: Vec<Entry<Service>>,
    checks: Vec<SavedCheck>,
    #[serde(default)]
    externals: Vec<External>,
    pairs: Pairs,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedCheck {
    definition: CheckDefinition,
    view: Check,
    last_output: String,
    created: u64,
    modified: u64,
}

impl Saved {
    pub(crate) fn of(state: &State) -> Self {
        let check = |entry: &CheckEntry| SavedCheck {
            definition: entry.definition.clone(),
            view: entry.local.clone(),
            last_output: entry.last_output.clone(),
            created: entry.catalog.created,
            modified: entry.catalog.modified,
        };
        Self {
            version: VERSION,
            datacenter: state.node.datacenter.clone(),
            node_id: state.node.id.clone(),
            indexes: state.indexes.clone(),
            services: state.services.values().cloned().collect(),
            checks: state.checks.values().map(check).collect(),
            externals: state.externals.values().cloned().collect(),
            pairs: state.pairs.clone(),
        }
    }

    /// Reads a file, or returns why it cannot be read.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let broken = |error: serde_json::Error| format!("not a state of a registry: {error}");
        let Head { version } = serde_json::from_slice(text).map_err(broken)?;
        if version != VERSION {
            return Err(format!("version {version} of the format, where this program reads {VERSION}"));
        }
        serde_json::from_slice(text).map_err(broken)
    }

    /// Returns the state on a node. Leases begin anew, and so does the time for which a check was critical.
    pub(crate) fn restore(self, node: &Node, now: Instant) -> Result<State, String> {
        if self.datacenter != node.datacenter {
            return Err(format!("of datacenter {:?}, not {:?}", self.datacenter, node.datacenter));
        }
        let entry = |check: SavedCheck| CheckEntry {
            lease_ends: check.definition.ttl.map(|ttl| now + ttl),
            critical_since: (check.view.status == Status::Critical).then_some(now),
            flush_at: None,
            last_output: check.last_output,
            catalog: Entry { value: check.view.clone(), created: check.created, modified: check.modified },
            local: check.view,
            definition: check.definition,
        };
        let mut state = State::new(Node { id: self.node_id, ..node.clone() }, self.indexes.start);
        state.services = self.services.into_iter().collect();
        state.checks = self.checks.into_iter().map(entry).collect();
        let name = |external: &External| external.node.value.name.to_lowercase();
        state.externals = self.externals.into_iter().map(|external| (name(&external), external)).collect();
        state.pairs = self.pairs;
        state.indexes = self.indexes;
        Ok(state)
    }
}
