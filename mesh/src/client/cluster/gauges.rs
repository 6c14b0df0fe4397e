//! What metrics show of a cluster at this moment: how its endpoints stand, its connections, what picks see as cost.

use std::sync::Arc;

use opentelemetry::KeyValue;
use tokio::time::Instant;

use crate::{
    client::{
        cluster::{set::Set, shared::Shared},
        endpoint::Endpoint,
        standing::Seen,
    },
    telemetry::gauges::{Gauge, Readable, Reading},
};

/// The ways in which an endpoint can stand, as labels of `selvedge.client.endpoints`.
const STANDINGS: [&str; 4] = ["connecting", "ready", "probe_due", "out"];

/// Shows the cluster as long as it lives.
pub(super) fn show(shared: &Arc<Shared>) {
    let readable: Arc<dyn Readable> = Arc::clone(shared) as _;
    shared.metrics.gauges().add(Arc::downgrade(&readable));
}

impl Readable for Shared {
    fn read(&self) -> Vec<Reading> {
        let (all, now) = (self.endpoints.load(), Instant::now());
        let all = all.as_deref().map_or(&[][..], Set::members);
        let labelled = |gauge, value: f64, more: Option<KeyValue>| Reading {
            gauge,
            labels: [self.target.clone()].into_iter().chain(more).collect(),
            value,
        };
        let endpoints = STANDINGS.iter().enumerate().map(|(at, name)| {
            let count = all.iter().filter(|one| standing(&one.endpoint, now) == at).count();
            labelled(Gauge::Endpoints, count as f64, Some(KeyValue::new("selvedge.state", *name)))
        });
        let connections: usize = all.iter().map(|one| one.endpoint.connections()).sum();
        let connections = labelled(Gauge::Connections, connections as f64, None);
        let ready = all.iter().filter(|one| one.endpoint.is_ready());
        let costs = ready.map(|one| f64::from(one.endpoint.load.cost(now, one.share)));
        let ends = costs.fold(None, |ends: Option<(f64, f64)>, cost| {
            Some(ends.map_or((cost, cost), |(least, most)| (least.min(cost), most.max(cost))))
        });
        let cost = |name, value| labelled(Gauge::Cost, value, Some(KeyValue::new("selvedge.end", name)));
        let costs = ends.into_iter().flat_map(|(least, most)| [cost("least", least), cost("most", most)]);
        endpoints.chain([connections]).chain(costs).collect()
    }
}

/// Returns the place in [`STANDINGS`].
fn standing(endpoint: &Endpoint, now: Instant) -> usize {
    match endpoint.standing.see(now) {
        _ if !endpoint.is_ready() => 0,
        Seen::Sound => 1,
        Seen::ProbeDue => 2,
        Seen::Out => 3,
    }
}
