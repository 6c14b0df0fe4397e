//! Every endpoint: its path, its method, its handler.

use axum::{
    Router,
    handler::Handler,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, put},
};

use crate::{
    agent::{check, node, service, service_health},
    answer::{Refusal, done, headers},
    catalog, health, status,
    store::Shared,
};

/// The endpoints over a store.
pub(crate) fn routes(store: Shared) -> Router {
    let endpoints = Router::new()
        .route("/v1/status/leader", reads(status::leader))
        .route("/v1/status/peers", reads(status::peers))
        .route("/v1/agent/self", reads(node::own))
        .route("/v1/agent/version", reads(node::version))
        .route("/v1/agent/members", reads(node::members))
        .route("/v1/agent/maintenance", writes(node::maintenance))
        .route("/v1/agent/services", reads(service::list))
        .route("/v1/agent/service/register", writes(service::register))
        .route("/v1/agent/checks", reads(check::list))
        .route("/v1/agent/check/register", writes(check::register))
        .route("/v1/catalog/datacenters", reads(catalog::datacenters))
        .route("/v1/catalog/nodes", reads(catalog::nodes))
        .route("/v1/catalog/services", reads(catalog::services));
    let endpoints = [
        ("/v1/agent/service/", reads(service::one)),
        ("/v1/agent/service/deregister/", writes(service::deregister)),
        ("/v1/agent/service/maintenance/", writes(service::maintenance)),
        ("/v1/agent/health/service/id/", reads(service_health::by_id)),
        ("/v1/agent/health/service/name/", reads(service_health::by_name)),
        ("/v1/agent/check/deregister/", writes(check::deregister)),
        ("/v1/agent/check/pass/", writes(check::pass)),
        ("/v1/agent/check/warn/", writes(check::warn)),
        ("/v1/agent/check/fail/", writes(check::fail)),
        ("/v1/agent/check/update/", writes(check::update)),
        ("/v1/catalog/service/", reads(catalog::service)),
        ("/v1/health/service/", reads(health::service)),
        ("/v1/health/checks/", reads(health::checks)),
        ("/v1/health/node/", reads(health::node)),
        ("/v1/health/state/", reads(health::state)),
    ]
    .into_iter()
    .fold(endpoints, |router, (path, methods)| {
        // A name may be empty, and may contain slashes.
        router.route(path, methods.clone()).route(&format!("{path}{{*name}}"), methods)
    });
    endpoints.route_layer(axum::middleware::map_response(with_policy)).fallback(unknown).with_state(store)
}

fn reads<T: 'static>(handler: impl Handler<T, Shared>) -> MethodRouter<Shared> {
    get(handler).head(refuse_all_but_get).options(options_of_get).fallback(refuse_all_but_get)
}

fn writes<T: 'static>(handler: impl Handler<T, Shared>) -> MethodRouter<Shared> {
    put(handler).options(options_of_put).fallback(refuse_all_but_put)
}

async fn refuse_all_but_get(method: Method) -> Response {
    refused(&method, "OPTIONS,GET")
}

async fn refuse_all_but_put(method: Method) -> Response {
    refused(&method, "OPTIONS,PUT")
}

async fn options_of_get() -> Response {
    ([(header::ALLOW, "OPTIONS,GET")], done()).into_response()
}

async fn options_of_put() -> Response {
    ([(header::ALLOW, "OPTIONS,PUT")], done()).into_response()
}

fn refused(method: &Method, allowed: &'static str) -> Response {
    let refusal =
        Refusal { status: StatusCode::METHOD_NOT_ALLOWED, text: format!("method {method} not allowed").into() };
    ([(header::ALLOW, allowed)], refusal).into_response()
}

async fn unknown() -> Refusal {
    Refusal::not_found("Invalid URL path: not a recognized HTTP API endpoint\n")
}

/// Nothing is forbidden here, and every answer says so.
async fn with_policy(mut response: Response) -> Response {
    response.headers_mut().insert(headers::ACL_POLICY, HeaderValue::from_static("allow"));
    response
}
