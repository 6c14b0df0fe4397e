//! How loaded one endpoint is: its peak EWMA of latency, and its calls in flight.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tonic::Code;

use crate::client::{observe::Observer, outcome};

/// Seconds in which a sample loses most of its weight (63 %).
const DECAY: f32 = 10.0;
/// Latency that is assumed when nothing at all was measured, in seconds.
const UNMEASURED: f32 = 0.001;
/// A failing endpoint looks at most so many times as slow as the mean of its cluster.
const MOST_PENALTY: f32 = 10.0;
/// A new endpoint looks at most so many times as dear as it is.
const MOST_RAMP: f32 = 10.0;

/// An estimate that decays: seconds as `f32` above the millisecond of its last change, in one atomic word.
#[derive(Debug, Default)]
struct Ewma(AtomicU64);

/// The mean latency over one cluster: where a new endpoint starts.
#[derive(Debug)]
pub(crate) struct Mean {
    start: Instant,
    latency: Ewma,
    /// Picks of the cluster.
    picks: AtomicU64,
}

/// The load of one endpoint.
#[derive(Debug)]
pub(crate) struct Load {
    mean: Arc<Mean>,
    latency: Ewma,
    in_flight: AtomicUsize,
    /// Millisecond since which it is connected, or known.
    fresh_at: AtomicU64,
    /// Millisecond of the last pick.
    picked_at: AtomicU64,
    /// Picks of the cluster at that time.
    picked_of: AtomicU64,
}

impl Mean {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, latency: Ewma::default(), picks: AtomicU64::new(0) }
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Load {
    pub(crate) fn new(mean: Arc<Mean>, now: Instant) -> Self {
        let (picked_at, picked_of) = (mean.millis(now).into(), mean.picks.load(Ordering::Relaxed).into());
        let fresh_at = mean.millis(now).into();
        Self { mean, latency: Ewma::default(), in_flight: AtomicUsize::new(0), fresh_at, picked_at, picked_of }
    }

    /// Returns what one more call costs here: latency times the calls that would share it. `share` is the weight of the
    /// endpoint in multiples of the mean: a heavier one has room for more.
    pub(crate) fn cost(&self, now: Instant, share: f32) -> f32 {
        self.latency(now).unwrap_or(UNMEASURED) * self.calls(share)
    }

    /// Returns the calls that one more call would share it with, and itself.
    pub(crate) fn calls(&self, share: f32) -> f32 {
        self.in_flight.load(Ordering::Relaxed) as f32 / share + 1.0
    }

    /// Returns the estimate of its latency in seconds, if there is one of it or of its cluster.
    pub(crate) fn latency(&self, now: Instant) -> Option<f32> {
        let at = self.mean.millis(now);
        self.latency.read(at).or_else(|| self.mean.latency.read(at))
    }

    /// Returns how many calls are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether a call is in flight.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Returns by how much it is dearer because it is new: ten times at first, and not at all once `window` passed.
    pub(crate) fn slow_start(&self, now: Instant, window: Duration) -> f32 {
        let age = self.mean.millis(now).saturating_sub(self.fresh_at.load(Ordering::Relaxed));
        ramp(Duration::from_millis(age), window)
    }

    /// Whether it had no pick for a second, nor for the last hundred picks of its cluster: then it is due, or a
    /// latency of long ago would keep it idle for good. (The hundred bound what a truly slow one is sent.)
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let idle = self.mean.millis(now).saturating_sub(self.picked_at.load(Ordering::Relaxed));
        let picks = self.mean.picks.load(Ordering::Relaxed).saturating_sub(self.picked_of.load(Ordering::Relaxed));
        idle >= 1_000 && picks >= 100
    }

    /// Takes note that it was picked.
    pub(crate) fn picked(&self, now: Instant) {
        let picks = self.mean.picks.fetch_add(1, Ordering::Relaxed) + 1;
        self.picked_at.store(self.mean.millis(now), Ordering::Relaxed);
        self.picked_of.store(picks, Ordering::Relaxed);
    }

    /// Forgets what was measured: a connection that is new after a loss may lead to a new process.
    pub(crate) fn reset(&self, now: Instant) {
        self.fresh_at.store(self.mean.millis(now), Ordering::Relaxed);
        self.latency.clear();
    }

    /// Counts a call in flight until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, now: Instant, deadline: Option<Instant>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { load: Arc::clone(self), begun: now, deadline, first: None, ended: false }
    }

    fn answered(&self, took: Duration, now: Instant) {
        let at = self.mean.millis(now);
        self.mean.latency.change(at, |old, age| blend(old, took.as_secs_f32(), age));
        self.latency.change(at, |old, age| peak(old, took.as_secs_f32(), age));
    }

    fn failed(&self, took: Duration, now: Instant) {
        let at = self.mean.millis(now);
        let mean = self.mean.latency.read(at).unwrap_or(UNMEASURED);
        self.latency.change(at, |old, _| penalty(old, took.as_secs_f32(), mean));
    }

    /// The caller left: that it waited so long may raise the estimate, and never lowers it.
    fn left(&self, took: Duration, now: Instant) {
        let at = self.mean.millis(now);
        if self.latency.read(at).is_some_and(|old| took.as_secs_f32() > old) {
            self.latency.change(at, |_, _| took.as_secs_f32());
        }
    }
}

impl Ewma {
    /// Returns the estimate as it has decayed by now, or nothing if there is none. Reading changes nothing.
    fn read(&self, at: u64) -> Option<f32> {
        let (old, age) = unpack(self.0.load(Ordering::Relaxed), at)?;
        Some(old * (-age / DECAY).exp())
    }

    fn change(&self, at: u64, new: impl Fn(Option<f32>, f32) -> f32) {
        let swap = |packed: u64| {
            let old = unpack(packed, at);
            let value = match old {
                Some((old, age)) => new(Some(old), age),
                None => new(None, 0.0),
            };
            Some(pack(value.max(f32::MIN_POSITIVE), at))
        };
        // It always gives `Some`, so it cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, swap);
    }

    fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

fn pack(value: f32, at: u64) -> u64 {
    u64::from(value.to_bits()) << 32 | (at & u64::from(u32::MAX))
}

/// Returns value and age in seconds; the stamp may wrap, after 49 days without a change.
fn unpack(packed: u64, at: u64) -> Option<(f32, f32)> {
    let (bits, stamp) = ((packed >> 32) as u32, packed as u32);
    let age = (at as u32).wrapping_sub(stamp);
    // A neighbour's clock reading may be a little older than the stamp.
    let age = if age > u32::MAX / 2 { 0 } else { age };
    (bits != 0).then(|| (f32::from_bits(bits), age as f32 / 1_000.0))
}

/// Moves an estimate toward a sample: the older it is, the more.
fn blend(old: Option<f32>, sample: f32, age: f32) -> f32 {
    // Samples of one millisecond count as half a millisecond apart.
    let keep = (-age.max(0.000_5) / DECAY).exp();
    old.map_or(sample, |old| old * keep + sample * (1.0 - keep))
}

/// Jumps up to a slower sample at once, and moves down slowly.
fn peak(old: Option<f32>, sample: f32, age: f32) -> f32 {
    let decayed = old.map(|old| old * (-age / DECAY).exp());
    if decayed.is_some_and(|old| sample > old) { sample } else { blend(old, sample, age) }
}

/// Makes a failure look slow, however fast it came: twice the old estimate and no less than the cluster's mean.
fn penalty(old: Option<f32>, sample: f32, mean: f32) -> f32 {
    let doubled = old.unwrap_or(mean) * 2.0;
    doubled.min(mean * MOST_PENALTY).max(old.unwrap_or(mean)).max(mean).max(sample)
}

/// The share of an instance grows with its age, and its cost falls with that.
fn ramp(age: Duration, window: Duration) -> f32 {
    if age >= window {
        return 1.0;
    }
    1.0 / (age.as_secs_f32() / window.as_secs_f32()).max(1.0 / MOST_RAMP)
}

/// One call in flight; dropping it gives its place back.
#[derive(Debug)]
pub(crate) struct InFlight {
    load: Arc<Load>,
    begun: Instant,
    deadline: Option<Instant>,
    /// How long the first message took.
    first: Option<Duration>,
    ended: bool,
}

impl InFlight {
    fn took(&self) -> Duration {
        self.first.unwrap_or_else(|| self.begun.elapsed())
    }

    /// It ended badly, however fast.
    pub(crate) fn failed(&mut self) {
        self.ended = true;
        self.load.failed(self.took(), Instant::now());
    }
}

impl Observer for InFlight {
    fn first(&mut self) {
        let took = self.begun.elapsed();
        self.first = Some(took);
        self.load.answered(took, Instant::now());
    }

    fn ended(&mut self, code: Code) {
        if outcome::blames(code) {
            return self.failed();
        }
        self.ended = true;
        if self.first.is_none() {
            self.load.answered(self.took(), Instant::now());
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.load.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.ended || self.first.is_some() {
            return;
        }
        let now = Instant::now();
        let took = self.took();
        if self.deadline.is_some_and(|at| now >= at) {
            self.load.failed(took, now);
        } else {
            self.load.left(took, now);
        }
    }
}

#[cfg(test)]
mod tests;
