//! The last resort of a cluster: endpoints that vanished with most others, and whose connection still works.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::{
    client::{
        cluster::set::{Facts, Set},
        endpoint::Endpoint,
    },
    policy::cluster::ClusterPolicy,
};

/// Endpoints that are called when no other is ready.
#[derive(Debug, Default)]
pub(crate) struct Held {
    endpoints: ArcSwap<Set>,
}

/// What a replacement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The endpoints are those that were held before.
    pub(crate) same: bool,
    /// Some of them were not held before.
    pub(crate) more: bool,
}

impl Held {
    pub(crate) fn load(&self) -> Guard<Arc<Set>> {
        self.endpoints.load()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.endpoints.load().members().is_empty()
    }

    /// Holds these endpoints and no others.
    pub(crate) fn replace(&self, endpoints: Vec<Arc<Endpoint>>) -> Change {
        let count = endpoints.len();
        let before = self.endpoints.swap(plain(endpoints));
        let now = self.endpoints.load();
        let more = now.endpoints().any(|one| before.endpoints().all(|other| other.id != one.id));
        Change { same: !more && count == before.members().len(), more }
    }

    /// Gives up those that have no connection any more, and returns them.
    pub(crate) fn drop_lost(&self) -> Vec<Arc<Endpoint>> {
        let (kept, lost): (Vec<_>, Vec<_>) = self.endpoints.load().endpoints().cloned().partition(|one| one.is_ready());
        if !lost.is_empty() {
            self.endpoints.store(plain(kept));
        }
        lost
    }
}

/// Makes the set of endpoints of which any will do.
fn plain(endpoints: Vec<Arc<Endpoint>>) -> Arc<Set> {
    let endpoints = endpoints.into_iter().map(|one| (one, Facts::default()));
    Arc::new(Set::new(endpoints.collect(), &ClusterPolicy::default()))
}
