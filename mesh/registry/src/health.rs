//! `/v1/health`: instances with the checks that decide about them.

use axum::extract::State;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal},
    blocking::{Backend, answer},
    filter::{Filter, shape},
    query::{Name, Read},
    record::{Check, Service, Status},
    state::{self, Deciding, Entry, Place},
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
    let tagged = |service: &Service| service.has_tags(read.query.all("tag"));
    let backend = if read.index > 0 || read.cached { Backend::Streaming } else { Backend::Blocking };
    let on = |place: Place<'_>| {
        let found: Vec<_> = place.instances(name).filter(|one| takes(&one.value) && tagged(&one.value)).collect();
        if found.is_empty() {
            return Vec::new();
        }
        let checks = place.deciding();
        let found = found.into_iter().filter(|one| !passing || passes(&checks, &one.value));
        let items = found.map(|one| instance(&place, one, &checks, backend));
        items.filter(|item| filter.matches(item)).collect()
    };
    let view = |state: &state::State| places(state, read).into_iter().flat_map(on).collect();
    answer(store, read, backend, |state| state.service_index(name), view).await
}

/// The checks of a service.
pub(crate) async fn checks(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing service name"));
    }
    let filter = read.query.filter(&shape::CHECK)?;
    let name = name.to_lowercase();
    let of_service = |check: &Check| check.service_name.to_lowercase() == name;
    let view = |state: &state::State| checks_that(&places(state, &read), &filter, of_service);
    answer(&store, &read, Backend::Blocking, |state| state.indexes.checks, view).await
}

/// The checks of the node and of all its services.
pub(crate) async fn node(State(store): State<Shared>, Name(name): Name, read: Read) -> Answer {
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing node name"));
    }
    let filter = read.query.filter(&shape::CHECK)?;
    let view = |state: &state::State| checks_that(state.place(&name).as_slice(), &filter, |_| true);
    answer(&store, &read, Backend::Blocking, |state| state.indexes.checks, view).await
}

/// The checks of a status, or `any`.
pub(crate) async fn state(State(store): State<Shared>, Name(status): Name, read: Read) -> Answer {
    if status.is_empty() {
        return Err(Refusal::bad_request("Missing check state"));
    }
    let filter = read.query.filter(&shape::CHECK)?;
    let of_status = |check: &Check| status == "any" || check.status.as_str() == status;
    let view = |state: &state::State| checks_that(&places(state, &read), &filter, of_status);
    answer(&store, &read, Backend::Blocking, |state| state.indexes.checks, view).await
}

/// The nodes that have the metadata that is asked for.
fn places<'a>(state: &'a state::State, read: &Read) -> Vec<Place<'a>> {
    let mut places = state.places();
    places.retain(|place| read.query.takes_node(place.node));
    places
}

fn instance(place: &Place<'_>, entry: &Entry<Service>, checks: &Deciding<'_>, backend: Backend) -> Value {
    let checks = checks.of(&entry.value.id).map(|check| wire::catalog_check(check, place.node));
    let (mut node, mut service) = (wire::node(place), wire::health_service(entry));
    if backend == Backend::Streaming {
        wire::empty_is_null(&mut node, &["TaggedAddresses", "Meta"]);
        wire::empty_is_null(&mut service, &["Meta"]);
    }
    json!({
        "Node": node,
        "Service": service,
        "Checks": checks.collect::<Vec<_>>(),
    })
}

fn checks_that(places: &[Place<'_>], filter: &Filter, takes: impl Fn(&Check) -> bool) -> Value {
    let on = |place: &Place<'_>| {
        let found = place.checks().into_iter().filter(|check| takes(&check.value));
        let items = found.map(|check| wire::catalog_check(check, place.node));
        items.filter(|item| filter.matches(item)).collect::<Vec<_>>()
    };
    places.iter().flat_map(on).collect()
}

fn passes(checks: &Deciding<'_>, service: &Service) -> bool {
    checks.of(&service.id).all(|check| check.value.status == Status::Passing)
}
