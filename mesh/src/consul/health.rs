//! What `GET /v1/health/service/:name` answers, read leniently: Consul omits, or says null, where there is nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Metadata that names the zone of an instance: any version of Consul keeps it.
pub(crate) const ZONE: &str = "zone";

/// One instance with the checks that concern it: its own and its node's.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Entry {
    #[serde(deserialize_with = "or_default")]
    pub(crate) node: Node,
    #[serde(deserialize_with = "or_default")]
    pub(crate) service: Service,
    #[serde(deserialize_with = "or_default")]
    pub(crate) checks: Vec<Check>,
}

/// The machine, as Consul knows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Node {
    #[serde(rename = "Node", deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) address: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) datacenter: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) locality: Locality,
}

/// The registration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Service {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) tags: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) address: String,
    /// Consul checks nothing about it: -1 and 70000 are possible.
    #[serde(deserialize_with = "or_default")]
    pub(crate) port: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) meta: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) weights: Weights,
    #[serde(deserialize_with = "or_default")]
    pub(crate) locality: Locality,
    /// The cluster that it was imported from, if not from its own (cluster peering).
    #[serde(deserialize_with = "or_default")]
    peer_name: String,
    /// Consul Enterprise's.
    #[serde(deserialize_with = "or_default")]
    partition: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
}

/// What the mesh does not know, and an instance is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond<'a> {
    /// Another cluster (cluster peering): it is reached through mesh gateways, with certificates.
    Peer(&'a str),
    /// A partition of Consul Enterprise, other than the default one.
    Partition(&'a str),
    /// A namespace of Consul Enterprise, other than the default one.
    Namespace(&'a str),
}

/// The weight of an instance by its health.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Weights {
    pub(crate) passing: u32,
    pub(crate) warning: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// Where something runs (Consul 1.16 and later).
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Locality {
    #[serde(deserialize_with = "or_default")]
    pub(crate) zone: String,
}

/// One check.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Check {
    #[serde(rename = "CheckID", deserialize_with = "or_default")]
    pub(crate) id: String,
    /// `passing`, `warning` or `critical`.
    #[serde(deserialize_with = "or_default")]
    pub(crate) status: String,
}

impl Entry {
    /// Whether it may be called, as Envoy sees it: nothing critical, neither of its own, of its node, nor
    /// maintenance, which is a critical check too. A warning is no reason, unless its weight is zero. What is beyond
    /// the mesh is not called.
    pub(crate) fn is_callable(&self) -> bool {
        self.beyond().is_none() && self.weight() > 0 && self.checks.iter().all(|check| check.status != "critical")
    }

    /// Returns what it is in that the mesh does not support, if it is.
    pub(crate) fn beyond(&self) -> Option<Beyond<'_>> {
        let Service { peer_name, partition, namespace, .. } = &self.service;
        let other = |name: &str| !["", "default"].contains(&name);
        if !peer_name.is_empty() {
            return Some(Beyond::Peer(peer_name));
        }
        if other(partition) {
            return Some(Beyond::Partition(partition));
        }
        other(namespace).then_some(Beyond::Namespace(namespace))
    }

    /// Returns the weight that the registration gives it in its present health.
    pub(crate) fn weight(&self) -> u32 {
        let warns = self.checks.iter().any(|check| check.status == "warning");
        if warns { self.service.weights.warning } else { self.service.weights.passing }
    }

    /// Returns the zone of the instance, or else of its node, or else what the metadata `zone` says.
    pub(crate) fn zone(&self) -> Option<&str> {
        let places = [&self.service.locality.zone, &self.node.locality.zone];
        let told = places.into_iter().chain(self.service.meta.get(ZONE));
        told.map(String::as_str).find(|zone| !zone.is_empty())
    }

    /// Whether an operator, or the instance itself, took it or its node out.
    pub(crate) fn is_in_maintenance(&self) -> bool {
        let maintenance = |id: &str| id == "_node_maintenance" || id.starts_with("_service_maintenance:");
        self.checks.iter().any(|check| maintenance(&check.id))
    }

    /// Returns where it is reached: the address of the registration, or else the node's, and its port. There is
    /// none if either is missing.
    pub(crate) fn address(&self) -> Option<(&str, u16)> {
        let own = self.service.address.as_str();
        let host = if own.is_empty() { self.node.address.as_str() } else { own };
        let port = u16::try_from(self.service.port).ok().filter(|&port| port != 0)?;
        (!host.is_empty()).then_some((host, port))
    }
}

impl std::fmt::Display for Beyond<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Peer(name) => write!(out, "imported from the peer {name:?}"),
            Self::Partition(name) => write!(out, "in the partition {name:?}"),
            Self::Namespace(name) => write!(out, "in the namespace {name:?}"),
        }
    }
}

/// Reads null as the default.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &str) -> Entry {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_missing_null_or_new_is_no_error() {
        let sparse = entry(
            r#"{"Node":null,"Service":{"ID":"a","Tags":null,"Meta":null,"Port":80,"Weights":null,"New":1},"Checks":null}"#,
        );
        assert!(sparse.is_callable());
        assert_eq!(sparse.address(), None, "there is neither an address nor a node");
        assert!(entry("{}").address().is_none());
    }

    #[test]
    fn the_address_is_the_services_or_else_the_nodes() {
        let own = r#"{"Node":{"Address":"10.0.0.1"},"Service":{"Address":"10.0.0.2","Port":80}}"#;
        assert_eq!(entry(own).address(), Some(("10.0.0.2", 80)));
        let node = r#"{"Node":{"Address":"10.0.0.1"},"Service":{"Address":"","Port":80}}"#;
        assert_eq!(entry(node).address(), Some(("10.0.0.1", 80)));
    }

    #[test]
    fn a_port_that_is_none_is_no_address() {
        for port in [-1, 0, 70_000] {
            let json = format!(r#"{{"Node":{{"Address":"10.0.0.1"}},"Service":{{"Port":{port}}}}}"#);
            assert_eq!(entry(&json).address(), None, "{port}");
        }
    }

    #[test]
    fn the_weight_is_that_of_its_health_and_none_at_all_takes_it_out() {
        for (weights, status, weight, callable) in [
            ("null", "passing", 1, true),
            (r#"{"Passing":10,"Warning":3}"#, "passing", 10, true),
            (r#"{"Passing":10,"Warning":3}"#, "warning", 3, true),
            (r#"{"Passing":10,"Warning":0}"#, "warning", 0, false),
            (r#"{"Passing":10,"Warning":3}"#, "critical", 10, false),
        ] {
            let json = format!(r#"{{"Service":{{"Weights":{weights}}},"Checks":[{{"Status":"{status}"}}]}}"#);
            let entry = entry(&json);
            assert_eq!((entry.weight(), entry.is_callable()), (weight, callable), "{json}");
        }
    }

    #[test]
    fn the_zone_is_the_services_or_its_nodes_or_what_its_metadata_say() {
        for (node, service, meta, zone) in
            [("b", "a", "c", Some("a")), ("b", "", "c", Some("b")), ("", "", "c", Some("c")), ("", "", "", None)]
        {
            let json = format!(
                r#"{{"Node":{{"Locality":{{"Zone":"{node}"}}}},
                    "Service":{{"Locality":{{"Zone":"{service}"}},"Meta":{{"zone":"{meta}"}}}}}}"#
            );
            assert_eq!(entry(&json).zone(), zone, "{json}");
        }
        assert_eq!(entry(r#"{"Node":{"Locality":null},"Service":{"Locality":null}}"#).zone(), None);
    }

    #[test]
    fn what_is_of_a_peer_or_in_a_partition_or_namespace_is_not_called() {
        for (service, beyond) in [
            (r#""PeerName":"","Partition":"default","Namespace":"default""#, None),
            (r#""PeerName":null,"Partition":null"#, None),
            (r#""PeerName":"east","Partition":"a""#, Some(Beyond::Peer("east"))),
            (r#""Partition":"a","Namespace":"b""#, Some(Beyond::Partition("a"))),
            (r#""Partition":"default","Namespace":"b""#, Some(Beyond::Namespace("b"))),
        ] {
            let entry = entry(&format!(r#"{{"Service":{{{service}}}}}"#));
            assert_eq!((entry.beyond(), entry.is_callable()), (beyond, beyond.is_none()), "{service}");
        }
    }

    #[test]
    fn maintenance_is_known_by_its_check() {
        for (id, maintenance) in
            [("_node_maintenance", true), ("_service_maintenance:a", true), ("service:a", false), ("serfHealth", false)]
        {
            let json = format!(r#"{{"Checks":[{{"CheckID":"{id}","Status":"critical"}}]}}"#);
            assert_eq!(entry(&json).is_in_maintenance(), maintenance, "{id}");
        }
    }

    #[test]
    fn any_critical_check_excludes_and_a_warning_does_not() {
        for (statuses, callable) in [
            (vec![], true),
            (vec!["passing"], true),
            (vec!["passing", "warning"], true),
            (vec!["passing", "critical"], false),
            (vec!["critical", "warning"], false),
        ] {
            let checks = statuses.iter().map(|&status| Check { status: status.into(), ..Check::default() }).collect();
            assert_eq!(Entry { checks, ..Entry::default() }.is_callable(), callable, "{statuses:?}");
        }
    }
}
