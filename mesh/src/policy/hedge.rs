//! When another attempt is made beside one that is slow (gRFC A6, hedging).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{config::duration::optional, policy::schema::Time};

/// Attempts that run beside one another, of calls that may be repeated: the first answer is taken, and the others are
/// given up. In place of retries after a wait, and from the same budget.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HedgePolicy {
    /// Attempts in all: 1 to 5, of which 1 means none beside the first. Default 2.
    pub max_attempts: u32,
    /// How long an attempt is waited for before the next is made beside it; zero for all at once. Default nothing: only
    /// a failure brings on the next.
    #[serde(with = "optional")]
    #[schemars(with = "Option<Time>")]
    pub delay: Option<Duration>,
    /// In place of `delay`, once the method was called often enough: the latency that this share of its calls stay
    /// within, 0.5 to 0.999. Default nothing.
    pub quantile: Option<f64>,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self { max_attempts: 2, delay: None, quantile: None }
    }
}
