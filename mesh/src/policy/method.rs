//! The policy of one method: defaults, what its proto says, and what the call site says, each value with its origin.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tonic::Code;

use crate::{
    config::duration::optional,
    policy::{codes::Codes, hash_field::HashField, hedge::HedgePolicy, schema::Time},
};

/// Whether a method may be carried out more than once (`google.protobuf.MethodOptions.IdempotencyLevel`).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Idempotency {
    /// It may not.
    #[default]
    Unknown,
    /// It may: further times change nothing more.
    Idempotent,
    /// It may: it changes nothing at all.
    NoSideEffects,
}

/// Which calls go first where the calls under way at one service are bounded (`limit`).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// It waits behind all others, and leaves a tenth of the places to them, one at least of several: for what nobody
    /// waits for.
    Low,
    /// In the order in which they come.
    #[default]
    Normal,
    /// It waits before all others.
    High,
}

/// What one origin says of a method; what it does not say stays as it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MethodPolicy {
    /// Whether it may be carried out more than once.
    pub idempotency: Option<Idempotency>,
    /// The deadline of a call that brings none, of a stream as well.
    #[serde(with = "optional")]
    #[schemars(with = "Option<Time>")]
    pub deadline: Option<Duration>,
    /// Attempts in all, those that no server acted on not counted: 1 to 5.
    pub max_attempts: Option<u32>,
    /// Codes that a server answered before any message, which are tried again.
    pub retry_codes: Option<Codes>,
    /// The wait before the second attempt, give or take 20 %.
    #[serde(with = "optional")]
    #[schemars(with = "Option<Time>")]
    pub initial_backoff: Option<Duration>,
    /// The longest wait, give or take 20 %.
    #[serde(with = "optional")]
    #[schemars(with = "Option<Time>")]
    pub max_backoff: Option<Duration>,
    /// What the wait grows by with each attempt; at least 1.
    pub backoff_multiplier: Option<f64>,
    /// How long one attempt may take to its response headers.
    #[serde(with = "optional")]
    #[schemars(with = "Option<Time>")]
    pub per_try_timeout: Option<Duration>,
    /// How long a call may go without a message either way.
    #[serde(with = "optional")]
    #[schemars(with = "Option<Time>")]
    pub stream_idle_timeout: Option<Duration>,
    /// Attempts beside one another, in place of retries.
    pub hedge: Option<HedgePolicy>,
    /// The field of the request by which calls are hashed, where their service is called by hash.
    pub hash_field: Option<HashField>,
    /// Which calls go first where those under way are bounded.
    pub priority: Option<Priority>,
}

/// Where a value of a policy comes from; later ones go before earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Built in, or a setting of the client.
    Default,
    /// The method's options in its proto.
    Proto,
    /// What the program says of the service ([`Builder::cluster_policy`](crate::Builder::cluster_policy)).
    Program,
    /// The document of the service in Consul's KV store.
    Kv,
    /// [`CallOptions`](crate::CallOptions).
    CallSite,
}

/// A value and its origin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sourced<T> {
    /// The value in force.
    pub value: T,
    /// Who said it.
    pub origin: Origin,
}

/// The policy in force for a method; printed, one line for each value with its origin.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Whether it may be carried out more than once.
    pub idempotency: Sourced<Idempotency>,
    /// The deadline of a call that brings none.
    pub deadline: Sourced<Option<Duration>>,
    /// Attempts in all.
    pub max_attempts: Sourced<u32>,
    /// Codes that are tried again.
    pub retry_codes: Sourced<Codes>,
    /// The wait before the second attempt.
    pub initial_backoff: Sourced<Duration>,
    /// The longest wait.
    pub max_backoff: Sourced<Duration>,
    /// What the wait grows by.
    pub backoff_multiplier: Sourced<f64>,
    /// How long one attempt may take to its response headers.
    pub per_try_timeout: Sourced<Option<Duration>>,
    /// How long a call may go without a message either way.
    pub stream_idle_timeout: Sourced<Option<Duration>>,
    /// Attempts beside one another.
    pub hedge: Sourced<Option<HedgePolicy>>,
    /// The field by which calls are hashed.
    pub hash_field: Sourced<Option<HashField>>,
    /// Which calls go first.
    pub priority: Sourced<Priority>,
}

/// Most attempts of one call (gRFC A6).
pub(crate) const MOST_ATTEMPTS: u32 = 5;

impl Policy {
    /// Returns the defaults; `deadline` is that of unary calls, and there is none for others.
    pub(crate) fn new(deadline: Option<Duration>) -> Self {
        Self {
            idempotency: built_in(Idempotency::Unknown),
            deadline: built_in(deadline),
            max_attempts: built_in(3),
            retry_codes: built_in([Code::Unavailable].into_iter().collect()),
            initial_backoff: built_in(Duration::from_millis(25)),
            max_backoff: built_in(Duration::from_millis(250)),
            backoff_multiplier: built_in(2.0),
            per_try_timeout: built_in(None),
            stream_idle_timeout: built_in(None),
            hedge: built_in(None),
            hash_field: built_in(None),
            priority: built_in(Priority::Normal),
        }
    }

    /// Lays what an origin says over it.
    #[must_use]
    pub(crate) fn with(mut self, origin: Origin, said: &MethodPolicy) -> Self {
        lay(&mut self.idempotency, origin, said.idempotency);
        lay(&mut self.deadline, origin, said.deadline.map(Some));
        lay(&mut self.max_attempts, origin, said.max_attempts.map(|most| most.clamp(1, MOST_ATTEMPTS)));
        lay(&mut self.retry_codes, origin, said.retry_codes);
        lay(&mut self.initial_backoff, origin, said.initial_backoff);
        lay(&mut self.max_backoff, origin, said.max_backoff);
        lay(&mut self.backoff_multiplier, origin, said.backoff_multiplier.map(|by| by.max(1.0)));
        lay(&mut self.per_try_timeout, origin, said.per_try_timeout.map(Some));
        lay(&mut self.stream_idle_timeout, origin, said.stream_idle_timeout.map(Some));
        lay(&mut self.hedge, origin, said.hedge.map(Some));
        lay(&mut self.hash_field, origin, said.hash_field.map(Some));
        lay(&mut self.priority, origin, said.priority);
        self
    }

    /// Whether an attempt that a server may have acted on may be made again.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotency.value != Idempotency::Unknown
    }

    /// Returns the wait before attempt `number`, from 2; `random` is in 0..1 (gRFC A6).
    pub(crate) fn backoff(&self, number: u32, random: f64) -> Duration {
        let grown = self.backoff_multiplier.value.powi(number.saturating_sub(2).min(64) as i32);
        let seconds = (self.initial_backoff.value.as_secs_f64() * grown).min(self.max_backoff.value.as_secs_f64());
        Duration::try_from_secs_f64(seconds * (0.8 + 0.4 * random)).unwrap_or(Duration::MAX)
    }
}

fn built_in<T>(value: T) -> Sourced<T> {
    Sourced { value, origin: Origin::Default }
}

fn lay<T>(over: &mut Sourced<T>, origin: Origin, said: Option<T>) {
    if let Some(value) = said {
        *over = Sourced { value, origin };
    }
}

impl Policy {
    /// Returns each value as people read it, with its name and its origin.
    pub(crate) fn rows(&self) -> Vec<(&'static str, Sourced<String>)> {
        let Self { idempotency, deadline, max_attempts, retry_codes, initial_backoff, max_backoff, .. } = self;
        let level = match idempotency.value {
            Idempotency::Unknown => "unknown",
            Idempotency::Idempotent => "idempotent",
            Idempotency::NoSideEffects => "no side effects",
        };
        let time = |time: Option<Duration>| time.map_or_else(|| "none".into(), |time| format!("{time:?}"));
        let growth = &self.backoff_multiplier;
        let hedge = |hedge: HedgePolicy| format!("{} attempts", hedge.max_attempts);
        let (hedge, field) = (self.hedge.value.map(hedge), self.hash_field.value.map(|field| field.to_string()));
        let none = || "none".to_owned();
        let priority = match self.priority.value {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
        };
        let rows = [
            ("idempotency", level.to_owned(), idempotency.origin),
            ("deadline", time(deadline.value), deadline.origin),
            ("max_attempts", max_attempts.value.to_string(), max_attempts.origin),
            ("retry_codes", retry_codes.value.to_string(), retry_codes.origin),
            ("initial_backoff", time(Some(initial_backoff.value)), initial_backoff.origin),
            ("max_backoff", time(Some(max_backoff.value)), max_backoff.origin),
            ("backoff_multiplier", growth.value.to_string(), growth.origin),
            ("per_try_timeout", time(self.per_try_timeout.value), self.per_try_timeout.origin),
            ("stream_idle_timeout", time(self.stream_idle_timeout.value), self.stream_idle_timeout.origin),
            ("hedge", hedge.unwrap_or_else(none), self.hedge.origin),
            ("hash_field", field.unwrap_or_else(none), self.hash_field.origin),
            ("priority", priority.to_owned(), self.priority.origin),
        ];
        rows.into_iter().map(|(name, value, origin)| (name, Sourced { value, origin })).collect()
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, Sourced { value, origin }) in self.rows() {
            writeln!(f, "{name:<19} {value:<16} {origin}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Proto => "proto",
            Self::Program => "program",
            Self::Kv => "consul kv",
            Self::CallSite => "call site",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_call_site_goes_before_the_proto_and_that_before_the_defaults() {
        let proto = MethodPolicy { max_attempts: Some(4), deadline: Some(millis(900)), ..MethodPolicy::default() };
        let site = MethodPolicy { deadline: Some(millis(50)), ..MethodPolicy::default() };
        let policy = Policy::new(Some(millis(15_000))).with(Origin::Proto, &proto).with(Origin::CallSite, &site);
        assert_eq!(policy.deadline, Sourced { value: Some(millis(50)), origin: Origin::CallSite });
        assert_eq!(policy.max_attempts, Sourced { value: 4, origin: Origin::Proto });
        assert_eq!(policy.initial_backoff, Sourced { value: millis(25), origin: Origin::Default });
    }

    #[test]
    fn it_is_printed_with_the_origin_of_each_value() {
        let codes = [Code::Aborted, Code::Unavailable].into_iter().collect();
        let proto = MethodPolicy {
            idempotency: Some(Idempotency::NoSideEffects),
            retry_codes: Some(codes),
            ..MethodPolicy::default()
        };
        let site = MethodPolicy { per_try_timeout: Some(millis(200)), ..MethodPolicy::default() };
        let text = Policy::new(None).with(Origin::Proto, &proto).with(Origin::CallSite, &site).to_string();
        let expected = "\
idempotency         no side effects  proto
deadline            none             default
max_attempts        3                default
retry_codes         ABORTED, UNAVAILABLE proto
initial_backoff     25ms             default
max_backoff         250ms            default
backoff_multiplier  2                default
per_try_timeout     200ms            call site
stream_idle_timeout none             default
hedge               none             default
hash_field          none             default
priority            normal           default
";
        assert_eq!(text, expected);
    }

    #[test]
    fn attempts_have_their_limit() {
        for (said, most) in [(0, 1), (1, 1), (5, 5), (6, 5)] {
            let site = MethodPolicy { max_attempts: Some(said), ..MethodPolicy::default() };
            assert_eq!(Policy::new(None).with(Origin::CallSite, &site).max_attempts.value, most);
        }
    }

    proptest! {
        #[test]
        fn each_wait_is_within_a_fifth_of_its_step(number in 2u32..40, random in 0.0f64..1.0) {
            let step = 25.0 * 2f64.powi(number as i32 - 2);
            let step = step.min(250.0) / 1_000.0;
            let wait = Policy::new(None).backoff(number, random).as_secs_f64();
            prop_assert!(wait >= step * 0.799 && wait <= step * 1.201, "{wait} for {step}");
        }
    }
}
