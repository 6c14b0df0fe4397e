//! `/v1/health`: instances with the checks that decide about them.

use axum::extract::State;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal},
    blocking::{Backend, answer},
    filter::{Filter, shape},
    query::{Name, Read},
    record::{Service, Status},
    state::{self, CheckEntry, Entry},
    store::Shared,
    wire,
};

/// All instances of a service, by id; with `passing`, those of which no check fails.
pub(crate) async fn service(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    instances(&store, &name, &read, |_| true).await
}

/// The instances that speak mTLS themselves.
pub(crate) async fn connect(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if !name.is_empty() && !read.query.caller.sees() {
        read.query.caller.known()?;
        return Err(Refusal::forbidden("Permission denied"));
    }
    instances(&store, &name, &read, |service| service.native).await
}

async fn instances(store: &Shared, name: &str, read: &Read, takes: impl Fn(&Service) -> bool) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing service name"));
    }
    let passing = read.query.flag("passing").map_err(|()| Refusal::bad_request("Invalid value for ?passing"))?;
    let filter = read.query.filter(&shape::INSTANCE)?;
    let wanted = |state: &state::State, entry: &Entry<Service>| {
        let of_request = takes(&entry.value) && entry.value.has_tags(read.query.all("tag"));
        of_request && (!passing || passes(state, &entry.value)) && read.query.takes_node(state)
    };
    let view = |state: &state::State| {
        let found = state.instances(name).filter(|entry| wanted(state, entry));
        found.map(|entry| instance(state, entry)).filter(|item| filter.matches(item)).collect()
    };
    let backend = if read.index > 0 || read.cached { Backend::Streaming } else { Backend::Blocking };
    answer(store, read, backend, |state| state.service_index(name), view).await
}

/// The checks of a service.
pub(crate) async fn checks(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing service name"));
    }
    let filter = read.query.filter(&shape::CHECK)?;
    let name = name.to_lowercase();
    let of_service = |check: &&CheckEntry| check.catalog.value.service_name.to_lowercase() == name;
    let view = |state: &state::State| {
        let found = state.checks.values().filter(of_service).filter(|_| read.query.takes_node(state));
        found.map(|check| wire::catalog_check(check, &state.node)).filter(|item| filter.matches(item)).collect()
    };
    answer(&store, &read, Backend::Blocking, |state| state.indexes.checks, view).await
}

/// The checks of the node and of all its services.
pub(crate) async fn node(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing node name"));
    }
    let filter = read.query.filter(&shape::CHECK)?;
    let view = |state: &state::State| {
        let known = state.node.name.eq_ignore_ascii_case(&name);
        if known { with_status(state, "any", &filter) } else { json!([]) }
    };
    answer(&store, &read, Backend::Blocking, |state| state.indexes.checks, view).await
}

/// The checks of a status, or `any`.
pub(crate) async fn state(State(store): State<Shared>, Name(status): Name, read: Read) -> Answer {
    if status.is_empty() {
        return Err(Refusal::bad_request("Missing check state"));
    }
    let filter = read.query.filter(&shape::CHECK)?;
    let view = |state: &state::State| {
        if read.query.takes_node(state) { with_status(state, &status, &filter) } else { json!([]) }
    };
    answer(&store, &read, Backend::Blocking, |state| state.indexes.checks, view).await
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

fn with_status(state: &state::State, status: &str, filter: &Filter) -> Value {
    let of_status = |check: &Value| status == "any" || check["Status"] == status;
    let mut checks: Vec<Value> = state.checks.values().map(|check| wire::catalog_check(check, &state.node)).collect();
    let place = checks.iter().take_while(|check| before_serf(check)).count();
    checks.insert(place, wire::serf_health(state));
    checks.into_iter().filter(of_status).filter(|item| filter.matches(item)).collect()
}

/// Whether a check comes before that of the node itself.
fn before_serf(check: &Value) -> bool {
    check["CheckID"].as_str() < Some("serfHealth")
}

fn passes(state: &state::State, service: &Service) -> bool {
    state.checks_of(&service.id).all(|check| check.catalog.value.status == Status::Passing)
}
