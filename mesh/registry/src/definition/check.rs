//! The definition of a check: within a registration of a service, or `PUT /v1/agent/check/register`.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    answer::Refusal,
    definition::fields::{Fields, body, known_fields, typed},
    duration::GoDuration,
    record::{Check, Service, Status},
};

/// The keys that every check has.
const FIELDS: [&str; 31] = [
    "Name",
    "Status",
    "Notes",
    "ServiceID",
    "HTTP",
    "Header",
    "Method",
    "Body",
    "DisableRedirects",
    "TCP",
    "TCPUseTLS",
    "GRPC",
    "GRPCUseTLS",
    "TLSServerName",
    "TLSSkipVerify",
    "Interval",
    "Timeout",
    "TTL",
    "SuccessBeforePassing",
    "FailuresBeforeWarning",
    "FailuresBeforeCritical",
    "DeregisterCriticalServiceAfter",
    "OutputMaxSize",
    // Known to Consul, and refused below unless empty.
    "ScriptArgs",
    "Args",
    "H2PING",
    "H2PingUseTLS",
    "UDP",
    "AliasNode",
    "AliasService",
    "OSService",
];
const FURTHER: [&str; 4] = ["DockerContainerID", "Shell", "ProxyHTTP", "ProxyGRPC"];
/// Kinds of checks that this registry does not run.
const NOT_RUN: [&str; 8] =
    ["H2PING", "UDP", "AliasNode", "AliasService", "OSService", "DockerContainerID", "TCPUseTLS", "GRPCUseTLS"];

/// A check as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckDefinition {
    pub(crate) view: Check,
    pub(crate) ttl: Option<Duration>,
    pub(crate) probe: Option<Probe>,
    pub(crate) deregister_after: Option<Duration>,
}

/// What is to be asked, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) target: Target,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) success_before_passing: u32,
    pub(crate) failures_before_warning: u32,
    pub(crate) failures_before_critical: u32,
}

/// Whom a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    /// `host:port` and the name of the service asked for.
    Grpc {
        address: String,
        service: String,
    },
    /// `host:port`.
    Tcp {
        address: String,
    },
    Http {
        url: String,
        method: String,
        headers: BTreeMap<String, Vec<String>>,
        body: String,
    },
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Raw {
    #[serde(rename = "CheckID")]
    check_id: String,
    #[serde(rename = "ID")]
    id: String,
    name: String,
    status: String,
    notes: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    #[serde(rename = "HTTP")]
    http: String,
    header: BTreeMap<String, Vec<String>>,
    method: String,
    body: String,
    #[serde(rename = "TCP")]
    tcp: String,
    #[serde(rename = "GRPC")]
    grpc: String,
    interval: GoDuration,
    timeout: GoDuration,
    #[serde(rename = "TTL")]
    ttl: GoDuration,
    success_before_passing: u32,
    failures_before_warning: u32,
    failures_before_critical: u32,
    deregister_critical_service_after: GoDuration,
}

/// Reads the checks of a registration; they are numbered in their order, `Check` before `Checks`.
pub(crate) fn service_checks(
    check: Option<Value>,
    checks: Option<Value>,
    service: &Service,
) -> Result<Vec<CheckDefinition>, Refusal> {
    let mut found = Vec::new();
    if let Some(check) = check {
        let raw = read(known_fields(check, "Check", &known("CheckID"))?)?;
        // An empty object is no check.
        found.extend((raw != Raw::default()).then_some(raw));
    }
    let Value::Array(checks) = checks.unwrap_or_else(|| Value::Array(Vec::new())) else {
        return Err(Refusal::bad_request("Request decode failed: json: Checks is no array"));
    };
    for check in checks {
        found.push(read(known_fields(check, "Checks", &known("CheckID"))?)?);
    }
    let alone = found.len() == 1;
    let numbered = found.into_iter().zip(1..);
    numbered.map(|(raw, n)| service_check(raw, if alone { None } else { Some(n) }, service)).collect()
}

/// Reads the body of `PUT /v1/agent/check/register`. `service_of` finds the service it names.
pub(crate) fn check_registration(
    json: &[u8],
    service_of: impl Fn(&str) -> Option<Service>,
) -> Result<CheckDefinition, Refusal> {
    let mut keys = known("ID");
    keys.push("Token");
    let raw = read(body(json, &keys)?)?;
    if raw.name.is_empty() {
        return Err(Refusal::bad_request("Missing check name"));
    }
    if !raw.status.is_empty() && Status::parse(&raw.status).is_none() {
        return Err(Refusal::bad_request("Bad check status"));
    }
    validate(&raw)?;
    let service = match raw.service_id.as_str() {
        "" => None,
        id => Some(service_of(id).ok_or_else(|| Refusal::not_found(format!("ServiceID {id:?} does not exist")))?),
    };
    let id = if raw.id.is_empty() { raw.name.clone() } else { raw.id.clone() };
    let mut definition = definition(raw, id, service.as_ref())?;
    // Consul writes these two only here when they are not set.
    for span in [&mut definition.view.interval, &mut definition.view.timeout] {
        if span.is_empty() {
            "0s".clone_into(span);
        }
    }
    Ok(definition)
}

/// Reads the body of `PUT /v1/agent/check/update/:id`.
pub(crate) fn check_update(json: &[u8]) -> Result<(Status, String), Refusal> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Update {
        status: String,
        output: String,
    }
    let Update { status, output } = typed(body(json, &["Status", "Output"])?)?;
    let known = Status::parse(&status);
    known
        .map(|status| (status, output))
        .ok_or_else(|| Refusal::bad_request(format!("Invalid check status: '{status}'")))
}

/// The keys of a check, whose own id has another name in a registration and alone.
fn known(id: &'static str) -> Vec<&'static str> {
    FIELDS.iter().chain(&FURTHER).copied().chain([id]).collect()
}

fn read(fields: Fields) -> Result<Raw, Refusal> {
    let set = |key: &&str| fields.get(*key).is_some_and(|value| !is_zero(value));
    if ["Args", "ScriptArgs"].iter().any(set) {
        return Err(Refusal::internal(
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
        ));
    }
    if let Some(key) = NOT_RUN.iter().copied().find(set) {
        return Err(Refusal::bad_request(format!(
            "Invalid check: this registry runs no {key} checks: use TTL, or plain GRPC, HTTP or TCP"
        )));
    }
    typed(fields)
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn service_check(mut raw: Raw, number: Option<u32>, service: &Service) -> Result<CheckDefinition, Refusal> {
    validate(&raw)?;
    if !raw.status.is_empty() && Status::parse(&raw.status).is_none() {
        return Err(Refusal::bad_request("Status for checks must 'passing', 'warning', 'critical'"));
    }
    let id = match (raw.check_id.as_str(), number) {
        ("", None) => format!("service:{}", service.id),
        ("", Some(n)) => format!("service:{}:{n}", service.id),
        (id, _) => id.to_owned(),
    };
    if raw.name.is_empty() {
        raw.name = format!("Service '{}' check", service.name);
    }
    definition(raw, id, Some(service))
}

fn validate(raw: &Raw) -> Result<(), Refusal> {
    let probed = [&raw.http, &raw.tcp, &raw.grpc].iter().any(|target| !target.is_empty());
    let (every, ttl) = (raw.interval.positive(), raw.ttl.positive());
    let reason = if every.is_some() && ttl.is_some() {
        "Interval and TTL cannot both be specified"
    } else if probed && every.is_none() {
        "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"
    } else if !probed && ttl.is_none() {
        "TTL must be > 0 for TTL checks"
    } else if raw.failures_before_critical > 0 && raw.failures_before_warning > raw.failures_before_critical {
        "FailuresBeforeWarning can't be higher than FailuresBeforeCritical"
    } else {
        return Ok(());
    };
    Err(Refusal::bad_request(format!("Invalid check: {reason}")))
}

fn definition(raw: Raw, id: String, service: Option<&Service>) -> Result<CheckDefinition, Refusal> {
    let span = |length: GoDuration| if length == GoDuration::default() { String::new() } else { length.to_string() };
    let (interval, timeout) = (span(raw.interval), span(raw.timeout));
    let ttl = raw.ttl.positive();
    let deregister_after = raw.deregister_critical_service_after.positive();
    let (name, notes, status) = (raw.name.clone(), raw.notes.clone(), Status::parse(&raw.status));
    let probe = if ttl.is_some() { None } else { Some(probe(raw)?) };
    let kind = match probe.as_ref().map(|probe| &probe.target) {
        None => "ttl",
        Some(Target::Grpc { .. }) => "grpc",
        Some(Target::Tcp { .. }) => "tcp",
        Some(Target::Http { .. }) => "http",
    };
    let of_service = |field: fn(&Service) -> &str| service.map(field).unwrap_or_default().to_owned();
    let view = Check {
        id,
        name,
        notes,
        service_id: of_service(|service| &service.id),
        service_name: of_service(|service| &service.name),
        service_tags: service.map(|service| service.tags.clone()).unwrap_or_default(),
        kind: kind.into(),
        interval,
        timeout,
        status: status.unwrap_or_default(),
        output: String::new(),
        definition: Map::new(),
    };
    Ok(CheckDefinition { view, ttl, probe, deregister_after })
}

/// The shortest time between two probes, and how long one may take by default (Consul's values).
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

fn probe(raw: Raw) -> Result<Probe, Refusal> {
    let target = if !raw.grpc.is_empty() {
        let (address, service) = raw.grpc.split_once('/').unwrap_or((&raw.grpc, ""));
        Target::Grpc { address: address.to_owned(), service: service.to_owned() }
    } else if !raw.http.is_empty() {
        if !raw.http.starts_with("http://") {
            return Err(Refusal::bad_request(
                "Invalid check: this registry runs HTTP checks of http:// only: use that, TCP or TTL",
            ));
        }
        let method = if raw.method.is_empty() { "GET".to_owned() } else { raw.method };
        Target::Http { url: raw.http, method, headers: raw.header, body: raw.body }
    } else {
        Target::Tcp { address: raw.tcp }
    };
    let failures_before_critical = raw.failures_before_critical;
    let failures_before_warning =
        if raw.failures_before_warning == 0 { failures_before_critical } else { raw.failures_before_warning };
    Ok(Probe {
        target,
        interval: raw.interval.positive().unwrap_or(MIN_INTERVAL).max(MIN_INTERVAL),
        timeout: raw.timeout.positive().unwrap_or(DEFAULT_TIMEOUT),
        success_before_passing: raw.success_before_passing,
        failures_before_warning,
        failures_before_critical,
    })
}

#[cfg(test)]
mod tests;
