//! The state behind its lock, with word to all who wait for a change of it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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
    /// Counts the changes.
    changes: watch::Sender<u64>,
    written: Option<watch::Sender<Written>>,
    datacenter: String,
    token: Option<String>,
    /// Whether those who wait hear nothing of changes.
    held_back: AtomicBool,
    closing: CancellationToken,
}

impl Store {
    /// Returns an empty state of the node. `closing` ends the waiting at shutdown.
    pub(crate) fn new(node: Node, closing: CancellationToken) -> Self {
        Self::of(State::new(node, first_index()), closing)
    }

    /// Returns a store of a state that is there already; its next index is above that of any earlier run.
    pub(crate) fn of(mut state: State, closing: CancellationToken) -> Self {
        state.indexes.last = state.indexes.last.max(first_index());
        Self {
            datacenter: state.node.datacenter.clone(),
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
            written: None,
            token: None,
            held_back: AtomicBool::new(false),
            closing,
        }
    }

    /// Sets the token that may do everything; nobody else then may.
    pub(crate) fn with_token(self, token: Option<String>) -> Self {
        Self { token: token.filter(|token| !token.is_empty()), ..self }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state and wakes those who wait.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut State) -> T) -> T {
        let result = write(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// Changes the state, and wakes those who wait if `write` says that there is anything to hear.
    pub(crate) fn write_if(&self, write: impl FnOnce(&mut State) -> bool) {
        if write(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Returns what tells of each later change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn datacenter(&self) -> &str {
        &self.datacenter
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// From now on waits with each write until it is on disk.
    pub(crate) fn kept(self) -> Self {
        Self { written: Some(watch::Sender::default()), ..self }
    }

    /// Notes how far the state was written.
    pub(crate) fn written(&self, written: Written) {
        self.written.as_ref().map(|last| last.send_replace(written));
    }

    /// Waits until all changes so far are on disk, where there is one to write to; returns why they are not.
    pub(crate) async fn settled(&self) -> Result<(), String> {
        let Some(written) = &self.written else { return Ok(()) };
        let version = *self.changes.borrow();
        let mut written = written.subscribe();
        let reached = written.wait_for(|written| written.version >= version).await;
        reached.map_or(Ok(()), |written| written.failure.clone().map_or(Ok(()), Err))
    }

    /// Returns the name of the node.
    pub(crate) fn node(&self) -> String {
        self.read(|state| state.node.name.clone())
    }

    /// Whether those who wait are told nothing of changes.
    pub(crate) fn holds_back(&self) -> bool {
        self.held_back.load(Ordering::Relaxed)
    }

    /// Begins to tell those who wait nothing, or ends that.
    pub(crate) fn hold_back(&self, on: bool) {
        self.held_back.store(on, Ordering::Relaxed);
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }
}

/// How far the state was written to disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// The count of changes.
    pub(crate) version: u64,
    /// Why the last try failed.
    pub(crate) failure: Option<String>,
}

/// Returns milliseconds since 1970: a registry that starts again at its address then has a greater index than before
/// (fewer than a thousand changes a second), and watchers that name an old one wake at once.
fn first_index() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(1)
}
