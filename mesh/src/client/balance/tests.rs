mod hashed;

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

/// Endpoints as a test says.
struct Stage<F, P> {
    fitness: F,
    price: P,
}

impl<F: Fn(usize) -> Fitness, P: Fn(usize) -> Price> Scene for Stage<F, P> {
    fn fitness(&self, at: usize) -> Fitness {
        (self.fitness)(at)
    }

    fn price(&self, at: usize) -> Price {
        (self.price)(at)
    }
}

/// Endpoints of which all are fresh.
fn fresh_at(cost: impl Fn(usize) -> f32) -> impl Scene {
    Stage { fitness: |_| Fitness::Fresh, price: move |at| Price { cost: cost(at), due: false } }
}

fn even(count: usize) -> Group {
    Group::new(0, &vec![1; count])
}

/// How far a count may be from the mean of so many draws: the 99.9 % bound of the binomial distribution.
fn bound(draws: u32, share: f64) -> f64 {
    3.29 * (f64::from(draws) * share * (1.0 - share)).sqrt() + 1.0
}

fn endpoints() -> impl Strategy<Value = Vec<(Fitness, Price, u32)>> {
    let fitness = prop_oneof![Just(Fitness::Unready), Just(Fitness::Out), Just(Fitness::Tried), Just(Fitness::Fresh)];
    let one = (fitness, 0.0f32..10.0, any::<bool>(), 1u32..5);
    let one = one.prop_map(|(fitness, cost, due, weight)| (fitness, Price { cost, due }, weight));
    proptest::collection::vec(one, 0..12)
}

proptest! {
    #[test]
    fn what_is_picked_is_as_fit_as_any_and_nothing_that_is_not_ready(all in endpoints(), seed in any::<u64>()) {
        let turns = Cell::new(seed as usize >> 1);
        let scene = Stage { fitness: |at: usize| all[at].0, price: |at: usize| all[at].1 };
        let group = Group::new(0, &all.iter().map(|one| one.2).collect::<Vec<_>>());
        let in_turn = next(&group, || turns.replace(turns.get() + 1), &scene);
        let drawn = pick(&group, &mut StdRng::seed_from_u64(seed), &scene);
        let best = all.iter().map(|one| one.0).max().filter(|best| *best != Fitness::Unready);
        prop_assert_eq!(drawn.map(|at| all[at].0), best);
        prop_assert_eq!(in_turn.map(|at| all[at].0), best);
    }

    #[test]
    fn in_turn_each_that_may_be_picked_gets_its_share(usable in proptest::collection::vec(any::<bool>(), 1..20), rounds in 1usize..20) {
        let turns = Cell::new(0);
        let count = usable.iter().filter(|usable| **usable).count();
        let fitness = |at: usize| if usable[at] { Fitness::Fresh } else { Fitness::Unready };
        let scene = Stage { fitness, price: |_| Price { cost: 1.0, due: false } };
        let (group, mut picks) = (even(usable.len()), vec![0; usable.len()]);
        for _ in 0..count * rounds {
            picks[next(&group, || turns.replace(turns.get() + 1), &scene).unwrap()] += 1;
        }
        for (at, usable) in usable.iter().enumerate() {
            prop_assert_eq!(picks[at], if *usable { rounds } else { 0 });
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn drawn_and_in_turn_each_gets_as_much_as_its_weight_says(
        weights in proptest::collection::vec(1u32..100, 1..12), seed in any::<u64>(), start in 0usize..3,
    ) {
        const PICKS: u32 = 20_000;
        let (group, mut rng) = (Group::new(start, &weights), StdRng::seed_from_u64(seed));
        // Chance differences of cost change nothing.
        let even = weights.iter().all(|weight| *weight == weights[0]);
        let scene = fresh_at(|at| if even || at % 2 == 0 { 1.0 } else { 1.9 });
        let turns = Cell::new(seed as usize >> 1);
        let (mut drawn, mut in_turn) = (vec![0u32; weights.len()], vec![0u32; weights.len()]);
        for _ in 0..PICKS {
            drawn[pick(&group, &mut rng, &scene).unwrap() - start] += 1;
            in_turn[next(&group, || turns.replace(turns.get() + 1), &scene).unwrap() - start] += 1;
        }
        let total: f64 = weights.iter().copied().map(f64::from).sum();
        for (at, weight) in weights.iter().enumerate() {
            let share = f64::from(*weight) / total;
            let mean = share * f64::from(PICKS);
            // Of so many cases and endpoints some are past the bound of one.
            prop_assert!((f64::from(drawn[at]) - mean).abs() <= 1.6 * bound(PICKS, share), "{drawn:?} of {weights:?}");
            prop_assert!((f64::from(in_turn[at]) - mean).abs() <= bound(PICKS, share), "{in_turn:?} of {weights:?}");
        }
    }
}

#[test]
fn splits_by_weight_are_within_the_binomial_bound() {
    const PICKS: u32 = 100_000;
    let (weights, mut rng) = ([1u32, 2, 5, 8], StdRng::seed_from_u64(7));
    let group = Group::new(0, &weights);
    let mut drawn = [0u32; 4];
    for _ in 0..PICKS {
        drawn[pick(&group, &mut rng, &fresh_at(|_| 1.0)).unwrap()] += 1;
    }
    for (weight, drawn) in weights.into_iter().zip(drawn) {
        let share = f64::from(weight) / 16.0;
        let off = f64::from(drawn) - share * f64::from(PICKS);
        assert!(off.abs() <= bound(PICKS, share), "{drawn} for weight {weight}");
    }
}

#[test]
fn one_that_is_twice_as_dear_as_others_is_avoided_however_heavy() {
    let (group, mut rng) = (Group::new(0, &[100, 1, 1]), StdRng::seed_from_u64(7));
    let scene = fresh_at(|at| if at == 0 { 2.1 } else { 1.0 });
    let heavy = (0..1_000).filter(|_| pick(&group, &mut rng, &scene) == Some(0)).count();
    assert_eq!(heavy, 0);
}

/// Draws among ten endpoints of the same cost, but for the last; returns the share of the last.
fn share_at(cost: f32) -> f64 {
    let (mut rng, picks) = (StdRng::seed_from_u64(7), 100_000);
    let (group, scene) = (even(10), fresh_at(move |at| if at == 9 { cost } else { 1.0 }));
    let last = (0..picks).filter(|_| pick(&group, &mut rng, &scene) == Some(9)).count();
    last as f64 / f64::from(picks)
}

#[test]
fn one_that_is_dearer_than_any_other_is_never_drawn_first_and_a_cheaper_one_wins_each_of_its_pairs() {
    assert_eq!(share_at(2.0), 0.0);
    // It is in a fifth of the pairs.
    let off = (share_at(0.5) - 0.2) * 100_000.0;
    assert!(off.abs() < bound(100_000, 0.2), "{off}");
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
                let price = |at: usize| Price { cost: cost(&loads[at], now), due: loads[at].is_due(now) };
                let at = pick(&even(10), &mut rng, &Stage { fitness: |_| Fitness::Fresh, price }).unwrap();
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
    let share = share_of_the_slow_one(|load, now| load.cost(now, 1.0)).await;
    assert!(share < 0.02, "{share}");
    assert!(share > 0.0, "it is asked now and then");
}

#[tokio::test(start_paused = true)]
async fn a_constant_load_would_not_do() {
    let share = share_of_the_slow_one(|_, _| 1.0).await;
    assert!(share > 0.02, "{share}");
}
