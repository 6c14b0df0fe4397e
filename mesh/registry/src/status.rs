//! `/v1/status`: who leads. There is one server, this one; the address is a name, nothing listens there.

use std::net::SocketAddr;

use axum::extract::State;
use serde_json::json;

use crate::{
    answer::{Answer, json},
    query::{Query, read},
    store::{Shared, Store},
    wire::SERVER_PORT,
};

pub(crate) async fn leader(State(store): State<Shared>, query: Query) -> Answer {
    read(query, store.datacenter())?;
    Ok(json(&json!(server(&store))))
}

pub(crate) async fn peers(State(store): State<Shared>, query: Query) -> Answer {
    read(query, store.datacenter())?;
    Ok(json(&json!([server(&store)])))
}

fn server(store: &Store) -> String {
    let address = store.read(|state| state.node.address.clone());
    match address.parse() {
        Ok(ip) => SocketAddr::new(ip, SERVER_PORT).to_string(),
        Err(_) => format!("{address}:{SERVER_PORT}"),
    }
}
