//! Picks an endpoint: by power of two choices over cost, or in turn.

use rand::Rng;

/// Pairs that are drawn before all endpoints are looked at.
const DRAWS: usize = 3;

/// What a pick needs to know of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    /// Connected, and taking calls.
    pub(crate) ready: bool,
    /// Neither ejected nor with an open breaker; all are while most are not.
    pub(crate) sound: bool,
    /// An earlier attempt of the same call went there.
    pub(crate) tried: bool,
    /// What one more call would cost there.
    pub(crate) cost: f32,
    /// It was idle for so long that its cost says little.
    pub(crate) due: bool,
}

/// Returns which of `count` endpoints the next attempt goes to: of two drawn at random the one that is due, else
/// the cheaper. One that is not sound is picked only when none is; of those left, one that was tried only when all were;
/// one that is not ready, never.
pub(crate) fn pick(count: usize, rng: &mut impl Rng, look: impl Fn(usize) -> Candidate) -> Option<usize> {
    let fresh =
        |at: usize| Some(look(at)).filter(|seen| seen.ready && seen.sound && !seen.tried).map(|seen| (at, seen));
    for _ in 0..DRAWS.min(count) {
        let (a, b) = two(count, rng);
        let drawn = match (fresh(a), fresh(b)) {
            (Some(a), Some(b)) => better(a, b),
            // One of a pair would be picked for its neighbour's sake: only a small set has no other pair.
            _ => continue,
        };
        return Some(drawn);
    }
    // Many are not: draw among those that are.
    let left = left(count, &look);
    match left.len() {
        0 => None,
        1 => Some(left[0]),
        count => {
            let (a, b) = two(count, rng);
            Some(better((left[a], look(left[a])), (left[b], look(left[b]))))
        }
    }
}

/// Returns which of `count` endpoints is next in turn. What may not be picked is passed over, and its turn is taken: so
/// its neighbour gets no more than the others.
pub(crate) fn next(count: usize, turn: impl Fn() -> usize, look: impl Fn(usize) -> Candidate) -> Option<usize> {
    for _ in 0..count {
        let at = turn() % count;
        let seen = look(at);
        if seen.ready && seen.sound && !seen.tried {
            return Some(at);
        }
    }
    let left = left(count, look);
    if left.is_empty() { None } else { Some(left[turn() % left.len()]) }
}

/// Returns those that may be picked: of the ready ones the sound ones, of these the ones that were not tried.
fn left(count: usize, look: impl Fn(usize) -> Candidate) -> Vec<usize> {
    let ready: Vec<_> = (0..count).filter(|at| look(*at).ready).collect();
    rather(rather(ready, |at| look(at).sound), |at| !look(at).tried)
}

/// Keeps what is wanted, or all if nothing is.
fn rather(all: Vec<usize>, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    let some: Vec<_> = all.iter().copied().filter(|at| wanted(*at)).collect();
    if some.is_empty() { all } else { some }
}

fn better((a, first): (usize, Candidate), (b, second): (usize, Candidate)) -> usize {
    match (first.due, second.due) {
        (true, false) => a,
        (false, true) => b,
        (true, true) | (false, false) => {
            if first.cost <= second.cost {
                a
            } else {
                b
            }
        }
    }
}

/// Draws two different indices; of one, that one twice.
fn two(count: usize, rng: &mut impl Rng) -> (usize, usize) {
    let a = rng.random_range(0..count);
    if count == 1 {
        return (a, a);
    }
    let b = rng.random_range(0..count - 1);
    (a, if b >= a { b + 1 } else { b })
}

#[cfg(test)]
mod tests;
