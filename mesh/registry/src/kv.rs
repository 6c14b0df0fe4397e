//! `/v1/kv`: keys and values. There are no sessions, so nothing can be locked.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal, json},
    blocking::{Backend, index_headers, wait},
    query::{Name, Query, Read, Scoped, known_datacenter},
    state::{self, Pair, Put},
    store::{Shared, Store},
};

/// The largest value (Consul's `kv_max_value_size`).
const VALUE_LIMIT: usize = 512 * 1024;

/// One key; with `recurse` all that begin with it; with `keys` only their names.
pub(crate) async fn get(State(store): State<Shared>, Name(key): Name, read: Read) -> Answer {
    if read.query.has("keys") {
        return names(&store, &key, &read).await;
    }
    if read.query.has("recurse") {
        return below(&store, &key, &read).await;
    }
    require_key(&key)?;
    read.query.caller.may("key:read", &key)?;
    one(&store, &key, &read).await
}

/// Sets a key. `true`, or `false` if it changed since the index in `cas`.
pub(crate) async fn put(State(store): State<Shared>, Name(key): Name, Scoped(query): Scoped, body: Bytes) -> Answer {
    query.waiting()?;
    known_datacenter(&query, store.datacenter())?;
    require_key(&key)?;
    let flags = number(&query, "flags")?.unwrap_or_default();
    let cas = number(&query, "cas")?;
    if let Some(lock) = ["acquire", "release"].into_iter().find(|lock| query.has(lock)) {
        return Err(Refusal::internal(format!("this registry has no sessions: leave ?{lock} out, or use a Consul")));
    }
    if body.len() > VALUE_LIMIT {
        let text = format!("Request body({} bytes) too large, max size: {VALUE_LIMIT} bytes.", body.len());
        return Err(Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, text: text.into() });
    }
    query.caller.may("key:write", &key)?;
    let put =
        store.write(|state| state.change_pairs(|pairs, index| pairs.put(&key, (body.to_vec(), flags), cas, index)));
    Ok(json(&json!(put != Put::Refused)))
}

/// Removes a key; with `recurse` all that begin with it.
pub(crate) async fn delete(State(store): State<Shared>, Name(key): Name, Scoped(query): Scoped) -> Answer {
    query.waiting()?;
    known_datacenter(&query, store.datacenter())?;
    let all = query.has("recurse");
    if all && query.has("cas") {
        return Err(Refusal::bad_request("Conflicting flags: cas and recurse"));
    }
    if !all {
        require_key(&key)?;
    }
    let cas = number(&query, "cas")?;
    query.caller.may("key:write", &key)?;
    let put = store.write(|state| {
        state.change_pairs(|pairs, index| match all {
            true => pairs.remove_below(&key, index),
            false => pairs.remove(&key, cas, index),
        })
    });
    Ok(json(&json!(put != Put::Refused)))
}

/// Sends a request without a slash to where it belongs, as Consul does.
pub(crate) async fn add_slash(uri: axum::http::Uri) -> Redirect {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::temporary(&format!("/v1/kv/{query}"))
}

async fn one(store: &Store, key: &str, read: &Read) -> Answer {
    let modified = |state: &state::State| state.pairs.get(key).map(|pair| pair.modified);
    let (there, last) = store.read(|state| (modified(state).is_some(), state.pairs.last));
    // As in Consul, a read of a key that is not there sleeps through changes of others.
    let past = |state: &state::State| match modified(state) {
        Some(modified) => modified > read.index,
        None => state.pairs.last > read.index && (there || last > read.index),
    };
    wait(store, read, Backend::Blocking, past).await;
    let (index, pair) =
        store.read(|state| (modified(state).unwrap_or(state.pairs.last), state.pairs.get(key).cloned()));
    let response = match pair {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(pair) if read.query.has("raw") => raw(pair.value),
        Some(pair) => json(&json!([shown(key, &pair)])),
    };
    Ok(indexed(response, index))
}

async fn below(store: &Store, prefix: &str, read: &Read) -> Answer {
    read.query.caller.known()?;
    wait(store, read, Backend::Blocking, |state| state.pairs.index_below(prefix) > read.index).await;
    let (index, pairs) = store.read(|state| {
        let pairs = state.pairs.below(prefix).filter(|_| read.query.caller.sees());
        (state.pairs.index_below(prefix), pairs.map(|(key, pair)| shown(key, pair)).collect::<Vec<_>>())
    });
    let response = if pairs.is_empty() { StatusCode::NOT_FOUND.into_response() } else { json(&json!(pairs)) };
    Ok(indexed(response, index))
}

/// The names of keys; with `separator` each only up to the first one after the prefix.
async fn names(store: &Store, prefix: &str, read: &Read) -> Answer {
    read.query.caller.known()?;
    wait(store, read, Backend::Blocking, |state| state.pairs.index_below(prefix) > read.index).await;
    let separator = read.query.get("separator").filter(|separator| !separator.is_empty());
    let (index, mut names) = store.read(|state| {
        let names = state.pairs.below(prefix).map(|(key, _)| up_to(key, prefix.len(), separator).to_owned());
        (state.pairs.index_below(prefix), names.collect::<Vec<_>>())
    });
    names.dedup();
    let response = if names.is_empty() {
        StatusCode::NOT_FOUND.into_response()
    } else if read.query.caller.sees() {
        json(&json!(names))
    } else {
        json(&json!([]))
    };
    Ok(indexed(response, index))
}

fn up_to<'a>(key: &'a str, from: usize, separator: Option<&str>) -> &'a str {
    let end = separator.and_then(|separator| Some(key[from..].find(separator)? + from + separator.len()));
    end.map_or(key, |end| &key[..end])
}

fn require_key(key: &str) -> Result<(), Refusal> {
    if key.is_empty() { Err(Refusal::bad_request("Missing key name")) } else { Ok(()) }
}

fn number(query: &Query, key: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = query.get(key) else { return Ok(None) };
    let invalid = |_| Refusal::internal(format!("strconv.ParseUint: parsing {text:?}: invalid syntax"));
    text.parse().map(Some).map_err(invalid)
}

fn shown(key: &str, pair: &Pair) -> Value {
    let value = if pair.value.is_empty() { Value::Null } else { json!(BASE64_STANDARD.encode(&pair.value)) };
    json!({
        "LockIndex": 0,
        "Key": key,
        "Flags": pair.flags,
        "Value": value,
        "CreateIndex": pair.created,
        "ModifyIndex": pair.modified,
    })
}

/// A value as it is, in a way that no browser runs it.
fn raw(value: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, value).into_response()
}

fn indexed(mut response: Response, index: u64) -> Response {
    index_headers(response.headers_mut(), Backend::Blocking, index);
    response
}
