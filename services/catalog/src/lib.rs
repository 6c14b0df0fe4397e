//! The catalog service: `selvedge.catalog.v1.CatalogService` on a database.
//!
//! A call walks [`rpc`] (messages) → [`domain`] (rules) → [`owners`] (the users service, through the mesh) and
//! [`store`] (rows); what they hand on is a [`product`]. A [`watch`] reads the store as long as its caller listens.

pub mod rpc;

pub mod domain;

pub mod owners;
pub mod watch;

pub mod store;

pub mod product;
mod stock;

pub mod error;

use std::{future::Future, net::SocketAddr};

use selvedge_kit::{Joined, Service, change_log::Follower, database::Database};
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
    watch::Signals,
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
    let service = Service {
        descriptors: FILE_DESCRIPTOR_SET,
        upstream_descriptors: &[users::v1::FILE_DESCRIPTOR_SET],
        schema: store::SCHEMA,
    };
    let open = |Joined { mesh, database, cache, leaving }| {
        let signals = Signals { follower: Follower::start(Database::clone(&database)), leaving };
        let catalog =
            Catalog::new(Store::new(database).with_cache(cache), MeshOwners::new(mesh.channel("users")), signals);
        routes(catalog, mesh.config().server.max_message_bytes)
    };
    service.run(options, shutdown, ready, open).await
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
