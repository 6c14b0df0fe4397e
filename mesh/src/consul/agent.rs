//! What the agent's API takes and gives: registrations, their checks, and who the agent is
//! (Consul API `/v1/agent`).

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// One instance as it is registered: the body of `PUT /v1/agent/service/register`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Registration {
    /// Unique in the agent.
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    /// Host name or IP address without a port; empty means the address of the agent's node.
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) checks: Vec<Check>,
}

/// How the agent learns whether an instance lives. `Check::default()` leaves everything to the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Check {
    /// Unique in the agent.
    #[serde(rename = "CheckID")]
    pub(crate) check_id: String,
    pub(crate) name: String,
    /// The instance says itself that it lives, at least this often.
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none", serialize_with = "go_duration")]
    pub(crate) ttl: Option<Duration>,
    /// `host:port` or `host:port/service` that the agent asks by `grpc.health.v1`.
    #[serde(rename = "GRPC", skip_serializing_if = "Option::is_none")]
    pub(crate) grpc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "go_duration")]
    pub(crate) interval: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "go_duration")]
    pub(crate) timeout: Option<Duration>,
    /// `passing`, `warning` or `critical` at the start; empty means critical. A check id that is known already
    /// keeps the status that it has.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) status: &'static str,
    /// Consul takes no less than a minute, and looks every 30 s.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "go_duration")]
    pub(crate) deregister_critical_service_after: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failures_before_critical: Option<u32>,
}

/// What the agent said to a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// The check passes.
    Ok,
    /// The agent does not know the check (any more): register again.
    Lost,
}

/// A registration, as `GET /v1/agent/service/:id` tells it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Registered {
    pub(crate) service: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) meta: Option<BTreeMap<String, String>>,
}

impl Registered {
    /// Returns who made it, if that was said.
    pub(crate) fn owner(&self, key: &str) -> Option<&str> {
        self.meta.as_ref()?.get(key).map(String::as_str)
    }
}

/// The part of `GET /v1/agent/self` that is read.
#[derive(Debug, Deserialize)]
pub(crate) struct AgentSelf {
    #[serde(rename = "Member")]
    pub(crate) member: Member,
}

/// The agent as a member of its cluster.
#[derive(Debug, Deserialize)]
pub(crate) struct Member {
    #[serde(rename = "Addr")]
    pub(crate) address: String,
}

/// Writes a duration as Go reads it; milliseconds are exact enough for checks.
fn go_duration<S: serde::Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(&format_args!("{}ms", value.as_millis())),
        None => serializer.serialize_none(),
    }
}
