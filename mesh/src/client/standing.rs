//! How one endpoint stands: whether it may be picked, by its breaker and by how it compares to the others.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use opentelemetry::KeyValue;
use rand::Rng as _;
use tokio::time::Instant;

use crate::{
    client::{
        breaker::{Breaker, Pass, State},
        changes::Changes,
        outlier::{Ejection, Host},
    },
    policy::live::Live,
    random,
    telemetry::Metrics,
};

/// The standing of one endpoint.
#[derive(Debug)]
pub(crate) struct Standing {
    breaker: Breaker,
    ejected: AtomicBool,
    /// Written by the review only.
    ejection: Mutex<Ejection>,
    good: AtomicU64,
    bad: AtomicU64,
    notices: Notices,
}

/// Who is told when the standing of an endpoint changes.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    /// For logs: `users-1 at 127.0.0.1:4711`.
    pub(crate) endpoint: String,
    /// The service, as metrics name it.
    pub(crate) target: KeyValue,
    pub(crate) metrics: Metrics,
    pub(crate) changed: Changes,
}

/// What a pick sees of an endpoint's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It may be picked.
    Sound,
    /// One call may probe it.
    ProbeDue,
    /// It is ejected, or its breaker is open.
    Out,
}

impl Standing {
    pub(crate) fn new(policy: Live, now: Instant, notices: Notices) -> Self {
        Self {
            breaker: Breaker::new(policy, now),
            ejected: AtomicBool::new(false),
            ejection: Mutex::default(),
            good: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            notices,
        }
    }

    pub(crate) fn see(&self, now: Instant) -> Seen {
        if self.ejected.load(Ordering::Relaxed) {
            return Seen::Out;
        }
        match self.breaker.state(now) {
            State::Closed => Seen::Sound,
            State::ProbeDue => Seen::ProbeDue,
            State::Open => Seen::Out,
        }
    }

    /// Whether it is left out because it does worse than the others.
    pub(crate) fn is_ejected(&self) -> bool {
        self.ejected.load(Ordering::Relaxed)
    }

    /// Lets one call pass; one that is `forced` passes though the endpoint is out.
    pub(crate) fn admit(self: &Arc<Self>, now: Instant, forced: bool) -> Option<Permit> {
        if !forced && self.ejected.load(Ordering::Relaxed) {
            return None;
        }
        let pass = self.breaker.admit(now, forced)?;
        Some(Permit { standing: Arc::clone(self), pass, told: false })
    }

    /// Takes note of a connection that is new after a loss.
    pub(crate) fn reconnected(&self, now: Instant) {
        self.breaker.hasten(now);
    }

    /// Returns what came since the last review.
    pub(crate) fn host(&self) -> Host {
        let (good, bad) = (self.good.swap(0, Ordering::Relaxed), self.bad.swap(0, Ordering::Relaxed));
        Host { good, bad, ejection: *self.ejection() }
    }

    /// Takes over what a review decided.
    pub(crate) fn reviewed(&self, ejection: Ejection) {
        *self.ejection() = ejection;
        let out = ejection.since.is_some();
        if self.ejected.swap(out, Ordering::Relaxed) != out {
            let said = if out { "ejected: it does worse than the others" } else { "no longer ejected" };
            tracing::info!(endpoint = self.notices.endpoint, "{said}");
            self.notices.changed.tell();
        }
    }

    fn ejection(&self) -> MutexGuard<'_, Ejection> {
        self.ejection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn succeeded(&self, pass: Pass) {
        self.good.fetch_add(1, Ordering::Relaxed);
        if self.breaker.succeeded(pass) {
            tracing::info!(endpoint = self.notices.endpoint, "breaker closed");
            self.notices.changed.tell();
        }
    }

    fn failed(&self, pass: Pass, now: Instant) {
        self.bad.fetch_add(1, Ordering::Relaxed);
        if self.breaker.failed(pass, now, random::rng().random()) {
            tracing::info!(endpoint = self.notices.endpoint, "breaker opened");
            self.notices.metrics.breaker_opened(&self.notices.target);
            self.notices.changed.tell();
        }
    }
}

/// The leave of one call. Dropped without a verdict it says nothing, and gives the place of a probe back.
#[derive(Debug)]
pub(crate) struct Permit {
    standing: Arc<Standing>,
    pass: Pass,
    told: bool,
}

impl Permit {
    /// The first message came: that is all that a probe is for.
    pub(crate) fn first(&mut self) {
        if self.pass == Pass::Probe {
            self.ended(true);
        }
    }

    /// The call ended well, or badly; the first verdict counts.
    pub(crate) fn ended(&mut self, well: bool) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        match well {
            true => self.standing.succeeded(self.pass),
            false => self.standing.failed(self.pass, Instant::now()),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.told {
            self.standing.breaker.abandon(self.pass);
        }
    }
}
