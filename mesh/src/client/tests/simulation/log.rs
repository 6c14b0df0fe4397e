//! What happened in one simulation, and when.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tonic::Code;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A call began.
    Begun { call: u64, idempotent: bool },
    /// A server got it, with this count of earlier attempts.
    Arrived { call: u64, previous: u32, server: usize },
    /// It ended.
    Ended { call: u64, code: Code },
}

/// Everything that happened. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    events: Arc<Mutex<Vec<(Duration, Event)>>>,
    wrongs: Arc<Mutex<Vec<String>>>,
}

impl Log {
    pub(super) fn note(&self, event: Event) {
        let at = turmoil::sim_elapsed().unwrap();
        self.events.lock().unwrap().push((at, event));
    }

    /// Notes what must not be.
    pub(super) fn wrong(&self, what: String) {
        self.wrongs.lock().unwrap().push(what);
    }

    pub(super) fn events(&self) -> Vec<(Duration, Event)> {
        self.events.lock().unwrap().clone()
    }

    pub(super) fn wrongs(&self) -> Vec<String> {
        self.wrongs.lock().unwrap().clone()
    }
}
