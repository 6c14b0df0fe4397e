//! How many retries a service may be sent: a share of its calls, and a few a second besides.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;
use tokio::time::Instant;

use crate::policy::cluster::BudgetPolicy;

/// Seconds that calls are remembered, the present one among them.
const WINDOW: u64 = 10;
/// Seconds that retries are remembered: one more, so that the place of a retry is taken for ten whole seconds, and no ten
/// seconds see what two of them are allowed.
const TAKEN: u64 = WINDOW + 1;

/// The retry budget of one service: over the last ten seconds no more than a share of the calls, and some a second
/// (the form of Finagle and Linkerd).
#[derive(Debug)]
pub(crate) struct Budget {
    start: Instant,
    calls: Ring<{ WINDOW as usize }>,
    retries: Ring<{ TAKEN as usize }>,
    /// Held while a retry is weighed, so that two do not take the last place. Calls never wait for it.
    weighing: Mutex<()>,
}

impl Budget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { start: now, calls: Ring::default(), retries: Ring::default(), weighing: Mutex::new(()) }
    }

    /// Counts a call.
    pub(crate) fn deposit(&self, now: Instant) {
        self.calls.add(self.second(now));
    }

    /// Takes the place of one retry, if there is one.
    pub(crate) fn withdraw(&self, policy: BudgetPolicy, now: Instant) -> bool {
        let _weighing = self.weighing.lock().unwrap_or_else(PoisonError::into_inner);
        let second = self.second(now);
        let allowed = allowance(policy, self.calls.sum(second));
        let left = self.retries.sum(second) < allowed;
        if left {
            self.retries.add(second);
        }
        left
    }

    /// Returns how many retries there is a place for.
    pub(crate) fn left(&self, policy: BudgetPolicy, now: Instant) -> u64 {
        let second = self.second(now);
        allowance(policy, self.calls.sum(second)).saturating_sub(self.retries.sum(second))
    }

    /// Returns how it stands.
    pub(crate) fn standing(&self, policy: BudgetPolicy, now: Instant) -> Balance {
        let second = self.second(now);
        let (calls, retries) = (self.calls.sum(second), self.retries.sum(second));
        Balance { calls, retries, allowed: allowance(policy, calls) }
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs()
    }
}

/// How a budget stands: calls and retries of the last ten seconds, and how many retries these calls allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Balance {
    pub(crate) calls: u64,
    pub(crate) retries: u64,
    pub(crate) allowed: u64,
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, retries, allowed } = self;
        write!(f, "{retries} of {allowed} that the budget allows, with {calls} calls, in the last {WINDOW} s")
    }
}

fn allowance(policy: BudgetPolicy, calls: u64) -> u64 {
    let share = calls as f64 * policy.percent / 100.0;
    u64::from(policy.per_second) * WINDOW + share as u64
}

/// Counts of the last `N` seconds; each slot holds the low half of its second above a count of 32 bits.
#[derive(Debug)]
struct Ring<const N: usize> {
    slots: [AtomicU64; N],
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self { slots: [const { AtomicU64::new(0) }; N] }
    }
}

impl<const N: usize> Ring<N> {
    fn add(&self, second: u64) {
        let slot = &self.slots[second as usize % N];
        let bump = |packed: u64| Some(if packed >> 32 == stamp(second) { packed + 1 } else { stamp(second) << 32 | 1 });
        // It always gives `Some`, so it cannot fail.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, bump);
    }

    fn sum(&self, now: u64) -> u64 {
        let oldest = now.saturating_sub(N as u64 - 1);
        let count = |second: u64| {
            let packed = self.slots[second as usize % N].load(Ordering::Relaxed);
            if packed >> 32 == stamp(second) { packed & u64::from(u32::MAX) } else { 0 }
        };
        (oldest..=now).map(count).sum()
    }
}

/// Seconds from 1, so that an empty slot belongs to none.
fn stamp(second: u64) -> u64 {
    (second + 1) & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn retries_never_exceed_their_share_of_any_ten_seconds(
            steps in proptest::collection::vec((0u64..1_500, 0usize..60, 0usize..120), 1..40),
        ) {
            let start = Instant::now();
            let budget = Budget::new(start);
            let (mut now, mut calls, mut retries) = (start, Vec::new(), Vec::new());
            for (millis, called, wanted) in steps {
                now += Duration::from_millis(millis);
                let second = (now - start).as_secs();
                for _ in 0..called {
                    budget.deposit(now);
                    calls.push(second);
                }
                for _ in 0..wanted {
                    let recent = |seconds: &[u64], window| {
                        seconds.iter().filter(|at| **at + window > second).count() as u64
                    };
                    let place = recent(&retries, TAKEN) < 100 + recent(&calls, WINDOW) / 5;
                    prop_assert_eq!(budget.withdraw(BudgetPolicy::default(), now), place);
                    if place {
                        retries.push(second);
                    }
                }
            }
        }
    }
}
