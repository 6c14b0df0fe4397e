//! Checks of the agent: registered, listed, renewed, removed.

use axum::{body::Bytes, extract::State};
use serde_json::Map;
use tokio::time::Instant;

use crate::{
    answer::{Answer, Refusal, done, json},
    definition::{check_registration, check_update},
    query::{Name, Scoped},
    record::Status,
    store::{Shared, Store},
    wire::agent_check,
};

pub(crate) async fn list(State(store): State<Shared>, _: Scoped) -> Answer {
    let checks = store.read(|state| {
        let entries = state.checks.iter();
        entries.map(|(id, entry)| (id.clone(), agent_check(entry, &state.node))).collect::<Map<_, _>>()
    });
    Ok(json(&checks.into()))
}

pub(crate) async fn register(State(store): State<Shared>, _: Scoped, body: Bytes) -> Answer {
    store.write(|state| {
        let service_of = |id: &str| state.services.get(id).map(|entry| entry.value.clone());
        let definition = check_registration(&body, service_of)?;
        state.register_check(definition, Instant::now());
        Ok(done())
    })
}

pub(crate) async fn deregister(State(store): State<Shared>, Name(id): Name, _: Scoped) -> Answer {
    if store.write(|state| state.deregister_check(&id)) { Ok(done()) } else { Err(unknown(&id)) }
}

pub(crate) async fn pass(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    renew(&store, &id, Status::Passing, query.get("note").unwrap_or_default())
}

pub(crate) async fn warn(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    renew(&store, &id, Status::Warning, query.get("note").unwrap_or_default())
}

pub(crate) async fn fail(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    renew(&store, &id, Status::Critical, query.get("note").unwrap_or_default())
}

pub(crate) async fn update(State(store): State<Shared>, Name(id): Name, _: Scoped, body: Bytes) -> Answer {
    let (status, output) = check_update(&body)?;
    renew(&store, &id, status, &output)
}

/// Renews a lease; only checks with one can be reported from outside.
fn renew(store: &Store, id: &str, status: Status, output: &str) -> Answer {
    match store.read(|state| state.checks.get(id).map(|check| check.definition.ttl.is_some())) {
        None => Err(unknown(id)),
        Some(false) => Err(Refusal::internal(format!("CheckID {id:?} does not have associated TTL"))),
        Some(true) => {
            store.write(|state| state.report(id, status, output, Instant::now()));
            Ok(done())
        }
    }
}

fn unknown(id: &str) -> Refusal {
    Refusal::not_found(format!("Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name."))
}
