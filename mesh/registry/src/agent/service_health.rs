//! The health of the agent's own services, as a status code: `/v1/agent/health/service`.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal, headers, json},
    query::{Name, Query, Scoped},
    record::{Service, Status},
    state,
    store::Shared,
    wire::{agent_health_check, agent_service},
};

/// The health of an instance or of several: the worst of their checks, where maintenance is worse than critical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Of(Status),
    Maintenance,
}

pub(crate) async fn by_id(State(store): State<Shared>, Name(id): Name, Scoped(query): Scoped) -> Answer {
    if id.is_empty() {
        return Err(Refusal::internal("Missing serviceID"));
    }
    query.caller.known()?;
    let found = store.read(|state| {
        let service = &state.services.get(&id)?.value;
        let health = health(state, service);
        Some((health, instance(state, service, health), service.name.clone()))
    });
    let Some((health, value, name)) = found else {
        let nothing = json!({ "AggregatedStatus": "critical", "Service": null, "Checks": null });
        return Ok(missing(&format!("ServiceId {id} not found"), &nothing, &query));
    };
    query.caller.may("service:read", &name)?;
    Ok(answer(health, &value, &query))
}

pub(crate) async fn by_name(State(store): State<Shared>, Name(name): Name, Scoped(query): Scoped) -> Answer {
    if name.is_empty() {
        return Err(Refusal::internal("Missing service Name"));
    }
    query.caller.may("service:read", &name)?;
    let (worst, values) = store.read(|state| {
        let services = state.services.values().map(|entry| &entry.value).filter(|service| service.name == name);
        let healths: Vec<_> = services.map(|service| (service, health(state, service))).collect();
        let worst = healths.iter().map(|(_, health)| *health).max();
        let values = healths.into_iter().map(|(service, health)| instance(state, service, health)).collect();
        (worst, Value::Array(values))
    });
    match worst {
        Some(worst) => Ok(answer(worst, &values, &query)),
        None => Ok(missing(&format!("ServiceName {name} Not Found"), &values, &query)),
    }
}

fn health(state: &state::State, service: &Service) -> Health {
    let of_check = |check: &state::CheckEntry| {
        if check.local.kind == "maintenance" { Health::Maintenance } else { Health::Of(check.local.status) }
    };
    state.checks_of(&service.id).map(of_check).max().unwrap_or(Health::Of(Status::Passing))
}

fn instance(state: &state::State, service: &Service, health: Health) -> Value {
    let checks = state.checks_of(&service.id).map(|check| agent_health_check(&check.local, &state.node));
    json!({
        "AggregatedStatus": health.as_str(),
        "Service": agent_service(service, &state.node),
        "Checks": checks.collect::<Vec<_>>(),
    })
}

fn answer(health: Health, value: &Value, query: &Query) -> Response {
    let reason = HeaderValue::from_static(health.as_str());
    (health.code(), [(headers::REASON, reason)], body(health.as_str(), value, query)).into_response()
}

fn missing(reason: &str, value: &Value, query: &Query) -> Response {
    let header = HeaderValue::try_from(reason).unwrap_or(HeaderValue::from_static("not found"));
    (StatusCode::NOT_FOUND, [(headers::REASON, header)], body(reason, value, query)).into_response()
}

fn body(reason: &str, value: &Value, query: &Query) -> Response {
    if query.get("format") == Some("text") {
        return ([(header::CONTENT_TYPE, "text/plain")], reason.to_owned()).into_response();
    }
    json(value)
}

impl Health {
    fn as_str(self) -> &'static str {
        match self {
            Self::Of(status) => status.as_str(),
            Self::Maintenance => "maintenance",
        }
    }

    fn code(self) -> StatusCode {
        match self {
            Self::Of(Status::Passing) => StatusCode::OK,
            Self::Of(Status::Warning) => StatusCode::TOO_MANY_REQUESTS,
            Self::Of(Status::Critical) | Self::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
