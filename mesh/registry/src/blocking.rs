//! Blocking reads: an answer when the index of its resource passes the one that the request names, or at the limit.
//!
//! Rules: Consul's documentation, "Blocking queries".

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::{
    answer::{Answer, headers, json as json_answer},
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
) -> Answer {
    read.query.caller.known()?;
    wait(store, read, backend, |state| index(state) > read.index).await;
    let (index, value) = store.read(|state| (index(state), view(state)));
    let mut response = json_answer(&if read.query.caller.sees() { value } else { empty(&value) });
    let fields = response.headers_mut();
    index_headers(fields, backend, index);
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
    Ok(response)
}

/// Adds what every read with an index says of it.
pub(crate) fn index_headers(fields: &mut HeaderMap, backend: Backend, index: u64) {
    let (leader, engine) = match backend {
        Backend::Blocking => ("true", "blocking-query"),
        Backend::Streaming => ("false", "streaming"),
    };
    fields.insert(headers::INDEX, HeaderValue::from(index.max(1)));
    fields.insert(headers::LAST_CONTACT, HeaderValue::from(0));
    fields.insert(headers::KNOWN_LEADER, HeaderValue::from_static(leader));
    fields.insert(headers::BACKEND, HeaderValue::from_static(engine));
}

/// Waits until a read's resource is `past` the index that it names, if it names one, or for its time.
pub(crate) async fn wait(store: &Store, read: &Read, backend: Backend, past: impl Fn(&State) -> bool) {
    if read.index == 0 {
        return;
    }
    let limit = match backend {
        Backend::Blocking => read.wait + jitter(read.wait),
        Backend::Streaming => read.wait,
    };
    wait_until(store, limit, past).await;
}

/// What a list shows to who may see none of it.
fn empty(value: &Value) -> Value {
    match value {
        Value::Array(_) => json!([]),
        Value::Object(fields) if fields.contains_key("Node") => Value::Null,
        Value::Object(_) => json!({}),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Waits until the state fulfils a condition, for some time at most; not at all while the registry closes. Word of
/// changes may be held back, and indexes may be set back, which ends the waiting: faults that are asked for.
pub(crate) async fn wait_until(store: &Store, limit: Duration, fulfilled: impl Fn(&State) -> bool) {
    let mut changes = store.changes();
    let end = Instant::now() + limit;
    let epoch = store.read(|state| state.indexes.epoch);
    let mut done = !store.holds_back() && store.read(&fulfilled);
    while !done {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep_until(end) => return,
            () = store.closing().cancelled() => return,
        }
        done = !store.holds_back() && store.read(|state| state.indexes.epoch != epoch || fulfilled(state));
    }
}

fn jitter(wait: Duration) -> Duration {
    (wait / JITTER).mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests;
