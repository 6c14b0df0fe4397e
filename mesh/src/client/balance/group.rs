//! Endpoints that a pick draws from: a range of the set, with weights.

use rand::Rng;

use crate::client::balance::weights::Weights;

/// Draws before any other will do.
const REDRAWS: usize = 4;
/// Of two with different weights, the one drawn second must be so many times cheaper: or chance differences of cost
/// would make the weights even.
const MARGIN: f32 = 2.0;
/// The golden ratio as a part of 2^64: its multiples are spread evenly over the line.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Some neighbours of a set of endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    start: usize,
    count: usize,
    weights: Option<Weights>,
}

impl Group {
    /// Makes the group of the endpoints from `start` on that have these weights.
    pub(crate) fn new(start: usize, weights: &[u32]) -> Self {
        Self { start, count: weights.len(), weights: Weights::new(weights) }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The indices of its endpoints.
    pub(crate) fn all(&self) -> impl Iterator<Item = usize> + use<> {
        self.start..self.start + self.count
    }

    /// Draws one by weight, if there is one.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        Some(match &self.weights {
            None => self.start + rng.random_range(0..self.count),
            Some(weights) => self.start + weights.at(rng.random()),
        })
    }

    /// Draws two by weight, different ones if there are two.
    pub(crate) fn pair(&self, rng: &mut impl Rng) -> Option<(usize, usize)> {
        if self.is_empty() {
            return None;
        }
        if self.weights.is_none() || self.count == 1 {
            let (first, second) = two(self.count, rng);
            return Some((self.start + first, self.start + second));
        }
        let first = self.draw(rng)?;
        let second = (0..REDRAWS).find_map(|_| self.draw(rng).filter(|second| *second != first));
        let Some(second) = second else {
            // One that outweighs all others by far: any of those.
            let step = rng.random_range(1..self.count);
            return Some((first, self.start + (first - self.start + step) % self.count));
        };
        Some((first, second))
    }

    /// Returns whose turn it is: each gets as many as its weight says, spread evenly.
    pub(crate) fn in_turn(&self, turn: usize) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        Some(match &self.weights {
            None => self.start + turn % self.count,
            Some(weights) => self.start + weights.at((turn as u64).wrapping_mul(GOLDEN)),
        })
    }

    /// Returns how many times cheaper the second of a pair must be to be taken.
    pub(crate) fn margin(&self) -> f32 {
        if self.weights.is_some() { MARGIN } else { 1.0 }
    }
}

/// Draws two different numbers below `count`, which is more than zero; of one, that one twice.
pub(crate) fn two(count: usize, rng: &mut impl Rng) -> (usize, usize) {
    let first = rng.random_range(0..count);
    if count == 1 {
        return (first, first);
    }
    let second = rng.random_range(0..count - 1);
    (first, if second >= first { second + 1 } else { second })
}
