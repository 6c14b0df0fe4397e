//! The last resort of a cluster: endpoints that vanished with most others, and whose connection still works.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::client::endpoint::Endpoint;

/// Endpoints that are called when no other is ready.
#[derive(Debug, Default)]
pub(crate) struct Held {
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
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
    pub(crate) fn load(&self) -> Guard<Arc<Vec<Arc<Endpoint>>>> {
        self.endpoints.load()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.endpoints.load().is_empty()
    }

    /// Holds these endpoints and no others.
    pub(crate) fn replace(&self, endpoints: Vec<Arc<Endpoint>>) -> Change {
        let count = endpoints.len();
        let before = self.endpoints.swap(Arc::new(endpoints));
        let now = self.endpoints.load();
        let more = now.iter().any(|one| before.iter().all(|other| other.id != one.id));
        Change { same: !more && count == before.len(), more }
    }

    /// Gives up those that have no connection any more, and returns them.
    pub(crate) fn drop_lost(&self) -> Vec<Arc<Endpoint>> {
        let (kept, lost): (Vec<_>, Vec<_>) = self.endpoints.load().iter().cloned().partition(|one| one.is_ready());
        if !lost.is_empty() {
            self.endpoints.store(Arc::new(kept));
        }
        lost
    }
}
