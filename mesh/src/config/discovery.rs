//! How the mesh holds on to what it found.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::config::duration;

/// How the mesh holds on to what it found.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DiscoveryConfig {
    /// How long instances that vanished together with more than half of their service stay as a last resort, while a
    /// connection to them works; and how long a gateway keeps the routes of a service without instances. Default 30 s; 0
    /// for not at all.
    #[serde(with = "duration")]
    pub hold: Duration,
    /// A folder in which the last known good is kept: names and addresses, neither keys nor tokens. With it an
    /// instance serves when it is started while Consul is down; without anything in it, it then ends with the reason.
    /// Default: none, nothing is kept, and an instance that is started while Consul is down serves and knows nobody.
    pub snapshot: Option<PathBuf>,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self { hold: Duration::from_secs(30), snapshot: None }
    }
}
