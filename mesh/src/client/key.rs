//! Hashes for consistent hashing: what an endpoint, and what a call, has on the ring.

use twox_hash::XxHash64;

/// Returns the hash of bytes (XXH64), the same in all processes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

/// Returns another hash of the same bytes.
pub(crate) fn second_hash(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(1, bytes)
}

/// Mixes a hash and a number into another hash (the finish of MurmurHash3).
pub(crate) fn mix(hash: u64, with: u64) -> u64 {
    let mut mixed = hash ^ with.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for by in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(by);
    }
    mixed ^ (mixed >> 33)
}

/// Returns the indices of the `size` keys that a client with this seed has to itself (rendezvous hashing): of clients
/// with other seeds each has others, and when one key leaves, one comes in its place and the rest stay.
pub(crate) fn subset(keys: &[u64], seed: u64, size: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    if size < keys.len() {
        order.select_nth_unstable_by_key(size, |at| std::cmp::Reverse((mix(keys[*at], seed), keys[*at])));
        order.truncate(size);
        order.sort_unstable();
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn keys(count: usize) -> Vec<u64> {
        (0..count).map(|at| hash(format!("users-{at}").as_bytes())).collect()
    }

    #[test]
    fn hashes_are_those_of_xxh64_in_every_process() {
        assert_eq!(hash(b""), 0xef46_db37_51d8_e999);
        assert_eq!(hash(b"abc"), 0x44bc_2cf5_ad77_0999);
        assert_ne!(second_hash(b"abc"), hash(b"abc"));
    }

    proptest! {
        #[test]
        fn when_one_leaves_a_subset_one_comes_and_the_rest_stay(
            count in 2usize..200, size in 1usize..50, seed in any::<u64>(), gone in any::<prop::sample::Index>(),
        ) {
            let all = keys(count);
            let chosen = |keys: &[u64]| subset(keys, seed, size).into_iter().map(|at| keys[at]).collect::<HashSet<_>>();
            let before = chosen(&all);
            prop_assert_eq!(before.len(), size.min(count));
            let gone = all[gone.index(count)];
            let left: Vec<_> = all.iter().copied().filter(|key| *key != gone).collect();
            let after = chosen(&left);
            let stayed: HashSet<_> = before.iter().copied().filter(|key| *key != gone).collect();
            prop_assert!(stayed.is_subset(&after));
            prop_assert_eq!(after.len(), size.min(count - 1));
        }
    }

    #[test]
    fn subsets_of_many_clients_are_spread_over_all() {
        let (all, clients, size) = (keys(100), 2_000, 10);
        let mut chosen = vec![0u32; all.len()];
        for client in 0..clients {
            for at in subset(&all, mix(client, 7), size) {
                chosen[at] += 1;
            }
        }
        // Each is in a tenth: within the 99.9 % bound of the binomial distribution, for each of a hundred.
        let (mean, bound) = (200.0, 4.5 * (2_000.0_f64 * 0.1 * 0.9).sqrt());
        for count in chosen {
            assert!((f64::from(count) - mean).abs() < bound, "{count}");
        }
    }
}
