//! What the handles of a cluster and its task share: where picks look, and how long a call waits for one.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use opentelemetry::KeyValue;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{
        call::{Route, Tagged},
        changes::Changes,
        cluster::{
            held::Held,
            idle::Idle,
            picker::{Picked, Picker, Wanted},
            set::{Member, Set},
        },
        load::Mean,
        outcome::{Failure, Outcome},
    },
    config::ClientConfig,
    discovery::Resolve,
    error::ErrorKind,
    telemetry::Metrics,
};

/// Who it is that calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    /// The zone that it is in, if that is known.
    pub(crate) zone: Option<String>,
    /// What tells it from other clients, as long as the mesh lives.
    pub(crate) seed: u64,
}

/// What the handles of a cluster, its task and its picks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: Arc<str>,
    pub(super) config: ClientConfig,
    pub(super) own: Own,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) metrics: Metrics,
    pub(super) mean: Arc<Mean>,
    pub(super) picker: Picker,
    /// The service, as metrics name it.
    pub(super) target: KeyValue,
    /// Nothing until the registry answered.
    pub(super) endpoints: ArcSwapOption<Set>,
    /// Those that discovery names as a last resort.
    pub(super) held: Held,
    pub(super) idle: Idle,
    /// Told when the set or the readiness of one of its endpoints changes.
    pub(super) changed: Changes,
    /// Since when no endpoint is ready, though the registry answered and none has joined.
    pub(super) none_since: Mutex<Option<Instant>>,
    pub(super) leaves: CancellationToken,
}

impl Shared {
    pub(super) fn pick(&self, wanted: Wanted<'_>) -> Option<Picked> {
        let pick_of = |set: &Set| self.picker.pick(set, wanted);
        pick_of(self.endpoints.load().as_ref()?).or_else(|| pick_of(&self.held.load()))
    }

    /// Waits for an endpoint that is ready: while the registry has not answered until the deadline, else not longer
    /// than `client.endpoint_wait` after the last was there or another joined.
    pub(super) async fn wait(&self, route: &Route, wanted: Wanted<'_>) -> Result<Picked, Failure> {
        let deadline = route.deadline.map(|deadline| deadline.at);
        let (mut changed, mut since) = (self.changed.follow(), None);
        loop {
            if let Some(picked) = self.pick(wanted) {
                return Ok(picked);
            }
            let patience = match &route.tagged {
                None => self.patience(route.wait_for_ready),
                // Others may be ready: that there is none for it is the affair of the call alone.
                Some(_) => self.patience_from(&mut since, route.wait_for_ready),
            };
            let until = deadline.into_iter().chain(patience).min();
            let late = async {
                match until {
                    Some(at) => time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = changed.changed() => {}
                () = late => return Err(self.nowhere(patience, route.tagged.as_ref())),
            }
        }
    }

    /// Returns until when a call waits for a ready endpoint, apart from its own deadline.
    pub(super) fn patience(&self, wait_for_ready: bool) -> Option<Instant> {
        self.patience_from(&mut self.none_since(), wait_for_ready)
    }

    /// Returns the same where the wait began at `since`, or begins now.
    fn patience_from(&self, since: &mut Option<Instant>, wait_for_ready: bool) -> Option<Instant> {
        let answered = self.endpoints.load().is_some();
        if !answered || wait_for_ready {
            return None;
        }
        // One that no clock can tell has no end.
        since.get_or_insert_with(Instant::now).checked_add(self.config.endpoint_wait)
    }

    pub(super) fn none_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.none_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes since when no endpoint is ready.
    pub(super) fn note_readiness(&self) {
        let set = self.endpoints.load();
        self.picker.look(set.as_deref().unwrap_or(&Set::default()));
        let ready = set.as_ref().is_none_or(|set| set.endpoints().any(|one| one.is_ready())) || !self.held.is_empty();
        let mut since = self.none_since();
        *since = if ready { None } else { since.or_else(|| Some(Instant::now())) };
    }

    /// Returns for how long the cluster stays awake at least, as its own task sees it, which looks for changes too.
    pub(super) fn awake_for(&self) -> Duration {
        let (set, awaited) = (self.endpoints.load(), self.changed.followers() > 1);
        let busy = set.as_ref().is_some_and(|set| set.endpoints().any(|one| one.load.is_busy()));
        self.idle.awake_for(awaited || busy)
    }

    /// Compares the endpoints with one another.
    pub(super) fn review(&self) {
        if let Some(set) = &*self.endpoints.load() {
            self.picker.review(set, &self.target, &self.metrics);
        }
    }

    /// Says why a call went nowhere: no answer of the registry, no instance, or none that can be connected.
    pub(super) fn nowhere(&self, patience: Option<Instant>, tagged: Option<&Tagged>) -> Failure {
        let Self { service, resolver, .. } = self;
        let registry = resolver.describe_source(service);
        let expired = patience.is_none_or(|at| Instant::now() < at);
        let (outcome, kind) = match expired {
            true => (Outcome::TimedOut, ErrorKind::Deadline),
            false => (Outcome::NoEndpoint, ErrorKind::NoEndpoint),
        };
        let text = match self.endpoints.load().as_deref().map(Set::members) {
            None => format!("{registry} has not said yet where {service:?} is"),
            Some([]) => format!("no instance of {service:?} is registered at {registry}"),
            Some(all) if tagged.is_some_and(|tagged| all.iter().all(|one| !tagged.admits(&one.facts.tags))) => {
                let (count, tags) = (all.len(), tagged.map(Tagged::tags).unwrap_or_default().join(" or "));
                format!("none of the {count} instances of {service:?} at {registry} has the tag {tags}")
            }
            Some(all) => {
                let reason = |Member { endpoint, .. }: &Member| {
                    let error = endpoint.last_error().unwrap_or_else(|| "not connected yet".into());
                    format!("{}: {error}", endpoint.name())
                };
                let reasons: Vec<_> = all.iter().take(5).map(reason).collect();
                format!(
                    "none of the {} instances of {service:?} at {registry} can be reached ({})",
                    all.len(),
                    reasons.join("; ")
                )
            }
        };
        Failure::new(outcome, kind, text)
    }
}
