//! What is written into the catalog past any agent: `PUT /v1/catalog/register` and `deregister`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    answer::Refusal,
    definition::{
        fields::{Fields, body, known_fields, nested, typed},
        service::{is_any, locality_mistake, nested_addresses},
    },
    duration::GoDuration,
    record::{Check, Locality, Node, Service, ServiceAddress, Status, Weights},
};

const FIELDS: [&str; 15] = [
    "Datacenter",
    "ID",
    "Node",
    "Address",
    "TaggedAddresses",
    "NodeMeta",
    "Service",
    "Check",
    "Checks",
    "Locality",
    "SkipNodeUpdate",
    "PeerName",
    "Token",
    "CreateIndex",
    "ModifyIndex",
];
const SERVICE: [&str; 18] = [
    "Kind",
    "ID",
    "Service",
    "Tags",
    "Address",
    "TaggedAddresses",
    "Meta",
    "Port",
    "Ports",
    "SocketPath",
    "Weights",
    "EnableTagOverride",
    "Locality",
    "Proxy",
    "Connect",
    "PeerName",
    "CreateIndex",
    "ModifyIndex",
];
const CHECK: [&str; 17] = [
    "Node",
    "CheckID",
    "Name",
    "Status",
    "Notes",
    "Output",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "Type",
    "Interval",
    "Timeout",
    "ExposedPort",
    "PeerName",
    "Definition",
    "CreateIndex",
    "ModifyIndex",
];
/// Spans of time in the definition of a check, which are shown as text however they were written.
const SPANS: [&str; 4] = ["Interval", "Timeout", "TTL", "DeregisterCriticalServiceAfter"];

/// A node as it is to be, with a service and checks.
#[derive(Debug)]
pub(crate) struct ExternalRegistration {
    pub(crate) node: Node,
    /// Whether a node that exists stays as it is.
    pub(crate) skip_node_update: bool,
    pub(crate) service: Option<Service>,
    pub(crate) checks: Vec<Check>,
}

/// What is to go: a service of a node, or a check, or the node.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ExternalRemoval {
    datacenter: String,
    pub(crate) node: String,
    #[serde(rename = "ServiceID")]
    pub(crate) service_id: String,
    #[serde(rename = "CheckID")]
    pub(crate) check_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Raw {
    datacenter: String,
    #[serde(rename = "ID")]
    id: String,
    node: String,
    address: String,
    tagged_addresses: Option<BTreeMap<String, String>>,
    node_meta: Option<BTreeMap<String, String>>,
    locality: Option<Locality>,
    skip_node_update: bool,
    peer_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RawService {
    kind: String,
    #[serde(rename = "ID")]
    id: String,
    service: String,
    tags: Vec<String>,
    address: String,
    tagged_addresses: BTreeMap<String, ServiceAddress>,
    meta: Option<BTreeMap<String, String>>,
    port: i64,
    socket_path: String,
    weights: Option<Weights>,
    enable_tag_override: bool,
    locality: Option<Locality>,
    connect: Connect,
    peer_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Connect {
    native: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RawCheck {
    node: String,
    #[serde(rename = "CheckID")]
    check_id: String,
    name: String,
    status: String,
    notes: String,
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    #[serde(rename = "Type")]
    kind: String,
    interval: String,
    timeout: String,
    peer_name: String,
    definition: Map<String, Value>,
}

/// Reads the body of a registration; `own` is the datacenter. What Consul's servers refuse is refused with 500.
pub(crate) fn external_registration(json: &[u8], own: &str) -> Result<ExternalRegistration, Refusal> {
    let mut fields = body(json, &FIELDS).map_err(enterprise)?;
    nested(&mut fields, "Locality", &["Region", "Zone"])?;
    let (service, checks) = (fields.remove("Service"), (fields.remove("Check"), fields.remove("Checks")));
    let raw: Raw = typed(fields)?;
    let service = service.map(|value| raw_service(known_fields(value, "Service", &SERVICE)?)).transpose()?;
    let checks = raw_checks(checks)?;
    let peers = [&raw.peer_name].into_iter().chain(service.iter().map(|service| &service.peer_name));
    if peers.chain(checks.iter().map(|check| &check.peer_name)).any(|peer| !peer.is_empty()) {
        return Err(Refusal::internal("cannot register requests with PeerName in them"));
    }
    let skip_node_update = raw.skip_node_update;
    let node = node(raw, own)?;
    let service = service.map(checked_service).transpose()?;
    let checks = checks.into_iter().map(|raw| check(raw, &node.name)).collect::<Result<_, _>>()?;
    Ok(ExternalRegistration { node, skip_node_update, service, checks })
}

/// Reads the body of `PUT /v1/catalog/deregister`.
pub(crate) fn external_removal(json: &[u8], own: &str) -> Result<ExternalRemoval, Refusal> {
    let known = ["Datacenter", "Node", "ServiceID", "CheckID", "PeerName", "Token", "Address"];
    let removal: ExternalRemoval = typed(body(json, &known).map_err(enterprise)?)?;
    known_datacenter(&removal.datacenter, own)?;
    if removal.node.is_empty() {
        return Err(Refusal::internal("Must provide node"));
    }
    Ok(removal)
}

/// Says of two unknown fields who knows them.
fn enterprise(refusal: Refusal) -> Refusal {
    let fields = [("\"Namespace\"", "Namespaces"), ("\"Partition\"", "Partitions")];
    match fields.into_iter().find(|(field, _)| refusal.text.ends_with(field)) {
        Some((_, what)) => Refusal::bad_request(format!("{} - {what} are a Consul Enterprise feature", refusal.text)),
        None => refusal,
    }
}

fn known_datacenter(named: &str, own: &str) -> Result<(), Refusal> {
    if named.is_empty() || named == own { Ok(()) } else { Err(Refusal::internal("No path to datacenter")) }
}

fn raw_service(mut fields: Fields) -> Result<RawService, Refusal> {
    nested(&mut fields, "Weights", &["Passing", "Warning"])?;
    nested(&mut fields, "Locality", &["Region", "Zone"])?;
    nested(&mut fields, "Connect", &["Native", "SidecarService", "PeerMeta"])?;
    nested_addresses(&mut fields)?;
    let proxied = ["Proxy", "Ports"].into_iter().find(|key| fields.get(*key).is_some_and(is_set));
    if let Some(key) = proxied {
        return Err(Refusal::internal(format!("this registry does not have {key}: leave it out, or use a Consul")));
    }
    typed(fields)
}

fn is_set(value: &Value) -> bool {
    value.as_object().is_none_or(|fields| !fields.is_empty()) && value.as_array().is_none_or(|items| !items.is_empty())
}

/// Those of `Checks`, then the one of `Check`.
fn raw_checks((check, checks): (Option<Value>, Option<Value>)) -> Result<Vec<RawCheck>, Refusal> {
    let Value::Array(checks) = checks.unwrap_or_else(|| Value::Array(Vec::new())) else {
        return Err(Refusal::bad_request("Request decode failed: json: Checks is no array"));
    };
    let each = checks.into_iter().chain(check).map(|value| typed(known_fields(value, "Checks", &CHECK)?));
    each.collect()
}

fn node(raw: Raw, own: &str) -> Result<Node, Refusal> {
    known_datacenter(&raw.datacenter, own)?;
    if raw.node.is_empty() {
        return Err(Refusal::internal("Must provide node"));
    }
    if !raw.id.is_empty() && Uuid::try_parse(&raw.id).is_err() {
        return Err(Refusal::internal(format!("Bad node ID: {:?} is no UUID", raw.id)));
    }
    if raw.address.is_empty() && !raw.skip_node_update {
        return Err(Refusal::internal("Must provide address if SkipNodeUpdate is not set"));
    }
    Ok(Node {
        id: raw.id,
        name: raw.node,
        datacenter: own.to_owned(),
        address: raw.address,
        tagged_addresses: raw.tagged_addresses,
        meta: raw.node_meta,
        locality: raw.locality,
    })
}

fn checked_service(raw: RawService) -> Result<Service, Refusal> {
    if let Some(mistake) = locality_mistake(raw.locality.as_ref()) {
        return Err(Refusal::internal(mistake));
    }
    if raw.service.is_empty() && raw.id.is_empty() {
        return Err(Refusal::internal(
            "service name (Service.Service) is required; both Service ID (Service.ID) and Service Name cannot be empty",
        ));
    }
    if raw.service.is_empty() {
        return Err(Refusal::internal("Must provide service name (Service.Service) when service ID is provided"));
    }
    if is_any(&raw.address) {
        return Err(Refusal::internal("Invalid service address"));
    }
    Ok(Service {
        id: if raw.id.is_empty() { raw.service.clone() } else { raw.id },
        name: raw.service,
        kind: raw.kind,
        tags: raw.tags,
        meta: raw.meta,
        port: raw.port,
        address: raw.address,
        socket_path: raw.socket_path,
        tagged_addresses: raw.tagged_addresses,
        weights: raw.weights.unwrap_or_default(),
        enable_tag_override: raw.enable_tag_override,
        native: raw.connect.native,
        locality: raw.locality,
    })
}

fn check(raw: RawCheck, node: &str) -> Result<Check, Refusal> {
    let id = if raw.check_id.is_empty() { raw.name.clone() } else { raw.check_id };
    if !raw.node.is_empty() && !raw.node.eq_ignore_ascii_case(node) {
        let text = format!("Node '{}' for check '{id}' doesn't match register request node '{node}'", raw.node);
        return Err(Refusal::internal(text));
    }
    let status = match raw.status.as_str() {
        "" => Status::Critical,
        // Consul takes any text.
        text => Status::parse(text).ok_or_else(|| {
            Refusal::internal(format!("this registry has no status {text:?}: use passing, warning or critical"))
        })?,
    };
    let definition = shown(raw.definition)?;
    let kind = if raw.kind.is_empty() { kind(&definition).to_owned() } else { raw.kind };
    Ok(Check {
        id,
        name: raw.name,
        notes: raw.notes,
        service_id: raw.service_id,
        service_name: String::new(),
        service_tags: Vec::new(),
        kind: kind.into(),
        interval: raw.interval,
        timeout: raw.timeout,
        status,
        output: raw.output,
        definition,
    })
}

/// Gives a definition the form in which it is shown: without what is empty, and with times as text.
fn shown(definition: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let mut definition: Map<_, _> = definition.into_iter().filter(|(_, value)| !value.is_null()).collect();
    for key in SPANS {
        let Some(value) = definition.get_mut(key) else { continue };
        let span: GoDuration = serde_json::from_value(value.take())
            .map_err(|error| Refusal::bad_request(format!("Request decode failed: json: field {key}: {error}")))?;
        *value = Value::String(span.to_string());
    }
    Ok(definition)
}

/// Returns the kind of check that a definition is of (Consul's `CheckType.Type`).
fn kind(definition: &Map<String, Value>) -> &'static str {
    let kinds =
        [("GRPC", "grpc"), ("HTTP", "http"), ("TCP", "tcp"), ("UDP", "udp"), ("H2PING", "h2ping"), ("TTL", "ttl")];
    kinds.into_iter().find(|(key, _)| definition.contains_key(*key)).map_or("", |(_, kind)| kind)
}

#[cfg(test)]
mod tests;
