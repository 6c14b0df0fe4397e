//! Picks among the endpoints of one cluster, and keeps an eye on how they stand.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use opentelemetry::KeyValue;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::Instant;

use crate::{
    client::{
        balance::{self, Fitness, Price, Scene, group::Group},
        call::{EndpointId, Tagged},
        cluster::set::{Member, Set, Table},
        endpoint::Endpoint,
        key,
        outlier::{self, Verdict},
        standing::{Permit, Seen},
    },
    policy::{
        affinity::ZonePolicy,
        cluster::{Balance, ClusterPolicy},
        live::Live,
    },
    telemetry::Metrics,
};

/// Picks that another caller may spoil before one is forced.
const RACES: usize = 3;

/// An endpoint, and leave to call it.
pub(crate) type Picked = (Arc<Endpoint>, Permit);

/// The way in which endpoints are picked.
#[derive(Debug)]
pub(crate) struct Picker {
    policy: Live,
    /// Most connected endpoints are out: then all may be picked, or the few that are left would fail as well.
    panicking: AtomicBool,
    /// The share of calls for which the own zone is well enough: an `f32` in bits.
    near_share: AtomicU32,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// What chance begins with: each pick has numbers of its own, of the seed and of its place among all picks.
    seed: u64,
    picks: AtomicU64,
}

/// What an attempt wants of its endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// Endpoints that earlier attempts went to.
    pub(crate) tried: &'a [EndpointId],
    /// Where the call belongs, if a hash says so.
    pub(crate) hash: Option<u64>,
    /// Which endpoints it may go to, if not to all.
    pub(crate) tagged: Option<&'a Tagged>,
}

impl Picker {
    /// Two with the same seed pick the same of the same.
    pub(crate) fn new(policy: Live, seed: u64) -> Self {
        Self {
            policy,
            panicking: AtomicBool::new(false),
            near_share: AtomicU32::new(1.0_f32.to_bits()),
            turn: AtomicUsize::new(0),
            seed,
            picks: AtomicU64::new(0),
        }
    }

    pub(crate) fn policy(&self) -> &Live {
        &self.policy
    }

    /// Picks an endpoint and takes the leave to call it.
    pub(crate) fn pick(&self, set: &Set, wanted: Wanted<'_>) -> Option<Picked> {
        let (now, policy) = (Instant::now(), self.policy.load());
        let view = self.view(set, wanted, now, &policy);
        let mut rng = self.rng(self.picks.fetch_add(1, Ordering::Relaxed));
        for race in 0..=RACES {
            let at = self.choose(&view, &mut rng, &|| self.turn.fetch_add(1, Ordering::Relaxed))?;
            let Member { endpoint, .. } = &set.members()[at];
            let forced = race == RACES || view.panicking || endpoint.standing.see(now) == Seen::Out;
            // Another caller may have taken the place of the probe meanwhile.
            let Some(permit) = endpoint.standing.admit(now, forced) else { continue };
            endpoint.load.picked(now);
            return Some((Arc::clone(endpoint), permit));
        }
        None
    }

    /// Returns which member of the set the next pick takes, if nothing changes until then. Nothing changes by asking.
    pub(crate) fn foresee(&self, set: &Set, wanted: Wanted<'_>) -> Option<usize> {
        let (now, policy) = (Instant::now(), self.policy.load());
        let view = self.view(set, wanted, now, &policy);
        let turn = Cell::new(self.turn.load(Ordering::Relaxed));
        let mut rng = self.rng(self.picks.load(Ordering::Relaxed));
        self.choose(&view, &mut rng, &|| turn.replace(turn.get().wrapping_add(1)))
    }

    /// Returns what a pick sees.
    pub(crate) fn view<'a>(
        &self,
        set: &'a Set,
        wanted: Wanted<'a>,
        now: Instant,
        policy: &'a ClusterPolicy,
    ) -> View<'a> {
        View { set, wanted, now, policy, panicking: self.panics() }
    }

    /// Whether most connected endpoints are out, so that all are picked.
    pub(crate) fn panics(&self) -> bool {
        self.panicking.load(Ordering::Relaxed)
    }

    fn rng(&self, pick: u64) -> SmallRng {
        SmallRng::seed_from_u64(key::mix(self.seed, pick))
    }

    fn choose(&self, view: &View<'_>, rng: &mut SmallRng, turn: Turn<'_>) -> Option<usize> {
        let mut hash = || view.wanted.hash.unwrap_or_else(|| rng.random());
        match view.set.table() {
            Some(Table::Ring(ring)) => ring.pick(hash(), |at| view.fitness(at)),
            Some(Table::Maglev(table)) => table.pick(hash(), |at| view.fitness(at)),
            None => {
                let by_zone = self.choose_by_zone(view, rng, turn);
                by_zone.or_else(|| choose_in(&view.set.groups().all, view, rng, turn))
            }
        }
    }

    /// Returns an endpoint of the own zone, or of another if that one is not well or much dearer; nothing if none of
    /// those is fresh, or zones are not known.
    fn choose_by_zone(&self, view: &View<'_>, rng: &mut SmallRng, turn: Turn<'_>) -> Option<usize> {
        let (ZonePolicy { prefer, spill, .. }, groups) = (&view.policy.zone, view.set.groups());
        if !prefer || groups.near.is_empty() || groups.far.is_empty() {
            return None;
        }
        let stays = rng.random::<f32>() < f32::from_bits(self.near_share.load(Ordering::Relaxed));
        if !stays {
            return choose_fresh_in(&groups.far, view, rng, turn);
        }
        let near = choose_fresh_in(&groups.near, view, rng, turn)?;
        if view.policy.balance == Balance::RoundRobin {
            return Some(near);
        }
        let far = groups.far.draw(rng).filter(|far| view.fitness(*far) == Fitness::Fresh);
        let spills = |far: &usize| f64::from(view.price(*far).cost) * spill < f64::from(view.price(near).cost);
        Some(far.filter(spills).unwrap_or(near))
    }

    /// Looks how many of the connected endpoints may be picked, and how well the own zone is.
    pub(crate) fn look(&self, set: &Set) {
        let (now, policy) = (Instant::now(), self.policy.load());
        let is_sound = |one: &Endpoint| one.is_ready() && one.standing.see(now) != Seen::Out;
        let connected = set.endpoints().filter(|one| one.is_ready());
        let (sound, all) = connected
            .fold((0, 0), |(sound, all), one| (sound + usize::from(one.standing.see(now) == Seen::Sound), all + 1));
        let panics = is_panic(sound, all, policy.panic_percent);
        if self.panicking.swap(panics, Ordering::Relaxed) != panics {
            tracing::warn!(sound, connected = all, panics, "whether calls go to endpoints that are out");
        }
        let sound_of = |group: &Group| group.all().filter(|at| is_sound(&set.members()[*at].endpoint)).count();
        let (near, far) = (&set.groups().near, sound_of(&set.groups().far));
        let share = near_share(sound_of(near), near.count(), far, policy.zone.healthy_percent);
        self.near_share.store(share.to_bits(), Ordering::Relaxed);
    }

    /// Compares the endpoints with one another, and ejects what does worse.
    pub(crate) fn review(&self, set: &Set, target: &KeyValue, metrics: &Metrics) {
        let mut hosts: Vec<_> = set.endpoints().map(|one| one.standing.host()).collect();
        let verdicts = outlier::review(&self.policy.load().outlier, &mut hosts, Instant::now());
        for (endpoint, host) in set.endpoints().zip(hosts) {
            endpoint.standing.reviewed(host.ejection);
        }
        for (_, verdict) in verdicts {
            match verdict {
                Verdict::Ejected(finding) => metrics.ejection(target, finding.name(), true),
                Verdict::Spared(finding) => metrics.ejection(target, finding.name(), false),
                Verdict::Returned => {}
            }
        }
    }
}

/// Returns whose turn it is, and lets the next have it.
type Turn<'a> = &'a dyn Fn() -> usize;

fn choose_in(group: &Group, view: &View<'_>, rng: &mut SmallRng, turn: Turn<'_>) -> Option<usize> {
    match view.policy.balance {
        Balance::RoundRobin => balance::next(group, turn, view),
        // A set that was made for another policy has no table yet: until then any will do.
        Balance::PeakEwma | Balance::LeastRequest | Balance::RingHash | Balance::Maglev => {
            balance::pick(group, rng, view)
        }
    }
}

fn choose_fresh_in(group: &Group, view: &View<'_>, rng: &mut SmallRng, turn: Turn<'_>) -> Option<usize> {
    match view.policy.balance {
        Balance::RoundRobin => balance::next_fresh(group, turn, view),
        Balance::PeakEwma | Balance::LeastRequest | Balance::RingHash | Balance::Maglev => {
            balance::fresh(group, rng, view)
        }
    }
}

/// What one pick sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    set: &'a Set,
    wanted: Wanted<'a>,
    now: Instant,
    policy: &'a ClusterPolicy,
    panicking: bool,
}

impl Scene for View<'_> {
    fn fitness(&self, at: usize) -> Fitness {
        let Member { endpoint, facts, .. } = &self.set.members()[at];
        if !endpoint.is_ready() || self.wanted.tagged.is_some_and(|tagged| !tagged.admits(&facts.tags)) {
            return Fitness::Unready;
        }
        if !self.panicking && endpoint.standing.see(self.now) == Seen::Out {
            return Fitness::Out;
        }
        if self.wanted.tried.contains(&endpoint.id) { Fitness::Tried } else { Fitness::Fresh }
    }

    fn price(&self, at: usize) -> Price {
        let Member { endpoint, share, .. } = &self.set.members()[at];
        let load = &endpoint.load;
        // Whether a latency of long ago keeps it from being picked.
        let forgotten = || self.policy.balance == Balance::PeakEwma && load.is_due(self.now);
        let due = endpoint.standing.see(self.now) == Seen::ProbeDue || forgotten();
        let cost = match self.policy.balance {
            Balance::PeakEwma => load.cost(self.now, *share),
            Balance::LeastRequest => load.calls(*share),
            Balance::RoundRobin | Balance::RingHash | Balance::Maglev => return Price { cost: 1.0, due },
        };
        Price { cost: cost * load.slow_start(self.now, self.policy.slow_start), due }
    }
}

/// Whether less than `percent` of all are sound.
fn is_panic(sound: usize, all: usize, percent: u32) -> bool {
    sound * 100 < all * percent as usize
}

/// The share of calls that stay in the own zone: all while `percent` of it is sound, and all if nobody else is.
fn near_share(sound: usize, all: usize, far: usize, percent: u32) -> f32 {
    let enough = all * percent as usize;
    if far == 0 || sound * 100 >= enough { 1.0 } else { (sound * 100) as f32 / enough as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_half_is_panic() {
        for (sound, all, panics) in
            [(0, 0, false), (0, 1, true), (1, 2, false), (1, 3, true), (5, 10, false), (4, 10, true)]
        {
            assert_eq!(is_panic(sound, all, 50), panics, "{sound} of {all}");
            assert!(!is_panic(sound, all, 0));
        }
    }

    #[test]
    fn a_zone_that_is_not_well_keeps_as_many_calls_as_are_well_of_it() {
        for (sound, all, far, share) in [
            (10, 10, 5, 1.0),
            (7, 10, 5, 1.0),
            (6, 10, 5, 6.0 / 7.0),
            (0, 10, 5, 0.0),
            (0, 10, 0, 1.0),
            (3, 10, 0, 1.0),
            (0, 0, 5, 1.0),
        ] {
            assert!((near_share(sound, all, far, 70) - share).abs() < 1e-6, "{sound} of {all}, {far}");
        }
    }
}
