//! Draws by weight in constant time (Vose's alias method).

/// A line on which each endpoint has a part as long as its weight, cut into as many pieces of one length as there are
/// endpoints: each piece belongs to two of them at most.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pieces: Box<[Piece]>,
}

/// The begin of a piece, of this length in parts of 2^32, belongs to the endpoint of the same index; the rest to another.
#[derive(Clone, Copy, Debug)]
struct Piece {
    own: u32,
    other: u32,
}

impl Weights {
    /// Returns nothing if all weigh the same: then no table is needed.
    pub(crate) fn new(weights: &[u32]) -> Option<Self> {
        let first = *weights.first()?;
        if weights.iter().all(|weight| *weight == first) {
            return None;
        }
        let total: f64 = weights.iter().copied().map(f64::from).sum();
        // In pieces: 1.0 is the mean.
        let mut left: Vec<f64> = weights.iter().map(|w| f64::from(*w) * weights.len() as f64 / total).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..left.len()).partition(|at| left[*at] < 1.0);
        let mut pieces: Vec<Piece> = (0..left.len() as u32).map(|at| Piece { own: u32::MAX, other: at }).collect();
        while let (Some(less), Some(more)) = (small.pop(), large.pop()) {
            pieces[less] = Piece { own: (left[less] * f64::from(u32::MAX)) as u32, other: more as u32 };
            left[more] -= 1.0 - left[less];
            if left[more] < 1.0 { small.push(more) } else { large.push(more) }
        }
        Some(Self { pieces: pieces.into() })
    }

    /// Returns whose part of the line a point is on, the line being as long as `u64`.
    pub(crate) fn at(&self, point: u64) -> usize {
        let scaled = u128::from(point) * self.pieces.len() as u128;
        let (at, within) = ((scaled >> 64) as usize, (scaled as u64 >> 32) as u32);
        let piece = self.pieces[at];
        if within < piece.own { at } else { piece.other as usize }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_has_a_part_of_the_line_as_long_as_its_weight(weights in proptest::collection::vec(1u32..1_000, 2..40)) {
            let Some(line) = Weights::new(&weights) else {
                prop_assert!(weights.iter().all(|weight| *weight == weights[0]));
                return Ok(());
            };
            const POINTS: u64 = 200_000;
            let mut found = vec![0u64; weights.len()];
            for point in 0..POINTS {
                found[line.at(point * (u64::MAX / POINTS))] += 1;
            }
            let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            for (weight, found) in weights.iter().zip(found) {
                let share = u64::from(*weight) * POINTS / total;
                // Each of its pieces may be a point off at both ends.
                prop_assert!(found.abs_diff(share) <= 2 * weights.len() as u64 + 2, "{found} of {share} for {weight}");
            }
        }
    }

    #[test]
    fn who_weighs_the_same_needs_no_table() {
        for (weights, some) in [(&[][..], false), (&[3], false), (&[3, 3], false), (&[3, 4], true)] {
            assert_eq!(Weights::new(weights).is_some(), some, "{weights:?}");
        }
    }
}
