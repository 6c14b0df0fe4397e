//! `/v1/health`: instances with the checks that decide about them.

use axum::extract::State;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal},
    blocking::{Backend, answer},
    query::{Name, Read},
    record::{Service, Status},
    state::{self, CheckEntry, Entry},
    store::Shared,
    wire,
};

/// All instances of a service, by id; with `passing`, those of which no check fails.
pub(crate) async fn service(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing service name"));
    }
    let passing = read.query.flag("passing").map_err(|()| Refusal::bad_request("Invalid value for ?passing"))?;
    let wanted = |state: &state::State, entry: &Entry<Service>| {
        entry.value.has_tags(read.query.all("tag")) && (!passing || passes(state, &entry.value))
    };
    let view = |state: &state::State| {
        let found = state.instances(&name).filter(|entry| wanted(state, entry));
        found.map(|entry| instance(state, entry)).collect()
    };
    let backend = if read.index > 0 || read.cached { Backend::Streaming } else { Backend::Blocking };
    Ok(answer(&store, &read, backend, |state| state.service_index(&name), view).await)
}

/// The checks of a service.
pub(crate) async fn checks(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing service name"));
    }
    let name = name.to_lowercase();
    let of_service = |check: &&CheckEntry| check.catalog.value.service_name.to_lowercase() == name;
    let view = |state: &state::State| {
        let found = state.checks.values().filter(of_service);
        found.map(|check| wire::catalog_check(check, &state.node)).collect()
    };
    Ok(answer(&store, &read, Backend::Blocking, |state| state.indexes.checks, view).await)
}

/// The checks of the node and of all its services.
pub(crate) async fn node(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing node name"));
    }
    let view = |state: &state::State| {
        let known = state.node.name.eq_ignore_ascii_case(&name);
        if known { with_status(state, "any") } else { json!([]) }
    };
    Ok(answer(&store, &read, Backend::Blocking, |state| state.indexes.checks, view).await)
}

/// The checks of a status, or `any`.
pub(crate) async fn state(State(store): State<Shared>, Name(status): Name, read: Read) -> Answer {
    if status.is_empty() {
        return Err(Refusal::bad_request("Missing check state"));
    }
    let view = |state: &state::State| with_status(state, &status);
    Ok(answer(&store, &read, Backend::Blocking, |state| state.indexes.checks, view).await)
}

fn instance(state: &state::State, entry: &Entry<Service>) -> Value {
    let of_services = state.checks_of(&entry.value.id).map(|check| wire::catalog_check(check, &state.node));
    let mut checks: Vec<Value> = of_services.collect();
    // Those of the node come first, in the order of their ids.
    let place = checks.iter().take_while(|check| check["ServiceID"] == "" && before_serf(check)).count();
    checks.insert(place, wire::serf_health(state));
    json!({
        "Node": wire::node(&state.node, &state.indexes),
        "Service": wire::health_service(entry),
        "Checks": checks,
    })
}

fn with_status(state: &state::State, status: &str) -> Value {
    let of_status = |check: &Value| status == "any" || check["Status"] == status;
    let mut checks: Vec<Value> = state.checks.values().map(|check| wire::catalog_check(check, &state.node)).collect();
    let place = checks.iter().take_while(|check| before_serf(check)).count();
    checks.insert(place, wire::serf_health(state));
    checks.into_iter().filter(of_status).collect()
}

/// Whether a check comes before that of the node itself.
fn before_serf(check: &Value) -> bool {
    check["CheckID"].as_str() < Some("serfHealth")
}

fn passes(state: &state::State, service: &Service) -> bool {
    state.checks_of(&service.id).all(|check| check.catalog.value.status == Status::Passing)
}
