//! How long the calls of a method take: a histogram that forgets, and its quantiles.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Buckets for each doubling: a quantile is right to a fifth.
const PER_DOUBLING: u64 = 4;
/// Up to 2^32 µs, an hour.
const BUCKETS: usize = 32 * PER_DOUBLING as usize;
/// Calls before there is a quantile.
const ENOUGH: u32 = 100;
/// Calls after which all count half as much.
const MOST: u32 = 2_000;

/// Latencies of late.
#[derive(Debug)]
pub(crate) struct Latency {
    counts: [AtomicU32; BUCKETS],
    total: AtomicU32,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU32::new(0)), total: AtomicU32::new(0) }
    }
}

impl Latency {
    pub(crate) fn record(&self, took: Duration) {
        self.counts[bucket(took)].fetch_add(1, Ordering::Relaxed);
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        if total == MOST {
            self.forget();
        }
    }

    /// Returns the latency that this share of the calls stays within; nothing while they are few.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u32> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u32 = counts.iter().sum();
        if total < ENOUGH {
            return None;
        }
        let mut left = (f64::from(total) * share).ceil() as i64;
        let bucket = counts.iter().position(|count| {
            left -= i64::from(*count);
            left <= 0
        });
        Some(end_of(bucket.unwrap_or(BUCKETS - 1)))
    }

    fn forget(&self) {
        let mut left = 0;
        for count in &self.counts {
            let half = count.load(Ordering::Relaxed) / 2;
            count.store(half, Ordering::Relaxed);
            left += half;
        }
        self.total.store(left, Ordering::Relaxed);
    }
}

/// The doubling by its logarithm, and the part of it.
fn bucket(took: Duration) -> usize {
    let micros = u64::from(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)).max(1);
    let doubling = u64::from(micros.ilog2());
    let part = ((micros - (1 << doubling)) * PER_DOUBLING) >> doubling;
    usize::try_from(doubling * PER_DOUBLING + part).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

fn end_of(bucket: usize) -> Duration {
    let (doubling, part) = (bucket as u64 / PER_DOUBLING, bucket as u64 % PER_DOUBLING);
    Duration::from_micros(((PER_DOUBLING + part + 1) << doubling).div_ceil(PER_DOUBLING))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_ends_at_most_a_quarter_above_what_is_in_it(micros in 1u64..4_000_000_000) {
            let end = end_of(bucket(Duration::from_micros(micros))).as_micros() as f64;
            prop_assert!(end >= micros as f64 && end <= micros as f64 * 1.25 + 1.0, "{micros} in {end}");
        }

        #[test]
        fn a_quantile_is_right_to_a_quarter(seed in 0u64..1_000, share in 0.5f64..0.999) {
            let latency = Latency::default();
            let mut all: Vec<u64> = (0..1_000).map(|at| 100 + (at * 7_919 + seed * 104_729) % 90_000).collect();
            all.iter().for_each(|micros| latency.record(Duration::from_micros(*micros)));
            all.sort_unstable();
            let exact = all[((1_000.0 * share).ceil() as usize).min(1_000) - 1] as f64;
            let found = latency.quantile(share).unwrap().as_micros() as f64;
            prop_assert!(found >= exact && found <= exact * 1.25 + 1.0, "{found} for {exact}");
        }
    }

    #[test]
    fn few_calls_say_nothing_and_old_ones_are_forgotten() {
        let (latency, millis) = (Latency::default(), Duration::from_millis);
        (0..ENOUGH - 1).for_each(|_| latency.record(millis(100)));
        assert_eq!(latency.quantile(0.9), None);
        latency.record(millis(100));
        assert!(latency.quantile(0.9).unwrap() >= millis(100));
        (0..10 * MOST).for_each(|_| latency.record(millis(1)));
        assert!(latency.quantile(0.99).unwrap() < millis(2));
        latency.record(Duration::MAX);
        latency.record(Duration::ZERO);
    }
}
