//! `/v1/catalog`: nodes, and services with their instances; read, and written past any agent.

mod write;

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderValue};
use serde_json::{Map, Value, json};

pub(crate) use crate::catalog::write::{deregister, register};
use crate::{
    answer::{Answer, Refusal, headers, json},
    blocking::{Backend, answer},
    filter::{Filter, shape},
    query::{self, Name, Query, Read},
    record::Service,
    state::{self, Entry, Place},
    store::Shared,
    wire,
};

/// The service that the servers themselves are; it has no instance here.
const SERVER: &str = "consul";

pub(crate) async fn datacenters(State(store): State<Shared>) -> Answer {
    Ok(json(&json!([store.datacenter()])))
}

pub(crate) async fn nodes(State(store): State<Shared>, query: Query) -> Answer {
    query.unpartitioned()?;
    let read = query::read(query, store.datacenter())?;
    let filter = read.query.filter(&shape::NODE)?;
    let view = |state: &state::State| {
        let places = state.places();
        let nodes = places.iter().filter(|place| read.query.takes_node(place.node)).map(wire::node);
        nodes.filter(|node| filter.matches(node)).collect()
    };
    answer(&store, &read, Backend::Blocking, |state| state.indexes.nodes, view).await
}

/// A node with its services, by id; null if there is none of that name.
pub(crate) async fn node(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing node name"));
    }
    let filter = read.query.filter(&shape::SERVICE)?;
    let view = |state: &state::State| {
        let Some(place) = state.place(&name) else { return Value::Null };
        let services = place.services().map(|entry| (entry.value.id.clone(), wire::health_service(entry)));
        let services: Map<_, _> = services.filter(|(_, service)| filter.matches(service)).collect();
        json!({ "Node": wire::node(&place), "Services": services })
    };
    let index = |state: &state::State| state.place(&name).map_or(1, |place| place.index);
    answer(&store, &read, Backend::Blocking, index, view).await
}

pub(crate) async fn services(State(store): State<Shared>, read: Read) -> Answer {
    let filter = read.query.filter(&shape::CATALOG_SERVICE)?;
    let view = |state: &state::State| {
        let places = state.places().into_iter().filter(|place| read.query.takes_node(place.node));
        names(state, &places.collect::<Vec<_>>(), &filter)
    };
    answer(&store, &read, Backend::Blocking, |state| state.indexes.services, view).await
}

pub(crate) async fn service(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    instances(&store, &name, &read, |_| true).await
}

/// The instances that speak mTLS themselves.
pub(crate) async fn connect(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    let mut response = instances(&store, &name, &read, |service| service.native).await?;
    if !read.query.caller.sees() {
        // As in Consul, which answers this one from nowhere.
        response.headers_mut().insert(headers::KNOWN_LEADER, HeaderValue::from_static("false"));
    }
    Ok(response)
}

async fn instances(store: &Shared, name: &str, read: &Read, takes: impl Fn(&Service) -> bool) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing service name"));
    }
    let filter = read.query.filter(&shape::CATALOG_SERVICE)?;
    let wanted = |entry: &&Entry<Service>| takes(&entry.value) && entry.value.has_tags(read.query.all("tag"));
    let on = |place: Place<'_>| {
        let found = place.instances(name).filter(wanted).filter(|_| read.query.takes_node(place.node));
        let items = found.map(|entry| wire::catalog_service(entry, place.node));
        items.filter(|item| filter.matches(item)).collect::<Vec<_>>()
    };
    let view = |state: &state::State| state.places().into_iter().flat_map(on).collect();
    answer(store, read, Backend::Blocking, |state| state.service_index(name), view).await
}

/// The names of services, each with the tags of all its instances that pass the filter.
fn names(state: &state::State, places: &[Place<'_>], filter: &Filter) -> Value {
    let mut names = BTreeMap::new();
    let own = places.iter().any(|place| place.node.name == state.node.name);
    if own && filter.matches(&wire::server(SERVER, &state.node)) {
        names.insert(SERVER, Vec::new());
    }
    for place in places {
        let passes = |entry: &&Entry<Service>| filter.matches(&wire::catalog_service(entry, place.node));
        for entry in place.services().filter(passes) {
            let tags: &mut Vec<&str> = names.entry(&entry.value.name).or_default();
            let new = entry.value.tags.iter().filter(|tag| !tags.contains(&tag.as_str()));
            let new: Vec<_> = new.map(String::as_str).collect();
            tags.extend(new);
        }
    }
    json!(names)
}
