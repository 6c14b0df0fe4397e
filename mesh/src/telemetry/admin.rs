//! The admin listener of a process: plain HTTP, meant for loopback.

use std::{future::Future, net::SocketAddr};

use axum::{
    Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};
use tokio::net::TcpListener;

use crate::{
    error::{Error, ErrorKind},
    telemetry::{Telemetry, inspect},
};

impl Telemetry {
    /// Serves `/metrics` (Prometheus), `/healthz`, and of the meshes that share these instruments `/state` and
    /// `/explain`, until the future ends; programs add routes of their own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] when the listener fails.
    pub async fn serve_admin(
        &self,
        listener: TcpListener,
        more: Router,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .with_state(self.clone())
            .merge(inspect::routes(self.inspected().clone()))
            .merge(more);
        axum::serve(listener, router)
            .with_graceful_shutdown(shutdown)
            .await
            .map_err(|error| Error::new(ErrorKind::Listen, format!("the admin listener ended: {error}")))
    }

    /// Binds the admin listener.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] naming the address.
    pub async fn bind_admin(address: SocketAddr) -> Result<TcpListener, Error> {
        TcpListener::bind(address).await.map_err(|error| {
            Error::new(ErrorKind::Listen, format!("cannot listen on {address} for administration: {error}"))
        })
    }
}

async fn metrics(State(telemetry): State<Telemetry>) -> impl IntoResponse {
    match telemetry.prometheus_text() {
        Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, "text/plain; version=0.0.4")], text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], format!("{error}\n")),
    }
}
