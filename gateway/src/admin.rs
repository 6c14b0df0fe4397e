//! Health and readiness: short on the public port, with the reasons on the admin listener.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::schema::Schema;

/// Tells whether the gateway is alive and can serve.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) schema: Arc<ArcSwap<Schema>>,
    /// Cancelled when the gateway begins to leave.
    pub(crate) leaving: CancellationToken,
}

impl Health {
    /// Answers `/healthz` and `/readyz`; nothing for any other path.
    pub(crate) fn answer(&self, path: &str) -> Option<Response<Body>> {
        let (status, json) = match path {
            "/healthz" => (StatusCode::OK, json!({ "alive": true })),
            "/readyz" => (self.status(), json!({ "ready": self.is_ready() })),
            _ => return None,
        };
        let mut response = Response::new(Body::new(Full::new(Bytes::from(format!("{json}\n")))));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(response)
    }

    /// Returns the routes for the admin listener.
    pub(crate) fn router(self) -> Router {
        Router::new().route("/readyz", get(readyz)).with_state(self)
    }

    fn is_ready(&self) -> bool {
        !self.leaving.is_cancelled() && self.schema.load().report.is_ready()
    }

    fn status(&self) -> StatusCode {
        if self.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    }
}

#[derive(Debug, Deserialize)]
struct Detail {
    verbose: Option<String>,
}

async fn readyz(State(health): State<Health>, Query(detail): Query<Detail>) -> (StatusCode, Json<Value>) {
    let mut answer = json!({ "ready": health.is_ready() });
    if detail.verbose.is_some() {
        let schema = health.schema.load();
        answer["leaving"] = json!(health.leaving.is_cancelled());
        answer["schema"] = json!(schema.report);
        answer["problems"] = json!(schema.report.problems());
    }
    (health.status(), Json(answer))
}
