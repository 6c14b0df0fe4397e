//! Picks among the endpoints of one cluster, and keeps an eye on how they stand.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use opentelemetry::KeyValue;
use tokio::time::Instant;

use crate::{
    client::{
        balance::{self, Candidate},
        call::EndpointId,
        endpoint::Endpoint,
        outlier::{self, Verdict},
        standing::{Permit, Seen},
    },
    policy::cluster::{Balance, ClusterPolicy},
    telemetry::Metrics,
};

/// Picks that another caller may spoil before one is forced.
const RACES: usize = 3;

/// An endpoint, and leave to call it.
pub(crate) type Picked = (Arc<Endpoint>, Permit);

/// The way in which endpoints are picked.
#[derive(Debug)]
pub(crate) struct Picker {
    policy: ClusterPolicy,
    /// Most connected endpoints are out: then all may be picked, or the few that are left would fail as well.
    panicking: AtomicBool,
    /// Whose turn it is.
    turn: AtomicUsize,
}

impl Picker {
    pub(crate) fn new(policy: ClusterPolicy) -> Self {
        Self { policy, panicking: AtomicBool::new(false), turn: AtomicUsize::new(0) }
    }

    pub(crate) fn policy(&self) -> &ClusterPolicy {
        &self.policy
    }

    /// Picks for an attempt of a call that went to `tried` before.
    pub(crate) fn pick(&self, endpoints: &[Arc<Endpoint>], tried: &[EndpointId]) -> Option<Picked> {
        let now = Instant::now();
        let panicking = self.panicking.load(Ordering::Relaxed);
        let look = |at: usize| {
            let (endpoint, seen) = (&endpoints[at], endpoints[at].standing.see(now));
            Candidate {
                ready: endpoint.is_ready(),
                sound: panicking || seen != Seen::Out,
                tried: tried.contains(&endpoint.id),
                cost: self.cost(endpoint, now),
                due: seen == Seen::ProbeDue || self.is_due(endpoint, now),
            }
        };
        for race in 0..=RACES {
            let at = match self.policy.balance {
                Balance::PeakEwma | Balance::LeastRequest => balance::pick(endpoints.len(), &mut rand::rng(), look),
                Balance::RoundRobin => {
                    balance::next(endpoints.len(), || self.turn.fetch_add(1, Ordering::Relaxed), look)
                }
            }?;
            let endpoint = &endpoints[at];
            let forced = race == RACES || panicking || endpoint.standing.see(now) == Seen::Out;
            // Another caller may have taken the place of the probe meanwhile.
            let Some(permit) = endpoint.standing.admit(now, forced) else { continue };
            endpoint.load.picked(now);
            return Some((Arc::clone(endpoint), permit));
        }
        None
    }

    fn cost(&self, endpoint: &Endpoint, now: Instant) -> f32 {
        let Endpoint { load, .. } = endpoint;
        let cost = match self.policy.balance {
            Balance::PeakEwma => load.cost(now),
            Balance::LeastRequest => load.calls(),
            Balance::RoundRobin => return 1.0,
        };
        cost * load.slow_start(now, self.policy.slow_start)
    }

    /// Whether a latency of long ago keeps it from being picked.
    fn is_due(&self, endpoint: &Endpoint, now: Instant) -> bool {
        self.policy.balance == Balance::PeakEwma && endpoint.load.is_due(now)
    }

    /// Looks how many of the connected endpoints may be picked.
    pub(crate) fn look(&self, endpoints: &[Arc<Endpoint>]) {
        let now = Instant::now();
        let connected = endpoints.iter().filter(|one| one.is_ready());
        let (sound, all) = connected
            .fold((0, 0), |(sound, all), one| (sound + usize::from(one.standing.see(now) == Seen::Sound), all + 1));
        let panics = is_panic(sound, all, self.policy.panic_percent);
        if self.panicking.swap(panics, Ordering::Relaxed) != panics {
            tracing::warn!(sound, connected = all, panics, "whether calls go to endpoints that are out");
        }
    }

    /// Compares the endpoints with one another, and ejects what does worse.
    pub(crate) fn review(&self, endpoints: &[Arc<Endpoint>], target: &KeyValue, metrics: &Metrics) {
        let mut hosts: Vec<_> = endpoints.iter().map(|one| one.standing.host()).collect();
        let verdicts = outlier::review(&self.policy.outlier, &mut hosts, Instant::now());
        for (endpoint, host) in endpoints.iter().zip(hosts) {
            endpoint.standing.reviewed(host.ejection);
        }
        for (_, verdict) in verdicts {
            match verdict {
                Verdict::Ejected(finding) => metrics.ejection(target, finding.name(), true),
                Verdict::Spared(finding) => metrics.ejection(target, finding.name(), false),
                Verdict::Returned => {}
            }
        }
    }
}

/// Whether less than `percent` of all are sound.
fn is_panic(sound: usize, all: usize, percent: u32) -> bool {
    sound * 100 < all * percent as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_half_is_panic() {
        for (sound, all, panics) in
            [(0, 0, false), (0, 1, true), (1, 2, false), (1, 3, true), (5, 10, false), (4, 10, true)]
        {
            assert_eq!(is_panic(sound, all, 50), panics, "{sound} of {all}");
            assert!(!is_panic(sound, all, 0));
        }
    }
}
