//! The policy of a whole service: when an instance of it is left out.

use std::{collections::HashMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tonic::Code;

use crate::{
    config::duration,
    policy::{
        affinity::{HashPolicy, ZonePolicy},
        codes::named,
        mirror::MirrorPolicy,
        schema::{CodeName, Time},
    },
};

/// Policies by service; those of other services are the default.
pub(crate) type ClusterPolicies = HashMap<String, ClusterPolicy>;

/// How the instances of one service are treated.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ClusterPolicy {
    /// How one instance is picked among those that may be. Default [`Balance::PeakEwma`].
    pub balance: Balance,
    /// For how long an instance that is new, or connected anew, gets less than its share, growing with time; zero for
    /// not at all, and nothing to [`Balance::RoundRobin`]. Default 0 s.
    #[serde(with = "duration")]
    #[schemars(with = "Time")]
    pub slow_start: Duration,
    /// When one instance gets no more calls because its last ones failed.
    pub breaker: BreakerPolicy,
    /// When an instance is left out because it does worse than the others.
    pub outlier: OutlierPolicy,
    /// How many attempts may be under way at once; nothing for no limit. Default 10,000.
    pub limit: Option<LimitPolicy>,
    /// How many retries it may be sent.
    pub retry_budget: BudgetPolicy,
    /// Faults that are injected into calls, to see what becomes of them. Default none.
    pub fault: Option<FaultPolicy>,
    /// Who gets copies of calls. Default nobody.
    pub mirror: Option<MirrorPolicy>,
    /// Where calls go by hash.
    pub hash: HashPolicy,
    /// How instances of the own zone are preferred.
    pub zone: ZonePolicy,
    /// How many instances are connected and called: so many of the own zone and as many of the others, which other
    /// clients have others of; at least 1, nothing for all. For clusters of hundreds of instances. Default nothing.
    pub subset_size: Option<u32>,
    /// While less than this share of the connected instances, in percent, may be picked, all are. Default 50.
    pub panic_percent: u32,
}

/// How one instance is picked among those that may be.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Balance {
    /// Of two drawn at random the one with the smaller product of latency (its peak EWMA) and calls under way.
    #[default]
    PeakEwma,
    /// Of two drawn at random the one with fewer calls under way (gRFC A48): for calls of which some are long by nature.
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// By the hash of the call, on a ring (gRFC A42): when an instance leaves, its own keys move and no others.
    RingHash,
    /// By the hash of the call, from a table that is shared out more evenly than the ring; when an instance leaves, a few
    /// other keys move as well.
    Maglev,
}

impl Balance {
    /// Whether the hash of a call says where it goes.
    pub(crate) fn is_by_hash(self) -> bool {
        match self {
            Self::RingHash | Self::Maglev => true,
            Self::PeakEwma | Self::LeastRequest | Self::RoundRobin => false,
        }
    }
}

/// How many attempts may be under way at all instances of a service together (gRFC A32), and how many may wait.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitPolicy {
    /// Attempts under way, until their answers ended; at least 1. Default 10,000.
    pub concurrency: usize,
    /// Attempts that wait for one of those to end; others fail at once with UNAVAILABLE. Default 1,000.
    pub queue: usize,
}

/// How many retries a service may be sent, over the last ten seconds (the form of Finagle and Linkerd).
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetPolicy {
    /// The share of the calls, in percent: 0 to 100. Default 20.
    pub percent: f64,
    /// Retries a second besides; 0 and no share for no retries of what a server may have seen. Default 10.
    pub per_second: u32,
}

/// Faults that are injected into calls of a service (gRFC A33); above its retries, and within the deadline.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FaultPolicy {
    /// How long calls are delayed. Default 0 s.
    #[serde(with = "duration")]
    #[schemars(with = "Time")]
    pub delay: Duration,
    /// What share of the calls is delayed, in percent. Default 0.
    pub delay_percent: f64,
    /// What calls are ended with instead of being made. Default UNAVAILABLE.
    #[serde(with = "named")]
    #[schemars(with = "CodeName")]
    pub abort: Code,
    /// What share of the calls is ended so, in percent. Default 0.
    pub abort_percent: f64,
    /// Most faults at a time; calls beyond pass unharmed. Default no limit.
    pub max_active: u32,
}

/// Calls at one instance that fail one after the other open its breaker (the form of Linkerd).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerPolicy {
    /// Failures in a row that open it; 0 for no breaker. Default 7.
    pub consecutive_failures: u32,
    /// How long it stays open before one call may probe the instance; doubled with each probe that fails.
    /// Default 1 s.
    #[serde(with = "duration")]
    #[schemars(with = "Time")]
    pub min_open: Duration,
    /// The longest that it stays open. Default 1 min.
    #[serde(with = "duration")]
    #[schemars(with = "Time")]
    pub max_open: Duration,
    /// By what share of itself that time is lengthened at most, at random. Default 0.5.
    pub jitter: f64,
}

/// Ejection of instances that do worse than the rest (gRFC A50, with its defaults).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OutlierPolicy {
    /// How often the instances are compared. Default 10 s.
    #[serde(with = "duration")]
    #[schemars(with = "Time")]
    pub interval: Duration,
    /// How long an instance is ejected, times the ejections that it had. Default 30 s.
    #[serde(with = "duration")]
    #[schemars(with = "Time")]
    pub base_ejection: Duration,
    /// The longest ejection. Default 300 s.
    #[serde(with = "duration")]
    #[schemars(with = "Time")]
    pub max_ejection: Duration,
    /// Once this share of the instances, in percent, is ejected, no other is; one may always be. Default 10.
    pub max_ejection_percent: u32,
    /// By the rate of success: ejects what is below the mean by more than a multiple of the deviation.
    pub success_rate: Option<SuccessRate>,
    /// By the share of failures: ejects what fails too often, however the rest does.
    pub failure_percentage: Option<FailurePercentage>,
}

/// Ejection by the rate of success.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SuccessRate {
    /// The multiple of the deviation, in thousandths. Default 1,900.
    pub stdev_factor: u32,
    /// Fewest instances with enough calls. Default 5.
    pub minimum_hosts: usize,
    /// Calls in one interval that are enough. Default 100.
    pub request_volume: u64,
}

/// Ejection by the share of failures.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FailurePercentage {
    /// The share of failures, in percent, above which an instance is ejected. Default 85.
    pub threshold: u32,
    /// Fewest instances with enough calls. Default 5.
    pub minimum_hosts: usize,
    /// Calls in one interval that are enough. Default 50.
    pub request_volume: u64,
}

impl Default for ClusterPolicy {
    fn default() -> Self {
        let (breaker, outlier) = (BreakerPolicy::default(), OutlierPolicy::default());
        let (balance, slow_start, limit) = (Balance::default(), Duration::ZERO, Some(LimitPolicy::default()));
        let retry_budget = BudgetPolicy::default();
        Self {
            balance,
            slow_start,
            breaker,
            outlier,
            limit,
            retry_budget,
            fault: None,
            mirror: None,
            hash: HashPolicy::default(),
            zone: ZonePolicy::default(),
            subset_size: None,
            panic_percent: 50,
        }
    }
}

impl Default for LimitPolicy {
    fn default() -> Self {
        Self { concurrency: 10_000, queue: 1_000 }
    }
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self { percent: 20.0, per_second: 10 }
    }
}

impl Default for FaultPolicy {
    fn default() -> Self {
        let (delay, abort) = (Duration::ZERO, Code::Unavailable);
        Self { delay, delay_percent: 0.0, abort, abort_percent: 0.0, max_active: u32::MAX }
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        let (min_open, max_open) = (Duration::from_secs(1), Duration::from_secs(60));
        Self { consecutive_failures: 7, min_open, max_open, jitter: 0.5 }
    }
}

impl Default for OutlierPolicy {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            max_ejection_percent: 10,
            success_rate: Some(SuccessRate::default()),
            failure_percentage: Some(FailurePercentage::default()),
        }
    }
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self { stdev_factor: 1_900, minimum_hosts: 5, request_volume: 100 }
    }
}

impl Default for FailurePercentage {
    fn default() -> Self {
        Self { threshold: 85, minimum_hosts: 5, request_volume: 50 }
    }
}
