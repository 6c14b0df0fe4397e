//! What is written into the catalog past any agent: nodes that nobody here looks after, with services and checks.

use axum::{body::Bytes, extract::State};
use serde_json::json;
use tracing::info;

use crate::{
    access::Caller,
    answer::{Answer, Refusal, json},
    definition::{ExternalRegistration, ExternalRemoval, external_registration, external_removal},
    query::Scoped,
    state::{self, External},
    store::Shared,
};

/// Adds a node, with a service and checks, or changes it. Its checks stay as they are written.
pub(crate) async fn register(State(store): State<Shared>, Scoped(query): Scoped, body: Bytes) -> Answer {
    query.caller.known()?;
    let registration = external_registration(&body, store.datacenter())?;
    let name = registration.node.name.clone();
    store.write(|state| {
        may_register(state, &registration, query.caller)?;
        not_own(state, (&name, &registration.node.id))?;
        state.register_external(registration);
        Ok::<_, Refusal>(())
    })?;
    info!(node = %name, "written into the catalog");
    Ok(json(&json!(true)))
}

/// Removes a service of a node, or a check of it, or the node.
pub(crate) async fn deregister(State(store): State<Shared>, Scoped(query): Scoped, body: Bytes) -> Answer {
    let removal = external_removal(&body, store.datacenter())?;
    query.caller.known()?;
    store.write(|state| {
        may_deregister(state, &removal, query.caller)?;
        not_own(state, (&removal.node, ""))?;
        state.deregister_external(&removal.node, &removal.service_id, &removal.check_id);
        Ok::<_, Refusal>(())
    })?;
    info!(node = %removal.node, service = %removal.service_id, check = %removal.check_id, "removed from the catalog");
    Ok(json(&json!(true)))
}

/// In Consul the agent undoes within a minute what is written below its own node: here it is refused.
fn not_own(state: &state::State, (node, id): (&str, &str)) -> Result<(), Refusal> {
    if !state.node.name.eq_ignore_ascii_case(node) && state.node.id != id {
        return Ok(());
    }
    Err(Refusal::internal(format!(
        "node {node:?} is this agent's own, which would undo that: use /v1/agent/service, or another node"
    )))
}

/// A service needs its own permission, a node only if it is new or changes; a check, that of what it is of.
fn may_register(state: &state::State, wanted: &ExternalRegistration, caller: Caller) -> Result<(), Refusal> {
    let known = state.externals.get(&wanted.node.name.to_lowercase());
    if let Some(service) = &wanted.service {
        caller.may("service:write", &service.name)?;
    }
    let changes = |known: &External| !wanted.skip_node_update && known.node.value != wanted.node;
    if known.is_none_or(changes) {
        caller.may("node:write", &wanted.node.name)?;
    }
    for check in &wanted.checks {
        let of_own = wanted.service.as_ref().is_some_and(|service| service.id == check.service_id);
        if check.service_id.is_empty() {
            caller.may("node:write", &wanted.node.name)?;
        } else if !of_own {
            let service = known.and_then(|known| known.services.get(&check.service_id));
            let service = service.ok_or_else(|| {
                Refusal::internal(format!("Unknown service ID '{}' for check ID '{}'", check.service_id, check.id))
            })?;
            caller.may("service:write", &service.value.name)?;
        }
    }
    Ok(())
}

/// Who may write the node may remove all of it.
fn may_deregister(state: &state::State, removal: &ExternalRemoval, caller: Caller) -> Result<(), Refusal> {
    let of_node = caller.may("node:write", &removal.node);
    let known = state.externals.get(&removal.node.to_lowercase());
    match (removal.service_id.as_str(), removal.check_id.as_str()) {
        _ if of_node.is_ok() => Ok(()),
        ("", "") => of_node,
        ("", check) => {
            let check = known.and_then(|known| known.checks.get(check));
            let check = check.ok_or_else(|| Refusal::internal(format!("Unknown check ID '{}'", removal.check_id)))?;
            if check.value.service_id.is_empty() {
                of_node
            } else {
                caller.may("service:write", &check.value.service_name)
            }
        }
        (service, _) => {
            let service = known.and_then(|known| known.services.get(service));
            let service =
                service.ok_or_else(|| Refusal::internal(format!("Unknown service ID '{}'", removal.service_id)))?;
            caller.may("service:write", &service.value.name)
        }
    }
}
