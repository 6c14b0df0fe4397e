//! `/v1/catalog`: nodes, and services with their instances.

use std::collections::BTreeMap;

use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, Refusal, json},
    blocking::{Backend, answer},
    filter::{Filter, shape},
    query::{Name, Read},
    record::Service,
    state::{self, Entry},
    store::Shared,
    wire,
};

/// The service that the servers themselves are; it has no instance here.
const SERVER: &str = "consul";

pub(crate) async fn datacenters(State(store): State<Shared>) -> Answer {
    Ok(json(&json!([store.datacenter()])))
}

pub(crate) async fn nodes(State(store): State<Shared>, read: Read) -> Answer {
    let filter = read.query.filter(&shape::NODE)?;
    let view = |state: &state::State| {
        let node = wire::node(&state.node, &state.indexes);
        if read.query.takes_node(state) && filter.matches(&node) { json!([node]) } else { json!([]) }
    };
    // As in Consul, services change the index of their nodes.
    answer(&store, &read, Backend::Blocking, |state| state.indexes.services, view).await
}

/// A node with its services, by id; null if there is none of that name.
pub(crate) async fn node(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing node name"));
    }
    let filter = read.query.filter(&shape::SERVICE)?;
    let known = |state: &state::State| state.node.name.eq_ignore_ascii_case(&name);
    let view = |state: &state::State| {
        if !known(state) {
            return Value::Null;
        }
        let services = state.services.values().map(|entry| (entry.value.id.clone(), wire::health_service(entry)));
        let services: Map<_, _> = services.filter(|(_, service)| filter.matches(service)).collect();
        json!({ "Node": wire::node(&state.node, &state.indexes), "Services": services })
    };
    let index = |state: &state::State| if known(state) { state.indexes.services } else { 1 };
    answer(&store, &read, Backend::Blocking, index, view).await
}

pub(crate) async fn services(State(store): State<Shared>, read: Read) -> Answer {
    let filter = read.query.filter(&shape::CATALOG_SERVICE)?;
    let view = |state: &state::State| {
        if read.query.takes_node(state) { names(state, &filter) } else { json!({}) }
    };
    answer(&store, &read, Backend::Blocking, |state| state.indexes.services, view).await
}

pub(crate) async fn service(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    instances(&store, &name, &read, |_| true).await
}

/// The instances that speak mTLS themselves.
pub(crate) async fn connect(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    instances(&store, &name, &read, |service| service.native).await
}

async fn instances(store: &Shared, name: &str, read: &Read, takes: impl Fn(&Service) -> bool) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing service name"));
    }
    let filter = read.query.filter(&shape::CATALOG_SERVICE)?;
    let wanted = |entry: &&Entry<Service>| takes(&entry.value) && entry.value.has_tags(read.query.all("tag"));
    let view = |state: &state::State| {
        let found = state.instances(name).filter(wanted).filter(|_| read.query.takes_node(state));
        found.map(|entry| wire::catalog_service(entry, &state.node)).filter(|item| filter.matches(item)).collect()
    };
    answer(store, read, Backend::Blocking, |state| state.service_index(name), view).await
}

/// The names of services, each with the tags of all its instances that pass the filter.
fn names(state: &state::State, filter: &Filter) -> Value {
    let mut names = BTreeMap::new();
    if filter.matches(&wire::server(SERVER, &state.node)) {
        names.insert(SERVER, Vec::new());
    }
    let passes = |entry: &&Entry<Service>| filter.matches(&wire::catalog_service(entry, &state.node));
    for entry in state.services.values().filter(passes) {
        let tags: &mut Vec<&str> = names.entry(&entry.value.name).or_default();
        for tag in &entry.value.tags {
            if !tags.contains(&tag.as_str()) {
                tags.push(tag);
            }
        }
    }
    json!(names)
}
