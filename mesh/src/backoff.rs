//! How long to wait before trying again: exponential, with full jitter.

use std::time::Duration;

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
}
