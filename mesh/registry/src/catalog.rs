//! `/v1/catalog`: nodes, and services with their instances.

use std::collections::BTreeMap;

use axum::extract::State;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal, json},
    blocking::{Backend, answer},
    query::{Name, Read},
    state,
    store::Shared,
    wire,
};

/// The service that the servers themselves are; it has no instance here.
const SERVER: &str = "consul";

pub(crate) async fn datacenters(State(store): State<Shared>) -> Answer {
    Ok(json(&json!([store.datacenter()])))
}

pub(crate) async fn nodes(State(store): State<Shared>, read: Read) -> Answer {
    // As in Consul, services change the index of their nodes.
    let view = |state: &state::State| json!([wire::node(&state.node, &state.indexes)]);
    Ok(answer(&store, &read, Backend::Blocking, |state| state.indexes.services, view).await)
}

pub(crate) async fn services(State(store): State<Shared>, read: Read) -> Answer {
    Ok(answer(&store, &read, Backend::Blocking, |state| state.indexes.services, names).await)
}

pub(crate) async fn service(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing service name"));
    }
    let view = |state: &state::State| {
        let found = state.instances(&name).filter(|entry| entry.value.has_tags(read.query.all("tag")));
        found.map(|entry| wire::catalog_service(entry, &state.node)).collect()
    };
    Ok(answer(&store, &read, Backend::Blocking, |state| state.service_index(&name), view).await)
}

/// The names of services, each with the tags of all its instances.
fn names(state: &state::State) -> Value {
    let mut names = BTreeMap::from([(SERVER, Vec::new())]);
    for entry in state.services.values() {
        let tags: &mut Vec<&str> = names.entry(&entry.value.name).or_default();
        for tag in &entry.value.tags {
            if !tags.contains(&tag.as_str()) {
                tags.push(tag);
            }
        }
    }
    json!(names)
}
