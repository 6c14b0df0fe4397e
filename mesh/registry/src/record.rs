//! What the registry holds: the node, services and checks, as plain data.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A node: the registry's own, or one that was only written into the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) datacenter: String,
    /// Of a node in the catalog, Consul takes any text.
    pub(crate) address: String,
    /// As it was told: none at all is null to readers, an empty map is one.
    pub(crate) tagged_addresses: Option<BTreeMap<String, String>>,
    /// As it was told.
    pub(crate) meta: Option<BTreeMap<String, String>>,
    pub(crate) locality: Option<Locality>,
}

/// The version of Consul whose API this is: clients decide by it which fields they may send.
pub(crate) const API_VERSION: &str = "1.22.7";

impl Node {
    /// Returns the registry's own node; `meta` is what the operator says of it, to which Consul's own is added.
    pub(crate) fn own(name: String, datacenter: String, ip: IpAddr, mut meta: BTreeMap<String, String>) -> Self {
        for (key, value) in [("consul-network-segment", ""), ("consul-version", API_VERSION)] {
            meta.insert(key.to_owned(), value.to_owned());
        }
        let (id, address) = (Uuid::new_v4().to_string(), ip.to_string());
        let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
        let names = ["lan", "wan"].into_iter().flat_map(|name| [name.to_owned(), format!("{name}_{family}")]);
        let tagged_addresses = names.map(|name| (name, address.clone())).collect();
        let (tagged_addresses, meta) = (Some(tagged_addresses), Some(meta));
        Self { id, name, datacenter, address, tagged_addresses, meta, locality: None }
    }
}

/// A registered instance of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) tags: Vec<String>,
    /// As it was told: none at all is null to some readers, an empty map is one.
    pub(crate) meta: Option<BTreeMap<String, String>>,
    /// Consul checks no bounds.
    pub(crate) port: i64,
    pub(crate) address: String,
    pub(crate) socket_path: String,
    pub(crate) tagged_addresses: BTreeMap<String, ServiceAddress>,
    pub(crate) weights: Weights,
    pub(crate) enable_tag_override: bool,
    pub(crate) native: bool,
    pub(crate) locality: Option<Locality>,
}

impl Service {
    /// Whether it has each of the tags, without regard to case.
    pub(crate) fn has_tags<'a>(&self, mut wanted: impl Iterator<Item = &'a str>) -> bool {
        wanted.all(|wanted| self.tags.iter().any(|tag| tag.to_lowercase() == wanted.to_lowercase()))
    }
}

/// A further address of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ServiceAddress {
    pub(crate) address: String,
    pub(crate) port: i64,
}

/// The shares of an instance by its health.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Weights {
    #[serde(default)]
    pub(crate) passing: i64,
    #[serde(default)]
    pub(crate) warning: i64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// Where an instance runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Locality {
    pub(crate) region: String,
    pub(crate) zone: String,
}

/// What readers see of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) notes: String,
    /// Empty if it is a check of the node.
    pub(crate) service_id: String,
    pub(crate) service_name: String,
    pub(crate) service_tags: Vec<String>,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) interval: String,
    pub(crate) timeout: String,
    pub(crate) status: Status,
    pub(crate) output: String,
    /// What was written into the catalog as its definition, which nobody runs; empty for the agent's own.
    #[serde(default)]
    pub(crate) definition: Map<String, Value>,
}

/// The result of a check; worse ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Passing,
    Warning,
    #[default]
    Critical,
}

impl Status {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "passing" => Some(Self::Passing),
            "warning" => Some(Self::Warning),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
