//! Follows the documents that operators write into Consul's KV store, and gives each service its own.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use crate::{
    backoff::Backoff,
    consul::{
        Consul, Watch,
        kv::{Pair, Pairs},
    },
    policy::{
        check::Problem,
        cluster::ClusterPolicies,
        document::Document,
        live::{Live, Observed, Refused},
    },
    telemetry::Metrics,
};

/// The policies of all services that a mesh calls. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    shared: Arc<Shared>,
    /// Ends the task when the last handle goes.
    _leave: Arc<DropGuard>,
}

/// Where the documents are.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) consul: Consul,
    /// The prefix of their keys, with a slash at its end.
    pub(crate) prefix: String,
    /// How long one question may wait for news.
    pub(crate) wait: Duration,
    pub(crate) metrics: Metrics,
}

#[derive(Debug)]
struct Shared {
    /// What the program says.
    programs: ClusterPolicies,
    source: Option<Source>,
    known: Mutex<Known>,
    begun: AtomicBool,
    leaves: CancellationToken,
}

#[derive(Debug, Default)]
struct Known {
    /// Services that are called.
    services: BTreeMap<Arc<str>, Observed>,
    /// All documents, by service.
    documents: BTreeMap<String, Vec<u8>>,
    /// The store has answered.
    is_read: bool,
}

impl From<ClusterPolicies> for Policies {
    fn from(programs: ClusterPolicies) -> Self {
        Self::new(programs, None)
    }
}

impl Policies {
    pub(crate) fn new(programs: ClusterPolicies, source: Option<Source>) -> Self {
        let (known, begun, leaves) = (Mutex::default(), AtomicBool::new(false), CancellationToken::new());
        let leave = Arc::new(leaves.clone().drop_guard());
        Self { shared: Arc::new(Shared { programs, source, known, begun, leaves }), _leave: leave }
    }

    /// Returns the policy of a service, which follows what the operator says while it is held.
    pub(crate) fn of(&self, service: &Arc<str>) -> Live {
        let live = Live::from(self.shared.programs.get(&**service).cloned().unwrap_or_default());
        let mut known = self.shared.known();
        if let Some(text) = known.documents.get(&**service) {
            self.shared.apply(service, &live, Some(text));
        }
        known.services.insert(Arc::clone(service), live.observed());
        live
    }

    /// Begins to follow the documents, if that has not begun: with the first call.
    pub(crate) fn begin(&self) {
        let Shared { begun, source, .. } = &*self.shared;
        if source.is_none() || begun.load(Ordering::Relaxed) || begun.swap(true, Ordering::Relaxed) {
            return;
        }
        // It ends by itself when the last handle goes.
        drop(tokio::spawn(follow(Arc::clone(&self.shared))));
    }

    /// Whether the store has answered.
    pub(crate) fn is_read(&self) -> bool {
        self.shared.known().is_read
    }

    /// Returns the key of a service's document, if documents are followed and it may have one.
    pub(crate) fn key(&self, service: &str) -> Option<String> {
        // What is called by a URL is none of the registry's.
        let source = self.shared.source.as_ref().filter(|_| !service.contains("://"))?;
        Some(format!("{}{service}", source.prefix))
    }
}

async fn follow(shared: Arc<Shared>) {
    let Some(Source { consul, prefix, wait, .. }) = &shared.source else { return };
    let leaves = shared.leaves.clone();
    tokio::select! {
        () = leaves.cancelled() => {}
        () = shared.watch(consul.watch_keys(prefix, *wait)) => {}
    }
}

impl Shared {
    async fn watch(&self, mut watch: Watch<Pairs>) {
        let mut random = SmallRng::from_rng(&mut rand::rng());
        let mut pauses = pauses();
        loop {
            let asked = Instant::now();
            match watch.next().await {
                Ok(pairs) if self.take(pairs.as_deref().unwrap_or_default()) => {
                    pauses.reset();
                    watch.was_news();
                }
                Ok(_) => sleep(pause(&mut pauses, asked.elapsed(), random.random())).await,
                Err(failure) => watch.recover(&failure).await,
            }
        }
    }

    /// Takes over all documents; returns whether one changed.
    fn take(&self, pairs: &[Pair]) -> bool {
        let Some(Source { prefix, .. }) = &self.source else { return false };
        let name = |key: &str| key.strip_prefix(prefix.as_str()).filter(|name| !name.is_empty()).map(str::to_owned);
        let documents: BTreeMap<_, _> =
            pairs.iter().filter_map(|pair| Some((name(&pair.key)?, pair.bytes()))).collect();
        let mut known = self.known();
        known.is_read = true;
        if known.documents == documents {
            return false;
        }
        let before = std::mem::replace(&mut known.documents, documents);
        // Some are not called any more.
        known.services.retain(|_, observed| observed.live().is_some());
        for (service, observed) in &known.services {
            let (old, new) = (before.get(&**service), known.documents.get(&**service));
            if let Some(live) = observed.live().filter(|_| old != new) {
                self.apply(service, &live, new.map(Vec::as_slice));
            }
        }
        true
    }

    /// Gives a service its document; one that cannot be kept changes nothing, and is told of once.
    fn apply(&self, service: &str, live: &Live, text: Option<&[u8]>) {
        let taken = text.map(Document::read).transpose().and_then(|document| live.accept(document));
        match taken {
            Ok(()) => info!(service, said = text.is_some(), "the operator's policy changed"),
            Err(problem) => self.refuse(service, live, problem),
        }
    }

    fn refuse(&self, service: &str, live: &Live, problem: Problem) {
        let Some(Source { prefix, metrics, .. }) = &self.source else { return };
        let key = format!("{prefix}{service}");
        warn!(key, path = problem.path, reason = problem.reason, "a policy is not used, and the one before it stays");
        metrics.policy_refused(service);
        live.refuse(Refused { problem, at: Instant::now() });
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pauses after answers that are no news: an empty prefix wakes for every write of anybody, and is asked less and less
/// often then.
fn pauses() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(10))
}

/// Returns how long to pause after an answer without news, for which was waited so long.
fn pause(pauses: &mut Backoff, waited: Duration, random: f64) -> Duration {
    if waited >= Duration::from_secs(10) {
        pauses.reset();
        return Duration::ZERO;
    }
    pauses.next(random)
}

#[cfg(test)]
mod tests;
