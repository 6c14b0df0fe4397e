//! The state behind its lock, with word to all who wait for a change of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{record::Node, state::State};

/// What handlers share.
pub(crate) type Shared = Arc<Store>;

/// The state; the lock is held for as long as a closure runs, never over an await.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    changes: watch::Sender<()>,
    datacenter: String,
    closing: CancellationToken,
}

impl Store {
    /// Returns an empty state of the node. `closing` ends the waiting at shutdown.
    pub(crate) fn new(node: Node, closing: CancellationToken) -> Self {
        let datacenter = node.datacenter.clone();
        Self {
            state: Mutex::new(State::new(node, first_index())),
            changes: watch::Sender::new(()),
            datacenter,
            closing,
        }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state and wakes those who wait.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut State) -> T) -> T {
        let result = write(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_replace(());
        result
    }

    /// Returns what tells of each later change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(crate) fn datacenter(&self) -> &str {
        &self.datacenter
    }

    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }
}

/// Returns milliseconds since 1970: a registry that starts again at its address then has a greater index than before
/// (fewer than a thousand changes a second), and watchers that name an old one wake at once.
fn first_index() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(1)
}
