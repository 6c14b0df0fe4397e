//! Picks an endpoint: by power of two choices over cost, or in turn. By hash, a ring or a table says which.

pub(crate) mod group;

pub(crate) mod maglev;
pub(crate) mod ring;
mod weights;

use rand::Rng;

use crate::client::balance::group::{Group, two};

/// Pairs that are drawn before all endpoints are looked at.
const DRAWS: usize = 3;

/// How fit an endpoint is for an attempt: a fitter one goes first, and what is not ready is never picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fitness {
    /// It has no connection that takes calls, or not the tag that the call is for.
    Unready,
    /// It is ejected, or its breaker is open; none is while most would be.
    Out,
    /// An earlier attempt of the same call went there.
    Tried,
    /// Nothing speaks against it.
    Fresh,
}

/// What an endpoint costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Price {
    /// What one more call would cost there.
    pub(crate) cost: f32,
    /// It was idle for so long that its cost says little.
    pub(crate) due: bool,
}

/// What a pick looks at.
pub(crate) trait Scene {
    fn fitness(&self, at: usize) -> Fitness;
    fn price(&self, at: usize) -> Price;
}

/// Returns which endpoint of a group the next attempt goes to: of two drawn by weight the one that is due, else the
/// cheaper; of those that are less than fresh, only when none is.
pub(crate) fn pick(group: &Group, rng: &mut impl Rng, scene: &impl Scene) -> Option<usize> {
    fresh(group, rng, scene).or_else(|| {
        let best = group.all().map(|at| scene.fitness(at)).max()?;
        if best == Fitness::Unready { None } else { among(group, best, rng, scene) }
    })
}

/// Returns the one that [`pick`] would, if it is fresh.
pub(crate) fn fresh(group: &Group, rng: &mut impl Rng, scene: &impl Scene) -> Option<usize> {
    let is_fresh = |at: usize| scene.fitness(at) == Fitness::Fresh;
    for _ in 0..DRAWS.min(group.count()) {
        let (a, b) = group.pair(rng)?;
        // One of a pair would be picked for its neighbour's sake: only a small set has no other pair.
        if is_fresh(a) && is_fresh(b) {
            return Some(better(a, b, group.margin(), scene));
        }
    }
    among(group, Fitness::Fresh, rng, scene)
}

/// Returns which endpoint of a group is next in turn. What may not be picked is passed over, and its turn is taken: so
/// its neighbour gets no more than the others.
pub(crate) fn next(group: &Group, turn: impl Fn() -> usize, scene: &impl Scene) -> Option<usize> {
    next_fresh(group, &turn, scene).or_else(|| {
        let best = group.all().map(|at| scene.fitness(at)).max().filter(|best| *best > Fitness::Unready)?;
        let of_best = || group.all().filter(|at| scene.fitness(*at) == best);
        of_best().nth(turn() % of_best().count().max(1))
    })
}

/// Returns the one that [`next`] would, if it is fresh.
pub(crate) fn next_fresh(group: &Group, turn: impl Fn() -> usize, scene: &impl Scene) -> Option<usize> {
    (0..group.count()).find_map(|_| {
        let at = group.in_turn(turn())?;
        (scene.fitness(at) == Fitness::Fresh).then_some(at)
    })
}

/// Draws among those of one fitness, of which there may be few.
fn among(group: &Group, fitness: Fitness, rng: &mut impl Rng, scene: &impl Scene) -> Option<usize> {
    let left = || group.all().filter(|at| scene.fitness(*at) == fitness);
    let count = left().count();
    if count == 0 {
        return None;
    }
    let (first, second) = two(count, rng);
    // They may be fewer by now.
    let a = left().nth(first).or_else(|| left().next())?;
    let b = left().nth(second).unwrap_or(a);
    Some(better(a, b, 1.0, scene))
}

fn better(a: usize, b: usize, margin: f32, scene: &impl Scene) -> usize {
    let (first, second) = (scene.price(a), scene.price(b));
    match (first.due, second.due) {
        (true, false) => a,
        (false, true) => b,
        (true, true) | (false, false) => {
            if second.cost * margin < first.cost {
                b
            } else {
                a
            }
        }
    }
}

#[cfg(test)]
mod tests;
