//! The JSON of nodes, services and checks, each in the shape that its endpoint gives it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde_json::{Map, Value, json};

use crate::{
    record::{Check, Node, Service, Weights},
    state::{CheckEntry, Entry, Place},
};

/// The port of Consul's servers; nothing listens there.
pub(crate) const SERVER_PORT: u16 = 8300;

/// A node in `catalog/nodes`, and within `health/service`.
pub(crate) fn node(place: &Place<'_>) -> Value {
    let node = place.node;
    let mut value = json!({
        "ID": node.id,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": node.datacenter,
        "TaggedAddresses": node.tagged_addresses,
        "Meta": node.meta,
        "CreateIndex": place.created,
        "ModifyIndex": place.modified,
    });
    if let Some(locality) = &node.locality {
        value["Locality"] = json!(locality);
    }
    value
}

/// A service in `agent/services`.
pub(crate) fn agent_service(service: &Service, node: &Node) -> Value {
    let mut value = common_service(service);
    value["Meta"] = map(service.meta.as_ref());
    value["Port"] = json!(service.port);
    value["Datacenter"] = json!(node.datacenter);
    if service.native {
        value["Connect"] = json!({ "Native": true });
    }
    value
}

/// A hash that changes with what `agent/service/:id` tells.
pub(crate) fn content_hash(service: &Service) -> String {
    let mut hasher = DefaultHasher::new();
    service.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A service within `health/service`: what is not set is left out, or null.
pub(crate) fn health_service(entry: &Entry<Service>) -> Value {
    let service = &entry.value;
    let mut value = common_service(service);
    value["Meta"] = json!(service.meta);
    if service.port != 0 {
        value["Port"] = json!(service.port);
    }
    value["Proxy"] = no_proxy();
    value["Connect"] = connect(service);
    value["PeerName"] = json!("");
    value["CreateIndex"] = json!(entry.created);
    value["ModifyIndex"] = json!(entry.modified);
    value
}

/// Metadata where readers are given a map always.
fn map(meta: Option<&BTreeMap<String, String>>) -> Value {
    meta.map_or_else(|| json!({}), |meta| json!(meta))
}

/// Makes null, in a member of an answer, of a map that is empty: a stream of changes does not tell them from each other.
pub(crate) fn empty_is_null(value: &mut Value, members: &[&str]) {
    for member in members {
        if value[member].as_object().is_some_and(Map::is_empty) {
            value[member] = Value::Null;
        }
    }
}

fn common_service(service: &Service) -> Value {
    let mut value = json!({
        "ID": service.id,
        "Service": service.name,
        "Tags": service.tags,
        "Address": service.address,
        "Weights": service.weights,
        "EnableTagOverride": service.enable_tag_override,
    });
    for (key, text) in [("Kind", &service.kind), ("SocketPath", &service.socket_path)] {
        if !text.is_empty() {
            value[key] = json!(text);
        }
    }
    if !service.tagged_addresses.is_empty() {
        value["TaggedAddresses"] = json!(service.tagged_addresses);
    }
    if let Some(place) = &service.locality {
        value["Locality"] = json!(place);
    }
    value
}

/// A service in `catalog/service`: the fields of its node beside its own.
pub(crate) fn catalog_service(entry: &Entry<Service>, node: &Node) -> Value {
    let service = &entry.value;
    let mut value = json!({
        "ID": node.id,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": node.datacenter,
        "TaggedAddresses": node.tagged_addresses,
        "NodeMeta": node.meta,
        "ServiceKind": service.kind,
        "ServiceID": service.id,
        "ServiceName": service.name,
        "ServiceTags": service.tags,
        "ServiceAddress": service.address,
        "ServiceWeights": service.weights,
        "ServiceMeta": map(service.meta.as_ref()),
        "ServicePort": service.port,
        "ServicePorts": null,
        "ServiceSocketPath": service.socket_path,
        "ServiceEnableTagOverride": service.enable_tag_override,
        "ServiceProxy": no_proxy(),
        "ServiceConnect": connect(service),
        "ServiceLocality": service.locality,
        "CreateIndex": entry.created,
        "ModifyIndex": entry.modified,
    });
    if !service.tagged_addresses.is_empty() {
        value["ServiceTaggedAddresses"] = json!(service.tagged_addresses);
    }
    value
}

/// What `catalog/services` knows of the servers themselves, for its filter.
pub(crate) fn server(name: &str, node: &Node) -> Value {
    json!({
        "ID": node.id,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": node.datacenter,
        "TaggedAddresses": node.tagged_addresses,
        "NodeMeta": node.meta,
        "ServiceID": name,
        "ServiceName": name,
        "ServiceWeights": Weights::default(),
        "ServicePort": SERVER_PORT,
    })
}

fn no_proxy() -> Value {
    json!({ "Mode": "", "MeshGateway": {}, "Expose": {} })
}

fn connect(service: &Service) -> Value {
    if service.native { json!({ "Native": true }) } else { json!({}) }
}

/// A check in `health/*`.
pub(crate) fn catalog_check(entry: &Entry<Check>, node: &Node) -> Value {
    let mut value = check(&entry.value, node);
    value["CreateIndex"] = json!(entry.created);
    value["ModifyIndex"] = json!(entry.modified);
    value
}

/// A check in `agent/checks`.
pub(crate) fn agent_check(entry: &CheckEntry, node: &Node) -> Value {
    check(&entry.local, node)
}

fn check(check: &Check, node: &Node) -> Value {
    json!({
        "Node": node.name,
        "CheckID": check.id,
        "Name": check.name,
        "Status": check.status,
        "Notes": check.notes,
        "Output": check.output,
        "ServiceID": check.service_id,
        "ServiceName": check.service_name,
        "ServiceTags": check.service_tags,
        "Type": check.kind,
        "Interval": check.interval,
        "Timeout": check.timeout,
        "ExposedPort": 0,
        "Definition": check.definition,
        "CreateIndex": 0,
        "ModifyIndex": 0,
    })
}

/// A check within `agent/health/service`: without its type, and with a definition that is always empty.
pub(crate) fn agent_health_check(check: &Check, node: &Node) -> Value {
    let tags = if check.service_tags.is_empty() { Value::Null } else { json!(check.service_tags) };
    json!({
        "Node": node.name,
        "CheckID": check.id,
        "Name": check.name,
        "Status": check.status,
        "Notes": check.notes,
        "Output": check.output,
        "ServiceID": check.service_id,
        "ServiceName": check.service_name,
        "ServiceTags": tags,
        "Type": "",
        "ExposedPort": 0,
        "Definition": {
            "Interval": "0s",
            "Timeout": "0s",
            "DeregisterCriticalServiceAfter": "0s",
            "HTTP": "",
            "Header": null,
            "Method": "",
            "Body": "",
            "TLSServerName": "",
            "TLSSkipVerify": false,
            "TCP": "",
            "TCPUseTLS": false,
            "UDP": "",
            "GRPC": "",
            "OSService": "",
            "GRPCUseTLS": false,
        },
        "CreateIndex": 0,
        "ModifyIndex": 0,
    })
}
