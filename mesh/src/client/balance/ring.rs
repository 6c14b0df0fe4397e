//! A ring for consistent hashing: an endpoint that leaves moves its own keys and no others.
//!
//! As in gRFC A42 a call's hash names a place on a ring, and each place belongs to an endpoint. There the places are
//! the endpoints' own hashes, and their number changes with the number of endpoints, which moves keys of endpoints that
//! stay. Here the number of places is fixed, and each belongs to the endpoint with the highest rendezvous score there.

use crate::client::{balance::Fitness, key::mix};

/// Places, and the endpoints that they belong to.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    owners: Box<[u32]>,
    keys: Box<[u64]>,
    /// Empty if all weigh the same.
    weights: Box<[u32]>,
}

impl Ring {
    /// Makes a ring of so many places for endpoints with these keys and weights.
    pub(crate) fn new(keys: &[u64], weights: &[u32], places: usize) -> Self {
        let even = weights.iter().all(|weight| *weight == weights[0]);
        let weights = if even { Box::default() } else { weights.into() };
        let mut ring = Self { owners: Box::default(), keys: keys.into(), weights };
        if !keys.is_empty() {
            let owners = (0..places.max(1) as u64).map(|place| ring.owner(place, |_| Fitness::Fresh) as u32);
            ring.owners = owners.collect();
        }
        ring
    }

    /// Returns the endpoint of a call with this hash: if it is not fresh, then the one that would have the place if the
    /// others had left, by fitness and then by score. Nothing if none is ready.
    pub(crate) fn pick(&self, hash: u64, fitness: impl Fn(usize) -> Fitness) -> Option<usize> {
        let place = (u128::from(hash) * self.owners.len() as u128) >> 64;
        let owner = *self.owners.get(place as usize)? as usize;
        if fitness(owner) == Fitness::Fresh {
            return Some(owner);
        }
        let next = self.owner(place as u64, &fitness);
        (fitness(next) != Fitness::Unready).then_some(next)
    }

    fn owner(&self, place: u64, fitness: impl Fn(usize) -> Fitness) -> usize {
        let mut best = (Fitness::Unready, f64::NEG_INFINITY, 0);
        for at in 0..self.keys.len() {
            let found = (fitness(at), self.score(place, at), at);
            let better = found.0 > best.0 || (found.0 == best.0 && found.1 > best.1);
            if better {
                best = found;
            }
        }
        best.2
    }

    /// The weight over a draw of the exponential distribution: the highest is that of each in proportion to its weight.
    fn score(&self, place: u64, at: usize) -> f64 {
        // Between 0 and 1, and neither.
        let draw = ((mix(self.keys[at], place + 1) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
        match self.weights.get(at) {
            None => draw,
            Some(weight) => f64::from(*weight) / -draw.ln(),
        }
    }
}
