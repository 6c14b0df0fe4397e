//! Maglev hashing (Eisenbud and others, NSDI 2016, section 3.4): a look-up table that is shared out very evenly, and
//! of which little changes for those that stay when one leaves.

use crate::client::balance::Fitness;

/// The look-up table.
#[derive(Clone, Debug)]
pub(crate) struct Maglev {
    owners: Box<[u32]>,
}

/// Where an endpoint prefers to be: `offset`, and from there on in steps of `skip`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preference {
    pub(crate) offset: u64,
    pub(crate) skip: u64,
}

const NOBODY: u32 = u32::MAX;

impl Maglev {
    /// Makes a table of at least so many places for endpoints with these preferences and weights; its size is the next
    /// prime.
    pub(crate) fn new(preferences: &[Preference], weights: &[u32], places: u32) -> Self {
        let size = prime_from(places.max(2));
        let heaviest = weights.iter().copied().max().unwrap_or(1).max(1);
        let mut owners = vec![NOBODY; if preferences.is_empty() { 0 } else { size as usize }];
        let mut next: Vec<u64> = preferences.iter().map(|own| own.offset % u64::from(size)).collect();
        let mut credit = vec![0_u64; preferences.len()];
        let mut left = owners.len();
        while left > 0 {
            for (at, own) in preferences.iter().enumerate() {
                // The heaviest takes one in each round, and others as often as their weight says.
                credit[at] += u64::from(weights[at]);
                if left == 0 || credit[at] < u64::from(heaviest) {
                    continue;
                }
                credit[at] -= u64::from(heaviest);
                let skip = own.skip % u64::from(size - 1) + 1;
                while owners[next[at] as usize] != NOBODY {
                    next[at] = (next[at] + skip) % u64::from(size);
                }
                owners[next[at] as usize] = at as u32;
                left -= 1;
            }
        }
        Self { owners: owners.into() }
    }

    /// Returns the endpoint of a call with this hash, or if it is not fresh the next in the table that is, or else the
    /// fittest. Nothing if none is ready.
    pub(crate) fn pick(&self, hash: u64, fitness: impl Fn(usize) -> Fitness) -> Option<usize> {
        let size = self.owners.len();
        let first = (hash % size.max(1) as u64) as usize;
        let mut best = (Fitness::Unready, 0);
        for step in 0..size {
            let owner = self.owners[(first + step) % size] as usize;
            let found = fitness(owner);
            if found > best.0 {
                best = (found, owner);
            }
            if found == Fitness::Fresh {
                break;
            }
        }
        (best.0 != Fitness::Unready).then_some(best.1)
    }
}

/// Returns the smallest prime that is no less.
fn prime_from(number: u32) -> u32 {
    let is_prime = |number: u32| (2..).take_while(|by: &u32| by * by <= number).all(|by| !number.is_multiple_of(by));
    (number..).find(|number| is_prime(*number)).unwrap_or(number)
}
