//! The registration of a service: `PUT /v1/agent/service/register`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    answer::Refusal,
    definition::{
        check::{CheckDefinition, service_checks},
        fields::{Fields, body, known_fields, nested, typed},
    },
    record::{Locality, Service, ServiceAddress, Weights},
};

const FIELDS: [&str; 18] = [
    "ID",
    "Name",
    "Kind",
    "Tags",
    "Address",
    "TaggedAddresses",
    "Meta",
    "Port",
    "SocketPath",
    "Check",
    "Checks",
    "Weights",
    "Token",
    "EnableTagOverride",
    "Locality",
    "Connect",
    "Proxy",
    "Ports",
];

/// Limits of Consul on the metadata of a service.
const META_PAIRS: usize = 64;
const META_KEY: usize = 128;
const META_VALUE: usize = 512;

/// A service and its checks as they are to be.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) service: Service,
    pub(crate) checks: Vec<CheckDefinition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Raw {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    kind: String,
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
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Connect {
    native: bool,
}

/// Reads the body of a registration.
pub(crate) fn service_registration(json: &[u8]) -> Result<Registration, Refusal> {
    let mut fields = body(json, &FIELDS)?;
    nested(&mut fields, "Weights", &["Passing", "Warning"])?;
    nested(&mut fields, "Locality", &["Region", "Zone"])?;
    nested(&mut fields, "Connect", &["Native", "SidecarService"])?;
    nested_addresses(&mut fields)?;
    let (check, checks) = (fields.remove("Check"), fields.remove("Checks"));
    unsupported(&fields)?;
    let raw: Raw = typed(fields)?;
    let service = service(raw)?;
    let checks = service_checks(check, checks, &service)?;
    Ok(Registration { service, checks })
}

/// Refuses what Consul does and this registry does not, rather than to leave it out in silence.
fn unsupported(fields: &Fields) -> Result<(), Refusal> {
    let sidecar = fields.get("Connect").and_then(|connect| connect.get("SidecarService"));
    let found = match (fields.get("Proxy"), fields.get("Ports"), sidecar) {
        (Some(_), ..) => "Proxy",
        (None, Some(ports), _) if ports.as_array().is_some_and(|ports| !ports.is_empty()) => "Ports",
        (.., Some(_)) => "Connect.SidecarService",
        _ => return Ok(()),
    };
    Err(Refusal::bad_request(format!(
        "Validation failed: this registry does not have {found}: leave it out, or use a Consul"
    )))
}

pub(crate) fn nested_addresses(fields: &mut Fields) -> Result<(), Refusal> {
    let Some(Value::Object(addresses)) = fields.get_mut("TaggedAddresses") else { return Ok(()) };
    for address in addresses.values_mut() {
        *address = Value::Object(known_fields(address.take(), "TaggedAddresses", &["Address", "Port"])?);
    }
    Ok(())
}

fn service(raw: Raw) -> Result<Service, Refusal> {
    if raw.name.is_empty() {
        return Err(Refusal::bad_request("Missing service name"));
    }
    if is_any(&raw.address) {
        return Err(Refusal::bad_request("Invalid service address"));
    }
    let weights = raw.weights.unwrap_or_default();
    let invalid = |what: &str, reason: String| Refusal::bad_request(format!("Invalid {what}: {reason}"));
    check_weights(&weights).map_err(|reason| invalid("Weights", reason.to_owned()))?;
    check_meta(raw.meta.iter().flatten()).map_err(|reason| invalid("Service Meta", reason))?;
    if let Some(mistake) = locality_mistake(raw.locality.as_ref()) {
        return Err(validation(mistake));
    }
    if raw.connect.native && raw.port == 0 && raw.socket_path.is_empty() {
        return Err(validation("Port or SocketPath must be set for a Connect native service."));
    }
    let tagged_addresses = with_own_address(raw.tagged_addresses, &raw.address, raw.port);
    Ok(Service {
        id: if raw.id.is_empty() { raw.name.clone() } else { raw.id },
        name: raw.name,
        kind: raw.kind,
        tags: raw.tags,
        meta: raw.meta,
        port: raw.port,
        address: raw.address,
        socket_path: raw.socket_path,
        tagged_addresses,
        weights,
        enable_tag_override: raw.enable_tag_override,
        native: raw.connect.native,
        locality: raw.locality,
    })
}

/// Whether an address is that of every interface: nobody can be reached there.
pub(crate) fn is_any(address: &str) -> bool {
    matches!(address, "0.0.0.0" | "::" | "[::]")
}

pub(crate) fn locality_mistake(place: Option<&Locality>) -> Option<&'static str> {
    let zone_alone = place.is_some_and(|place| place.region.is_empty() && !place.zone.is_empty());
    zone_alone.then_some("zone cannot be set without region")
}

fn validation(reason: &str) -> Refusal {
    Refusal::bad_request(format!("Validation failed: 1 error occurred:\n\t* {reason}\n\n"))
}

fn check_weights(weights: &Weights) -> Result<(), &'static str> {
    let most = i64::from(u16::MAX);
    if weights.passing < 1 {
        return Err("Passing must be greater than 0");
    }
    if weights.warning < 0 {
        return Err("Warning must be greater or equal than 0");
    }
    if weights.passing > most || weights.warning > most {
        return Err("DNS Weight must be between 0 and 65535");
    }
    Ok(())
}

fn check_meta<'a>(meta: impl Iterator<Item = (&'a String, &'a String)> + Clone) -> Result<(), String> {
    if meta.clone().count() > META_PAIRS {
        return Err(format!("Node metadata cannot contain more than {META_PAIRS} key/value pairs"));
    }
    for (key, value) in meta {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let reason = match key {
            _ if key.is_empty() => "Key cannot be blank".to_owned(),
            _ if !key.chars().all(plain) => "Key contains invalid characters".to_owned(),
            _ if key.len() > META_KEY => format!("Key is too long (limit: {META_KEY} characters)"),
            _ if key.starts_with("consul-") => "Key prefix 'consul-' is reserved for internal use".to_owned(),
            _ if value.len() > META_VALUE => format!("Value is too long (limit: {META_VALUE} characters)"),
            _ => continue,
        };
        return Err(format!("Couldn't load metadata pair ('{key}', '{value}'): {reason}"));
    }
    Ok(())
}

/// Adds the address under the names that Consul gives it, if it is an IP address.
fn with_own_address(
    mut addresses: BTreeMap<String, ServiceAddress>,
    address: &str,
    port: i64,
) -> BTreeMap<String, ServiceAddress> {
    let names = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip != Ipv4Addr::UNSPECIFIED => ["lan_ipv4", "wan_ipv4"],
        Ok(IpAddr::V6(ip)) if ip != Ipv6Addr::UNSPECIFIED => ["lan_ipv6", "wan_ipv6"],
        Ok(_) | Err(_) => return addresses,
    };
    for name in names {
        let own = ServiceAddress { address: address.to_owned(), port };
        addresses.entry(name.to_owned()).or_insert(own);
    }
    addresses
}

#[cfg(test)]
mod tests;
