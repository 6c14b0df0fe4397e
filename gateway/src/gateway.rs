//! One gateway: its parts, and its life from the first request to the last.

use std::{future::Future, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use axum::Router;
use selvedge::{Mesh, Telemetry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};
use tracing::info;

use crate::{
    admin::Health,
    config::Options,
    cors::Cors,
    docs::Docs,
    error::Error,
    listener,
    memory::Memory,
    metrics::Metrics,
    pipeline::Pipeline,
    reflection::Local,
    schema::{Learner, Schema},
    upstream::Upstreams,
};

/// A gateway that does not listen yet.
#[derive(Debug)]
pub struct Gateway {
    options: Options,
    mesh: Mesh,
    cors: Cors,
    schema: Arc<ArcSwap<Schema>>,
    leaving: CancellationToken,
}

impl Gateway {
    /// Makes a gateway; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// A setting of the mesh or a CORS origin that is wrong.
    pub fn new(options: Options) -> Result<Self, Error> {
        let mut builder = Mesh::builder(options.mesh.clone());
        if let Some(telemetry) = &options.telemetry {
            builder = builder.telemetry(telemetry.clone());
        }
        let mesh = builder.build()?;
        let cors = Cors::new(&options.cors)?;
        Ok(Self { options, mesh, cors, schema: Arc::default(), leaving: CancellationToken::new() })
    }

    /// Returns routes for an admin listener ([`Telemetry::serve_admin`]): `/readyz`, and `/readyz?verbose`, which tells
    /// what was learned of every service and what of it is not served.
    pub fn admin(&self) -> Router {
        self.health().router()
    }

    /// Returns the instruments.
    #[must_use]
    pub fn telemetry(&self) -> &Telemetry {
        self.mesh.telemetry()
    }

    /// Listens, tells the address, serves until `shutdown`, and drains: no new connections, HTTP/1.1 connections
    /// closed after their request, HTTP/2 connections told to go away, requests given `limits.grace` to end.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] for an address that cannot be listened on.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
        ready: impl FnOnce(SocketAddr) + Send + 'static,
    ) -> Result<(), Error> {
        let address = self.options.listen;
        let listen = |reason| Error::Listen { address, reason };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let reporter = HealthReporter::new();
        let stop = CancellationToken::new();
        let learner = Learner::new(self.mesh.clone(), self.options.expose, Arc::clone(&self.schema), reporter.clone());
        let learner = learner.with_json(self.options.json.clone());
        let learning = tokio::spawn(learner.run(stop.clone()));
        let pipeline = Arc::new(self.pipeline(reporter.clone()));
        let serving = tokio::spawn(listener::serve(listener, pipeline, self.leaving.clone()));
        info!(address = %bound, "gateway listens");
        ready(bound);
        shutdown.await;
        info!("gateway drains");
        reporter.set_service_status("", ServingStatus::NotServing).await;
        self.leaving.cancel();
        // Its tasks end with it: neither can fail but by a panic, which it has reported itself.
        _ = serving.await;
        stop.cancel();
        _ = learning.await;
        self.mesh.telemetry().flush().await;
        Ok(())
    }

    fn health(&self) -> Health {
        Health { schema: Arc::clone(&self.schema), leaving: self.leaving.clone() }
    }

    fn pipeline(&self, reporter: HealthReporter) -> Pipeline {
        let own = Local::new(Arc::clone(&self.schema), reporter);
        Pipeline {
            schema: Arc::clone(&self.schema),
            upstreams: Upstreams { mesh: Arc::new(self.mesh.clone()), own },
            health: self.health(),
            docs: Docs::default(),
            cors: self.cors.clone(),
            memory: Memory::new(self.options.limits.held_bytes),
            limits: self.options.limits.clone(),
            metrics: Metrics::new(self.mesh.telemetry()),
            telemetry: self.mesh.telemetry().clone(),
        }
    }
}

/// Makes a gateway and runs it; see [`Gateway::new`] and [`Gateway::run`].
///
/// # Errors
///
/// Those of both.
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<(), Error> {
    Gateway::new(options)?.run(shutdown, ready).await
}

#[cfg(test)]
mod tests;
