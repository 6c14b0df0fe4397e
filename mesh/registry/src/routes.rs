//! Every endpoint: its methods, its path, its handler.

use axum::{
    Router,
    extract::{Request, State},
    handler::Handler,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post, put},
};

use crate::{
    acl,
    agent::{check, node, service, service_health},
    answer::{Refusal, done, headers},
    catalog, health, kv, status,
    store::Shared,
};

/// An endpoint: what it allows, and its path, which takes a name behind it if it ends in a slash.
type Endpoint = (&'static str, &'static str, MethodRouter<Shared>);

/// Returns every endpoint: its methods, with commas between, and its path. One that ends in a slash takes a name.
pub fn endpoints() -> impl Iterator<Item = (&'static str, &'static str)> {
    table().into_iter().map(|(methods, path, _)| (methods, path))
}

/// The endpoints over a store.
pub(crate) fn routes(store: Shared) -> Router {
    let router = table().into_iter().fold(Router::new(), |router, (_, path, methods)| {
        let router = router.route(path, methods.clone());
        // A name may be empty, and may contain slashes.
        if path.ends_with('/') { router.route(&format!("{path}{{*name}}"), methods) } else { router }
    });
    let router = router.route_layer(from_fn_with_state(store.clone(), around));
    router
        .route("/v1/kv", get(kv::add_slash).put(kv::add_slash).delete(kv::add_slash))
        .fallback(unknown)
        .with_state(store)
}

fn table() -> Vec<Endpoint> {
    let mut table = of_agent();
    table.extend(of_catalog());
    table.extend(of_access());
    table.push(endpoint("GET,PUT,DELETE", "/v1/kv/", get(kv::get).put(kv::put).delete(kv::delete)));
    table
}

fn of_agent() -> Vec<Endpoint> {
    vec![
        reads("/v1/status/leader", status::leader),
        reads("/v1/status/peers", status::peers),
        reads("/v1/agent/self", node::own),
        reads("/v1/agent/version", node::version),
        reads("/v1/agent/members", node::members),
        writes("/v1/agent/maintenance", node::maintenance),
        reads("/v1/agent/services", service::list),
        reads("/v1/agent/service/", service::one),
        writes("/v1/agent/service/register", service::register),
        writes("/v1/agent/service/deregister/", service::deregister),
        writes("/v1/agent/service/maintenance/", service::maintenance),
        reads("/v1/agent/health/service/id/", service_health::by_id),
        reads("/v1/agent/health/service/name/", service_health::by_name),
        reads("/v1/agent/checks", check::list),
        writes("/v1/agent/check/register", check::register),
        writes("/v1/agent/check/deregister/", check::deregister),
        writes("/v1/agent/check/pass/", check::pass),
        writes("/v1/agent/check/warn/", check::warn),
        writes("/v1/agent/check/fail/", check::fail),
        writes("/v1/agent/check/update/", check::update),
    ]
}

fn of_catalog() -> Vec<Endpoint> {
    vec![
        writes("/v1/catalog/register", catalog::register),
        writes("/v1/catalog/deregister", catalog::deregister),
        reads("/v1/catalog/datacenters", catalog::datacenters),
        reads("/v1/catalog/nodes", catalog::nodes),
        reads("/v1/catalog/node/", catalog::node),
        reads("/v1/catalog/services", catalog::services),
        reads("/v1/catalog/service/", catalog::service),
        reads("/v1/catalog/connect/", catalog::connect),
        reads("/v1/health/service/", health::service),
        reads("/v1/health/connect/", health::connect),
        reads("/v1/health/checks/", health::checks),
        reads("/v1/health/node/", health::node),
        reads("/v1/health/state/", health::state),
    ]
}

fn of_access() -> Vec<Endpoint> {
    vec![
        writes("/v1/acl/bootstrap", acl::refuse),
        endpoint("POST", "/v1/acl/login", post(acl::refuse)),
        endpoint("POST", "/v1/acl/logout", post(acl::refuse)),
        reads("/v1/acl/tokens", acl::refuse),
        writes("/v1/acl/token", acl::refuse),
        endpoint("GET,PUT,DELETE", "/v1/acl/token/", get(acl::refuse).put(acl::refuse).delete(acl::refuse)),
    ]
}

fn reads<T: 'static>(path: &'static str, handler: impl Handler<T, Shared>) -> Endpoint {
    endpoint("GET", path, get(handler))
}

fn writes<T: 'static>(path: &'static str, handler: impl Handler<T, Shared>) -> Endpoint {
    endpoint("PUT", path, put(handler))
}

/// Says of other methods which ones there are.
fn endpoint(methods: &'static str, path: &'static str, handlers: MethodRouter<Shared>) -> Endpoint {
    let allow = move || [(header::ALLOW, format!("OPTIONS,{methods}"))];
    let refuse = move |method: Method| async move {
        let text = format!("method {method} not allowed").into();
        (allow(), Refusal { status: StatusCode::METHOD_NOT_ALLOWED, text })
    };
    let handlers = if methods.contains("GET") { handlers.head(refuse) } else { handlers };
    (methods, path, handlers.options(move || async move { (allow(), done()) }).fallback(refuse))
}

async fn unknown() -> Refusal {
    Refusal::not_found("Invalid URL path: not a recognized HTTP API endpoint\n")
}

/// Answers a write once it is on disk, and says with every answer what is allowed to who names no token.
async fn around(State(store): State<Shared>, request: Request, next: Next) -> Response {
    let writes = request.method() != Method::GET;
    let mut response = next.run(request).await;
    if writes && let Err(reason) = store.settled().await {
        response = Refusal::internal(reason).into_response();
    }
    let policy = if store.token().is_some() { "deny" } else { "allow" };
    response.headers_mut().insert(headers::ACL_POLICY, HeaderValue::from_static(policy));
    response
}
