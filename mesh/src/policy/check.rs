//! What the types of a policy cannot say: ranges of its values.

use std::{fmt, time::Duration};

use http::HeaderName;
use serde::Serialize;

use crate::policy::{
    cluster::ClusterPolicy,
    hedge::HedgePolicy,
    method::{MOST_ATTEMPTS, MethodPolicy},
};

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// Where, as in `methods.GetUser.max_attempts`; empty for the whole document.
    pub(crate) path: String,
    pub(crate) reason: String,
}

impl Problem {
    pub(crate) fn new(path: &str, reason: &str) -> Self {
        Self { path: path.to_owned(), reason: reason.to_owned() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, reason } = self;
        if path.is_empty() { f.write_str(reason) } else { write!(f, "{path}: {reason}") }
    }
}

/// Checks what is said of a method; `start` is where it stands in the document.
pub(crate) fn method(start: &str, said: &MethodPolicy) -> Result<(), Problem> {
    let at = |name: &str| format!("{start}.{name}");
    let most = f64::from(MOST_ATTEMPTS);
    between(&at("max_attempts"), f64::from(said.max_attempts.unwrap_or(1)), (1.0, most))?;
    if said.backoff_multiplier.is_some_and(|by| !by.is_finite() || by < 1.0) {
        return Err(Problem::new(&at("backoff_multiplier"), "must be at least 1"));
    }
    if let Some(HedgePolicy { max_attempts, quantile, .. }) = said.hedge {
        between(&at("hedge.max_attempts"), f64::from(max_attempts), (1.0, most))?;
        between(&at("hedge.quantile"), quantile.unwrap_or(0.5), (0.5, 0.999))?;
    }
    let times = [
        ("deadline", said.deadline),
        ("initial_backoff", said.initial_backoff),
        ("max_backoff", said.max_backoff),
        ("per_try_timeout", said.per_try_timeout),
        ("stream_idle_timeout", said.stream_idle_timeout),
    ];
    times.into_iter().try_for_each(|(name, time)| positive(&at(name), time.unwrap_or(Duration::MAX)))
}

/// Checks the policy of the instances; `start` is where it stands in the document.
pub(crate) fn cluster(start: &str, policy: &ClusterPolicy) -> Result<(), Problem> {
    let ClusterPolicy { breaker, outlier, limit, retry_budget, panic_percent, .. } = policy;
    let at = |name: &str| format!("{start}.{name}");
    positive(&at("outlier.interval"), outlier.interval)?;
    positive(&at("breaker.min_open"), breaker.min_open)?;
    between(&at("breaker.jitter"), breaker.jitter, (0.0, 1.0))?;
    if limit.is_some_and(|limit| limit.concurrency == 0) {
        return Err(Problem::new(&at("limit.concurrency"), "must be at least 1"));
    }
    let threshold = outlier.failure_percentage.as_ref().map_or(0, |rule| rule.threshold);
    let percents = [
        ("panic_percent", f64::from(*panic_percent)),
        ("outlier.max_ejection_percent", f64::from(outlier.max_ejection_percent)),
        ("outlier.failure_percentage.threshold", f64::from(threshold)),
        ("retry_budget.percent", retry_budget.percent),
    ];
    percents.into_iter().try_for_each(|(name, value)| percent(&at(name), value))?;
    affinity(start, policy)?;
    tried(start, policy)
}

/// Checks what is done to calls on purpose: faults and copies.
fn tried(start: &str, ClusterPolicy { fault, mirror, .. }: &ClusterPolicy) -> Result<(), Problem> {
    let at = |name: &str| format!("{start}.{name}");
    if let Some(mirror) = mirror {
        percent(&at("mirror.percent"), mirror.percent)?;
        if mirror.service.is_empty() {
            return Err(Problem::new(&at("mirror.service"), "must name who gets copies"));
        }
    }
    let Some(fault) = fault else { return Ok(()) };
    percent(&at("fault.delay_percent"), fault.delay_percent)?;
    percent(&at("fault.abort_percent"), fault.abort_percent)
}

/// Checks where calls go by hash and by zone.
fn affinity(start: &str, policy: &ClusterPolicy) -> Result<(), Problem> {
    let ClusterPolicy { hash, zone, subset_size, .. } = policy;
    let at = |name: &str| format!("{start}.{name}");
    if let Some(bad) = hash.headers.iter().find(|name| HeaderName::try_from(name.as_str()).is_err()) {
        return Err(Problem::new(&at("hash.headers"), &format!("{bad:?} is no name of a header")));
    }
    between(&at("hash.ring_places"), f64::from(hash.ring_places), (1_024.0, 65_536.0))?;
    between(&at("hash.maglev_places"), f64::from(hash.maglev_places), (251.0, 1_048_573.0))?;
    between(&at("zone.spill"), zone.spill, (1.0, 1e6))?;
    between(&at("zone.healthy_percent"), f64::from(zone.healthy_percent), (1.0, 100.0))?;
    between(&at("subset_size"), f64::from(subset_size.unwrap_or(1)), (1.0, f64::from(u32::MAX)))
}

fn positive(path: &str, time: Duration) -> Result<(), Problem> {
    if time.is_zero() { Err(Problem::new(path, "must be more than 0s")) } else { Ok(()) }
}

fn percent(path: &str, value: f64) -> Result<(), Problem> {
    between(path, value, (0.0, 100.0))
}

fn between(path: &str, value: f64, (least, most): (f64, f64)) -> Result<(), Problem> {
    let within = (least..=most).contains(&value);
    if within { Ok(()) } else { Err(Problem::new(path, &format!("must be {least} to {most}"))) }
}
