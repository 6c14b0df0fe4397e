//! `/v1/status`: who leads. There is one server, this one; the address is a name, nothing listens there.

use std::net::SocketAddr;

use axum::extract::State;
use serde_json::json;

use crate::{
    answer::{Answer, json},
    query::{Query, known_datacenter},
    store::{Shared, Store},
    wire::SERVER_PORT,
};

pub(crate) async fn leader(State(store): State<Shared>, query: Query) -> Answer {
    known_datacenter(&query, store.datacenter())?;
    Ok(json(&json!(server(&store))))
}

pub(crate) async fn peers(State(store): State<Shared>, query: Query) -> Answer {
    known_datacenter(&query, store.datacenter())?;
    Ok(json(&json!([server(&store)])))
}

fn server(store: &Store) -> String {
    store.read(|state| SocketAddr::new(state.node.address, SERVER_PORT).to_string())
}
