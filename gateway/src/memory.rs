//! How many bytes of bodies all requests hold in memory together.
//!
//! Counted is what is held while something is waited for: the body of a request that is read whole, up to its end at
//! the service, and an answer that is read or written message by message. What only passes through is bounded by the
//! windows of its connections.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::config::Limits;

/// What bounds a request: its own limits, and what all requests hold together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) memory: &'a Memory,
}

/// What all requests hold together, and the most that they may.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    held: Arc<AtomicUsize>,
    most: usize,
}

/// What one body holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Memory,
    bytes: usize,
}

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway holds {most} bytes of other requests and answers, or nearly so, and may hold no more: try again")]
pub(crate) struct Full {
    most: usize,
}

impl Memory {
    pub(crate) fn new(most: usize) -> Self {
        Self { held: Arc::default(), most }
    }

    /// Returns a share of nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share { memory: self.clone(), bytes: 0 }
    }

    /// Returns how many bytes are held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Holds so many bytes in place of those that it held; if there is no room, it holds what it did.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Full> {
        let Memory { held, most } = &self.memory;
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            let fits = |held: usize| held.checked_add(more).filter(|held| held <= most);
            held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| Full { most: *most })?;
        } else {
            held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Returns all that it holds as another share, and holds nothing.
    pub(crate) fn split(&mut self) -> Self {
        Self { memory: self.memory.clone(), bytes: std::mem::take(&mut self.bytes) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_held_is_the_sum_of_all_shares_and_never_more_than_the_most(
            steps in proptest::collection::vec((0usize..4, 0usize..80, 0u8..4), 0..60),
        ) {
            let memory = Memory::new(100);
            let mut shares: Vec<_> = (0..4).map(|_| memory.share()).collect();
            for (at, bytes, step) in steps {
                match step {
                    0 => shares[at] = memory.share(),
                    1 => {
                        let other = shares[at].split();
                        shares.push(other);
                    }
                    _ => {
                        let others = memory.held() - shares[at].bytes;
                        prop_assert_eq!(shares[at].hold(bytes).is_ok(), others + bytes <= 100);
                    }
                }
                let sum = shares.iter().map(|share| share.bytes).sum::<usize>();
                prop_assert_eq!(memory.held(), sum);
                prop_assert!(sum <= 100);
            }
            drop(shares);
            prop_assert_eq!(memory.held(), 0);
        }
    }
}
