//! Blocking reads: an answer when the index of its resource passes the one that the request names, or at the limit.
//!
//! Rules: Consul's documentation, "Blocking queries".

use std::time::Duration;

use axum::{
    http::{HeaderValue, header},
    response::Response,
};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::{
    answer::{headers, json},
    query::{Consistency, Read},
    state::State,
    store::Store,
};

/// The limit is drawn out by up to this part of it, so that watchers do not return together.
const JITTER: u32 = 16;

/// What kind of engine answers in Consul; its headers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Blocking,
    /// Consul answers blocking and cached reads of a service's health from a stream: without jitter, and without a
    /// word about the leader.
    Streaming,
}

/// Answers a read with JSON and the headers of its index, once `index`, that of the resource, is past the one it names.
pub(crate) async fn answer(
    store: &Store,
    read: &Read,
    backend: Backend,
    index: impl Fn(&State) -> u64,
    view: impl Fn(&State) -> Value,
) -> Response {
    let limit = match backend {
        Backend::Blocking => read.wait + jitter(read.wait),
        Backend::Streaming => read.wait,
    };
    let past = |state: &State| read.index == 0 || index(state) > read.index;
    wait_until(store, limit, past).await;
    let (index, value) = store.read(|state| (index(state), view(state)));
    let mut response = json(&value);
    let fields = response.headers_mut();
    fields.insert(headers::INDEX, HeaderValue::from(index.max(1)));
    fields.insert(headers::LAST_CONTACT, HeaderValue::from(0));
    let (leader, engine) = match backend {
        Backend::Blocking => ("true", "blocking-query"),
        Backend::Streaming => ("false", "streaming"),
    };
    fields.insert(headers::KNOWN_LEADER, HeaderValue::from_static(leader));
    fields.insert(headers::BACKEND, HeaderValue::from_static(engine));
    let consistency = match read.consistency {
        Consistency::Leader => "leader",
        Consistency::Stale => "stale",
        Consistency::Consistent => "consistent",
    };
    fields.insert(headers::CONSISTENCY, HeaderValue::from_static(consistency));
    match (read.cached, backend) {
        (true, Backend::Streaming) => {
            fields.insert(headers::CACHE, HeaderValue::from_static("HIT"));
            fields.insert(header::AGE, HeaderValue::from(0));
        }
        (true, Backend::Blocking) => drop(fields.insert(headers::CACHE, HeaderValue::from_static("MISS"))),
        (false, _) => {}
    }
    response
}

/// Waits until the state fulfils a condition, for some time at most; not at all while the registry closes.
pub(crate) async fn wait_until(store: &Store, limit: Duration, fulfilled: impl Fn(&State) -> bool) {
    let mut changes = store.changes();
    let end = Instant::now() + limit;
    while !store.read(&fulfilled) {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep_until(end) => return,
            () = store.closing().cancelled() => return,
        }
    }
}

fn jitter(wait: Duration) -> Duration {
    (wait / JITTER).mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests;
