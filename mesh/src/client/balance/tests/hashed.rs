//! What holds for the ring and for Maglev's table.

use std::collections::HashSet;

use proptest::prelude::*;

use super::bound;
use crate::client::{
    balance::{
        Fitness,
        maglev::{Maglev, Preference},
        ring::Ring,
    },
    key::{hash, mix, second_hash},
};

const PLACES: u32 = 4_096;
const TABLE: u32 = 65_537;

fn name(at: usize) -> Vec<u8> {
    format!("users-{at}").into_bytes()
}

fn ring(names: &[usize], weights: &[u32]) -> Ring {
    let keys: Vec<_> = names.iter().map(|at| hash(&name(*at))).collect();
    Ring::new(&keys, weights, PLACES as usize)
}

fn maglev(names: &[usize], weights: &[u32], places: u32) -> Maglev {
    let preference = |at: &usize| Preference { offset: hash(&name(*at)), skip: second_hash(&name(*at)) };
    Maglev::new(&names.iter().map(preference).collect::<Vec<_>>(), weights, places)
}

fn all_fresh(_: usize) -> Fitness {
    Fitness::Fresh
}

fn calls() -> impl Iterator<Item = u64> {
    (0..5_000).map(|call| mix(call, 3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn one_that_leaves_the_ring_moves_its_own_keys_only(
        weights in proptest::collection::vec(prop_oneof![Just(1u32), 1u32..9], 2..30), gone in any::<prop::sample::Index>(),
    ) {
        let names: Vec<_> = (0..weights.len()).collect();
        let gone = gone.index(names.len());
        let left: Vec<_> = names.iter().copied().filter(|at| *at != gone).collect();
        let left_weights: Vec<_> = left.iter().map(|at| weights[*at]).collect();
        let (before, after) = (ring(&names, &weights), ring(&left, &left_weights));
        for call in calls() {
            let (was, is) = (before.pick(call, all_fresh).unwrap(), left[after.pick(call, all_fresh).unwrap()]);
            prop_assert!(was == is || was == gone, "{was} became {is} when {gone} left");
            // One that is out, or was tried, is as one that left.
            let out = |at| if at == gone { Fitness::Tried } else { Fitness::Fresh };
            prop_assert_eq!(before.pick(call, out), Some(is));
        }
    }

    #[test]
    fn the_ring_is_the_same_in_whatever_order_its_endpoints_are_told(seed in any::<u64>(), count in 1usize..30) {
        let names: Vec<_> = (0..count).collect();
        let mut shuffled = names.clone();
        shuffled.sort_by_key(|at| mix(*at as u64, seed));
        let (one, other) = (ring(&names, &vec![1; count]), ring(&shuffled, &vec![1; count]));
        for call in calls() {
            prop_assert_eq!(one.pick(call, all_fresh), other.pick(call, all_fresh).map(|at| shuffled[at]));
        }
    }

    #[test]
    fn by_hash_the_fittest_is_picked_and_nothing_that_is_not_ready(
        fitness in proptest::collection::vec(0u8..4, 1..12), call in any::<u64>(),
    ) {
        let names: Vec<_> = (0..fitness.len()).collect();
        let levels = [Fitness::Unready, Fitness::Out, Fitness::Tried, Fitness::Fresh];
        let fit = |at: usize| levels[usize::from(fitness[at])];
        let best = names.iter().map(|at| fit(*at)).max().filter(|best| *best != Fitness::Unready);
        let weights = vec![1; names.len()];
        prop_assert_eq!(ring(&names, &weights).pick(call, fit).map(fit), best);
        prop_assert_eq!(maglev(&names, &weights, 251).pick(call, fit).map(fit), best);
    }
}

/// Counts the calls of each of 16 endpoints whose weights add up to 40.
fn shares(pick: impl Fn(u64) -> Option<usize>) -> Vec<f64> {
    let mut counts = vec![0.0; 16];
    for call in 0..100_000 {
        counts[pick(mix(call, 11)).unwrap()] += 1.0;
    }
    counts
}

const WEIGHTS: [u32; 16] = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4];

#[test]
fn the_ring_is_fair_within_the_chance_of_its_places() {
    let ring = ring(&(0..16).collect::<Vec<_>>(), &WEIGHTS);
    for (weight, count) in WEIGHTS.into_iter().zip(shares(|call| ring.pick(call, all_fresh))) {
        let share = f64::from(weight) / 40.0;
        // Places are drawn, and calls as well.
        let most = bound(PLACES, share) / f64::from(PLACES) * 100_000.0 + bound(100_000, share);
        assert!((count - share * 100_000.0).abs() < most, "{count} for weight {weight}");
    }
}

#[test]
fn maglev_is_fair_to_the_place() {
    let table = maglev(&(0..16).collect::<Vec<_>>(), &WEIGHTS, TABLE);
    for (weight, count) in WEIGHTS.into_iter().zip(shares(|call| table.pick(call, all_fresh))) {
        let share = f64::from(weight) / 40.0;
        assert!((count - share * 100_000.0).abs() < bound(100_000, share) + 10.0, "{count} for weight {weight}");
    }
}

#[test]
fn of_maglev_little_moves_that_did_not_belong_to_who_left() {
    let names: Vec<_> = (0..20).collect();
    let before = maglev(&names, &[1; 20], TABLE);
    for gone in [0, 7, 19] {
        let left: Vec<_> = names.iter().copied().filter(|at| *at != gone).collect();
        let after = maglev(&left, &[1; 19], TABLE);
        let moved = |call: &u64| {
            let was = before.pick(*call, all_fresh).unwrap();
            was != gone && left[after.pick(*call, all_fresh).unwrap()] != was
        };
        let moved = calls().filter(moved).count();
        assert!(moved < 5_000 * 4 / 100, "{moved} of 5,000 moved when {gone} left");
    }
}

/// Picks for the hash of a call among endpoints of this fitness.
type Pick<'a> = dyn Fn(u64, &dyn Fn(usize) -> Fitness) -> Option<usize> + 'a;

#[test]
fn what_was_at_one_that_is_out_is_spread_over_the_others() {
    let ring = ring(&(0..10).collect::<Vec<_>>(), &[1; 10]);
    let table = maglev(&(0..10).collect::<Vec<_>>(), &[1; 10], TABLE);
    let out = |at| if at == 4 { Fitness::Out } else { Fitness::Fresh };
    let picks: [&Pick<'_>; 2] = [&|call, fit| ring.pick(call, fit), &|call, fit| table.pick(call, fit)];
    for pick in picks {
        let others: HashSet<_> =
            calls().filter(|call| pick(*call, &all_fresh) == Some(4)).map(|call| pick(call, &out)).collect();
        assert!(others.len() == 9 && !others.contains(&Some(4)), "{others:?}");
    }
}

#[test]
fn of_nobody_nobody_is_picked() {
    assert_eq!(ring(&[], &[]).pick(7, all_fresh), None);
    assert_eq!(maglev(&[], &[], TABLE).pick(7, all_fresh), None);
}
