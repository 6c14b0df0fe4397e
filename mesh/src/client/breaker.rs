//! The breaker of one endpoint: closed, open, and probed by one call at a time.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::policy::{cluster::BreakerPolicy, live::Live};

/// What a pick sees of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Calls pass.
    Closed,
    /// None passes, nor may one probe.
    Open,
    /// One may probe now.
    ProbeDue,
}

/// How a call passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// As any other.
    Ordinary,
    /// As the one that decides whether the breaker closes.
    Probe,
}

/// Counts failures in a row. A call that passes a closed one costs two loads.
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: Live,
    start: Instant,
    /// Failures in a row while closed.
    failures: AtomicU32,
    /// Millisecond, from 1, at which a probe may pass; 0 while closed.
    open_until: AtomicU64,
    /// Times that it opened without having closed.
    opened: AtomicU32,
    probing: AtomicBool,
}

impl Breaker {
    pub(crate) fn new(policy: Live, start: Instant) -> Self {
        Self {
            policy,
            start,
            failures: AtomicU32::new(0),
            open_until: AtomicU64::new(0),
            opened: AtomicU32::new(0),
            probing: AtomicBool::new(false),
        }
    }

    pub(crate) fn state(&self, now: Instant) -> State {
        match self.open_until.load(Ordering::Acquire) {
            0 => State::Closed,
            until if self.millis(now) >= until && !self.probing.load(Ordering::Acquire) => State::ProbeDue,
            _ => State::Open,
        }
    }

    /// Lets a call pass: any if closed, one if a probe is due, and others only if they are forced.
    pub(crate) fn admit(&self, now: Instant, forced: bool) -> Option<Pass> {
        match self.state(now) {
            State::Closed => Some(Pass::Ordinary),
            State::ProbeDue => {
                let first = self.probing.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok();
                if first { Some(Pass::Probe) } else { forced.then_some(Pass::Ordinary) }
            }
            State::Open => forced.then_some(Pass::Ordinary),
        }
    }

    /// Takes note of a call that succeeded; returns whether that closed the breaker.
    pub(crate) fn succeeded(&self, pass: Pass) -> bool {
        // What passed before it opened says nothing about now.
        let closes = pass == Pass::Probe;
        if closes {
            self.opened.store(0, Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
            self.open_until.store(0, Ordering::Release);
            self.probing.store(false, Ordering::Release);
        } else if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        closes
    }

    /// Takes note of a call that failed; returns whether that opened the breaker. `random` is in 0..1.
    pub(crate) fn failed(&self, pass: Pass, now: Instant, random: f64) -> bool {
        if pass == Pass::Probe {
            self.open(now, random);
            self.probing.store(false, Ordering::Release);
            return false;
        }
        let most = self.policy.load().breaker.consecutive_failures;
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        // Exactly then: of several that fail at once, one opens it.
        let opens = most != 0 && failures == most && self.open_until.load(Ordering::Acquire) == 0;
        if opens {
            self.open(now, random);
        }
        opens
    }

    /// Gives back the place of a probe that came to nothing: another may pass at once.
    pub(crate) fn abandon(&self, pass: Pass) {
        if pass == Pass::Probe {
            self.probing.store(false, Ordering::Release);
        }
    }

    /// Lets a probe pass at once if it is open: what failed may be another process by now.
    pub(crate) fn hasten(&self, now: Instant) {
        let sooner = |until: u64| (until != 0).then(|| until.min(self.millis(now)));
        // Closed, there is nothing to hasten.
        let _ = self.open_until.fetch_update(Ordering::AcqRel, Ordering::Acquire, sooner);
    }

    fn open(&self, now: Instant, random: f64) {
        let times = self.opened.fetch_add(1, Ordering::Relaxed);
        let until = now
            .checked_add(open_for(&self.policy.load().breaker, times, random))
            .map_or(u64::MAX, |at| self.millis(at));
        self.failures.store(0, Ordering::Relaxed);
        self.open_until.store(until, Ordering::Release);
    }

    /// Milliseconds since the start, from 1.
    fn millis(&self, at: Instant) -> u64 {
        let millis = at.saturating_duration_since(self.start).as_millis() + 1;
        u64::try_from(millis).unwrap_or(u64::MAX)
    }
}

/// How long a breaker stays open that opened `times` times before without closing.
fn open_for(policy: &BreakerPolicy, times: u32, random: f64) -> Duration {
    let doubled = policy.min_open.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX));
    let capped = doubled.min(policy.max_open);
    capped.saturating_add(capped.mul_f64(policy.jitter.clamp(0.0, 1.0) * random))
}

#[cfg(test)]
mod tests;
