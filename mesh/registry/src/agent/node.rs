//! The agent itself: who it is, whom it knows, and whether the node is under maintenance.

use axum::extract::State;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    answer::{Answer, done, json},
    filter::shape,
    query::Query,
    record::{API_VERSION, Node},
    store::Shared,
    wire::SERVER_PORT,
};

/// The port of Consul's gossip, which there is none of.
const GOSSIP_PORT: u16 = 8301;

pub(crate) async fn own(State(store): State<Shared>, query: Query) -> Answer {
    query.caller.may("agent:read", &store.node())?;
    let value = store.read(|state| {
        json!({
            "Config": {
                "Datacenter": state.node.datacenter,
                "PrimaryDatacenter": state.node.datacenter,
                "NodeName": state.node.name,
                "NodeID": state.node.id,
                "Revision": "",
                "Server": true,
                "Version": API_VERSION,
                "BuildDate": "1970-01-01T00:00:01Z",
                "BindAddr": state.node.address,
            },
            // Tells a person, and a program that must know, that this is no Consul.
            "DebugConfig": { "VersionMetadata": "selvedge", "DevMode": true },
            "Member": member(&state.node),
            "Meta": state.node.meta,
            // As texts, as Consul has them.
            "Stats": {
                "agent": { "checks": state.checks.len().to_string(), "services": state.services.len().to_string() },
                "build": { "version": API_VERSION, "version_metadata": "selvedge" },
            },
        })
    });
    Ok(json(&value))
}

pub(crate) async fn version() -> Answer {
    Ok(json(&json!({
        "SHA": "",
        "BuildDate": "1970-01-01T00:00:01Z",
        "HumanVersion": format!("{API_VERSION}+selvedge"),
        "FIPS": "",
    })))
}

pub(crate) async fn members(State(store): State<Shared>, query: Query) -> Answer {
    query.unpartitioned()?;
    let filter = query.filter(&shape::MEMBER)?;
    let member = store.read(|state| member(&state.node));
    let shown = query.caller.sees() && filter.matches(&member);
    Ok(json(&if shown { json!([member]) } else { json!([]) }))
}

pub(crate) async fn maintenance(State(store): State<Shared>, query: Query) -> Answer {
    let reason = query.maintenance()?;
    query.unscoped()?;
    query.caller.may("node:write", &store.node())?;
    store.write(|state| state.maintain_node(reason, Instant::now()));
    Ok(done())
}

fn member(node: &Node) -> Value {
    json!({
        "Name": node.name,
        "Addr": node.address,
        "Port": GOSSIP_PORT,
        "Tags": {
            "acls": "0",
            "build": format!("{API_VERSION}:"),
            "dc": node.datacenter,
            "id": node.id,
            "port": SERVER_PORT.to_string(),
            "role": "consul",
            "segment": "",
        },
        "Status": 1,
        "ProtocolMin": 1,
        "ProtocolMax": 5,
        "ProtocolCur": 2,
        "DelegateMin": 2,
        "DelegateMax": 5,
        "DelegateCur": 4,
    })
}
