//! When a cluster may rest: nobody called it for `client.idle_timeout` (gRPC's IDLE_TIMEOUT), nobody waits for it, and
//! no call of it runs.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::consul::polls::Usage;

/// Whether a cluster is awake, and for how long it stays so.
#[derive(Debug)]
pub(super) struct Idle {
    timeout: Duration,
    /// Told of each call: who was called of late also goes first at the registry.
    usage: Usage,
    awake: AtomicBool,
}

impl Idle {
    pub(super) fn new(timeout: Duration, usage: Usage) -> Self {
        Self { timeout, usage, awake: AtomicBool::new(false) }
    }

    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Takes note of a call. Returns whether the caller is to wake the cluster.
    pub(super) fn called(&self) -> bool {
        self.usage.note();
        self.wake()
    }

    /// Returns for how long it stays awake at least; zero if it may rest.
    pub(super) fn awake_for(&self, needed: bool) -> Duration {
        if needed {
            return self.timeout;
        }
        self.timeout.saturating_sub(self.usage.unused(Instant::now()))
    }

    /// Rests, unless there was a call just now, which saw it awake: then the caller is to wake it again.
    pub(super) fn rest(&self, waiting: bool) -> bool {
        self.awake.store(false, Ordering::SeqCst);
        self.awake_for(waiting).is_zero() || !self.wake()
    }

    fn wake(&self) -> bool {
        !self.awake.load(Ordering::SeqCst) && !self.awake.swap(true, Ordering::SeqCst)
    }
}
