//! The life of one service instance: opens the database, joins the mesh, serves, drains, closes the database.

use std::{future::Future, net::SocketAddr};

use selvedge::Mesh;
use sqlx::SqlitePool;
use tonic::service::Routes;

use crate::{
    database::{self, Migration},
    options::{Options, RunError},
};

/// What a service is made of, whatever its options.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// An encoded `FileDescriptorSet` of what it serves.
    pub descriptors: &'static [u8],
    /// Those of the services that it calls.
    pub upstream_descriptors: &'static [&'static [u8]],
    /// The schema of its database, step by step.
    pub migrations: &'static [Migration],
}

impl Service {
    /// Serves the routes that `routes` makes of mesh and database, until `shutdown` ends, and then drains. `ready` is
    /// told the address once the instance is registered and passing.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the database cannot be opened, the mesh not be joined, or the listener fails.
    pub async fn run(
        self,
        options: Options,
        shutdown: impl Future<Output = ()> + Send + 'static,
        ready: impl FnOnce(SocketAddr) + Send + 'static,
        routes: impl FnOnce(&Mesh, SqlitePool) -> Routes,
    ) -> Result<(), RunError> {
        let Options { mesh, database, telemetry } = options;
        let builder = Mesh::builder(mesh).descriptors(self.descriptors);
        let builder = self.upstream_descriptors.iter().fold(builder, |builder, set| builder.upstream_descriptors(set));
        let builder = match telemetry {
            Some(telemetry) => builder.telemetry(telemetry),
            None => builder,
        };
        let mesh = builder.build()?;
        let pool = database::open(&database, self.migrations).await?;
        let routes = routes(&mesh, pool.clone());
        let ended = mesh.serve(routes).until(shutdown).on_ready(ready).await;
        pool.close().await;
        Ok(ended?)
    }
}
