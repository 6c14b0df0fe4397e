use std::{cell::Cell, sync::Arc, time::Duration};

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
    let one = (any::<[bool; 4]>(), 0.0f32..10.0).prop_map(|([ready, sound, tried, due], cost)| Candidate {
        ready,
        sound,
        tried,
        cost,
        due,
    });
    proptest::collection::vec(one, 0..12)
}

proptest! {
    #[test]
    fn ready_goes_before_sound_and_sound_before_untried(all in candidates(), seed in any::<u64>()) {
        let turns = Cell::new(seed as usize >> 1);
        let in_turn = next(all.len(), || turns.replace(turns.get() + 1), |at| all[at]);
        let drawn = pick(all.len(), &mut StdRng::seed_from_u64(seed), |at| all[at]);
        let sound = all.iter().any(|one| one.ready && one.sound);
        let fresh = all.iter().any(|one| one.ready && one.sound == sound && !one.tried);
        for picked in [in_turn, drawn] {
            match picked {
                Some(at) => prop_assert!(all[at].ready && all[at].sound == sound && all[at].tried != fresh),
                None => prop_assert!(all.iter().all(|one| !one.ready)),
            }
        }
    }

    #[test]
    fn in_turn_each_that_may_be_picked_gets_its_share(usable in proptest::collection::vec(any::<bool>(), 1..20), rounds in 1usize..20) {
        let turns = Cell::new(0);
        let count = usable.iter().filter(|usable| **usable).count();
        let look = |at: usize| Candidate { ready: usable[at], sound: true, tried: false, cost: 1.0, due: false };
        let mut picks = vec![0; usable.len()];
        for _ in 0..count * rounds {
            picks[next(usable.len(), || turns.replace(turns.get() + 1), look).unwrap()] += 1;
        }
        for (at, usable) in usable.iter().enumerate() {
            prop_assert_eq!(picks[at], if *usable { rounds } else { 0 });
        }
    }
}

/// Draws among ten endpoints of the same cost, but for the last; returns the share of the last.
fn share_at(cost: f32) -> f64 {
    let (mut rng, picks) = (StdRng::seed_from_u64(7), 100_000);
    let look = |at: usize| {
        let cost = if at == 9 { cost } else { 1.0 };
        Candidate { ready: true, sound: true, tried: false, cost, due: false }
    };
    let last = (0..picks).filter(|_| pick(10, &mut rng, look) == Some(9)).count();
    last as f64 / f64::from(picks)
}

#[test]
fn one_that_is_dearer_than_any_other_is_never_drawn_first_and_a_cheaper_one_wins_each_of_its_pairs() {
    assert_eq!(share_at(2.0), 0.0);
    // It is in a fifth of the pairs: within the 99.9 % bound of the binomial distribution.
    let bound = 3.29 * (0.2_f64 * 0.8 / 100_000.0).sqrt();
    assert!((share_at(0.5) - 0.2).abs() < bound, "{}", share_at(0.5));
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
                    sound: true,
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
