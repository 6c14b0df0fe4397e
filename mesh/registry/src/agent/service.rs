//! Services of the agent: registered, listed, put into maintenance, removed.

use axum::{body::Bytes, extract::State, http::HeaderValue, response::IntoResponse};
use serde_json::{Map, json};
use tokio::time::Instant;
use tracing::info;

use crate::{
    answer::{Answer, Refusal, done, headers, json},
    blocking::wait_until,
    definition::service_registration,
    filter::shape,
    query::{Name, Query, Scoped},
    state,
    store::{Shared, Store},
    wire::{agent_service, content_hash},
};

pub(crate) async fn list(State(store): State<Shared>, Scoped(query): Scoped) -> Answer {
    let filter = query.filter(&shape::SERVICE)?;
    let services = store.read(|state| {
        let entries = state.services.values().filter(|_| query.caller.sees());
        let items = entries.map(|entry| (entry.value.id.clone(), agent_service(&entry.value, &state.node)));
        items.filter(|(_, item)| filter.matches(item)).collect::<Map<_, _>>()
    });
    Ok(json(&services.into()))
}

/// One service. With the hash that an earlier answer had, the answer waits until there is another.
pub(crate) async fn one(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    let hash = |state: &state::State| state.services.get(&id).map(|entry| content_hash(&entry.value));
    let (_, wait) = query.waiting()?;
    if let Some(known) = query.get("hash").filter(|known| !known.is_empty()) {
        may(&store, &query, "service:read", &id)?;
        let changed = |state: &state::State| hash(state).as_deref() != Some(known);
        wait_until(&store, wait, changed).await;
    }
    may(&store, &query, "service:read", &id)?;
    let found = store.read(|state| {
        let service = agent_service(&state.services.get(&id)?.value, &state.node);
        Some((service, hash(state)?))
    });
    let Some((mut service, hash)) = found else {
        return Err(Refusal::not_found(format!("unknown service ID: {id}")));
    };
    service["ContentHash"] = json!(hash);
    let header = HeaderValue::try_from(hash).map_err(|_| Refusal::internal("a hash is no header"))?;
    Ok(([(headers::CONTENT_HASH, header)], json(&service)).into_response())
}

pub(crate) async fn register(State(store): State<Shared>, Scoped(query): Scoped, body: Bytes) -> Answer {
    let registration = service_registration(&body)?;
    let replace = matches!(query.get("replace-existing-checks"), Some("" | "true"));
    let (id, name) = (registration.service.id.clone(), registration.service.name.clone());
    query.caller.may("service:write", &name)?;
    may(&store, &query, "service:write", &id)?;
    store.write(|state| state.register(registration, replace, Instant::now()));
    info!(service = %name, %id, "registered");
    Ok(done())
}

pub(crate) async fn deregister(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    may(&store, &query, "service:write", &id)?;
    if !store.write(|state| state.deregister(&id)) {
        return Err(unknown(&id));
    }
    info!(%id, "deregistered");
    Ok(done())
}

pub(crate) async fn maintenance(State(store): State<Shared>, Name(id): Name, query: Query) -> Answer {
    if id.is_empty() {
        return Err(Refusal::bad_request("Missing service ID"));
    }
    let reason = query.maintenance()?;
    query.unscoped()?;
    may(&store, &query, "service:write", &id)?;
    if !store.write(|state| state.maintain(&id, reason, Instant::now())) {
        return Err(unknown(&id));
    }
    info!(%id, on = reason.is_some(), "maintenance");
    Ok(done())
}

/// Refuses who may not do that to a service, if there is one of that id.
fn may(store: &Store, query: &Query, permission: &str, id: &str) -> Result<(), Refusal> {
    query.caller.known()?;
    let name = store.read(|state| Some(state.services.get(id)?.value.name.clone()));
    name.map_or(Ok(()), |name| query.caller.may(permission, &name))
}

fn unknown(id: &str) -> Refusal {
    Refusal::not_found(format!(
        "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
    ))
}
