//! What a pick sees of a cluster, and which endpoint it would take: for people, and for the spans of what is traced.

use std::fmt;

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    client::{
        balance::Scene as _,
        call::Call,
        cluster::{
            Cluster,
            picker::{View, Wanted},
            set::{Member, Set},
        },
        endpoint::Endpoint,
        standing::Seen,
    },
    policy::cluster::{Balance, ClusterPolicy},
};

/// So many candidates a span tells of: what is traced of a large cluster stays small.
const TRACED: usize = 16;

/// What is known of the instances of a service.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Candidates {
    /// Where they are looked for: `consul at http://127.0.0.1:8500`.
    pub(crate) source: String,
    /// Seconds since its last good answer, if it is asked.
    pub(crate) age_s: Option<f64>,
    /// It has answered, or what it answered an earlier process is used. Nobody asks for a service that is not called.
    pub(crate) known: bool,
    pub(crate) balance: Balance,
    /// Most connected instances are out: then all are called.
    pub(crate) panics: bool,
    pub(crate) candidates: Vec<Candidate>,
    /// The name of the one that the next attempt goes to, if nothing changes until then.
    pub(crate) pick: Option<String>,
}

/// One instance, as a pick sees it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Candidate {
    /// `users-1 at 127.0.0.1:4711`.
    pub(crate) name: String,
    pub(crate) state: State,
    /// What one more call would cost there; the smaller, the better.
    pub(crate) cost: f32,
    /// The estimate of its latency, if there is one.
    pub(crate) latency_ms: Option<f32>,
    pub(crate) in_flight: usize,
    pub(crate) weight: u32,
    pub(crate) zone: Option<String>,
    /// By how much it is dearer because it is new: 1 for not at all.
    pub(crate) slow_start: f32,
    /// It was not picked for long, and goes before cheaper ones.
    pub(crate) due: bool,
    pub(crate) connections: usize,
    /// It vanished from discovery with most others, and is called when no other can.
    pub(crate) last_resort: bool,
    pub(crate) last_error: Option<String>,
}

/// Whether an instance may be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It has no connection that takes calls.
    Unconnected,
    /// It may be picked.
    Ready,
    /// It is new, and gets less than its share.
    Warming,
    /// Its breaker is open; one call may probe it now.
    ProbeDue,
    /// Its breaker is open.
    Open,
    /// It does worse than the others.
    Ejected,
}

impl State {
    /// Returns its name, as it is told.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unconnected => "unconnected",
            Self::Ready => "ready",
            Self::Warming => "warming",
            Self::ProbeDue => "probe due",
            Self::Open => "open",
            Self::Ejected => "ejected",
        }
    }
}

/// On one line, for what has no table.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, state, cost, in_flight, last_resort, .. } = self;
        let resort = if *last_resort { ", a last resort" } else { "" };
        write!(f, "{name}: {}{resort}, cost {cost}, {in_flight} in flight", state.name())
    }
}

impl Cluster {
    /// Returns what a pick for a call with this hash would see now. Nothing changes by asking.
    pub(crate) fn candidates(&self, hash: Option<u64>) -> Candidates {
        self.first_candidates(usize::MAX, hash)
    }

    /// Tells the span of an attempt, if there is one, what its pick will see.
    pub(super) fn trace(&self, call: &Call) {
        if !call.span.is_recorded() {
            return;
        }
        let Candidates { balance, candidates, .. } = self.first_candidates(TRACED, call.hash);
        call.span.set("selvedge.balance", format!("{balance:?}"));
        call.span.set_lines("selvedge.candidates", candidates.iter().map(ToString::to_string));
    }

    fn first_candidates(&self, most: usize, hash: Option<u64>) -> Candidates {
        let (shared, now) = (&self.shared, Instant::now());
        let policy = shared.picker.policy().load();
        let (known, held) = (shared.endpoints.load(), shared.held.load());
        let wanted = Wanted { hash, ..Wanted::default() };
        let seen = |set: &Set, last_resort| -> Vec<Candidate> {
            let view = shared.picker.view(set, wanted, now, &policy);
            (0..set.members().len().min(most)).map(|at| candidate(&view, (set, at), &policy, last_resort)).collect()
        };
        let mut candidates = known.as_deref().map_or_else(Vec::new, |set| seen(set, false));
        candidates.extend(seen(&held, true));
        let foresee = |set: &Set| {
            let at = shared.picker.foresee(set, wanted)?;
            Some(set.members()[at].endpoint.name().to_owned())
        };
        let pick = known.as_deref().and_then(|set| foresee(set).or_else(|| foresee(&held)));
        Candidates {
            source: shared.resolver.describe_source(&shared.service),
            age_s: shared.resolver.age(&shared.service).map(|age| age.as_secs_f64()),
            known: known.is_some(),
            balance: policy.balance,
            panics: shared.picker.panics(),
            candidates,
            pick,
        }
    }
}

fn candidate(view: &View<'_>, (set, at): (&Set, usize), policy: &ClusterPolicy, last_resort: bool) -> Candidate {
    let Member { endpoint, facts, .. } = &set.members()[at];
    let (price, now) = (view.price(at), Instant::now());
    let slow_start = endpoint.load.slow_start(now, policy.slow_start);
    Candidate {
        name: endpoint.name().to_owned(),
        state: state(endpoint, slow_start, now),
        cost: price.cost,
        latency_ms: endpoint.load.latency(now).map(|seconds| seconds * 1_000.0),
        in_flight: endpoint.load.in_flight(),
        weight: facts.weight,
        zone: facts.zone.clone(),
        slow_start,
        due: price.due,
        connections: endpoint.connections(),
        last_resort,
        last_error: endpoint.last_error(),
    }
}

fn state(endpoint: &Endpoint, slow_start: f32, now: Instant) -> State {
    if !endpoint.is_ready() {
        return State::Unconnected;
    }
    match endpoint.standing.see(now) {
        Seen::Sound if slow_start > 1.0 => State::Warming,
        Seen::Sound => State::Ready,
        Seen::ProbeDue => State::ProbeDue,
        Seen::Out if endpoint.standing.is_ejected() => State::Ejected,
        Seen::Out => State::Open,
    }
}
