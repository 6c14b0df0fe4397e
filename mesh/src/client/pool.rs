//! The connections of one endpoint, and the task that makes and keeps them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use futures::{FutureExt as _, future::BoxFuture};
use rand::Rng as _;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{self, Instant, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    client::{
        changes::Changes,
        connect::{self, Driver, Settings, Slot, Wire},
        outcome::{Failure, Outcome},
    },
    error::ErrorKind,
    random, thread,
};

/// A connection that lived so long was a good one, as is one that answered a call: the next is tried at once.
const GOOD: Duration = Duration::from_secs(1);

/// So many streams on one connection are too many for threads to share: they wait for each other's use of it.
const CROWDED: usize = 16;

/// Where connections lead.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// For errors and logs: `users-1 at 127.0.0.1:4711`.
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) settings: Settings,
    pub(crate) max_connections: usize,
    /// Threads that call at once: each may have a connection of its own.
    pub(crate) threads: usize,
}

/// The connections of one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    target: Target,
    wires: ArcSwap<Vec<Arc<Wire>>>,
    ready: AtomicBool,
    /// Another connection is wanted: all streams of all were taken, or many shared one.
    short: AtomicBool,
    /// Told when a stream ended, or a connection came or went.
    freed: Arc<Notify>,
    /// Told when another connection is wanted.
    wanted: Notify,
    last_error: Mutex<Option<String>>,
}

impl Pool {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            wires: ArcSwap::default(),
            ready: AtomicBool::new(false),
            short: AtomicBool::new(false),
            freed: Arc::default(),
            wanted: Notify::new(),
            last_error: Mutex::new(None),
        }
    }

    /// Whether a connection takes calls.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Returns how many connections take calls.
    pub(crate) fn connections(&self) -> usize {
        self.wires.load().len()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn pretend_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    pub(crate) fn name(&self) -> &str {
        &self.target.name
    }

    /// Returns why there is no connection, if that is known.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_error(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// Takes the place of a stream, if one is free: on the connection of this thread rather than on another, so that few
    /// threads contend for one.
    pub(crate) fn take(&self) -> Option<Slot> {
        let wires = self.wires.load();
        let (before, own) = wires.split_at(thread::number() % wires.len().max(1));
        let slot = own.iter().chain(before).find_map(Wire::take)?;
        if wires.len() < self.target.threads && slot.wire.streams() > CROWDED {
            self.want_another();
        }
        Some(slot)
    }

    /// Takes the place of a stream; if none is free, asks for another connection and waits.
    ///
    /// # Errors
    ///
    /// [`Outcome::NeverSent`] when no connection is left.
    pub(crate) async fn wait(&self) -> Result<Slot, Failure> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on nothing that is freed is missed.
            freed.as_mut().enable();
            if let Some(slot) = self.take() {
                // There may be room for the next that waits, too.
                self.freed.notify_one();
                return Ok(slot);
            }
            if !self.is_ready() {
                let text = format!("the connection to {} was lost before the call was sent", self.name());
                return Err(Failure::new(Outcome::NeverSent, ErrorKind::Connection, text));
            }
            self.want_another();
            freed.await;
        }
    }

    fn want_another(&self) {
        // Of the many that find it so, one tells it.
        if !self.short.load(Ordering::Relaxed) && !self.short.swap(true, Ordering::AcqRel) {
            self.wanted.notify_one();
        }
    }

    fn wants_more(&self) -> bool {
        let room = self.wires.load().len() < self.target.max_connections;
        !self.is_ready() || self.is_aged() || (room && self.short.load(Ordering::Acquire))
    }

    /// Returns when the first connection is to be replaced.
    fn next_expiry(&self) -> Option<Instant> {
        self.wires.load().iter().filter_map(|wire| wire.expires()).min()
    }

    fn is_aged(&self) -> bool {
        self.next_expiry().is_some_and(|at| at <= Instant::now())
    }
}

type Attempt = BoxFuture<'static, Result<(Arc<Wire>, Driver), String>>;

/// Keeps a pool connected until its endpoint leaves, and then until the last call ended.
#[derive(Debug)]
pub(crate) struct Keeper {
    pool: Arc<Pool>,
    /// Told when the pool becomes ready, or is no longer.
    changed: Changes,
    drivers: JoinSet<String>,
    /// Told when a connection takes no more streams.
    closing: Arc<Notify>,
    /// When to look for connections that are not needed any more.
    review: Interval,
    backoff: Backoff,
    /// When the last connection was made.
    connected: Option<Instant>,
    /// A connection that ended since had answered calls.
    served: bool,
    failing: bool,
}

impl Keeper {
    pub(crate) fn new(pool: Arc<Pool>, changed: Changes) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let (drivers, closing, idle) = (JoinSet::new(), Arc::default(), pool.target.settings.spare_idle);
        let mut review = time::interval_at(Instant::now() + idle, idle);
        review.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { pool, changed, drivers, closing, review, backoff, connected: None, served: false, failing: false }
    }

    /// Connects, again after every loss; `fresh` is called when a connection is the first, or follows a loss.
    pub(crate) async fn run(mut self, leaves: CancellationToken, fresh: impl Fn() + Send) {
        let mut attempt = Some(self.connect(Duration::ZERO));
        loop {
            let pool = Arc::clone(&self.pool);
            tokio::select! {
                biased;
                () = leaves.cancelled() => break,
                Some(ended) = self.drivers.join_next() => self.ended(ended.unwrap_or_else(|error| error.to_string())),
                () = self.closing.notified() => self.sweep(),
                made = next(&mut attempt) => {
                    attempt = None;
                    self.made(made, &fresh);
                }
                () = pool.wanted.notified() => {}
                _ = self.review.tick() => self.retire(),
                () = age(pool.next_expiry()), if attempt.is_none() => {}
            }
            if attempt.is_none() && self.pool.wants_more() {
                attempt = Some(self.again());
            }
        }
        self.publish(Vec::new());
        while self.drivers.join_next().await.is_some() {}
    }

    fn connect(&self, after: Duration) -> Attempt {
        let Self { pool, closing, .. } = self;
        let (target, freed, closing) = (pool.target.clone(), Arc::clone(&pool.freed), Arc::clone(closing));
        async move {
            time::sleep(after).await;
            connect::connect((&target.host, target.port), &target.settings, freed, closing).await
        }
        .boxed()
    }

    /// Begins another attempt: at once after a connection that was good, else after a while.
    fn again(&mut self) -> Attempt {
        let lived = self.connected.take().is_some_and(|at| at.elapsed() >= GOOD);
        let good = std::mem::take(&mut self.served) || lived;
        if good {
            self.backoff.reset();
            return self.connect(Duration::ZERO);
        }
        let after = self.backoff.next(random::rng().random());
        self.connect(after)
    }

    fn made(&mut self, made: Result<(Arc<Wire>, Driver), String>, fresh: impl Fn()) {
        let name = self.pool.name();
        match made {
            Ok((wire, driver)) => {
                tracing::debug!(endpoint = name, "connected");
                if !self.pool.is_ready() {
                    fresh();
                }
                self.drivers.spawn(driver);
                self.connected = Some(Instant::now());
                self.failing = false;
                self.pool.note_error(None);
                self.pool.short.store(false, Ordering::Release);
                let wires = self.pool.wires.load();
                // The new one stands before those that are too old are given up; calls of theirs may end.
                let now = Instant::now();
                let is_young = |wire: &Wire| wire.expires().is_none_or(|at| at > now);
                let kept = wires.iter().filter(|wire| wire.is_open() && is_young(wire));
                let wires = kept.cloned().chain([wire]).collect();
                self.publish(wires);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::debug!(endpoint = name, error, "cannot be connected");
                }
                self.pool.note_error(Some(error));
                // Who still waits for another connection asks for it again; if nobody does, none is made.
                self.pool.short.store(false, Ordering::Release);
                self.pool.freed.notify_waiters();
            }
        }
    }

    fn ended(&mut self, why: String) {
        self.pool.note_error(Some(why));
        self.sweep();
    }

    /// Takes out the connections that take no more streams.
    fn sweep(&mut self) {
        let wires = self.pool.wires.load();
        self.served |= wires.iter().any(|wire| !wire.is_open() && wire.has_answered());
        let open: Vec<_> = wires.iter().filter(|wire| wire.is_open()).cloned().collect();
        if open.len() < wires.len() {
            self.publish(open);
        }
    }

    /// Gives up the connections beyond the first that carried no stream since the last review. One that gets a stream
    /// at this moment carries it to its end.
    fn retire(&self) {
        let wires = self.pool.wires.load();
        let needed = |(at, wire): &(usize, &Arc<Wire>)| wire.was_used() || *at == 0;
        let kept: Vec<_> = wires.iter().enumerate().filter(needed).map(|(_, wire)| Arc::clone(wire)).collect();
        if kept.len() < wires.len() {
            tracing::debug!(endpoint = self.pool.name(), connections = kept.len(), "idle connections closed");
            self.publish(kept);
        }
    }

    fn publish(&self, wires: Vec<Arc<Wire>>) {
        let ready = !wires.is_empty();
        self.pool.wires.store(Arc::new(wires));
        let was = self.pool.ready.swap(ready, Ordering::AcqRel);
        if was && !ready {
            let error = self.pool.last_error().unwrap_or_else(|| "it takes no more calls".into());
            tracing::debug!(endpoint = self.pool.name(), error, "lost");
        }
        if was != ready {
            self.changed.tell();
        }
        self.pool.freed.notify_waiters();
    }
}

/// Waits until then, or for ever if that is never.
async fn age(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for an attempt, or for ever if there is none.
async fn next(attempt: &mut Option<Attempt>) -> Result<(Arc<Wire>, Driver), String> {
    match attempt {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}
