//! Begins and ends faults: `PUT` and `DELETE` of `/__dev/<fault>`.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::json;
use tracing::warn;

use crate::{
    answer::{Answer, Refusal, done, json},
    duration::GoDuration,
    faults::plan::{Fault, Kind, Plan},
    store::Shared,
};

const EVERY_PATH: &str = "/v1/";
const DEFAULT_DELAY: Duration = Duration::from_secs(1);
const DEFAULT_SET_BACK: u64 = 1000;
const NAMES: &str = "no-leader, status, delay, cut, empty, freeze, lower-index, wake";

/// What the faults are of.
#[derive(Clone, Debug)]
pub(crate) struct Controlled {
    pub(crate) plan: Arc<Plan>,
    pub(crate) store: Shared,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Options {
    path: Option<String>,
    times: Option<u32>,
    code: Option<u16>,
    by: Option<String>,
}

/// Begins a fault, or does it where it is of a moment only.
pub(crate) async fn begin(
    State(Controlled { plan, store }): State<Controlled>,
    Path(name): Path<String>,
    Query(options): Query<Options>,
) -> Answer {
    let kind = match name.as_str() {
        "no-leader" => Kind::NoLeader,
        "status" => Kind::Status(status(options.code)?),
        "delay" => Kind::Delay(delay(options.by.as_deref())?),
        "cut" => Kind::Cut,
        "empty" => Kind::Empty,
        "freeze" => {
            store.hold_back(true);
            return Ok(done());
        }
        "lower-index" => {
            let by = options.by.map_or(Ok(DEFAULT_SET_BACK), |by| by.parse());
            let by = by.map_err(|_| Refusal::bad_request("by is to be a number of changes"))?;
            store.write(|state| state.set_back(by));
            return Ok(done());
        }
        "wake" => {
            store.write(|state| state.touch());
            return Ok(done());
        }
        _ => return Err(Refusal::not_found(format!("no fault {name:?}; there are {NAMES}"))),
    };
    warn!(fault = %name, "fault begins");
    plan.begin(Fault { kind, path: options.path.unwrap_or_else(|| EVERY_PATH.to_owned()), left: options.times });
    Ok(done())
}

pub(crate) async fn end(State(Controlled { plan, store }): State<Controlled>, Path(name): Path<String>) -> Answer {
    if name == "freeze" {
        store.hold_back(false);
    }
    plan.end(&name);
    Ok(done())
}

pub(crate) async fn end_all(State(Controlled { plan, store }): State<Controlled>) -> Answer {
    store.hold_back(false);
    plan.end_all();
    Ok(done())
}

/// The faults that are on.
pub(crate) async fn list(State(Controlled { plan, store }): State<Controlled>) -> Answer {
    let faults = plan.list();
    let shown =
        faults.iter().map(|fault| json!({ "fault": fault.kind.as_str(), "path": fault.path, "left": fault.left }));
    let frozen = store.holds_back().then(|| json!({ "fault": "freeze" }));
    Ok(json(&shown.chain(frozen).collect()))
}

fn status(code: Option<u16>) -> Result<StatusCode, Refusal> {
    let code = code.unwrap_or(500);
    let known = StatusCode::from_u16(code).ok().filter(|code| code.is_client_error() || code.is_server_error());
    known.ok_or_else(|| Refusal::bad_request("code is to be a status from 400 to 599"))
}

fn delay(by: Option<&str>) -> Result<Duration, Refusal> {
    let Some(by) = by else { return Ok(DEFAULT_DELAY) };
    let read = GoDuration::parse(by).map_err(|error| Refusal::bad_request(format!("by: {error}")))?;
    Ok(read.positive().unwrap_or_default())
}
