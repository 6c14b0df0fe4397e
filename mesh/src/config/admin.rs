//! Where an instance tells of itself: metrics, state, explanations.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Where an instance tells of itself over plain HTTP: `/metrics`, `/healthz`, `/state`, `/explain`. Whoever reaches it
/// may read all of that: keep it on loopback.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Where [`Mesh::serve`](crate::Mesh::serve) listens for it; port 0 takes a free one. Default: nowhere.
    pub listen: Option<SocketAddr>,
    /// Where the program itself serves it ([`Telemetry::serve_admin`](crate::Telemetry::serve_admin)), for the
    /// registration, where `selvedge explain` finds it. Default: where `listen` says, or nowhere.
    pub address: Option<SocketAddr>,
}
