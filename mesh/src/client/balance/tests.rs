use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::time::{self, Instant};
use tonic::Code;

use super::*;
use crate::client::{
    load::{Load, Mean},
    observe::Observer as _,
};

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (any::<bool>(), any::<bool>(), 0.0f32..10.0, any::<bool>())
        .prop_map(|(ready, tried, cost, due)| Candidate { ready, tried, cost, due });
    proptest::collection::vec(one, 0..12)
}

proptest! {
    #[test]
    fn what_is_not_ready_is_never_picked_and_what_was_tried_only_when_all_were(all in candidates(), seed in any::<u64>()) {
        let picked = pick(all.len(), &mut StdRng::seed_from_u64(seed), |at| all[at]);
        let fresh = all.iter().any(|one| one.ready && !one.tried);
        match picked {
            Some(at) => prop_assert!(all[at].ready && all[at].tried != fresh),
            None => prop_assert!(all.iter().all(|one| !one.ready)),
        }
    }
}

/// Runs 32 callers for six seconds over ten endpoints, of which the last is 20 times slower; returns the share of
/// calls that it got after the first two.
async fn share_of_the_slow_one(cost: fn(&Load, Instant) -> f32) -> f64 {
    let begun = Instant::now();
    let mean = Arc::new(Mean::new(begun));
    let loads: Arc<Vec<_>> = Arc::new((0..10).map(|_| Arc::new(Load::new(Arc::clone(&mean), begun))).collect());
    let caller = |seed: u64| {
        let loads = Arc::clone(&loads);
        async move {
            let (mut rng, mut counted, mut slow) = (StdRng::seed_from_u64(seed), 0, 0);
            while begun.elapsed() < Duration::from_secs(6) {
                let now = Instant::now();
                let look = |at: usize| Candidate {
                    ready: true,
                    tried: false,
                    cost: cost(&loads[at], now),
                    due: loads[at].is_due(now),
                };
                let at = pick(10, &mut rng, look).unwrap();
                loads[at].picked(now);
                if begun.elapsed() >= Duration::from_secs(2) {
                    counted += 1;
                    slow += u32::from(at == 9);
                }
                let mut call = loads[at].begin(now, None);
                let base = rng.random_range(4_u64..=6);
                time::sleep(Duration::from_millis(if at == 9 { base * 20 } else { base })).await;
                call.ended(Code::Ok);
            }
            (counted, slow)
        }
    };
    let counts = futures::future::join_all((0..32).map(caller)).await;
    let (counted, slow) = counts.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    f64::from(slow) / f64::from(counted)
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_gets_less_than_two_percent() {
    let share = share_of_the_slow_one(Load::cost).await;
    assert!(share < 0.02, "{share}");
    assert!(share > 0.0, "it is asked now and then");
}

#[tokio::test(start_paused = true)]
async fn a_constant_load_would_not_do() {
    let share = share_of_the_slow_one(|_, _| 1.0).await;
    assert!(share > 0.02, "{share}");
}
