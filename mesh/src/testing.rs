//! Parts of the mesh without a network, for benchmarks and tests (feature `testing`).

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::KeyValue;
use tokio::time::Instant;

use crate::{
    client::{
        call::EndpointId,
        changes::Changes,
        cluster::{
            picker::{Picker, Wanted},
            set::{Facts, Set},
        },
        connect::Settings,
        endpoint::{Endpoint, Parts},
        load::Mean,
        pool::Target,
        standing::Notices,
        stream::Remote,
    },
    discovery::Instance,
    policy::{
        cluster::{Balance, ClusterPolicy},
        live::Live,
    },
    telemetry::Telemetry,
};

/// Picks among endpoints that look connected, though nothing is there. To be made inside a tokio runtime.
pub struct Picks {
    picker: Picker,
    set: Set,
    _runtime: tokio::runtime::Handle,
}

impl Picks {
    /// Makes so many endpoints, which are picked as `balance` says; the weight of endpoint `n` is `weight(n)`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(balance: Balance, endpoints: usize, weight: impl Fn(usize) -> u32) -> Self {
        let policy = ClusterPolicy { balance, ..ClusterPolicy::default() };
        let (live, mean) = (Live::from(policy.clone()), Arc::new(Mean::new(Instant::now())));
        let telemetry = Telemetry::new().expect("instruments need nothing");
        let endpoint = |number: usize| {
            let instance =
                Instance { weight: weight(number), ..Instance::at(format!("users-{number}"), "127.0.0.1", 1) };
            let parts = parts(number, &live, &mean, &telemetry);
            (Arc::new(Endpoint::ready(parts)), Facts::of(&instance, None))
        };
        let set = Set::new((0..endpoints).map(endpoint).collect(), &policy);
        Self { picker: Picker::new(live, 7), set, _runtime: tokio::runtime::Handle::current() }
    }

    /// Picks for one attempt, and gives the endpoint up at once. Returns whether there was one.
    pub fn pick(&self, hash: Option<u64>) -> bool {
        self.picker.pick(&self.set, Wanted { hash, ..Wanted::default() }).is_some()
    }
}

impl fmt::Debug for Picks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picks").field("endpoints", &self.set.members().len()).finish_non_exhaustive()
    }
}

fn parts(number: usize, live: &Live, mean: &Arc<Mean>, telemetry: &Telemetry) -> Parts {
    let name = format!("users-{number} at 127.0.0.1:1");
    let settings = Settings {
        connect_timeout: Duration::from_secs(1),
        max_header_bytes: 16 * 1024,
        keepalive_interval: Duration::from_secs(60),
        keepalive_timeout: Duration::from_secs(60),
        spare_idle: Duration::from_secs(60),
        max_age: Duration::ZERO,
    };
    let notices = Notices {
        endpoint: name.clone(),
        target: KeyValue::new("grpc.target", "users"),
        metrics: telemetry.metrics().clone(),
        changed: Changes::default(),
    };
    let remote = Remote {
        name: name.clone(),
        authority: http::uri::Authority::from_static("users"),
        max_message_bytes: 1024,
        max_header_bytes: 16 * 1024,
    };
    let target = Target { name, host: "127.0.0.1".into(), port: 1, settings, max_connections: 1, threads: 1 };
    let (mean, policy) = (Arc::clone(mean), live.clone());
    Parts { id: EndpointId(number as u64), target, remote, mean, policy, notices }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pick_allocates_nothing_however_many_endpoints_there_are() {
        let balances =
            [Balance::PeakEwma, Balance::LeastRequest, Balance::RoundRobin, Balance::RingHash, Balance::Maglev];
        let sizes = [1, 10, 500].into_iter().flat_map(|endpoints| [(endpoints, 1), (endpoints, 3)]);
        let cases = balances.into_iter().flat_map(|balance| sizes.clone().map(move |size| (balance, size)));
        for (balance, (endpoints, weights)) in cases {
            let picks = Picks::new(balance, endpoints, |number| 1 + number as u32 % weights);
            assert!(picks.pick(None) && picks.pick(Some(7)));
            let counted = allocation_counter::measure(|| {
                assert!((0..100).all(|hash| picks.pick(Some(hash << 57))));
            });
            assert_eq!(counted.count_total, 0, "{balance:?} of {endpoints}");
        }
    }
}
