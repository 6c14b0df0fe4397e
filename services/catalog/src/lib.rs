//! The catalog service: `selvedge.catalog.v1.CatalogService` on a database.
//!
//! A call walks [`rpc`] (messages) → [`domain`] (rules) → [`owners`] (the users service, through the mesh) and
//! [`store`] (rows).

pub mod rpc;

pub mod domain;

pub mod owners;
pub mod store;

pub mod error;

use std::{future::Future, net::SocketAddr};

use selvedge::Mesh;
use selvedge_kit::database;
pub use selvedge_kit::{Options, RunError};
use selvedge_proto::{
    catalog::v1::{FILE_DESCRIPTOR_SET, catalog_service_server::CatalogServiceServer},
    users,
};
use tonic::{codec::CompressionEncoding, service::Routes};

use crate::{
    domain::Catalog,
    owners::{MeshOwners, Owners},
    rpc::Rpc,
    store::Store,
};

/// The name under which the service is registered and called.
pub const SERVICE: &str = "catalog";

/// Serves the catalog until `shutdown` ends, and then drains. `ready` is told the address once the instance is
/// registered and passing.
///
/// # Errors
///
/// [`RunError`] if the database cannot be opened, the mesh not be joined, or the listener fails.
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<(), RunError> {
    let Options { mesh, database, telemetry } = options;
    let longest_message = mesh.server.max_message_bytes;
    let mesh =
        Mesh::builder(mesh).descriptors(FILE_DESCRIPTOR_SET).upstream_descriptors(users::v1::FILE_DESCRIPTOR_SET);
    let mesh = match telemetry {
        Some(telemetry) => mesh.telemetry(telemetry),
        None => mesh,
    };
    let mesh = mesh.build()?;
    let pool = database::open(&database, store::MIGRATIONS).await?;
    let catalog = Catalog::new(Store::new(pool.clone()), MeshOwners::new(mesh.channel("users")));
    let ended = mesh.serve(routes(catalog, longest_message)).until(shutdown).on_ready(ready).await;
    pool.close().await;
    Ok(ended?)
}

/// Returns the service as tonic routes, for messages of at most so many bytes.
#[must_use]
pub fn routes<O: Owners>(catalog: Catalog<O>, longest_message: usize) -> Routes {
    let server = CatalogServiceServer::new(Rpc::new(catalog))
        .max_decoding_message_size(longest_message)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    Routes::new(server)
}

#[cfg(test)]
mod tests;
