//! Times with chance in them: how long to wait before trying again (exponential, with full jitter), and when to end.

use std::time::Duration;

use tokio::time::Instant;

/// A growing delay; each is drawn from zero to the present ceiling.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    ceiling: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, ceiling: first }
    }

    /// Returns the next delay; `random` is in 0..1.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let delay = self.ceiling.mul_f64(random);
        self.ceiling = (self.ceiling * 2).min(self.most);
        delay
    }

    /// Starts again at the first ceiling, after a success.
    pub(crate) fn reset(&mut self) {
        self.ceiling = self.first;
    }
}

/// Returns when what begins now is too old, give or take 10 %, so that not all are at once; nothing for an age of zero.
/// `random` is in 0..1.
pub(crate) fn expiry(now: Instant, max_age: Duration, random: f64) -> Option<Instant> {
    let age = max_age.checked_add(max_age / 10)?.saturating_sub((max_age / 5).mul_f64(random));
    now.checked_add(age).filter(|_| !max_age.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_most() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        let delays: Vec<_> = (0..4).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 350, 350]);
        backoff.reset();
        assert_eq!(backoff.next(0.5), Duration::from_millis(50));
    }

    #[test]
    fn an_age_is_a_tenth_more_or_less() {
        let (now, seconds) = (Instant::now(), Duration::from_secs);
        for (random, age) in [(0.0, 110), (0.5, 100), (1.0, 90)] {
            assert_eq!(expiry(now, seconds(100), random), Some(now + seconds(age)));
        }
        assert_eq!(expiry(now, Duration::ZERO, 0.5), None);
        assert_eq!(expiry(now, Duration::MAX, 0.5), None, "no clock can tell it");
    }
}
