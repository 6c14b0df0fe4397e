//! Checks of the agent: registered, listed, renewed, removed.

use axum::{body::Bytes, extract::State};
use serde_json::{Map, json};
use tokio::time::Instant;

use crate::{
    access::Caller,
    answer::{Answer, Refusal, done, json as answer_json},
    definition::{check_registration, check_update},
    filter::{Filter, Mistake, shape},
    query::{Name, Query, Scoped, mistaken},
    record::{Check, Status},
    state,
    store::{Shared, Store},
    wire::agent_check,
};

pub(crate) async fn list(State(store): State<Shared>, Scoped(query): Scoped) -> Answer {
    query.caller.known()?;
    let filter = match Filter::new(query.get("filter").unwrap_or_default(), &shape::CHECK) {
        Ok(filter) => filter,
        Err(mistake @ Mistake::Grammar(_)) => return Err(mistaken(&mistake)),
        // Here Consul finds that out at the first check only, and says it in fewer words.
        Err(Mistake::Meaning(_)) if store.read(|state| state.checks.is_empty()) => return Ok(answer_json(&json!({}))),
        Err(Mistake::Meaning(text)) => return Err(Refusal::internal(text)),
    };
    let checks = store.read(|state| {
        let entries = state.checks.values().filter(|_| query.caller.sees());
        let items = entries.map(|entry| (entry.local.id.clone(), agent_check(entry, &state.node)));
        items.filter(|(_, item)| filter.matches(item)).collect::<Map<_, _>>()
    });
    Ok(answer_json(&checks.into()))
}

pub(crate) async fn register(State(store): State<Shared>, Scoped(query): Scoped, body: Bytes) -> Answer {
    query.caller.known()?;
    store.write(|state| {
        let service_of = |id: &str| state.services.get(id).map(|entry| entry.value.clone());
        let definition = check_registration(&body, service_of)?;
        may_write(state, &definition.view, query.caller)?;
        state.register_check(definition, Instant::now());
        Ok(done())
    })
}

pub(crate) async fn deregister(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    may(&store, &id, query.caller)?;
    if store.write(|state| state.deregister_check(&id)) { Ok(done()) } else { Err(unknown(&id)) }
}

pub(crate) async fn pass(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    renew(&store, &id, Status::Passing, &query)
}

pub(crate) async fn warn(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    renew(&store, &id, Status::Warning, &query)
}

pub(crate) async fn fail(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    renew(&store, &id, Status::Critical, &query)
}

pub(crate) async fn update(State(store): State<Shared>, Name(id): Name, query: Query, body: Bytes) -> Answer {
    let (status, output) = check_update(&body)?;
    query.unscoped()?;
    may(&store, &id, query.caller)?;
    report(&store, &id, status, &output)
}

fn renew(store: &Store, id: &str, status: Status, query: &Query) -> Answer {
    may(store, id, query.caller)?;
    report(store, id, status, query.get("note").unwrap_or_default())
}

/// Renews a lease; only checks with one can be reported from outside.
fn report(store: &Store, id: &str, status: Status, output: &str) -> Answer {
    match store.read(|state| state.checks.get(id).map(|check| check.definition.ttl.is_some())) {
        None => Err(unknown(id)),
        Some(false) => Err(Refusal::internal(format!("CheckID {id:?} does not have associated TTL"))),
        Some(true) => {
            store.write_if(|state| state.report(id, status, output, Instant::now()));
            Ok(done())
        }
    }
}

/// Refuses who may not write a check, if there is one of that id.
fn may(store: &Store, id: &str, caller: Caller) -> Result<(), Refusal> {
    caller.known()?;
    store.read(|state| state.checks.get(id).map_or(Ok(()), |check| may_write(state, &check.local, caller)))
}

/// A check belongs to its service, or to the node.
fn may_write(state: &state::State, check: &Check, caller: Caller) -> Result<(), Refusal> {
    match check.service_name.as_str() {
        "" => caller.may("node:write", &state.node.name),
        service => caller.may("service:write", service),
    }
}

fn unknown(id: &str) -> Refusal {
    Refusal::not_found(format!("Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name."))
}
